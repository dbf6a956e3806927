"""Results: what lenders hear over MQTT about their decisions.

They prove what a lender was promised, so none is sent before its commit; yet none of them is a promise itself. What is
lost (the broker is away, a lender has too many waiting, the bridge is killed in between) is counted and not repeated: a
lender that misses a result sends its decision again, and is told what became of it.
"""

import asyncio
from dataclasses import dataclass, field

from broker_bridge.app.ports.broker import Broker, PublishRefusedError
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.turns import Turns
from lock_protocol.messages import LenderId
from lock_protocol.topics import Topics

RESULT_WINDOW = 50
"""How many results are unacknowledged at a time: few, as all of them can wait and no phone does."""

MAX_RESULTS_WAITING = 5_000
"""How many results of one lender wait, while the broker is away for instance; what comes then is dropped."""

_MAX_BYTES_WAITING = 4 * 1024 * 1024


def _waiting() -> Turns[bytes]:
    return Turns(most=MAX_RESULTS_WAITING, most_bytes=_MAX_BYTES_WAITING)


@dataclass(slots=True)
class Results:
    """Results on their way to lenders, who take turns."""

    topics: Topics
    log: Log
    dropped: int = 0
    """How many results were lost so far: too many waited, or the connection ended."""
    refused: int = 0
    """How many the broker would not take."""
    _waiting: Turns[bytes] = field(default_factory=_waiting)

    def offer(self, lender: LenderId, message: bytes) -> None:
        """Send a result when there is room, or drop it."""
        if not self._waiting.put(lender, message, len(message)):
            self.dropped += 1

    async def session(self, broker: Broker) -> None:
        """Publish what waits, in order, while one connection lives."""
        places = asyncio.Semaphore(RESULT_WINDOW)
        async with asyncio.TaskGroup() as publishes:
            while True:
                await places.acquire()
                lender, message = await self._waiting.next()
                task = publishes.create_task(self._publish(broker, lender, message), name=f"results.{lender}")
                task.add_done_callback(lambda _: places.release())
                task.add_done_callback(self._count)

    async def _publish(self, broker: Broker, lender: LenderId, message: bytes) -> None:
        try:
            await broker.publish(self.topics.results(lender), message, retain=False)
        except PublishRefusedError as error:
            self.refused += 1
            self.log.warning("result_refused", lender=lender, error=str(error))

    def _count(self, publish: "asyncio.Task[None]") -> None:
        """Count a publish that the connection's end cut off. It may have arrived."""
        if publish.cancelled() or publish.exception() is not None:
            self.dropped += 1
