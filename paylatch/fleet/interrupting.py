"""Ctrl-C: the first one ends a run in good order, the second one at once."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def first_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Have the first SIGINT call this, in the event loop; the next one does again what it did before."""
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)

    def restore() -> None:
        if loop.remove_signal_handler(signal.SIGINT):
            signal.signal(signal.SIGINT, before)

    def interrupted() -> None:
        restore()
        act()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        restore()
