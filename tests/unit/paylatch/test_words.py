"""What the support desk is told, in words."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from device_sim.identities import simulated_imei
from lock_protocol.levels import Condition, Level
from paylatch.client import Command, Decided, Desired, Held, Hold, Holds, Loan, Missing, Phone, Reported
from paylatch.commands.words import arrears, decided_text, holds, money, pending, sentence

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
IMEI = simulated_imei(1)
SAID = Reported(
    level=Level.LOCKED, condition=Condition.APPLIED, epoch=1, version=2, state_hash="ab", signals=(), at=NOON
)
SHOULD = Desired(
    level=Level.LOCKED,
    reason="overdue",
    epoch=1,
    version=2,
    issued_at=NOON,
    lease=None,
    state_hash="ab",
    command_id="cmd_1",
)
PHONE = Phone(
    imei=IMEI,
    lender="acme",
    loan_id="loan-1",
    status="active",
    time_zone=None,
    evidence=("contract",),
    holds=Holds(grace=None, dispute=None, lost_or_stolen=False),
    held=None,
    loan=Loan(days_overdue=90, settled=False, amount_due=129900, currency="INR", wanted_level=Level.LOCKED),
    desired=SHOULD,
    reported=SAID,
)
COMMAND = Command(
    command_id="cmd_1",
    imei=IMEI,
    status="succeeded",
    pending=False,
    level=Level.LOCKED,
    reason="overdue",
    epoch=1,
    version=2,
    decision_id="d1",
    detail="",
    attempts=1,
    created_at=NOON,
    sent_at=NOON,
    finished_at=NOON,
)
SENT = replace(COMMAND, status="sent", pending=True)
OPEN = replace(SHOULD, level=Level.UNLOCKED, version=3, reason="paid")
NOTHING_DUE = replace(PHONE.loan, days_overdue=0, amount_due=0, wanted_level=Level.UNLOCKED)
HELD = Held(
    level=Level.LOCKED,
    missing=(
        Missing(condition="quiet_hours", detail="it is night where the borrower is", earliest=NOON),
        Missing(condition="consent", detail="no consent of the kind app is on file", earliest=None),
    ),
    earliest=None,
)


@pytest.mark.parametrize(
    ("phone", "command", "told"),
    [
        (PHONE, COMMAND, "Locked, as it should be, because it is 90 days overdue, INR 1,299.00 due."),
        (
            replace(PHONE, desired=OPEN, loan=NOTHING_DUE),
            SENT,
            (
                "Locked when last heard of, but it should be unlocked, because nothing is overdue any more; "
                "it was sent, and the phone has not confirmed it yet."
            ),
        ),
        (
            replace(PHONE, reported=None),
            replace(SENT, status="queued"),
            (
                "Never heard of; it should be locked, because it is 90 days overdue, INR 1,299.00 due; "
                "it waits to be sent."
            ),
        ),
        (
            replace(PHONE, desired=replace(SHOULD, version=3)),
            replace(SENT, status="queued"),
            (
                "Locked, as it should be, because it is 90 days overdue, INR 1,299.00 due; "
                "a newer signed state, of the same level, is on its way: it waits to be sent."
            ),
        ),
        (
            replace(PHONE, reported=replace(SAID, condition=Condition.LEASE_FIRED)),
            COMMAND,
            "Locked (lease fired), as it should be, because it is 90 days overdue, INR 1,299.00 due.",
        ),
        (
            replace(
                PHONE,
                desired=replace(SHOULD, level=Level.REMINDER),
                reported=replace(SAID, level=Level.REMINDER),
                held=HELD,
            ),
            COMMAND,
            (
                "Showing reminders, as it should be, because it is 90 days overdue, INR 1,299.00 due; "
                "locked is held back: it is night where the borrower is, no consent of the kind app is on file."
            ),
        ),
        (
            replace(PHONE, desired=replace(OPEN, reason="enrolled"), loan=NOTHING_DUE),
            replace(COMMAND, status="failed", detail="storage full"),
            (
                "Locked when last heard of, but it should be unlocked, because nothing is overdue; "
                "the phone could not do it, and it is tried again: storage full."
            ),
        ),
    ],
)
def test_a_phone_is_told_of_in_one_sentence(phone: Phone, command: Command, told: str) -> None:
    assert sentence(phone, command) == told


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (129900, "INR", "INR 1,299.00"),
        (129900, "JPY", "JPY 129,900"),
        (129900, "KWD", "KWD 129.900"),
        (5, "EUR", "EUR 0.05"),
        (1299, "XXX", "1,299"),
    ],
)
def test_money_is_written_in_the_units_that_people_count_in(amount: int, currency: str, written: str) -> None:
    assert money(amount, currency) == written


def test_arrears_are_told_with_what_is_due() -> None:
    assert arrears(PHONE) == "90 days overdue, INR 1,299.00 due"
    assert arrears(replace(PHONE, loan=replace(PHONE.loan, days_overdue=1, amount_due=0))) == "1 day overdue"
    assert arrears(replace(PHONE, loan=NOTHING_DUE)) == "nothing overdue"
    assert arrears(replace(PHONE, loan=replace(NOTHING_DUE, settled=True))) == "settled"


def test_what_freezes_escalation_is_told_with_its_end() -> None:
    hold = Hold(at_most=Level.NOTICE, until=NOON)
    frozen = replace(PHONE, holds=Holds(grace=hold, dispute=hold, lost_or_stolen=True))
    assert list(holds(frozen)) == [
        "grace: at most notice until 2026-11-25 12:00:00 UTC",
        "dispute: at most notice until 2026-11-25 12:00:00 UTC",
        "reported lost or stolen",
    ]
    assert list(holds(PHONE)) == []


def test_every_status_has_words() -> None:
    told = {status: pending(replace(COMMAND, status=status)) for status in ("queued", "sent", "timed_out", "rejected")}
    assert len(set(told.values())) == 4
    assert pending(COMMAND) == pending(replace(COMMAND, status="superseded")) == "nothing is pending"


def test_a_decision_is_told_of_in_a_line() -> None:
    decided = Decided(
        decision_id="d1",
        imei=IMEI,
        type="payment_overdue",
        effect="covered",
        level=Level.UNLOCKED,
        wanted_level=Level.UNLOCKED,
        held=None,
        command_id=None,
        repeated=False,
    )
    covered = "taken; a payment of the same time or later covers it, so nothing changes"
    assert decided_text(decided) == f"d1: {covered}: {IMEI} should be unlocked"
    late = replace(HELD, earliest=NOON)
    assert decided_text(replace(decided, effect="applied", command_id="cmd_1", held=late)).endswith(
        "should be unlocked (cmd_1); locked is held back: it is night where the borrower is, "
        "no consent of the kind app is on file, at the earliest 2026-11-25 12:00:00 UTC"
    )
