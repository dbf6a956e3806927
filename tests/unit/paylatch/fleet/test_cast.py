"""Waiting until phones are as they have to be, while what they have to be changes; by a clock that jumps."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import pytest

from device_sim.fleet.control_client import FleetControl
from device_sim.fleet.control_messages import Mismatch
from device_sim.fleet.journal import Entry
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.fleet.book import Book
from paylatch.fleet.cast import AWHILE_S, GLANCE_S, Cast
from paylatch.fleet.tally import Tally
from tests.loopback.virtual_time import VirtualTimeLoop
from tests.unit.paylatch.fleet.dice import dice

IMEI = simulated_imei(1)


class Phones(FleetControl):
    """Phones that are connected, confirmed and at these levels; a question is answered when it is true, or too late."""

    def __init__(self, levels: dict[Imei, Level]) -> None:
        self.levels = levels

    async def await_connected(self, timeout_s: float, imeis: Iterable[Imei] | None = None) -> list[Imei]:
        del timeout_s, imeis
        return []

    async def await_settled(
        self, timeout_s: float, imeis: Iterable[Imei] | None = None, *, each_once: bool = False
    ) -> list[Imei]:
        del timeout_s, imeis, each_once
        return []

    async def await_levels(self, levels: Mapping[Imei, Level], timeout_s: float) -> list[Mismatch]:
        wrong = [imei for imei, level in levels.items() if self.levels[imei] is not level]
        if wrong:
            await asyncio.sleep(timeout_s)  # none of them moves any more
        return [Mismatch(imei=imei, wanted=levels[imei], level=self.levels[imei]) for imei in wrong]

    async def news(self) -> list[Entry]:
        return []


def playing(phones: Phones, book: Book) -> Cast:
    # What only decides and kills is not asked while one waits.
    unused = cast("Any", None)
    return Cast(
        scenario=unused,
        fleet=phones,
        lender=unused,
        book=book,
        tally=Tally(),
        broker=unused,
        say=lambda _: None,
        dice=dice(),
    )


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    loop = VirtualTimeLoop()
    yield loop
    loop.close()


def test_a_payment_that_is_answered_for_meanwhile_is_waited_for_and_not_what_was_before_it(
    loop: VirtualTimeLoop,
) -> None:
    """The phone opens before the bridge's answer has come, and never is locked again."""
    book = Book({IMEI: Level.LOCKED})
    asked = book.ask(IMEI, Level.UNLOCKED, due_ns=0)
    waiting = loop.create_task(playing(Phones({IMEI: Level.UNLOCKED}), book).settle(within_s=1000))
    loop.pass_time(AWHILE_S / 2)
    book.taken(asked)
    assert loop.run_until_complete(waiting) == []
    assert loop.time() < 1000


def test_phones_that_are_not_right_in_time_are_named(loop: VirtualTimeLoop) -> None:
    book = Book({IMEI: Level.LOCKED})
    assert loop.run(playing(Phones({IMEI: Level.UNLOCKED}), book).settle(within_s=1000)) == [IMEI]
    assert loop.time() == pytest.approx(1000)


def test_each_phone_has_to_be_right_once_and_not_all_at_the_same_moment(loop: VirtualTimeLoop) -> None:
    """The second phone is decided about again as soon as it was right, and so is never right with the first."""
    other = simulated_imei(2)
    book, phones = Book({IMEI: Level.UNLOCKED, other: Level.LOCKED}), Phones({IMEI: Level.LOCKED, other: Level.LOCKED})
    waiting = loop.create_task(playing(phones, book).were_right(within_s=1000))
    loop.pass_time(10 * GLANCE_S)
    assert not waiting.done()
    book.taken(book.ask(other, Level.UNLOCKED, due_ns=0))
    phones.levels[IMEI] = Level.UNLOCKED
    assert loop.run_until_complete(waiting) == []
    assert phones.levels[other] is Level.LOCKED


def test_phones_that_never_were_right_are_named(loop: VirtualTimeLoop) -> None:
    book = Book({IMEI: Level.LOCKED})
    assert loop.run(playing(Phones({IMEI: Level.UNLOCKED}), book).were_right(within_s=1000)) == [IMEI]
    assert loop.time() == pytest.approx(1000)
