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
        self._now = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Beating) -> None:
        """Take a member in. Members that come together are spread over all slots."""
        self._slot_of(member).add(member)
        if self._timer is None and self._tick_s:
            self._wind()

    def discard(self, member: Beating) -> None:
        """Let a member go."""
        self._slot_of(member).discard(member)
        if self._timer is not None and not any(self._slots):
            self._timer.cancel()
            self._timer = None

    def _slot_of(self, member: Beating) -> set[Beating]:
        return self._slots[hash(member) % _SLOTS]

    def _wind(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        self._wind()
        self._now = (self._now + 1) % _SLOTS
        for member in tuple(self._slots[self._now]):
            member.beat()
