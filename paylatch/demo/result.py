"""What a run of the demo has shown, as the JSON file has it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lock_protocol.imei import Imei
from paylatch.latency import Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One phone that was not what it had to be."""

    imei: Imei
    month: str
    differs: str
    """What was found, and what was required."""

    def __str__(self) -> str:
        return f"{self.imei} in {self.month}: {self.differs}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The figures of one run. The fields are the keys of the JSON file."""

    phones: int
    decisions: int
    locked: int
    """Phones that were ever found locked (level 4) at a month's end."""
    unlocked_by_payment: int
    """Times that a phone locked at one month's end was found unlocked at the next."""
    released: int
    resets: int
    relocked_after_reset: int
    opened_after_offline_payment: int
    hostile_sent: int
    hostile_refused: Mapping[str, int]
    """By the error's name, as the phones counted them."""
    hostile_applied: int
    """Phones whose applied state changed under attack."""
    broker_restarts: int
    unlock_ms: Latency
    """From sending the lender's request to the phone's applied state: online phones, one monotonic clock."""
    reconnect_open_ms: Latency
    """The same for phones that were offline, from their reconnect."""
    wall_s: float
    violations: Sequence[Violation]

    def to_json(self) -> dict[str, Any]:
        """Return it as what a JSON file holds."""
        return asdict(self)
