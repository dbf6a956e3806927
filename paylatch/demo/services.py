"""Connections to the broker's inner listener."""

import aiomqtt

from paylatch.local.ports import LOOPBACK
from paylatch.local.site import ServiceAccess

_PENDING_CALLS = 10_000


def connection(access: ServiceAccess) -> aiomqtt.Client:
    """Return a new connection, not yet entered, under a client id that the broker makes up."""
    client = aiomqtt.Client(
        LOOPBACK,
        access.port,
        username=access.username,
        password=access.secret,
        protocol=aiomqtt.ProtocolVersion.V5,
    )
    # aiomqtt warns of many concurrent publishes, which is exactly what an intruder does.
    client.pending_calls_threshold = _PENDING_CALLS
    return client
