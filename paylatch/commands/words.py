"""What the bridge answers, in words for people: the support desk above all."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lock_protocol.levels import Level
    from paylatch.client import Command, Decided, Held, Phone

_WITHOUT_MINOR_UNITS: Final = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF XXX".split()  # noqa: SIM905 - reads as a list
)
_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})

_BECAUSE: Final = {
    "lease_expired": "nothing newer had come when its lease ended",
    "sim_changed": "its SIM was changed",
    "lost_or_stolen": "it is reported lost or stolen",
    "settled": "the loan is settled",
    "paid": "nothing is overdue any more",
    "grace": "the borrower has been given more time",
    "dispute": "the borrower disputes it",
    "enrolled": "nothing is overdue",
    "tamper": "it was tampered with",
    "support": "support asked for it",
}
_AT_LEVEL: Final = {"notice": "showing a notice", "reminder": "showing reminders"}
_EFFECTS: Final = {
    "applied": "taken",
    "noted": "taken; it changes nothing by itself",
    "covered": "taken; a payment of the same time or later covers it, so nothing changes",
    "stale": "taken; something newer is known, so nothing changes",
    "already_settled": "taken; the loan is settled, so nothing changes",
    "resent": "taken; the phone is sent its state anew",
}


def sentence(phone: "Phone", command: "Command") -> str:
    """Return in one sentence what a phone is, what it should be, why, and what that waits for."""
    return f"{_is(phone)}, because {_why(phone)}{_pending(phone, command)}{_held_back(phone.held)}."


def decided_text(decided: "Decided") -> str:
    """Return in a line what became of a decision."""
    effect = "repeated, and done once" if decided.repeated else _EFFECTS.get(decided.effect, decided.effect)
    change = f" ({decided.command_id})" if decided.command_id else ""
    held = _held_back(decided.held)
    return f"{decided.decision_id}: {effect}: {decided.imei} should be {decided.level.name.lower()}{change}{held}"


def money(amount: int, currency: str) -> str:
    """Return an amount in minor units as people write it."""
    if currency == "XXX":
        return f"{amount:,}"
    decimals = 0 if currency in _WITHOUT_MINOR_UNITS else 3 if currency in _THREE_DECIMALS else 2
    return f"{currency} {amount / 10**decimals:,.{decimals}f}"


def moment(at: datetime | None) -> str:
    """Return a time, in UTC."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def arrears(phone: "Phone") -> str:
    """Return what is overdue."""
    loan = phone.loan
    if loan.settled:
        return "settled"
    if not loan.days_overdue:
        return "nothing overdue"
    due = f", {money(loan.amount_due, loan.currency)} due" if loan.amount_due else ""
    return f"{loan.days_overdue} day{'s' if loan.days_overdue > 1 else ''} overdue{due}"


def holds(phone: "Phone") -> Iterator[str]:
    """Yield what freezes or overrides escalation, a line each."""
    for name, hold in (("grace", phone.holds.grace), ("dispute", phone.holds.dispute)):
        if hold is not None:
            yield f"{name}: at most {hold.at_most.name.lower()} until {moment(hold.until)}"
    if phone.holds.lost_or_stolen:
        yield "reported lost or stolen"


def pending(command: "Command") -> str:
    """Return what a phone's newest change waits for."""
    detail = f": {command.detail}" if command.detail else ""
    return {
        "queued": "it waits to be sent",
        "sent": "it was sent, and the phone has not confirmed it yet",
        "timed_out": "the phone has not confirmed it for long: it may be switched off or without a network",
        "failed": f"the phone could not do it, and it is tried again{detail}",
        "rejected": f"the phone refused it{detail}",
    }.get(command.status, "nothing is pending")


def _is(phone: "Phone") -> str:
    should, said = _at(phone.desired.level), phone.reported
    if said is None:
        return f"Never heard of; it should be {should}"
    now = _at(said.level)
    if phone.is_proven:
        return f"{now.capitalize()}, as it should be"
    if said.level is phone.desired.level:
        condition = said.condition.name.lower()
        how = "" if condition == "applied" else f" ({condition.replace('_', ' ')})"
        return f"{now.capitalize()}{how}, as it should be"
    return f"{now.capitalize()} when last heard of, but it should be {should}"


def _at(level: "Level") -> str:
    name = level.name.lower()
    return _AT_LEVEL.get(name, name)


def _why(phone: "Phone") -> str:
    reason = phone.desired.reason
    if reason == "overdue":
        return f"it is {arrears(phone)}" if phone.loan.days_overdue else "a payment falls due"
    return _BECAUSE.get(reason, reason.replace("_", " "))


def _pending(phone: "Phone", command: "Command") -> str:
    if phone.is_proven or command.status == "succeeded":
        return ""
    said = phone.reported
    if command.pending and said is not None and said.level is phone.desired.level:
        return f"; a newer signed state, of the same level, is on its way: {pending(command)}"
    return f"; {pending(command)}"


def _held_back(held: "Held | None") -> str:
    if held is None:
        return ""
    missing = ", ".join(one.detail for one in held.missing)
    when = f", at the earliest {moment(held.earliest)}" if held.earliest else ""
    return f"; {held.level.name.lower()} is held back: {missing}{when}"
