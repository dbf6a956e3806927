"""Whether the broker lets the bridge in."""

import ssl

import aiomqtt

from broker_bridge.app.ports.broker import BrokerUnavailableError
from mqtt_transport import why_unconnected

PATIENCE_S = 5


async def probe(host: str, port: int, username: str, password: str, tls: ssl.SSLContext | None) -> None:
    """Connect once and leave, under a client id of the broker's choice: a bridge that runs keeps its connection.

    Raises:
        BrokerUnavailableError: the broker is not there, or does not let this user in.
    """
    client = aiomqtt.Client(
        host,
        port,
        username=username,
        password=password,
        tls_context=tls,
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=PATIENCE_S,
    )
    try:
        async with client:
            pass
    except aiomqtt.MqttError as error:
        raise BrokerUnavailableError(f"{host}:{port}: {_why_not(error)}") from error


def _why_not(error: aiomqtt.MqttError) -> str:
    """Return why aiomqtt could not connect. Of the system's error it shows the text, which for TLS says little."""
    return why_unconnected(error.__context__) if isinstance(error.__context__, OSError) else str(error)
