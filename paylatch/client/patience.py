"""Trying again: with pauses that grow, that no two clients share, and that the bridge may lengthen."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from paylatch.client.errors import UnavailableError, UnprovenError

T = TypeVar("T")

_LARGEST_EXPONENT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long, and how often, something that is safe to repeat is tried again."""

    total_s: float = 30.0
    """No try begins later than this after the first has failed, however long that one took; 0 for one try only."""
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0

    async def insist(
        self, ask: Callable[[], Awaitable[T]], waiting: Callable[[UnavailableError], object] | None = None
    ) -> T:
        """Return what `ask` gives, asking again as long as it raises `UnavailableError`.

        Args:
            ask: asks once.
            waiting: is told why it is asked again, before each pause.

        Raises:
            UnavailableError: the last one, or the first `UnprovenError`.
        """
        deadline: float | None = None
        for attempt in count():
            try:
                return await ask()
            except UnprovenError:
                raise
            except UnavailableError as error:
                # Added, as all whom the bridge has asked for the same pause would come back in the same moment.
                pause = error.retry_after_s + self.pause_s(attempt)
                if deadline is None:
                    deadline = time.monotonic() + self.total_s
                if time.monotonic() + pause > deadline:
                    raise
                if waiting is not None:
                    waiting(error)
            await asyncio.sleep(pause)
        raise AssertionError("it counts for ever")

    def pause_s(self, attempt: int) -> float:
        """Return how long to wait after so many tries that failed: between half and all of what doubles each time."""
        most = min(self.longest_pause_s, self.first_pause_s * 2 ** min(attempt, _LARGEST_EXPONENT))
        return random.uniform(most / 2, most)  # noqa: S311 - jitter


PATIENT = Patience()
