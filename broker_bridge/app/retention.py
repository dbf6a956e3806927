"""Retention: commands that have long been over are forgotten, so that the table does not grow for ever.

What anybody may still ask for in a dispute stays: decisions with their answers, phones, and the audit, which tells of
each command when it was queued and what became of it. A phone's newest command stays however old it is.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from broker_bridge.app.ports.queries import FinishedCommands
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.domain.commands import Status

EVERY_S = 3600
CHUNK = 500
PAUSE_S = 0.05
"""Between two chunks: on SQLite they take the one writer's turn, and lenders wait for that."""

_REPLACED = frozenset({Status.SUPERSEDED})
_ANSWERED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.REJECTED})


@dataclass(frozen=True, slots=True)
class Retention:
    """Forgets old commands, once an hour."""

    commands: FinishedCommands
    clock: Clock
    log: Log
    keep_s: int
    """How long a command is kept after its phone has applied, refused or failed it; seconds."""
    keep_superseded_s: int
    """The same for one that a newer command has replaced: nobody ever acted on it."""

    async def run(self) -> None:
        """Tidy up now and every hour, until cancelled."""
        while True:
            try:
                await self.tidy()
            except StoreUnavailableError as error:
                self.log.warning("retention_delayed", error=str(error))
            await asyncio.sleep(EVERY_S)

    async def tidy(self) -> int:
        """Forget what is old enough now; return how many commands that were.

        Raises:
            StoreUnavailableError: the database does not answer; what is left is forgotten the next time.
        """
        now = self.clock.now()
        count = await self._forget(_ANSWERED, now - self.keep_s)
        count += await self._forget(_REPLACED, now - self.keep_superseded_s)
        if count:
            self.log.info("commands_forgotten", count=count)
        return count

    async def _forget(self, statuses: Collection[Status], before: int) -> int:
        """Forget commands chunk by chunk. They are looked for without holding anybody up, and only then deleted."""
        count, since = 0, 1
        while chunk := await self.commands.between(statuses, since=since, before=before, limit=CHUNK):
            forgotten = await self.commands.forget([command_id for _, command_id in chunk])
            count += forgotten
            if forgotten == 0:  # another bridge does the same just now
                break
            since, _ = chunk[-1]
            await asyncio.sleep(PAUSE_S)
        return count
