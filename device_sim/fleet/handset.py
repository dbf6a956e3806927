"""The handset that an agent runs on: what its user sees, which root access can make differ from what was applied."""

import time
from dataclasses import dataclass

from lock_protocol.compiling import quick
from lock_protocol.levels import Condition, Level

_KEPT_TRANSITIONS = 16


@quick
@dataclass(frozen=True, slots=True)
class Transition:
    """One change of the level that the user sees."""

    at_ns: int
    """By CLOCK_MONOTONIC, which all processes of one machine share."""
    level: Level
    epoch: int
    version: int
    """Of the state that was held then; 0 with epoch 0 for none."""


class Handset:
    """Shows the level that was applied last, unless its user has pinned another one.

    Pinning models a borrower with root access: the agent applies and reports in good faith, and the screen says
    otherwise.
    """

    # Thousands of handsets each have few transitions: an empty deque alone would be 760 bytes.
    __slots__ = ("_pinned", "applied", "applies", "condition", "transitions")

    def __init__(self) -> None:
        self.applied = Level.UNLOCKED
        self.condition = Condition.NONE
        self.applies = 0
        self.transitions: tuple[Transition, ...] = ()
        self._pinned: Level | None = None

    @property
    def level(self) -> Level:
        """What the user sees."""
        return self.applied if self._pinned is None else self._pinned

    def apply(self, level: Level, condition: Condition, order: tuple[int, int]) -> bool:
        """Do what the agent says; return whether the user sees another level, or the first, from now on.

        `order` is epoch and version of the state that the agent holds.
        """
        before = self.level
        self.applied, self.condition = level, condition
        self.applies += 1
        return self._note(before, order)

    def pin(self, level: Level | None, order: tuple[int, int]) -> bool:
        """Show `level` whatever is applied; None undoes that. Returns the same as `apply`."""
        before = self.level
        self._pinned = level
        return self._note(before, order)

    def _note(self, before: Level, order: tuple[int, int]) -> bool:
        now = self.level
        # A handset's first level is worth a time too: it is how long a boot took.
        changed = now is not before or not self.transitions
        if changed:
            latest = Transition(time.monotonic_ns(), now, *order)
            self.transitions = (*self.transitions[1 - _KEPT_TRANSITIONS :], latest)
        return changed
