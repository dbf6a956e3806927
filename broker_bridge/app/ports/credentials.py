"""Phones' credentials at the broker, as whoever enrols a phone needs them."""

from typing import Protocol


class CredentialsError(Exception):
    """The broker's password file cannot be written, or the broker not be told of it."""


class Credentials(Protocol):
    """What phones log in with at the broker."""

    def new(self) -> tuple[str, str]:
        """Return a new password, and what is stored of it."""

    async def publish(self) -> None:
        """Return when the broker has been told of everything that was committed before this call.

        Raises:
            CredentialsError: it cannot be told.
        """
