"""Turns: bounded queues, one for each lender, that are served one after the other.

However much one lender has waiting, the others' next item comes after one of its own at most.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Generic, TypeVar

from lock_protocol.messages import LenderId

T = TypeVar("T")


class Turns(Generic[T]):
    """What waits, by lender. One reader; it neither blocks nor forgets what it took."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        """Take how many items one lender may have waiting, and how many bytes they may be together."""
        self._most = most
        self._most_bytes = most_bytes
        self._waiting: OrderedDict[LenderId, deque[tuple[T, int]]] = OrderedDict()
        self._bytes: Counter[LenderId] = Counter()
        self._filled = asyncio.Event()

    def put(self, lender: LenderId, item: T, size: int) -> bool:
        """Have an item of so many bytes wait; False when its lender has too much waiting already."""
        waiting = self._waiting.get(lender)
        if waiting is None:
            waiting = self._waiting[lender] = deque()
        elif len(waiting) >= self._most or self._bytes[lender] + size > self._most_bytes:
            return False
        waiting.append((item, size))
        self._bytes[lender] += size
        self._filled.set()
        return True

    def put_back(self, lender: LenderId, item: T) -> None:
        """Have what is left of an item that was taken be its lender's next one, when it is that lender's turn again."""
        self._waiting.setdefault(lender, deque()).appendleft((item, 0))
        self._filled.set()

    def has(self, lender: LenderId) -> bool:
        """Return whether anything of this lender waits."""
        return lender in self._waiting

    async def next(self) -> tuple[LenderId, T]:
        """Return the first item of the lender whose turn it is, as soon as there is one."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        lender, waiting = self._waiting.popitem(last=False)
        item, size = waiting.popleft()
        self._bytes[lender] -= size
        if waiting:
            self._waiting[lender] = waiting
        else:
            del self._bytes[lender]
        return lender, item
