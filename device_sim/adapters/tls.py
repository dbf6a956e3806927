"""TLS to the broker, as docs/protocol.md asks it of an agent."""

import ssl
from pathlib import Path

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h, which Python's `ssl` passes on and has no name for."""


class CafileError(Exception):
    """The CAs cannot be had from the file that the message names."""


def proof_of_broker(cafile: Path | None) -> ssl.SSLContext:
    """Return what asks the broker for a certificate of any dates that names the host and chains to one of these CAs.

    A phone's clock proves nothing, so dates must not cut it off. Only phones may leave them out: they believe what
    their lender has signed, and nothing else that comes from a broker.

    Args:
        cafile: the CAs, PEM; None for the system's.

    Raises:
        CafileError: the file cannot be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=cafile)
    except ssl.SSLError as error:
        raise CafileError(f"{cafile}: holds no certificate in PEM form") from error
    except OSError as error:
        raise CafileError(f"{cafile}: {error.strerror}") from error
    context.verify_flags |= _NO_CHECK_TIME
    return context
