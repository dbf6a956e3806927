"""What the steps of a scenario do: one function for each kind, and the table of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any

from lock_protocol.imei import Imei
from paylatch.fleet.arrivals import is_set_within, keep_time
from paylatch.fleet.cast import Cast, StepError
from paylatch.fleet.histories import months_of
from paylatch.fleet.lender import Order
from paylatch.fleet.scenario import (
    AT_ONCE,
    Check,
    Choice,
    Decide,
    KillBroker,
    Offline,
    Pause,
    PowerCycle,
    Replay,
    Reset,
    Settle,
    Step,
)


async def perform(cast: Cast, step: Step) -> None:
    """Do one step to its end.

    Raises:
        StepError: phones were not right in the time that the step gives them.
    """
    cast.say(step.say or _named(step))
    # Dice of its own: what steps draw that go on together must not depend on who draws first.
    await ACTIONS[type(step)](cast, step, Random(cast.dice.random()))  # noqa: S311 - see `Cast.dice`


def _named(step: Step) -> str:
    return step.do.replace("_", " ")


# --- the lender's side ---


async def _decide(cast: Cast, step: Decide, dice: Random) -> None:
    match step.by:
        case "import":
            chosen = cast.book.choose(step.who, step.share, dice)
            await cast.lender.report_file(list(_orders(chosen, step.decisions, dice)), time.monotonic_ns())
        case "list":
            await _decide_lists(cast, step, dice)
        case "one":
            await _decide_each(cast, step, dice)


async def _decide_each(cast: Cast, step: Decide, dice: Random) -> None:
    async def report(imei: Imei, due_ns: int) -> None:
        for order in _orders([imei], step.decisions, dice):
            await cast.lender.report(order, due_ns)

    await _each(cast, step, dice, report, idle=True)


async def _decide_lists(cast: Cast, step: Decide, dice: Random) -> None:
    arrivals = cast.arrivals(step.pace, step.list_of)
    chosen = cast.book.choose("all" if step.repeat else step.who, step.share, dice)
    if step.repeat:
        count = arrivals.count(cast.scenario.duration)
        lists: Iterator[Sequence[Imei]] = (_drawn(cast, step, chosen, dice) for _ in range(count))
    else:
        parts = [chosen[start : start + step.list_of] for start in range(0, len(chosen), step.list_of)]
        count, lists = len(parts), iter(parts)

    async def report(due_ns: int) -> None:
        if imeis := next(lists):
            await cast.lender.report_list(list(_orders(imeis, step.decisions, dice)), due_ns)

    await keep_time(arrivals.times(count, dice), report, cast.stopping)


def _drawn(cast: Cast, step: Decide, among: Sequence[Imei], dice: Random) -> list[Imei]:
    """Return the phones of one more list, each of them once."""
    drawn = {cast.book.draw(step.who, among, dice, idle=True) for _ in range(step.list_of)} - {None}
    cast.tally.drawn += step.list_of
    cast.tally.skipped += step.list_of - len(drawn)
    return sorted(imei for imei in drawn if imei is not None)


def _orders(imeis: Sequence[Imei], choices: Sequence[Choice], dice: Random) -> Iterator[Order]:
    weights = [choice.weight for choice in choices]
    for imei, choice in zip(imeis, dice.choices(choices, weights, k=len(imeis)), strict=True):
        yield Order(imei, choice.expect, choice.fields())


async def _replay(cast: Cast, step: Replay, dice: Random) -> None:
    for month in months_of(cast.book, step.months):
        cast.say(f"{month.name}: {month.decisions} decisions")
        if step.by == "one":
            await _replay_each(cast, step, month.accounts, dice)
        else:
            await _replay_lists(cast, step, month.accounts, dice)
        await _settle(cast, step, dice)
        if cast.stopping.is_set():
            return
        for imei in month.differing(cast.book):
            raise StepError(f"{month.name}: the decisions do not lead {imei} to where the oracle has it")


async def _replay_each(cast: Cast, step: Replay, accounts: Sequence[Sequence[Order]], dice: Random) -> None:
    waiting = iter(accounts)

    async def report(due_ns: int) -> None:
        for order in next(waiting):
            await cast.lender.report(order, due_ns)

    await keep_time(cast.arrivals(step.pace).times(len(accounts), dice), report, cast.stopping)


async def _replay_lists(cast: Cast, step: Replay, accounts: Sequence[Sequence[Order]], dice: Random) -> None:
    """Report what comes first about each account, and only then what comes after that.

    A month that has begun is finished: what its accounts have to be is known at its end alone.
    """
    never = asyncio.Event()
    for turn in range(max(map(len, accounts), default=0)):
        orders = [account[turn] for account in accounts if len(account) > turn]
        lists = iter([orders[start : start + step.list_of] for start in range(0, len(orders), step.list_of)])

        async def report(due_ns: int, lists: Iterator[Sequence[Order]] = lists) -> None:
            await cast.lender.report_list(next(lists), due_ns)

        count = -(-len(orders) // step.list_of)
        await keep_time(cast.arrivals(step.pace, step.list_of).times(count, dice), report, never)


# --- the phones' side ---


async def _offline(cast: Cast, step: Offline, dice: Random) -> None:
    async def be_away(imeis: Sequence[Imei]) -> None:
        cast.tally.cuts += len(imeis)
        for imei in imeis:
            cast.book.cut(imei)
        await cast.fleet.cut(imeis)
        async with asyncio.TaskGroup() as tasks:
            for imei in imeis:
                tasks.create_task(come_back(imei, step.away.draw(dice)), name=f"offline {imei}")

    async def come_back(imei: Imei, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await cast.fleet.reconnect([imei])

    await _some(cast, step, dice, be_away)


async def _reset(cast: Cast, step: Reset, dice: Random) -> None:
    async def reset(imeis: Sequence[Imei]) -> None:
        cast.tally.resets += len(imeis)
        for imei in imeis:
            if overtaken := cast.book.reset(imei, time.monotonic_ns()):
                cast.tally.overtake(overtaken.trend, overtaken.ns)
        await cast.fleet.factory_reset(imeis)

    await _some(cast, step, dice, reset, idle=True)


async def _power_cycle(cast: Cast, step: PowerCycle, dice: Random) -> None:
    await _some(cast, step, dice, cast.fleet.power_cycle)


async def _check(cast: Cast, step: Check, dice: Random) -> None:
    await _some(cast, step, dice, cast.fleet.check)


async def _some(
    cast: Cast,
    step: Offline | Reset | PowerCycle | Check,
    dice: Random,
    act: Callable[[Sequence[Imei]], Awaitable[None]],
    *,
    idle: bool = False,
) -> None:
    """Do something to one phone after the other, or to all of them in one request."""
    if step.pace == AT_ONCE:
        if chosen := cast.book.choose(step.who, step.share, dice):
            await act(chosen)
        return

    async def act_on_one(imei: Imei, _: int) -> None:
        await act([imei])

    await _each(cast, step, dice, act_on_one, idle=idle)


async def _each(
    cast: Cast,
    step: Decide | Offline | Reset | PowerCycle | Check,
    dice: Random,
    act: Callable[[Imei, int], Awaitable[None]],
    *,
    idle: bool,
) -> None:
    """Let phones have their turns as they arrive: each of the chosen once, or others for as long as the run goes on."""
    arrivals = cast.arrivals(step.pace)
    if step.repeat:
        among = cast.book.choose("all", step.share, dice)
        count = arrivals.count(cast.scenario.duration) if among else 0
        turns: Iterator[Imei | None] = (_draw(cast, step, among, dice, idle=idle) for _ in range(count))
    else:
        chosen = cast.book.choose(step.who, step.share, dice)
        count, turns = len(chosen), iter(chosen)

    async def take_turn(due_ns: int) -> None:
        if (imei := next(turns)) is not None:
            await act(imei, due_ns)

    await keep_time(arrivals.times(count, dice), take_turn, cast.stopping)


def _draw(
    cast: Cast, step: Decide | Offline | Reset | PowerCycle | Check, among: Sequence[Imei], dice: Random, *, idle: bool
) -> Imei | None:
    """Return another phone, if there is one, and count whether there was."""
    imei = cast.book.draw(step.who, among, dice, idle=idle)
    cast.tally.drawn += 1
    if imei is None:
        cast.tally.skipped += 1
    return imei


# --- the broker, and time ---


async def _kill_broker(cast: Cast, step: KillBroker, dice: Random) -> None:
    del dice
    cast.tally.outages += 1
    await cast.broker.strike(step.down, keep=step.keep, within_s=step.within, fleet=cast.fleet)
    back = time.monotonic()
    _require_all(cast, await cast.fleet.await_connected(step.within), step.within)
    cast.tally.reconnected_s.append(time.monotonic() - back)
    _require_all(cast, await cast.were_right(step.within), step.within)
    cast.tally.right_again_s.append(time.monotonic() - back)
    _require_all(cast, await cast.fleet.await_settled(step.within, each_once=True), step.within)
    cast.tally.confirmed_again_s.append(time.monotonic() - back)
    _require_all(cast, await cast.settle(step.within), step.within)


async def _settle(cast: Cast, step: Settle | Replay, dice: Random) -> None:
    del dice
    _require_all(cast, await cast.settle(step.within), step.within)


def _require_all(cast: Cast, lacking: Sequence[Imei], within_s: float) -> None:
    if lacking:
        total = len(cast.book.imeis)
        raise StepError(
            f"{len(lacking)} of {total} phones were not right within {within_s:g} s, {lacking[0]} the first"
        )


async def _pause(cast: Cast, step: Pause, dice: Random) -> None:
    del dice
    await is_set_within(cast.stopping, step.time)


ACTIONS: Mapping[type[Step], Callable[[Cast, Any, Random], Awaitable[None]]] = MappingProxyType(
    {
        Decide: _decide,
        Replay: _replay,
        Offline: _offline,
        Reset: _reset,
        PowerCycle: _power_cycle,
        Check: _check,
        KillBroker: _kill_broker,
        Settle: _settle,
        Pause: _pause,
    }
)
