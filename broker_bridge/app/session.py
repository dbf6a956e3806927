"""One connection's worth of work: roots first, then what the broker may have lost, then the daily business."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import Listener
from broker_bridge.app.ports.broker import PhonesLine, Received
from broker_bridge.app.ports.queries import Canaries
from broker_bridge.app.ports.signing import PublishedRoot


@dataclass(frozen=True, slots=True)
class PhonesSession:
    """What runs on each connection by which phones are reached."""

    canaries: Canaries
    deliverer: Deliverer
    listener: Listener
    roots: Sequence[PublishedRoot]
    beat: Callable[[], Coroutine[Any, Any, object]]
    """Tells other bridges that this one has the broker; run beside all else, and what it raises ends the connection."""

    async def run(self, broker: PhonesLine, incoming: asyncio.Queue[Received], token: str | None) -> None:
        """Work until the connection ends.

        Args:
            broker: the connection.
            incoming: what the broker delivers on it.
            token: the canary that the broker holds, if it holds one.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.beat(), name="heartbeat")
            for one in self.roots:
                topic = self.deliverer.topics.root(one.root.root_version)
                await broker.publish(topic, one.envelope, retain=True)
            known = None if token is None else await self.canaries.number_of(token)
            tasks.create_task(self.deliverer.session(broker, known), name="deliver")
            tasks.create_task(self.listener.session(broker, incoming), name="listen")
