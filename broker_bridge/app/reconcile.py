"""Reconcile: publishes again what the broker may have lost, and keeps the canary by which that is known."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from broker_bridge.app.canary import PublishNumbers, encode_canary
from broker_bridge.app.ports.broker import Broker, PublishRefusedError
from broker_bridge.app.ports.queries import Canaries, OutgoingStates
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.records import Outgoing
from lock_protocol.imei import Imei
from lock_protocol.topics import Topics

CANARY_S = 0.25
REFUSED_PAUSE_S = 1.0
"""How long after a canary that the broker refused the next one is made."""
RECONCILE_PAGE = 500


@dataclass(slots=True, kw_only=True)
class Reconciler:
    """Keeps the broker equal to the database, on one connection."""

    states: OutgoingStates
    canaries: Canaries
    numbers: PublishNumbers
    deliver: Callable[[Outgoing], Coroutine[Any, Any, None]]
    """Publishes a state, however long it has to wait for that."""
    topics: Topics
    log: Log
    new_token: Callable[[], str]
    """A fresh unguessable canary token."""
    _canary_at: int = 0

    async def run(self, broker: Broker, known_to_broker: int | None) -> None:
        """Publish again what the broker may have lost; from then on, keep the canary up to date."""
        self._canary_at = known_to_broker or 0
        if known_to_broker is None or known_to_broker < self.numbers.settled:
            await self._reconcile(known_to_broker or 0)
        while True:
            await self._sing(broker)
            await asyncio.sleep(CANARY_S)

    async def _reconcile(self, number: int) -> None:
        """Publish every state with a higher publish number again, phones that are to be open first.

        No canary is published before all of them are acknowledged: a bridge that dies half-way starts over.
        """
        count = 0
        for opening in (True, False):
            after: Imei | None = None
            while page := await self.states.published_after(number, opening=opening, after=after, limit=RECONCILE_PAGE):
                after = page[-1].imei
                count += len(page)
                async with asyncio.TaskGroup() as publishes:
                    for state in page:
                        publishes.create_task(self.deliver(state), name=f"deliver.again.{state.imei}")
        self.log.info("reconciled", after=number, states=count)

    async def _sing(self, broker: Broker) -> None:
        """Store and publish a new canary when more publishes have been settled since the last one."""
        settled = self.numbers.settled
        if settled == self._canary_at:
            return
        token = self.new_token()
        try:
            await self.canaries.put(token, settled)
        except StoreUnavailableError as error:
            self.log.warning("canary_delayed", error=str(error))
            return
        try:
            await broker.publish(self.topics.canary, encode_canary(token, settled), retain=True)
        except PublishRefusedError as error:
            # Without one, the next connection publishes more than it has to: no reason to end this one.
            self.log.warning("canary_refused", error=str(error))
            await asyncio.sleep(REFUSED_PAUSE_S)
            return
        self._canary_at = settled
