"""What a run has shown so far."""

from collections import Counter
from dataclasses import dataclass, field

from lock_protocol.imei import Imei
from paylatch.demo.audit import Row
from paylatch.demo.intruder import Attack
from paylatch.demo.result import Result, Violation
from paylatch.latency import Latency


@dataclass(slots=True)
class Tally:
    """Counts as the months go by. What it counts was observed, never planned."""

    phones: int
    decisions: int = 0
    resets: int = 0
    relocked: int = 0
    opened_after_offline_payment: int = 0
    hostile_sent: int = 0
    hostile_refused: Counter[str] = field(default_factory=Counter)
    hostile_applied: int = 0
    broker_restarts: int = 0
    unlock_ns: list[int] = field(default_factory=list)
    reconnect_open_ns: list[int] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    _locked_ever: set[Imei] = field(default_factory=set)
    _applied: dict[Imei, str] = field(default_factory=dict)
    """By each phone at the end of the last month."""
    _unlocked_by_payment: int = 0

    def take_attack(self, attack: Attack) -> None:
        """Count one attack."""
        self.hostile_sent += attack.sent
        self.hostile_refused.update(attack.refused)
        self.hostile_applied += len(attack.changed)

    def take_month(self, rows: list[Row]) -> list[Violation]:
        """Count a month's audit and return what it found wrong."""
        for row in rows:
            if row.applied == "locked":
                self._locked_ever.add(row.imei)
            elif row.applied == "unlocked" and self._applied.get(row.imei) == "locked":
                self._unlocked_by_payment += 1
            self._applied[row.imei] = row.applied
        found = [violation for row in rows for violation in row.violations()]
        self.violations.extend(found)
        return found

    def result(self, wall_s: float) -> Result:
        """Return the run's figures."""
        return Result(
            phones=self.phones,
            decisions=self.decisions,
            locked=len(self._locked_ever),
            unlocked_by_payment=self._unlocked_by_payment,
            released=sum(level == "released" for level in self._applied.values()),
            resets=self.resets,
            relocked_after_reset=self.relocked,
            opened_after_offline_payment=self.opened_after_offline_payment,
            hostile_sent=self.hostile_sent,
            hostile_refused=dict(sorted(self.hostile_refused.items())),
            hostile_applied=self.hostile_applied,
            broker_restarts=self.broker_restarts,
            unlock_ms=Latency.of(self.unlock_ns),
            reconnect_open_ms=Latency.of(self.reconnect_open_ns),
            wall_s=round(wall_s, 3),
            violations=tuple(self.violations),
        )
