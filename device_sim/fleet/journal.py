"""What has happened to a fleet's phones, for whoever follows them: read on from where one was, never twice."""

import time
from collections import deque
from itertools import islice
from typing import NamedTuple

from lock_protocol.imei import Imei
from lock_protocol.levels import Level

KEPT = 200_000
"""Events that wait for their reader; when more come, the oldest are lost, and counted."""
PAGE = 50_000
"""Events in one answer."""
UP, DOWN = "up", "down"
LEVELS = {level: level.name.lower() for level in Level}
"""What the levels are called here."""


class Entry(NamedTuple):
    """One event."""

    at_ns: int
    """By CLOCK_MONOTONIC, which all processes of one machine share."""
    imei: Imei
    what: str
    """`up` or `down` for the connection, else the name of the level that the handset shows from now on."""
    version: int
    """Of the state that the phone holds; 0 for none."""

    @property
    def is_level(self) -> bool:
        """Whether it is about the level, not about the connection."""
        return self.what not in (UP, DOWN)


class Journal:
    """A fleet's events in their order. Nothing is kept before somebody has asked for the first time.

    It has one reader, who asks for what comes after what it has had.
    """

    def __init__(self) -> None:
        self._waiting: deque[Entry] | None = None
        self._first = 0
        """The number of the oldest event that waits."""

    def note(self, imei: Imei, what: str, version: int) -> None:
        """Write an event down, if anybody reads."""
        if self._waiting is None:
            return
        if len(self._waiting) == KEPT:
            self._waiting.popleft()
            self._first += 1
        self._waiting.append(Entry(time.monotonic_ns(), imei, what, version))

    def read(self, start: int) -> tuple[int, list[Entry]]:
        """Return the events from number `start` on, or the oldest after them, with the number of the first of them.

        What is before `start` is forgotten.
        """
        if self._waiting is None:
            self._waiting = deque()
        while self._waiting and self._first < start:
            self._waiting.popleft()
            self._first += 1
        return self._first, list(islice(self._waiting, PAGE))
