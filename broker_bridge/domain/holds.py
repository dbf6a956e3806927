"""Holds: what freezes escalation until it ends, and what keeps a phone locked whatever was paid.

A grace period or a dispute caps the level that arrears may ask for. It ends by itself, so that no phone is forgotten.
"""

from dataclasses import dataclass, replace

from lock_protocol.levels import Level

NEVER = -1
"""A moment (milliseconds UTC) before all others: it has not happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One grace period or dispute."""

    since: int
    """When it was granted or opened, milliseconds UTC: the newer one counts."""
    until: int
    """When it ends by itself, seconds UTC."""
    cap: Level
    """The highest level that arrears may ask for meanwhile."""

    def is_active(self, now: int) -> bool:
        """Return whether it still holds at `now` (seconds UTC)."""
        return now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """All that was said about one loan beside its payments. Each is decided by the newest `occurred_at`."""

    grace: Hold | None = None
    dispute: Hold | None = None
    dispute_closed_at: int = NEVER
    lost_at: int = NEVER
    recovered_at: int = NEVER

    @property
    def is_lost(self) -> bool:
        """Whether the phone is lost or stolen. Lost and recovered at the same moment: it has been recovered."""
        return self.lost_at > self.recovered_at

    def active(self, now: int) -> tuple[Hold, ...]:
        """Return what freezes escalation at `now` (seconds UTC)."""
        return tuple(hold for hold in (self.grace, self.dispute) if hold is not None and hold.is_active(now))

    def grant_grace(self, hold: Hold) -> "Holds | None":
        """Return the holds with a grace period, or None when a newer one is known."""
        if self.grace is not None and _order(hold) < _order(self.grace):
            return None
        return replace(self, grace=hold)

    def open_dispute(self, hold: Hold, now: int) -> "Holds | None":
        """Return the holds with a dispute, or None when it has been closed since, or a newer one is known.

        A dispute that is opened again while it lasts never raises the cap: what was taken back stays taken back.
        """
        if hold.since <= self.dispute_closed_at:
            return None
        before = self.dispute
        if before is not None and _order(hold) < _order(before):
            return None
        lasting = before is not None and before.is_active(now)
        cap = min(hold.cap, before.cap) if before is not None and lasting else hold.cap
        return replace(self, dispute=replace(hold, cap=cap))

    def close_dispute(self, at: int) -> "tuple[Holds, bool]":
        """Return the holds after a dispute was closed at `at` (milliseconds UTC), and whether one was open."""
        closes = self.dispute is not None and self.dispute.since <= at
        dispute = None if closes else self.dispute
        return replace(self, dispute=dispute, dispute_closed_at=max(self.dispute_closed_at, at)), closes


NO_HOLDS = Holds()
"""What most loans have."""


def _order(hold: Hold) -> tuple[int, int]:
    return hold.since, hold.until
