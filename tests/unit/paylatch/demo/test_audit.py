"""The audit: four words on each phone, and what follows when they differ."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest

from device_sim.identities import simulated_imei
from lock_protocol.acceptance import PhoneStanding, accept_state
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level
from lock_protocol.messages import Root, StateHash
from paylatch.client import Desired, Holds, Loan, Phone, Reported
from paylatch.demo.audit import Retained, compare, verify_retained, write_rows
from paylatch.facts import Borrower
from tests.loopback.lender import Lender

IMEI = simulated_imei(1)
BORROWER = Borrower(account=1, imei=IMEI)
HASH, OTHER_HASH = StateHash(b"h" * 32), StateHash(b"o" * 32)
NOW = datetime.fromtimestamp(0, UTC)
WORD = Reported(
    level=Level.LOCKED, condition=Condition.APPLIED, epoch=1, version=2, state_hash=HASH.hex(), signals=(), at=NOW
)
DESIRED = Desired(
    level=Level.LOCKED,
    reason="overdue",
    epoch=1,
    version=2,
    issued_at=NOW,
    lease=None,
    state_hash=HASH.hex(),
    command_id="cmd_1",
)
PHONE = Phone(
    imei=IMEI,
    lender="acme",
    loan_id="loan-1",
    status="active",
    time_zone=None,
    evidence=(),
    holds=Holds(grace=None, dispute=None, lost_or_stolen=False),
    held=None,
    loan=Loan(days_overdue=90, settled=False, amount_due=0, currency="XXX", wanted_level=Level.LOCKED),
    desired=DESIRED,
    reported=WORD,
)
RETAINED = Retained(level="locked", state_hash=HASH, fault=None)


def violations(
    *,
    required: str = "locked",
    applied: Level | None = Level.LOCKED,
    bridge: Phone | None = PHONE,
    retained: Retained = RETAINED,
) -> list[str]:
    rows = compare(
        "2005-04",
        [BORROWER],
        [required],
        {} if applied is None else {IMEI: applied},
        {} if bridge is None else {IMEI: bridge},
        {IMEI: retained},
    )
    return [str(violation) for row in rows for violation in row.violations()]


def test_four_equal_words_are_no_violation() -> None:
    assert violations() == []


@pytest.mark.parametrize(
    ("differing", "named"),
    [
        ({"applied": Level.NOTICE}, "applied notice"),
        ({"applied": None}, "applied none"),
        ({"bridge": replace(PHONE, reported=replace(WORD, level=Level.UNLOCKED))}, "reported unlocked"),
        ({"bridge": replace(PHONE, reported=None)}, "reported none"),
        ({"retained": Retained(level="unlocked", state_hash=HASH, fault=None)}, "retained unlocked"),
        ({"required": "unlocked"}, "required unlocked, but applied locked, reported locked, retained locked"),
    ],
)
def test_whoever_differs_is_named_with_the_phone_and_the_month(differing: dict[str, object], named: str) -> None:
    (violation,) = violations(**differing)  # type: ignore[arg-type]  # each row names arguments of `violations`
    assert violation.startswith(f"{IMEI} in 2005-04: ")
    assert violation.endswith(named)


def test_the_right_level_in_another_state_is_a_violation() -> None:
    (violation,) = violations(retained=replace(RETAINED, state_hash=OTHER_HASH))
    assert violation.endswith("what is retained is not the bridge's newest state, version 1.2")


def test_a_phone_that_the_bridge_has_forgotten_is_a_violation() -> None:
    assert violations(bridge=None)[1].endswith("the bridge does not know the phone")


def test_rows_are_written_by_level_names() -> None:
    file = StringIO()
    write_rows(file, compare("2005-04", [BORROWER], ["locked"], {IMEI: Level.LOCKED}, {}, {IMEI: RETAINED}))
    assert file.getvalue() == f"1,{IMEI},2005-04,locked,locked,none,locked\n"


# --- retained bytes ------------------------------------------------------------------------------------------------


@pytest.fixture
def lender() -> Lender:
    return Lender()


def root_of(lender: Lender) -> Root:
    return lender.authority.root


def test_a_signed_state_is_known_by_its_level_and_hash(lender: Lender) -> None:
    message = lender.order(IMEI, Level.RESTRICTED)
    standing = PhoneStanding(
        imei=IMEI, root=root_of(lender), floor=None, released=False, trusted_now=lender.now, nonce=None
    )
    assert verify_retained(IMEI, message, root_of(lender), lender.now) == Retained(
        level="restricted", state_hash=accept_state(message, standing).payload_hash, fault=None
    )


@pytest.mark.parametrize(
    ("imei", "spoil", "fault"),
    [
        (IMEI, lambda _: None, "nothing is retained"),
        (IMEI, lambda _: b"", "what is retained does not verify: EmptyState"),
        (IMEI, lambda message: message[:-1], "what is retained does not verify: Malformed"),
        (simulated_imei(2), lambda message: message, "what is retained does not verify: WrongPhone"),
    ],
)
def test_what_no_phone_would_take_is_a_fault(lender: Lender, imei: Imei, spoil: object, fault: str) -> None:
    assert callable(spoil)
    message = spoil(lender.order(IMEI, Level.LOCKED))
    assert verify_retained(imei, message, root_of(lender), lender.now) == Retained(
        level="none", state_hash=None, fault=fault
    )


# --- what the bridge calls proven ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phone", "proven"),
    [
        (PHONE, True),
        (replace(PHONE, reported=None), False),
        (replace(PHONE, desired=replace(DESIRED, version=3)), False),
        (replace(PHONE, desired=replace(DESIRED, state_hash=OTHER_HASH.hex())), False),
        (replace(PHONE, reported=replace(WORD, level=Level.RESTRICTED)), False),
        (replace(PHONE, reported=replace(WORD, condition=Condition.PROVISIONAL)), False),
    ],
)
def test_only_the_phones_word_on_its_newest_state_proves_it(phone: Phone, proven: bool) -> None:  # noqa: FBT001
    assert phone.is_proven is proven
