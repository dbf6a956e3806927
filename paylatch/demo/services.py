"""Connections to the broker's inner listener."""

from dataclasses import dataclass, field

import aiomqtt

from paylatch.ports import LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccess:
    """What somebody needs to come in as one of the services."""

    port: int
    username: str
    secret: str = field(repr=False)

    def connection(self) -> aiomqtt.Client:
        """Return a new connection, not yet entered, under a client id that the broker makes up."""
        return aiomqtt.Client(
            LOOPBACK,
            self.port,
            username=self.username,
            password=self.secret,
            protocol=aiomqtt.ProtocolVersion.V5,
        )
