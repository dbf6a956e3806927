"""docs/fleet.md names everything that a scenario may hold and a run measures, and its example can be played."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.main import get_command

from paylatch.commands import fleet
from paylatch.fleet import distributions, scenario
from paylatch.fleet.metrics import FIGURES, STATISTICS, TRENDS
from paylatch.fleet.reading import scenario_of, shipped

DOCUMENT = (Path(__file__).parents[3] / "docs" / "fleet.md").read_text(encoding="utf-8")


def keys() -> Iterator[str]:
    for module in (scenario, distributions):
        for one in vars(module).values():
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from (name for name in one.model_fields if name != "step")


@pytest.mark.parametrize("key", sorted({*keys(), *shipped(), *FIGURES, *TRENDS, *STATISTICS}))
def test_it_names(key: str) -> None:
    assert re.search(rf"`[^`\n]*\b{re.escape(key)}\b", DOCUMENT)


def test_its_example_can_be_played() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(scenario_of(example, "docs/fleet.md").step) == 3


def test_the_flags_that_it_names_are_there() -> None:
    commands = vars(get_command(fleet.app))["commands"]
    parameters = [one for name in ("run", "enrol") for one in commands[name].params]
    there = {option for one in parameters for option in (*one.opts, *one.secondary_opts)}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", DOCUMENT))
    assert named - there == set()
