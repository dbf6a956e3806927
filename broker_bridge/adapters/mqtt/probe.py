"""Whether the broker lets the bridge in."""

import aiomqtt

from broker_bridge.app.ports.broker import BrokerUnavailableError

PATIENCE_S = 5


async def probe(host: str, port: int, username: str, password: str) -> None:
    """Connect once and leave, under a client id of the broker's choice: a bridge that runs keeps its connection.

    Raises:
        BrokerUnavailableError: the broker is not there, or does not let this user in.
    """
    client = aiomqtt.Client(
        host,
        port,
        username=username,
        password=password,
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=PATIENCE_S,
    )
    try:
        async with client:
            pass
    except aiomqtt.MqttError as error:
        raise BrokerUnavailableError(f"{host}:{port}: {error}") from error
