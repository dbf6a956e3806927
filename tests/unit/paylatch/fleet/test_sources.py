"""A broker that only its operator can kill."""

from dataclasses import dataclass, field

import pytest

from device_sim.fleet.control_client import FleetControl
from device_sim.fleet.control_messages import CountersDump
from paylatch.fleet.cast import StepError
from paylatch.fleet.sources import OperatorsBroker


class Phones(FleetControl):
    """Of which so many are connected, each time that they are asked; the last number stays."""

    def __init__(self, *online: int) -> None:
        self._online = list(online)

    async def counters(self) -> CountersDump:
        online = self._online.pop(0) if len(self._online) > 1 else self._online[0]
        return CountersDump.model_construct(online=online)


@dataclass
class Said:
    lines: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.lines.append(text)


async def strike(*online: int, keep: bool = True) -> str:
    said = Said()
    await OperatorsBroker(said).strike(0, keep=keep, within_s=0.3, fleet=Phones(*online))
    return "".join(said.lines)


async def test_it_has_been_killed_when_most_phones_are_gone_and_is_back_with_the_first() -> None:
    assert "saved" not in await strike(10, 10, 5, 0, 1)


async def test_its_operator_is_told_when_it_has_to_come_back_with_nothing() -> None:
    assert "with nothing of what it had saved" in await strike(10, 0, 10, keep=False)


@pytest.mark.parametrize(("online", "fault"), [((10,), "was not killed"), ((10, 0), "no phone was back")])
async def test_an_operator_who_does_nothing_ends_the_step(online: tuple[int, ...], fault: str) -> None:
    with pytest.raises(StepError, match=fault):
        await strike(*online)
