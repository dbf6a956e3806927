"""Connections to the broker's inner listener."""

from dataclasses import dataclass, field

import aiomqtt

from paylatch.local.ports import LOOPBACK

_PENDING_CALLS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccess:
    """What somebody needs to come in as one of the services."""

    port: int
    username: str
    secret: str = field(repr=False)

    def connection(self) -> aiomqtt.Client:
        """Return a new connection, not yet entered, under a client id that the broker makes up."""
        client = aiomqtt.Client(
            LOOPBACK,
            self.port,
            username=self.username,
            password=self.secret,
            protocol=aiomqtt.ProtocolVersion.V5,
        )
        # aiomqtt warns of many concurrent publishes, which is exactly what an intruder does.
        client.pending_calls_threshold = _PENDING_CALLS
        return client
