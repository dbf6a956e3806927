"""Four independent words on what each phone is, laid side by side at the end of a month."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from lock_protocol.acceptance import PhoneStanding, accept_state
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import Root, StateHash
from lock_protocol.refusals import Refusal
from paylatch.demo.lender import BridgePhone
from paylatch.demo.result import Violation
from paylatch.facts import Borrower

NOTHING = "none"
"""In place of a level: there is nothing to read one from."""

COLUMNS = ("account", "imei", "month", "required", "applied", "reported", "retained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What a fresh subscriber made of one topic."""

    level: str
    """The verified level's name, or `NOTHING`."""
    state_hash: StateHash | None
    fault: str | None
    """Why it is not a state that a phone would take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One phone at the end of one month, by level names."""

    account: int
    imei: Imei
    month: str
    required: str
    """By the oracle, which reads the histories alone."""
    applied: str
    """By the phone."""
    reported: str
    """By the bridge: what the phone has told it under its signature."""
    retained: str
    """By the broker: what a fresh subscriber verifies."""
    faults: Sequence[str] = ()
    """What is wrong beside differing levels."""

    def violations(self) -> Iterator[Violation]:
        """Yield what differs from what is required."""
        found = {"applied": self.applied, "reported": self.reported, "retained": self.retained}
        differing = [f"{who} {level}" for who, level in found.items() if level != self.required]
        if differing:
            text = f"required {self.required}, but {', '.join(differing)}"
            yield Violation(imei=self.imei, month=self.month, differs=text)
        for fault in self.faults:
            yield Violation(imei=self.imei, month=self.month, differs=fault)


def verify_retained(imei: Imei, message: bytes | None, root: Root, now: int) -> Retained:
    """Judge retained bytes as a phone would that knows nothing but its root.

    Args:
        imei: whose topic it is.
        message: what was retained; None for nothing.
        root: the root that the phone's firmware pins.
        now: seconds UTC, in place of the phone's trusted time.
    """
    if message is None:
        return Retained(level=NOTHING, state_hash=None, fault="nothing is retained")
    standing = PhoneStanding(imei=imei, root=root, floor=None, released=False, trusted_now=now, nonce=None)
    try:
        verified = accept_state(message, standing)
    except Refusal as refusal:
        return Retained(level=NOTHING, state_hash=None, fault=f"what is retained does not verify: {refusal.name}")
    return Retained(level=name_of(verified.message.level), state_hash=verified.payload_hash, fault=None)


def compare(
    month: str,
    borrowers: Sequence[Borrower],
    required: Sequence[str],
    applied: Mapping[Imei, Level],
    bridge: Mapping[Imei, BridgePhone],
    retained: Mapping[Imei, Retained],
) -> list[Row]:
    """Return each phone's row. `required` is in the borrowers' order; the rest may lack phones."""
    return [
        _row(month, borrower, level, applied.get(borrower.imei), bridge.get(borrower.imei), retained[borrower.imei])
        for borrower, level in zip(borrowers, required, strict=True)
    ]


def write_rows(file: IO[str], rows: Iterable[Row]) -> None:
    """Append rows to the audit's CSV file."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([getattr(row, column) for column in COLUMNS] for row in rows)


def name_of(level: Level) -> str:
    """Return a level's name as people and files have it."""
    return level.name.lower()


def _row(
    month: str,
    borrower: Borrower,
    required: str,
    applied: Level | None,
    bridge: BridgePhone | None,
    retained: Retained,
) -> Row:
    reported = None if bridge is None else bridge.reported
    return Row(
        account=borrower.account,
        imei=borrower.imei,
        month=month,
        required=required,
        applied=NOTHING if applied is None else name_of(applied),
        reported=NOTHING if reported is None else name_of(reported.level),
        retained=retained.level,
        faults=tuple(_faults(bridge, retained)),
    )


def _faults(bridge: BridgePhone | None, retained: Retained) -> Iterator[str]:
    if retained.fault is not None:
        yield retained.fault
    if bridge is None:
        yield "the bridge does not know the phone"
    elif retained.state_hash is not None and retained.state_hash != bridge.state_hash:
        yield f"what is retained is not the bridge's newest state, version {bridge.epoch}.{bridge.version}"
