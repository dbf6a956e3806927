"""What lenders and phones prove themselves with: API keys and passwords at the broker."""

import secrets

_SECRET_BYTES = 24


def new_secret() -> str:
    """Return a secret that nobody guesses: 192 random bits as text."""
    return secrets.token_urlsafe(_SECRET_BYTES)
