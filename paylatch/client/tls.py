"""TLS to a bridge: how it proves itself, and what was wrong when it has not."""

import ssl

import httpx


def proof_of_bridge() -> ssl.SSLContext:
    """Return what asks a bridge for a certificate that is valid, names the host and chains to a known CA.

    Known are the public ones, also where the system has none, and the system's, which may have a company's own.
    """
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def fault_of_certificate(error: BaseException | None) -> str | None:
    """Return what is wrong with a server's certificate, if that is why; transports tell it only as a cause."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return None if error is None else error.verify_message
