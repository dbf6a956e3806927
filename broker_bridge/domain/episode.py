"""An episode of arrears as the bridge has seen it: since when, what has reached the phone, what has been let through.

Measured on the bridge's clock and proven by the phone's own word, so that no lender's date shortens anybody's notice.
"""

from dataclasses import dataclass

from lock_protocol.compiling import compile_replace, quick
from lock_protocol.levels import Level


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One episode; it begins with the first figure that is overdue and ends with the payment that cures it.

    Times are seconds UTC of the bridge's clock, 0 for not yet.
    """

    arrears_since: int = 0
    """When the bridge first knew of it."""
    notice_at: int = 0
    """When the phone first said that it shows a notice (or more) of it."""
    reminder_at: int = 0
    """When the phone first said that it shows a reminder (or more) of it."""
    granted: Level = Level.UNLOCKED
    """The level up to which arrears have been allowed to go: what is granted needs no gate again after a hold."""
    escalated_from: Level = Level.UNLOCKED
    """The level before the newest escalation: a dispute goes back to it."""

    def begun(self, now: int) -> "Episode":
        """Return the episode, begun now unless it has begun before."""
        return self if self.arrears_since else _changed(self, arrears_since=now)

    def reached(self, level: Level, now: int) -> "Episode":
        """Return the episode after the phone has said that it shows `level` because of it."""
        if not self.arrears_since:
            return self
        noticed = self.notice_at or (now if level >= Level.NOTICE else 0)
        reminded = self.reminder_at or (now if level >= Level.REMINDER else 0)
        if (noticed, reminded) == (self.notice_at, self.reminder_at):
            return self
        return _changed(self, notice_at=noticed, reminder_at=reminded)

    def moved_to(self, level: Level) -> "Episode":
        """Return the episode after arrears have been allowed to rise, or have fallen, to `level`."""
        if level > self.granted:
            return _changed(self, granted=level, escalated_from=self.granted)
        if level < self.granted:
            return _changed(self, granted=level, escalated_from=min(self.escalated_from, level))
        return self


_changed = compile_replace(Episode)
