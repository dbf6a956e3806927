"""What every phone has to be, and which times are measured on the way there."""

import time

import pytest

from device_sim.fleet.journal import DOWN, UP, Entry
from device_sim.identities import simulated_imei
from lock_protocol.levels import Level
from paylatch.fleet.book import Book, Measured
from tests.unit.paylatch.fleet.dice import dice

IMEI, OTHER = simulated_imei(0), simulated_imei(1)
S = 1_000_000_000


def saw(book: Book, at_s: float, what: str) -> Measured | None:
    return book.saw(Entry(round(at_s * S), IMEI, what, 1))


@pytest.fixture
def book() -> Book:
    return Book({IMEI: Level.UNLOCKED, OTHER: Level.UNLOCKED})


def lock(book: Book, at_s: float = 1.0) -> None:
    book.taken(book.ask(IMEI, Level.LOCKED, round(at_s * S)))


def test_a_phone_has_to_be_as_the_last_decision_says_that_was_taken(book: Book) -> None:
    asked = book.ask(IMEI, Level.LOCKED, S)
    assert book.required() == {IMEI: Level.UNLOCKED, OTHER: Level.UNLOCKED}
    book.taken(asked)
    assert book.required() == {IMEI: Level.LOCKED, OTHER: Level.UNLOCKED}


def test_decisions_about_one_phone_are_dated_in_their_order_whatever_order_they_are_answered_in(book: Book) -> None:
    first, second = book.ask(IMEI, Level.LOCKED, S), book.ask(IMEI, Level.UNLOCKED, S)
    assert first.occurred_ms < second.occurred_ms
    book.taken(second)
    book.taken(first)
    assert book.required([IMEI]) == {IMEI: Level.UNLOCKED}


def test_a_refused_decision_changes_nothing(book: Book) -> None:
    book.refused(book.ask(IMEI, Level.LOCKED, S))
    assert book.required([IMEI]) == {IMEI: Level.UNLOCKED}
    assert saw(book, 2, "locked") is None


def test_after_a_decision_that_nobody_knows_of_both_is_right(book: Book) -> None:
    book.unknown(book.ask(IMEI, Level.LOCKED, S))
    assert book.required([IMEI]) == {}
    assert [book.permits(IMEI, level) for level in (Level.UNLOCKED, Level.LOCKED, Level.NOTICE)] == [True, True, False]
    lock(book)
    assert book.required([IMEI]) == {IMEI: Level.LOCKED}


def test_a_decision_that_nobody_knows_of_and_that_changes_nothing_leaves_no_doubt(book: Book) -> None:
    book.unknown(book.ask(IMEI, Level.UNLOCKED, S))
    assert book.required([IMEI]) == {IMEI: Level.UNLOCKED}


def test_a_change_is_measured_from_when_its_decision_was_due(book: Book) -> None:
    lock(book, at_s=1.0)
    assert saw(book, 1.5, "locked") == Measured("lock_ms", S // 2)
    book.taken(book.ask(IMEI, Level.UNLOCKED, 2 * S))
    assert saw(book, 2.25, "unlocked") == Measured("unlock_ms", S // 4)


def test_an_opening_that_overtakes_a_lock_is_measured(book: Book) -> None:
    book.ask(IMEI, Level.LOCKED, S)
    book.ask(IMEI, Level.UNLOCKED, 2 * S)
    assert saw(book, 2.5, "locked") is None
    assert saw(book, 3, "unlocked") == Measured("unlock_ms", S)


def test_a_change_that_was_seen_before_the_decision_was_due_is_another_one(book: Book) -> None:
    lock(book, at_s=1.0)
    assert saw(book, 0.5, "locked") is None


def test_a_release_is_an_opening(book: Book) -> None:
    book.taken(book.ask(IMEI, Level.RELEASED, S))
    assert saw(book, 2, "released") == Measured("unlock_ms", S)


def test_a_phone_that_was_away_is_measured_from_when_it_is_back(book: Book) -> None:
    saw(book, 0.5, DOWN)
    lock(book, at_s=1.0)
    saw(book, 10.0, UP)
    assert saw(book, 10.5, "locked") == Measured("back_ms", S // 2)


def test_so_is_one_that_went_away_with_the_decision_on_its_way(book: Book) -> None:
    lock(book, at_s=1.0)
    saw(book, 1.5, DOWN)
    saw(book, 10.0, UP)
    assert saw(book, 10.25, "locked") == Measured("back_ms", S // 4)


def test_a_reset_is_measured_until_the_phone_is_where_it_was(book: Book) -> None:
    lock(book)
    saw(book, 2, "locked")
    book.reset(IMEI, 3 * S)
    saw(book, 3.1, DOWN)
    assert saw(book, 3.2, "restricted") is None
    saw(book, 3.3, UP)
    assert saw(book, 3.5, "locked") == Measured("reset_ms", S // 2)


def test_phones_are_chosen_by_what_they_have_to_be(book: Book) -> None:
    lock(book)
    chance = dice(1)
    assert [book.choose(who, 1.0, chance) for who in ("closed", "open", "locked", "restricted")] == [
        [IMEI],
        [OTHER],
        [IMEI],
        [],
    ]
    book.taken(book.ask(OTHER, Level.RELEASED, S))
    assert book.choose("all", 1.0, chance) == [IMEI]


def test_a_share_is_chosen_by_the_dice_alone() -> None:
    imeis = [simulated_imei(number) for number in range(100)]
    book = Book(dict.fromkeys(imeis, Level.UNLOCKED))
    chosen = book.choose("all", 0.3, dice(5))
    assert len(set(chosen)) == 30
    assert chosen == book.choose("all", 0.3, dice(5)) != book.choose("all", 0.3, dice(6))


def test_nobody_is_drawn_while_something_is_under_way_about_them(book: Book) -> None:
    now_s = time.monotonic()

    def draw() -> object:
        return book.draw("all", [IMEI], dice(0), idle=True)

    asked = book.ask(IMEI, Level.LOCKED, round(now_s * S))
    assert draw() is None
    book.taken(asked)
    assert draw() is None
    saw(book, now_s + 1, "locked")
    assert draw() == IMEI


def test_what_is_awaited_for_too_long_is_not_waited_for(book: Book) -> None:
    lock(book, at_s=time.monotonic() - 31)
    assert book.draw("locked", [IMEI], dice(0), idle=True) == IMEI


def test_what_was_never_seen_took_at_least_until_the_next_decision(book: Book) -> None:
    lock(book, at_s=1)
    assert book.ask(IMEI, Level.RESTRICTED, 30 * S).overtaken is None
    assert book.ask(IMEI, Level.UNLOCKED, 65 * S).overtaken == Measured("unlock_ms", 35 * S)


def test_so_did_a_reset_after_which_the_phone_never_was_right(book: Book) -> None:
    assert book.reset(IMEI, S) is None
    assert book.reset(IMEI, 41 * S) == Measured("reset_ms", 40 * S)


def test_a_phone_that_stays_away_or_never_had_to_move_is_not_slow(book: Book) -> None:
    saw(book, 0.5, DOWN)
    lock(book, at_s=1)
    assert book.ask(IMEI, Level.UNLOCKED, 60 * S).overtaken is None
    saw(book, 61, UP)
    assert book.ask(IMEI, Level.LOCKED, 120 * S).overtaken is None


def test_who_is_away_already_is_not_taken_away(book: Book) -> None:
    saw(book, 1, DOWN)
    assert book.draw("all", [IMEI], dice(0), idle=False) is None
