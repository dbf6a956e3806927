"""Keep-alive: one timer for all connections, however many there are."""

import asyncio
from typing import Protocol

_SLOTS = 16


class Beating(Protocol):
    """Something that wants to be called once in a while."""

    def beat(self) -> None:
        """Do what its time has come for. Must not raise."""


class Wheel:
    """Calls each of its members once in every period, a part of them at a time.

    The first call comes somewhere within the first period. The timer runs only while there are members.

    Args:
        period_s: seconds between two calls of the same member; 0 for never.
    """

    def __init__(self, period_s: float) -> None:
        self._tick_s = period_s / _SLOTS
        self._slots: list[set[Beating]] = [set() for _ in range(_SLOTS)]
        self._added = 0
        self._now = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Beating) -> int:
        """Take a member in, and return its slot. Members that come together are spread over all slots."""
        self._added += 1
        slot = self._added % _SLOTS
        self._slots[slot].add(member)
        if self._timer is None and self._tick_s:
            self._wind()
        return slot

    def discard(self, member: Beating, slot: int) -> None:
        """Let the member of this slot go."""
        self._slots[slot].discard(member)
        if self._timer is not None and not any(self._slots):
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        self._wind()
        self._now = (self._now + 1) % _SLOTS
        for member in tuple(self._slots[self._now]):
            member.beat()
