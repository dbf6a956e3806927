"""TLS to the broker: how it proves itself to the bridge, and what phones are told to ask of it."""

import ssl
from pathlib import Path


def proof_of_broker(cafile: Path | None) -> ssl.SSLContext:
    """Return what asks the broker for a certificate that is valid, names the host and chains to one of these CAs.

    Args:
        cafile: the CAs, PEM; None for the system's.

    Raises:
        OSError: the file cannot be read; as `ssl.SSLError`, it holds no certificate.
    """
    return ssl.create_default_context(cafile=cafile)


def ca_certificates(cafile: Path) -> str:
    """Return the CA certificates in a file, PEM, without anything else that is there: a key beside them stays secret.

    Raises:
        OSError: the file cannot be read; as `ssl.SSLError`, it holds none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile)
    found = context.get_ca_certs(binary_form=True)
    if not found:
        raise ssl.SSLError("only certificates that are no CA's")
    return "".join(map(ssl.DER_cert_to_PEM_cert, found))
