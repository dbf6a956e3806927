"""The lender: what it reports, and how much of that is proven."""

import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from paylatch.bench.options import BenchError
from paylatch.bench.plan import Planned, as_csv
from paylatch.bench.progress import STALLED_S, Counts, Progress
from paylatch.client import Bridge


@dataclass(slots=True, kw_only=True)
class Lender:
    """Reports decisions, each of which leads to one command."""

    bridge: Bridge
    progress: Progress
    start: Counts
    """Before the first of them."""
    sent: int = 0
    """How many there have been."""
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    """Begins the files' idempotency keys, which no two runs on one database may share."""
    imports: list[str] = field(default_factory=list)
    """The ids of the files."""
    given_up: int = 0
    """How many commands are not waited for any more."""

    async def send(self, decisions: Sequence[Planned]) -> None:
        """Send a file of decisions; when this returns, the bridge has it on its disk."""
        if not decisions:
            return
        key = f"{self.name}-{len(self.imports)}"
        one = await self.bridge.imports.upload(io.BytesIO(as_csv(decisions)), "csv", key)
        self.imports.append(one.import_id)
        self.sent += len(decisions)

    async def report(self, decision: Planned) -> None:
        """Report a decision by itself; when this returns, it is durable."""
        self.sent += 1
        await self.bridge.decide(decision.body())

    async def proven(self, *, all_but: int = 0) -> Counts:
        """Wait until all commands but so many are proven or superseded; return the counts as they are then.

        A few that do not come are waited for once: the audit tells of them.

        Raises:
            BenchError: none of them has come.
        """
        before = await self.progress.counts()
        wanted = self.start.finished + self.sent - all_but - self.given_up
        after = await self.progress.until_finished(wanted)
        missing = wanted - after.finished
        if missing > 0 and after.finished == before.finished:
            raise BenchError(f"the bridge has proven none of {missing} commands within {STALLED_S:g} s")
        self.given_up += max(missing, 0)
        return after
