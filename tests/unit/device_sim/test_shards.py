"""How many processes a fleet needs, how its phones are shared out, and how its events are read."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.fleet import journal as journals
from device_sim.fleet.handset import Handset
from device_sim.fleet.journal import DOWN, UP, Journal
from device_sim.fleet.process import RESERVED_FILES, allow_files, resident_bytes
from device_sim.fleet.shards import TooFewFilesError, shards_for, split
from lock_protocol.levels import Condition, Level
from tests.loopback.handset import IMEI


@pytest.mark.parametrize(
    ("phones", "cores", "files", "shards"),
    [
        (1, 8, 1024, 1),
        (500, 2, 1024, 1),
        (4000, 2, 20_000, 1),
        (4001, 2, 20_000, 2),
        (15_000, 2, 20_000, 2),
        (15_000, 1, 20_000, 1),
        (15_000, 8, 20_000, 4),
        (15_000, 2, 4096, 4),
        (1000, 2, 1024, 2),
        (0, 2, 1024, 1),
    ],
)
def test_a_fleet_has_as_many_processes_as_files_and_cores_want(
    phones: int, cores: int, files: int, shards: int
) -> None:
    assert shards_for(phones, cores=cores, files=files) == shards
    assert -(-phones // shards) + RESERVED_FILES <= files


def test_a_process_that_may_open_nothing_can_hold_no_phone() -> None:
    with pytest.raises(TooFewFilesError, match=r"100 open files.*ulimit -n"):
        shards_for(1, cores=2, files=100)


@given(st.integers(0, 100), st.integers(1, 10))
def test_everybody_is_in_one_part_in_order_and_parts_differ_by_one_at_most(count: int, shards: int) -> None:
    parts = split(list(range(count)), shards)
    assert [one for part in parts for one in part] == list(range(count))
    assert len(parts) == shards
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_nothing_is_kept_for_those_who_do_not_ask() -> None:
    journal = Journal()
    journal.note(IMEI, UP, 0)
    assert journal.read(0) == (0, [])


def test_events_are_read_once_in_their_order() -> None:
    journal = Journal()
    journal.read(0)
    for what in (UP, "locked", DOWN):
        journal.note(IMEI, what, 3)
    first, events = journal.read(0)
    assert (first, [event.what for event in events]) == (0, [UP, "locked", DOWN])
    assert [event.is_level for event in events] == [False, True, False]
    journal.note(IMEI, UP, 3)
    first, events = journal.read(3)
    assert (first, [event.what for event in events]) == (3, [UP])
    assert journal.read(4) == (4, [])


def test_an_answer_that_was_lost_can_be_asked_for_again() -> None:
    journal = Journal()
    journal.read(0)
    journal.note(IMEI, UP, 0)
    assert journal.read(0) == journal.read(0)


def test_of_too_many_events_the_oldest_are_lost_and_that_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "KEPT", 2)
    journal = Journal()
    journal.read(0)
    for what in ("notice", "reminder", "locked"):
        journal.note(IMEI, what, 1)
    first, events = journal.read(0)
    assert (first, [event.what for event in events]) == (1, ["reminder", "locked"])


def test_a_handset_remembers_its_last_transitions_and_no_more() -> None:
    handset = Handset()
    assert handset.apply(Level.UNLOCKED, Condition.APPLIED, (1, 1))
    assert not handset.apply(Level.UNLOCKED, Condition.APPLIED, (1, 2))
    for version in range(3, 40):
        handset.apply(Level.LOCKED if version % 2 else Level.UNLOCKED, Condition.APPLIED, (1, version))
    assert [one.version for one in handset.transitions] == list(range(24, 40))


def test_a_process_knows_its_memory() -> None:
    assert 10**7 < resident_bytes() < 10**11


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes_and_never_lowered() -> None:
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        lower = min(soft, hard) - 10
        resource.setrlimit(resource.RLIMIT_NOFILE, (lower, hard))
        assert allow_files(lower + 5) == lower + 5
        assert allow_files(10) == lower + 5
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (lower + 5, hard)
        if hard != resource.RLIM_INFINITY:
            assert allow_files(hard + 1) == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
