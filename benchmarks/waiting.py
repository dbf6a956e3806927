"""Waiting for a bridge that is measured, for as long as it goes on."""

import asyncio
from collections.abc import Callable

from paylatch.bench.options import BenchError
from paylatch.bench.progress import STALLED_S, Counts, Progress

PAUSE_S = 0.2


async def until(progress: Progress, done: Callable[[Counts], bool]) -> None:
    """Wait until the bridge's counts are as they shall be.

    Raises:
        BenchError: nothing has moved for `STALLED_S`.
    """
    seen = last = await progress.counts()
    while not done(last):
        await asyncio.sleep(PAUSE_S)
        last = await progress.counts()
        if (last.published, last.by_status) != (seen.published, seen.by_status):
            seen = last
        elif last.at - seen.at > STALLED_S:
            raise BenchError(f"the bridge has published {last.published} states, and nothing moves any more")
