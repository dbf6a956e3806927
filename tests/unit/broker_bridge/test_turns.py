"""Lenders' queues: bounded each, served in turns."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from broker_bridge.app.turns import Turns
from lock_protocol.messages import LenderId

LOUD, CALM = LenderId("loud"), LenderId("calm")


async def taken(turns: Turns[int]) -> list[tuple[LenderId, int]]:
    items = []
    while turns.has(LOUD) or turns.has(CALM):
        items.append(await turns.next())
    return items


async def test_a_lender_with_much_waiting_has_the_others_wait_for_one_item_of_its() -> None:
    turns = Turns[int](most=10, most_bytes=100)
    for number in range(10):
        assert turns.put(LOUD, number, 1)
    turns.put(CALM, 7, 1)
    assert (await taken(turns))[:3] == [(LOUD, 0), (CALM, 7), (LOUD, 1)]


async def test_what_is_left_of_an_item_is_its_lenders_next_one_and_waits_for_its_turn() -> None:
    turns = Turns[int](most=2, most_bytes=2)
    for number in range(2):
        turns.put(LOUD, number, 1)
    turns.put(CALM, 7, 1)
    lender, item = await turns.next()
    turns.put_back(lender, item)
    assert await taken(turns) == [(CALM, 7), (LOUD, 0), (LOUD, 1)]


async def test_what_is_put_back_is_found_though_nothing_else_waits() -> None:
    turns = Turns[int](most=1, most_bytes=1)
    turns.put(LOUD, 0, 1)
    turns.put_back(*await turns.next())
    assert await turns.next() == (LOUD, 0)
    assert not turns.has(LOUD)


async def test_what_is_more_than_a_lenders_share_is_not_taken_and_others_are() -> None:
    turns = Turns[int](most=2, most_bytes=100)
    assert [turns.put(LOUD, number, 1) for number in range(3)] == [True, True, False]
    assert turns.put(CALM, 0, 1)
    await turns.next()
    assert turns.put(LOUD, 3, 1)
    assert await taken(turns) == [(CALM, 0), (LOUD, 1), (LOUD, 3)]


async def test_few_large_items_fill_a_share_as_many_small_ones_do() -> None:
    turns = Turns[int](most=10, most_bytes=100)
    assert [turns.put(LOUD, number, 60) for number in range(2)] == [True, False]
    await turns.next()
    assert turns.put(LOUD, 2, 60)


async def test_one_item_is_always_taken_however_large() -> None:
    assert Turns[int](most=1, most_bytes=1).put(LOUD, 0, 1000)


async def test_whoever_waits_for_the_next_item_gets_it() -> None:
    turns = Turns[int](most=1, most_bytes=1)
    waiting = asyncio.create_task(turns.next())
    await asyncio.sleep(0)
    turns.put(CALM, 1, 1)
    assert await waiting == (CALM, 1)
    assert not turns.has(CALM)


@given(st.lists(st.sampled_from([LOUD, CALM, None])))
async def test_each_lenders_items_come_in_the_order_they_were_put(steps: list[LenderId | None]) -> None:
    turns = Turns[int](most=5, most_bytes=5)
    expected: dict[LenderId, list[int]] = {LOUD: [], CALM: []}
    for number, lender in enumerate(steps):
        if lender is None and (turns.has(LOUD) or turns.has(CALM)):
            served, item = await turns.next()
            assert item == expected[served].pop(0)
        elif lender is not None and turns.put(lender, number, 1):
            expected[lender].append(number)
    for served, item in await taken(turns):
        assert item == expected[served].pop(0)
    assert expected == {LOUD: [], CALM: []}
