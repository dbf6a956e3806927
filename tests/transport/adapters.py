"""The two ways in which the bridge publishes, as one: what is said of one has to be true of the other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import aiomqtt

from broker_bridge.adapters.mqtt.client import BrokerAddress, Client, Session, entered
from broker_bridge.adapters.mqtt.phones_connection import PhonesConnection
from broker_bridge.app.ports.broker import Broker, BrokerUnavailableError
from mqtt_transport import Connector, Login

WINDOW = 5
"""How many publishes may be unacknowledged at a time, whoever says so: the server, or to aiomqtt the bridge itself."""

CANNOT_CONNECT = (BrokerUnavailableError, aiomqtt.MqttError)

Connecting = Callable[[BrokerAddress], AbstractAsyncContextManager[Broker]]


@asynccontextmanager
async def by_transport(address: BrokerAddress) -> AsyncIterator[Broker]:
    """As phones are reached."""
    connection = PhonesConnection()
    login = Login(client_id=address.client_id, username=address.username, password=address.password)
    await connection.open(Connector(address.host, address.port), login)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def by_aiomqtt(address: BrokerAddress) -> AsyncIterator[Broker]:
    """As lenders are."""
    client = Client(address, window=WINDOW)
    async with entered(client):
        reading = asyncio.create_task(_until_it_ends(client))
        yield Session(client)
        reading.cancel()


async def _until_it_ends(client: Client) -> None:
    with suppress(aiomqtt.MqttError):
        async for _ in client.messages:
            pass


ADAPTERS: dict[str, Connecting] = {"mqtt5": by_transport, "aiomqtt": by_aiomqtt}
