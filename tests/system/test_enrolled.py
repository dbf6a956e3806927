"""The comparison of many enrolled phones with few, small: sites that are prepared once, and runs in turns."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/enrolled.py"
SIZE = ("--connected", "10", "--decisions", "40")


def enrolled(directory: Path, *options: str) -> list[dict[str, Any]]:
    """Run the script; return what it printed."""
    command = [sys.executable, str(SCRIPT), "--directory", str(directory), *SIZE, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("enrolled")


@pytest.fixture(scope="module")
def printed(directory: Path) -> list[dict[str, Any]]:
    return enrolled(directory, "--phones", "10", "40", "--runs", "2")


def test_runs_of_both_sizes_take_turns_and_lose_nothing(printed: list[dict[str, Any]]) -> None:
    *prepared, first, second, third, fourth, _ = printed
    assert [one["prepared"] for one in prepared] == [10, 40]
    assert [one["phones"] for one in (first, second, third, fourth)] == [10, 40, 10, 40]
    for one in (first, second, third, fourth):
        assert (one["connected"], one["decisions"], one["superseded"], one["lost"]) == (10, 40, 0, 0)


def test_the_end_compares_the_medians(printed: list[dict[str, Any]]) -> None:
    *_, first, second, third, fourth, compared = printed
    assert compared["medians"]["10"]["ratio"] == pytest.approx((first["ratio"] + third["ratio"]) / 2)
    assert compared["medians"]["40"]["bridge_mib_after"] == pytest.approx(
        (second["bridge_mib_after"] + fourth["bridge_mib_after"]) / 2
    )
    assert compared["last_of_first"]["ratio"] == pytest.approx(
        compared["medians"]["40"]["ratio"] / compared["medians"]["10"]["ratio"], abs=0.001
    )
    assert compared["lost"] == 0


@pytest.mark.usefixtures("printed")
def test_what_is_prepared_is_used_again_and_only_as_it_was_prepared(directory: Path) -> None:
    assert enrolled(directory, "--phones", "40", "--runs", "0") == []
    other = [sys.executable, str(SCRIPT), "--directory", str(directory), "--phones", "40", "--connected", "5"]
    refused = subprocess.run(other, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "was prepared for 10 connected phones; ask for as many, or remove it" in refused.stderr
