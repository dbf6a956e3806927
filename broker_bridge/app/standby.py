"""Standby: of all bridges on one database one has the broker, and the others wait until it is gone.

Who connects last ends the connection of the one before, by the client id that they share: that is the fence, and there
is never more than one that publishes. Who has the broker is written in the database, by the one that connects and
before it does: so the other one finds out when its connection has ended, or with its next heartbeat, and does not fight
for it. It takes decisions as before, and connects again when the new one's heartbeat has stopped.

The heartbeat is in the database and not at the broker, where whoever has the bridge's password could keep all bridges
away with it. One that ends a connection and has no heartbeat keeps no bridge away.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from broker_bridge.app.own_task import over
from broker_bridge.app.ports.queries import Heartbeat, Heartbeats
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log

HEARTBEAT_S = 2.0
SILENT_S = 7.0
"""A bridge that has missed three heartbeats is taken to be gone. If it is not, the fence holds."""


class TakenOverError(Exception):
    """Another bridge on this database has the broker."""


@dataclass(slots=True, kw_only=True)
class Standby:
    """Knows whether this bridge or another one has the broker."""

    heartbeats: Heartbeats
    clock: Clock
    log: Log
    new_token: Callable[[], str]
    """A name that no bridge has had before."""
    on_taking_over: Callable[[], object]
    """Is told when another bridge has had the broker until now: what it heard of phones, this one has not."""
    standing_by: bool = False
    """Whether another bridge has the broker, and this one waits."""
    _bridge: str = ""
    """This bridge's name since it last claimed the broker; none before it has."""
    _number: int = 0
    """That of its latest heartbeat."""

    async def run(self, *links: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep up links to the broker whenever no other bridge has it; until cancelled.

        Args:
            links: each runs one link until cancelled, or until what it calls of `require_broker` and `beat` says that
                another bridge has the broker.
        """
        while True:
            await self._claim()
            connecting = asyncio.create_task(_until_taken_over(links), name="broker.links")
            try:
                await over(connecting)
            finally:
                connecting.result()
            self.standing_by = True
            self.log.warning("standing_by", note="another bridge on this database has the broker")
            await self._until_silent()
            self.standing_by = False
            self.on_taking_over()
            self.log.warning("taking_over", note="no other bridge on this database has the broker any more")

    async def require_broker(self) -> None:
        """Return when this bridge may connect to the broker. To be called before each connection.

        Raises:
            TakenOverError: another bridge has claimed the broker since this one did.
            StoreUnavailableError: the database does not say. Without it no session begins, so that a connection would
                only end the one of a bridge that has the database.
        """
        latest = await self.heartbeats.latest()
        if latest is None or latest.bridge != self._bridge:
            raise TakenOverError

    async def beat(self) -> None:
        """Have the other bridges know that this one lives. To be run while it is connected; until cancelled.

        Raises:
            TakenOverError: another bridge has claimed the broker meanwhile.
        """
        while True:
            self._number += 1
            try:
                if not await self.heartbeats.beat(Heartbeat(self._bridge, self._number)):
                    raise TakenOverError
            except StoreUnavailableError as error:
                # A standby that has the database should be the one that publishes, and will be in a few seconds.
                self.log.warning("heartbeat_missed", error=str(error))
            await asyncio.sleep(HEARTBEAT_S)

    async def retire(self) -> None:
        """Have a standby take over at once, as this bridge ends. One that stands by itself changes nothing."""
        try:
            await self.heartbeats.remove(self._bridge)
        except StoreUnavailableError as error:
            self.log.warning("heartbeat_left", error=str(error))

    async def _claim(self) -> None:
        """Write this bridge's name where the one is that has the broker, however long the database is away."""
        # Before it is written: whoever is told to stop meanwhile has to remove it.
        self._bridge, self._number = self.new_token(), 0
        while True:
            try:
                await self.heartbeats.claim(Heartbeat(self._bridge, self._number))
            except StoreUnavailableError as error:
                self.log.warning("claim_delayed", error=str(error))
                await asyncio.sleep(HEARTBEAT_S / 2)
            else:
                return

    async def _until_silent(self) -> None:
        """Wait until no other bridge has the broker."""
        heard, heard_at = None, self.clock.monotonic()
        while True:
            await asyncio.sleep(HEARTBEAT_S / 2)
            # Before the question: while its answer takes long, the other one's heartbeats do so too.
            asked_at = self.clock.monotonic()
            try:
                latest = await self.heartbeats.latest()
            except StoreUnavailableError:
                heard_at = self.clock.monotonic()  # the other one may be there, with as little of a database
                continue
            if latest is None:
                return
            if latest != heard:
                heard, heard_at = latest, self.clock.monotonic()
            elif asked_at - heard_at >= SILENT_S:
                return


async def _until_taken_over(links: tuple[Callable[[], Coroutine[Any, Any, None]], ...]) -> None:
    """Run links until another bridge has the broker."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for link in links:
                tasks.create_task(link())
    except* TakenOverError:
        pass  # all of them are over
