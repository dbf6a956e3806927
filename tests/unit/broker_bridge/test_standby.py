"""Of two bridges on one database one has the broker; the other one waits, and takes over when that one is gone."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from broker_bridge.app.ports.queries import Heartbeat
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.standby import HEARTBEAT_S, SILENT_S, Standby, TakenOverError
from tests.bridge_rig import KeptHeartbeat, KeptLog
from tests.loopback.virtual_time import VirtualTimeLoop

ALIVE_S = 300.0


@dataclass
class LoopClock:
    """The clock of the loop that runs."""

    def now(self) -> int:
        return int(self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class Links:
    """A bridge's two links, of which the first one beats; when each was begun, how many are up."""

    standby: Standby
    began: "asyncio.Queue[float]" = field(default_factory=asyncio.Queue)
    up: int = 0
    farewell_s: float = 0.0
    """How long the lenders' link takes to end."""

    async def phones(self) -> None:
        await self.standby.require_broker()
        self.began.put_nowait(asyncio.get_running_loop().time())
        await self._stand(self.standby.beat())

    async def lenders(self) -> None:
        await self.standby.require_broker()
        try:
            await self._stand(asyncio.Event().wait())
        finally:
            await asyncio.sleep(self.farewell_s)

    async def _stand(self, end: Awaitable[object]) -> None:
        self.up += 1
        try:
            await end
        finally:
            self.up -= 1


@dataclass
class Bridge:
    """A bridge that runs."""

    heartbeats: KeptHeartbeat
    name: str = "one"
    log: KeptLog = field(default_factory=KeptLog)

    def __post_init__(self) -> None:
        names = (f"{self.name}-{number}" for number in itertools.count())
        self.standby = Standby(
            heartbeats=self.heartbeats,
            clock=LoopClock(),
            log=self.log,
            new_token=lambda: next(names),
            on_taking_over=lambda: self.log.info("told"),
        )
        self.links = Links(self.standby)
        self.task = asyncio.create_task(self.standby.run(self.links.phones, self.links.lenders))

    async def connects(self) -> float:
        """Wait until it connects once more; return when that was."""
        return await self.links.began.get()

    async def stands_by(self) -> None:
        """Wait until it has made way once more."""
        await self.log.repeated("standing_by", self.log.events("warning").count("taking_over") + 1)

    async def dies(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    async def ends(self) -> None:
        await self.dies()
        await self.standby.retire()


async def two_bridges(heartbeats: KeptHeartbeat) -> tuple[Bridge, Bridge]:
    """A bridge that stands by, and one that has started after it."""
    first = Bridge(heartbeats)
    await first.connects()
    second = Bridge(heartbeats, "another")
    await second.connects()
    await first.stands_by()
    return first, second


def play(story: Callable[[KeptHeartbeat], Awaitable[None]]) -> None:
    loop = VirtualTimeLoop()

    async def tell() -> None:
        await story(KeptHeartbeat())
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    try:
        loop.run(tell())
    finally:
        loop.close()


def test_while_the_second_one_lives_the_first_one_connects_nothing() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        first, second = await two_bridges(heartbeats)
        await asyncio.sleep(ALIVE_S)
        assert (first.standby.standing_by, first.links.up, first.links.began.qsize()) == (True, 0, 0)
        assert (second.standby.standing_by, second.links.up, second.log.entries) == (False, 2, [])
        assert first.log.events("warning") == ["standing_by"]

    play(story)


@pytest.mark.parametrize(("in_order", "least_s", "most_s"), [(True, 0, 2), (False, SILENT_S - HEARTBEAT_S, 9)])
def test_when_the_second_one_is_gone_the_first_one_takes_over_both_links(
    *, in_order: bool, least_s: float, most_s: float
) -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        first, second = await two_bridges(heartbeats)
        await asyncio.sleep(ALIVE_S)
        await (second.ends() if in_order else second.dies())
        gone_at = asyncio.get_running_loop().time()
        assert least_s <= await first.connects() - gone_at <= most_s
        await asyncio.sleep(0)
        assert (first.standby.standing_by, first.links.up) == (False, 2)
        assert first.log.events("warning") == ["standing_by", "taking_over"]
        assert (first.log.events("info"), second.log.events("info")) == (["told"], [])

    play(story)


def test_each_takes_over_from_the_other_in_turn() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        first, second = await two_bridges(heartbeats)
        for _ in range(3):
            await second.dies()
            await first.connects()
            second = Bridge(heartbeats, "next")
            await second.connects()
            await first.stands_by()
        await asyncio.sleep(ALIVE_S)
        assert (first.links.up, second.links.up) == (0, 2)

    play(story)


def test_one_that_lost_the_broker_alone_connects_again_and_one_that_lost_it_to_another_does_not() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        first = Bridge(heartbeats)
        await first.connects()
        await asyncio.sleep(ALIVE_S)
        await first.standby.require_broker()
        await heartbeats.claim(Heartbeat("another", 0))
        with pytest.raises(TakenOverError):
            await first.standby.require_broker()

    play(story)


def test_one_that_ends_while_it_stands_by_changes_nothing() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        first, second = await two_bridges(heartbeats)
        await first.ends()
        await asyncio.sleep(ALIVE_S)
        assert (second.standby.standing_by, heartbeats.kept is None) == (False, False)

    play(story)


def test_one_that_ends_before_it_has_connected_changes_nothing() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        await Bridge(heartbeats).standby.retire()
        assert heartbeats.kept is None

    play(story)


def test_without_the_database_nobody_is_taken_for_dead() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        first, second = await two_bridges(heartbeats)
        await second.dies()
        heartbeats.away = True
        await asyncio.sleep(ALIVE_S)
        assert first.standby.standing_by
        heartbeats.away = False
        back_at = asyncio.get_running_loop().time()
        assert await first.connects() - back_at >= SILENT_S - HEARTBEAT_S

    play(story)


def test_without_the_database_no_connection_ends_and_none_is_made() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        bridge = Bridge(heartbeats)
        await bridge.connects()
        heartbeats.away = True
        await asyncio.sleep(ALIVE_S)
        assert bridge.links.up == 2
        # What ended it may be a bridge that has the database.
        with pytest.raises(StoreUnavailableError):
            await bridge.standby.require_broker()
        await bridge.ends()
        assert bridge.log.events("warning")[-1] == "heartbeat_left"
        assert set(bridge.log.events("warning")[:-1]) == {"heartbeat_missed"}

    play(story)


def test_one_that_could_not_write_its_name_connects_when_it_has() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        heartbeats.away = True
        bridge = Bridge(heartbeats)
        await asyncio.sleep(ALIVE_S)
        assert (bridge.links.began.qsize(), bridge.links.up) == (0, 0)
        heartbeats.away = False
        assert await bridge.connects() - ALIVE_S <= HEARTBEAT_S
        assert set(bridge.log.events("warning")) == {"claim_delayed"}

    play(story)


def test_while_an_answer_takes_long_nobody_is_taken_for_dead() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        first, second = await two_bridges(heartbeats)
        for _ in range(10):
            await asyncio.sleep(SILENT_S)
            async with heartbeats.hung():
                await asyncio.sleep(SILENT_S * 2)
        assert (first.standby.standing_by, second.standby.standing_by) == (True, False)

    play(story)


def test_one_that_is_told_to_stop_as_it_makes_way_stops() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        bridge = Bridge(heartbeats)
        bridge.links.farewell_s = 1.0
        await bridge.connects()
        await heartbeats.claim(Heartbeat("another", 0))
        await asyncio.sleep(HEARTBEAT_S + bridge.links.farewell_s / 2)
        assert bridge.links.up == 0
        async with asyncio.timeout(bridge.links.farewell_s):
            await bridge.ends()
        assert bridge.task.cancelled()

    play(story)


def test_one_that_is_told_to_stop_as_it_writes_its_name_removes_it() -> None:
    async def story(heartbeats: KeptHeartbeat) -> None:
        async with heartbeats.hung():
            bridge = Bridge(heartbeats)
            await asyncio.sleep(1)
            await bridge.dies()
        # The database has had the statement, and its answer is not waited for.
        await heartbeats.claim(Heartbeat("one-0", 0))
        await bridge.standby.retire()
        assert heartbeats.kept is None

    play(story)


def test_what_nobody_expected_ends_the_bridge() -> None:
    async def fail() -> None:
        raise RuntimeError("a defect")

    async def story(heartbeats: KeptHeartbeat) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await Bridge(heartbeats).standby.run(fail)
        assert caught.group_contains(RuntimeError)

    play(story)
