"""One timer for all connections."""

import asyncio
from dataclasses import dataclass, field

from mqtt_transport.keep_alive import Wheel

PERIOD_S, PATIENCE_S = 0.16, 10.0


@dataclass(eq=False)
class Member:
    beaten: asyncio.Event = field(default_factory=asyncio.Event)
    beats: int = 0

    def beat(self) -> None:
        self.beats += 1
        self.beaten.set()


async def test_each_member_is_called_once_in_every_period() -> None:
    wheel, members = Wheel(PERIOD_S), [Member() for _ in range(100)]
    slots = [wheel.add(member) for member in members]
    first = members[0]
    await first.beaten.wait()
    before = [member.beats for member in members]
    first.beaten.clear()
    await first.beaten.wait()
    assert {member.beats - so_far for member, so_far in zip(members, before, strict=True)} == {1}
    for member, slot in zip(members, slots, strict=True):
        wheel.discard(member, slot)


async def test_the_timer_runs_only_while_there_are_members() -> None:
    wheel, one, other = Wheel(PERIOD_S), Member(), Member()
    slots = wheel.add(one), wheel.add(other)
    wheel.discard(one, slots[0])
    other.beaten.clear()
    await asyncio.wait_for(other.beaten.wait(), PATIENCE_S)
    wheel.discard(other, slots[1])
    assert wheel._timer is None
    slot = wheel.add(one)
    await asyncio.wait_for(one.beaten.wait(), PATIENCE_S)
    wheel.discard(one, slot)


async def test_members_that_come_together_are_not_all_called_together() -> None:
    wheel, members = Wheel(PERIOD_S), [Member() for _ in range(160)]
    slots = [wheel.add(member) for member in members]
    assert {slots.count(slot) for slot in slots} == {10}
    for member, slot in zip(members, slots, strict=True):
        wheel.discard(member, slot)


async def test_a_period_of_nothing_is_never() -> None:
    wheel = Wheel(0)
    wheel.add(Member())
    assert wheel._timer is None
