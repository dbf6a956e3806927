"""The bridge's link to a real broker, for one test."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from broker_bridge.adapters.mqtt.client import BrokerAddress
from broker_bridge.adapters.mqtt.link import Link
from broker_bridge.adapters.mqtt.phones_connection import Incoming, PhonesConnection
from lock_protocol.topics import Topics
from paylatch.local.ports import LOOPBACK
from tests.bridge_rig import KeptLog
from tests.conftest import PATIENCE_S, RealBroker

TOPICS = Topics()


@dataclass
class LinkSession:
    """One connection of the link, as whoever works on it gets it."""

    broker: PhonesConnection
    incoming: Incoming
    token: str | None

    async def heard(self) -> tuple[str, bytes, bool]:
        """Return the topic and the payload of the next message, and whether it was retained."""
        received = await self.incoming.get()
        return received.topic, received.payload, received.retained


@dataclass
class RunningLink:
    """A link that runs, and the sessions that it has begun, in order."""

    link: Link
    log: KeptLog
    task: "asyncio.Task[None]"
    sessions: "asyncio.Queue[LinkSession]"

    async def next_session(self) -> LinkSession:
        async with asyncio.timeout(PATIENCE_S):
            return await self.sessions.get()


def address_of(
    broker: RealBroker, client_id: str = "bridge-under-test", *, tls: ssl.SSLContext | None = None
) -> BrokerAddress:
    return BrokerAddress(
        host=LOOPBACK,
        port=broker.services_port,
        username="bridge",
        password=broker.services["bridge"],
        client_id=client_id,
        tls=tls,
    )


async def alone() -> None:
    """What a link asks before each connection, where there is no other bridge."""


@asynccontextmanager
async def running_link(
    broker: RealBroker,
    *,
    client_id: str = "bridge-under-test",
    work: Callable[[LinkSession], Awaitable[None]] | None = None,
) -> AsyncIterator[RunningLink]:
    """Run a link until the end of the block; `work` is done on each of its connections."""
    log = KeptLog()
    link = Link(address_of(broker, client_id), TOPICS, random=Random(1), log=log)  # noqa: S311 - jitter
    sessions: asyncio.Queue[LinkSession] = asyncio.Queue()

    async def on_session(session: PhonesConnection, incoming: Incoming, token: str | None) -> None:
        one = LinkSession(session, incoming, token)
        sessions.put_nowait(one)
        await (asyncio.Event().wait() if work is None else work(one))

    task = asyncio.create_task(link.run(alone, on_session))
    try:
        yield RunningLink(link, log, task, sessions)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
