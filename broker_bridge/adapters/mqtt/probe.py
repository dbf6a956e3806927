"""Whether the broker lets the bridge in."""

import ssl

from broker_bridge.adapters.mqtt.client import BrokerConnection
from broker_bridge.app.ports.broker import BrokerUnavailableError
from mqtt_transport import Connector, Login


async def probe(host: str, port: int, username: str, password: str, tls: ssl.SSLContext | None) -> None:
    """Connect once and leave, under a client id of the broker's choice: a bridge that runs keeps its connection.

    Raises:
        BrokerUnavailableError: the broker is not there, or does not let this user in.
    """
    connection = BrokerConnection(lambda _: None)
    try:
        await connection.open(Connector(host, port, tls), Login(client_id="", username=username, password=password))
    except BrokerUnavailableError as error:
        raise BrokerUnavailableError(f"{host}:{port}: {error}") from error
    await connection.close()
