"""How soon a connection is tried again: at once by who has phones waiting, and with patience where nobody may stay."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from random import Random

import pytest

from broker_bridge.adapters.mqtt.client import BrokerAddress
from broker_bridge.adapters.mqtt.supervising import (
    LONGEST_BETWEEN_S,
    LONGEST_WITHOUT_S,
    STOOD_S,
    TELL_AGAIN_S,
    Supervisor,
)
from broker_bridge.app.ports.broker import BrokerUnavailableError
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.standby import TakenOverError
from tests.bridge_rig import KeptLog
from tests.broker.bridge_rig import alone
from tests.loopback.virtual_time import VirtualTimeLoop

ADDRESS = BrokerAddress(host="broker", port=1883, username="bridge", password="secret", client_id="bridge")
WATCHED_S = 600.0


def watch(connect: Callable[[VirtualTimeLoop, Supervisor], Coroutine[None, None, None]]) -> KeptLog:
    """Have connections made for a while, and return what was logged."""
    loop, log = VirtualTimeLoop(), KeptLog()
    supervisor = Supervisor("up", "down", ADDRESS, Random(1), log)  # noqa: S311 - jitter

    async def try_for_a_while() -> None:
        running = asyncio.create_task(supervisor.run(alone, lambda: connect(loop, supervisor)))
        await asyncio.sleep(WATCHED_S)
        running.cancel()
        await asyncio.wait([running])

    try:
        loop.run(try_for_a_while())
    finally:
        loop.close()
    return log


def pauses(*, comes_about: bool, stands_s: float = 0.0) -> list[float]:
    """How long was waited before each try."""
    began: list[float] = []
    ended: list[float] = []

    async def connect(loop: VirtualTimeLoop, supervisor: Supervisor) -> None:
        began.append(loop.time())
        if comes_about:
            supervisor.ready()
            await asyncio.sleep(stands_s)
        ended.append(loop.time())
        raise BrokerUnavailableError("gone")

    watch(connect)
    return [after - before for before, after in zip(ended, itertools.islice(began, 1, None), strict=False)]


def test_a_broker_that_is_away_is_looked_for_every_second_at_least() -> None:
    found = pauses(comes_about=False)
    assert max(found) <= LONGEST_WITHOUT_S
    assert max(found) > found[0]  # and yet not without a pause


def test_a_connection_that_does_not_stand_is_tried_less_and_less() -> None:
    found = pauses(comes_about=True)
    assert LONGEST_WITHOUT_S < max(found) <= LONGEST_BETWEEN_S


def test_after_a_connection_that_stood_the_next_try_comes_soon() -> None:
    assert max(pauses(comes_about=True, stands_s=STOOD_S)) <= LONGEST_WITHOUT_S


def test_why_no_connection_comes_about_is_told_once_a_minute() -> None:
    async def connect(*_: object) -> None:
        raise BrokerUnavailableError("gone")

    assert len(watch(connect).entries) == WATCHED_S // TELL_AGAIN_S


def test_another_reason_is_told_at_once() -> None:
    async def connect(loop: VirtualTimeLoop, _: Supervisor) -> None:
        raise BrokerUnavailableError("away" if loop.time() < WATCHED_S - STOOD_S else "no password")

    *_, (_, _, last) = watch(connect).entries
    assert last["error"] == "no password"


def test_the_end_of_each_connection_is_told() -> None:
    async def connect(_: VirtualTimeLoop, supervisor: Supervisor) -> None:
        supervisor.ready()
        raise BrokerUnavailableError("taken over")

    told = [event for _, event, _ in watch(connect).entries]
    assert told == ["up", "down"] * (len(told) // 2)


def test_one_that_is_told_to_end_is_not_connected_any_more() -> None:
    loop = VirtualTimeLoop()
    supervisor = Supervisor("up", "down", ADDRESS, Random(1), KeptLog())  # noqa: S311 - jitter

    async def connect() -> None:
        supervisor.ready()
        await asyncio.Event().wait()

    async def end() -> None:
        running = asyncio.create_task(supervisor.run(alone, connect))
        await asyncio.sleep(STOOD_S)
        assert supervisor.connected
        running.cancel()
        await asyncio.wait([running])
        assert not supervisor.connected

    try:
        loop.run(end())
    finally:
        loop.close()


def test_before_each_connection_is_asked_whether_it_may_be_and_without_an_answer_none_is_made() -> None:
    loop, made = VirtualTimeLoop(), list[float]()
    supervisor = Supervisor("up", "down", ADDRESS, Random(1), KeptLog())  # noqa: S311 - jitter
    answers = iter([None, StoreUnavailableError("away"), None, TakenOverError(), None])

    async def may_connect() -> None:
        if (answer := next(answers)) is not None:
            raise answer

    async def connect() -> None:
        made.append(loop.time())
        raise BrokerUnavailableError("gone")

    try:
        with pytest.raises(ExceptionGroup) as ended:
            loop.run(supervisor.run(may_connect, connect))
    finally:
        loop.close()
    assert ended.group_contains(TakenOverError)
    assert len(made) == 2
