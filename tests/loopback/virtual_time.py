"""An event loop whose clock jumps to the next timer instead of waiting for it."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class StuckError(RuntimeError):
    """Nothing is ready and no timer is set: what is awaited will never come."""


class _JumpingSelector(selectors.SelectSelector):
    """Tells how long the loop would have slept, instead of sleeping."""

    slept = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("nothing left that could happen")
        self.slept += timeout
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs a day of timers in a moment, in the same order every time. For code without threads."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.slept

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run until this is done."""
        return self.run_until_complete(coroutine)

    def pass_time(self, seconds: float) -> None:
        """Let everything happen that happens within so many seconds."""
        self.run_until_complete(asyncio.sleep(seconds))
