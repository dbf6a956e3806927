"""The benchmark's own arithmetic: what it decides about whom, what it counts, and what it takes for lost."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from device_sim.fleet.control_messages import PhoneDump
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level
from paylatch.bench.audit import wrong_phones
from paylatch.bench.ceiling import Drive, body_for
from paylatch.bench.plan import COLUMNS, LADDER, Book, as_csv, parts_of
from paylatch.bench.progress import Counts, read_counts
from paylatch.bench.throughput import Throughput
from paylatch.bench.unlocks import payers_of, waits_of
from paylatch.client import Phone
from paylatch.client.answers import read

IMEIS = [simulated_imei(number) for number in range(4)]
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = """\
# TYPE paylatch_commands_total counter
paylatch_commands_total{status="queued"} 12.0
paylatch_commands_total{status="succeeded"} 7.0
paylatch_commands_total{status="superseded"} 2.0
paylatch_outbox_depth{lane="opening"} 1.0
paylatch_outbox_depth{lane="closing"} 2.0
paylatch_outbox_in_flight 4.0
paylatch_publishes_total{outcome="acknowledged"} 9.0
paylatch_publishes_total{outcome="refused"} 1.0
paylatch_commit_jobs_waiting 8.0
process_cpu_seconds_total 3.5
"""


# --- what is decided ---


def test_each_round_turns_every_phone_once_and_the_next_one_turns_it_back() -> None:
    book = Book("book", IMEIS, SINCE)
    decided = list(book.rounds(10))
    assert [one.imei for one in decided] == [*IMEIS, *IMEIS, *IMEIS[:2]]
    assert [one.level for one in decided] == [Level.LOCKED] * 4 + [Level.UNLOCKED] * 4 + [Level.LOCKED] * 2
    assert book.levels == dict(zip(IMEIS, [Level.LOCKED] * 2 + [Level.UNLOCKED] * 2, strict=True))


def test_a_book_of_which_half_is_locked_opens_and_closes_in_turns() -> None:
    book = Book("book", IMEIS, SINCE)
    assert [one.imei for one in book.alternate()] == IMEIS[1::2]
    assert Counter(one.level for one in book.rounds(4)) == {Level.LOCKED: 2, Level.UNLOCKED: 2}


def test_a_book_goes_on_from_what_its_phones_are() -> None:
    before = Book("before", IMEIS, SINCE)
    decided = list(before.rounds(3))
    after = Book("after", IMEIS, before.newest, before.levels)
    assert [(one.imei, one.level) for one in after.alternate()] == [
        (IMEIS[0], Level.UNLOCKED),
        (IMEIS[2], Level.UNLOCKED),
        (IMEIS[3], Level.LOCKED),
    ]
    assert min(one.occurred_at for one in after.rounds(1)) > max(one.occurred_at for one in decided)


def test_no_two_decisions_have_one_id_or_one_time_and_later_ones_are_later() -> None:
    decided = list(Book("book", IMEIS, SINCE).rounds(3000))
    assert len({one.decision_id for one in decided}) == len(decided)
    times = [one.occurred_at for one in decided]
    assert times == sorted(set(times))
    assert times[0] == "2026-01-01T00:00:00.001Z"
    assert times[-1] == "2026-01-01T00:00:03.000Z"


def test_the_ladder_leads_higher_and_higher() -> None:
    book = Book("book", IMEIS, SINCE)
    levels = [book.overdue(IMEIS[0], days).level for days, _ in LADDER]
    assert levels == sorted(set(levels))
    assert levels[-1] is Level.LOCKED


def test_a_file_has_what_single_requests_have() -> None:
    book = Book("book", IMEIS, SINCE)
    decided = [book.locked(IMEIS[0]), book.paid(IMEIS[0])]
    heading, *rows = as_csv(decided).decode().splitlines()
    assert tuple(heading.split(",")) == COLUMNS
    for one, row in zip(decided, rows, strict=True):
        cells = {name: cell for name, cell in zip(COLUMNS, row.split(","), strict=True) if cell}
        assert cells == {name: str(value).replace("True", "true") for name, value in one.body().items()}


def test_parts_keep_the_order_and_lose_nothing() -> None:
    decided = list(Book("book", IMEIS, SINCE).rounds(10))
    parts = list(parts_of(decided, 4))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert [one for part in parts for one in part] == decided


@pytest.mark.parametrize(("phones", "payers"), [(1, 1), (9, 1), (30, 3), (2000, 200), (100_000, 400)])
def test_a_tenth_pays_but_never_nobody_nor_thousands(phones: int, payers: int) -> None:
    assert len(payers_of([Imei(str(number)) for number in range(phones)])) == payers


# --- what is counted ---


def test_counts_are_read_off_the_metrics_page() -> None:
    counts = read_counts(PAGE, at=5.0)
    assert (counts.succeeded, counts.superseded, counts.finished) == (7, 2, 9)
    assert (counts.waiting, counts.published) == (15, 9)
    assert counts.at == 5.0


def test_what_was_before_does_not_count() -> None:
    before = Counts({"queued": 5, "succeeded": 4}, published=3, waiting=0, at=1.0)
    added = read_counts(PAGE, at=5.0).since(before)
    assert (added.succeeded, added.superseded, added.published) == (3, 2, 6)


def test_rates_and_processor_time_are_those_of_whole_round_trips_alone() -> None:
    found = Throughput(succeeded=80, superseded=20, seconds=4.0, cpu_s={"bridge": 0.02, "fleet": 0.008})
    assert found.per_s == 20
    assert found.cpu_us == pytest.approx({"bridge": 250, "fleet": 100})


def test_a_wait_is_from_the_payment_to_the_open_phone_and_who_never_opened_has_none() -> None:
    assert waits_of({IMEIS[0]: 100, IMEIS[1]: 200}, {IMEIS[0]: 150}) == [50]


def test_the_ceilings_states_are_as_large_as_asked() -> None:
    for size in (400, 584, 700, 2000):
        drive = Drive(port=0, phones=10_000, trips=0, body_bytes=body_for(size))
        assert len(drive.state(25_000)[1]) == pytest.approx(size, abs=4)


# --- what is lost ---


def shown(imei: Imei, level: Level) -> PhoneDump:
    return PhoneDump(
        imei=imei,
        level=level,
        applied=level,
        condition=Condition.APPLIED,
        epoch=1,
        version=2,
        connected=True,
        wanted=True,
        last_failure=None,
        confirmed=True,
        settled=True,
        last_transition_ns=1,
        applies=1,
        refusals={},
    )


def known(imei: Imei, level: str, reported: str = "", version: int = 2) -> Phone:
    state: dict[str, Any] = {"epoch": 1, "state_hash": "00"}
    body: dict[str, Any] = {
        "imei": imei,
        "lender": "acme",
        "loan_id": "l",
        "status": "active",
        "time_zone": None,
        "evidence": [],
        "holds": {"grace": None, "dispute": None, "lost_or_stolen": False},
        "held": None,
        "loan": {"days_overdue": 0, "settled": False, "amount_due": 0, "currency": "INR", "wanted_level": "unlocked"},
        "desired": state
        | {
            "level": level,
            "reason": "paid",
            "version": 2,
            "issued_at": SINCE.isoformat(),
            "lease": None,
            "command_id": "c",
        },
        "reported": state
        | {
            "level": reported or level,
            "condition": "applied",
            "version": version,
            "signals": [],
            "at": SINCE.isoformat(),
        },
    }
    return read(Phone, body)


def test_a_phone_that_shows_and_has_proven_what_is_required_is_right() -> None:
    imei = IMEIS[0]
    assert not list(
        wrong_phones({imei: Level.LOCKED}, {imei: shown(imei, Level.LOCKED)}, {imei: known(imei, "locked")})
    )


@pytest.mark.parametrize(
    ("phone", "bridge", "fault"),
    [
        (None, known(IMEIS[0], "locked"), "required locked, shows nothing"),
        (shown(IMEIS[0], Level.UNLOCKED), known(IMEIS[0], "locked"), "required locked, shows unlocked"),
        (shown(IMEIS[0], Level.LOCKED), None, "the bridge does not know it"),
        (shown(IMEIS[0], Level.LOCKED), known(IMEIS[0], "unlocked"), "required locked, the bridge has unlocked"),
        (shown(IMEIS[0], Level.LOCKED), known(IMEIS[0], "locked", version=1), "its newest state is not proven"),
        (shown(IMEIS[0], Level.LOCKED), known(IMEIS[0], "locked", "unlocked"), "its newest state is not proven"),
    ],
)
def test_the_audit_finds_a_wrong_phone(phone: PhoneDump | None, bridge: Phone | None, fault: str) -> None:
    imei = IMEIS[0]
    screens = {} if phone is None else {imei: phone}
    phones = {} if bridge is None else {imei: bridge}
    assert list(wrong_phones({imei: Level.LOCKED}, screens, phones)) == [f"{imei}: {fault}"]
