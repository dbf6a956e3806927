"""Why a server has not proven itself, in words that say what is to be mended."""

import ssl

_FAULTS = {
    2: "is signed by an unknown CA",  # whose own certificate is not there
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by an unknown CA",  # itself
    19: "is signed by an unknown CA",  # whose certificate came with it, which proves nothing
    20: "is signed by an unknown CA",
    21: "is signed by an unknown CA",
    62: "is not for this host",  # by its name
    64: "is not for this host",  # by its address
}
"""By OpenSSL's numbers: X509_V_ERR_… in its x509_vfy.h."""


def why_unconnected(error: OSError) -> str:
    """Return why no connection came about: what is wrong with the server's certificate, or the system's word."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate {_FAULTS.get(error.verify_code, f'is no good: {error.verify_message}')}"
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError):
        # Nothing but a handshake can be broken off before there is a connection.
        return "the server broke off the TLS handshake; does it speak TLS on this port?"
    return str(error)
