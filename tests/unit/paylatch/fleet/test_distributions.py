"""How long phones are away."""

from statistics import median
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from paylatch.fleet.distributions import Times
from tests.unit.paylatch.fleet.dice import dice

TIMES: TypeAdapter[Times] = TypeAdapter(Times)
DRAWS = 20_000


def drawn(seed: int = 1, **fields: Any) -> list[float]:
    times, chance = TIMES.validate_python(fields), dice(seed)
    return sorted(times.draw(chance) for _ in range(DRAWS))


def test_fixed_is_always_the_same() -> None:
    assert set(drawn(distribution="fixed", time="1m30s")) == {90.0}


def test_uniform_is_between_its_ends() -> None:
    values = drawn(distribution="uniform", least="2s", most="4s")
    assert 2 <= values[0] < 2.01
    assert 3.99 < values[-1] <= 4
    assert median(values) == pytest.approx(3, rel=0.02)


def test_exponential_has_its_mean_and_is_cut_off() -> None:
    values = drawn(distribution="exponential", mean="5s", most="10m")
    assert sum(values) / DRAWS == pytest.approx(5, rel=0.03)
    assert drawn(distribution="exponential", mean="5s", most="6s")[-1] == 6


def test_lognormal_has_its_median_and_its_95th_percentile() -> None:
    values = drawn(distribution="lognormal", median="4s", p95="20s", most="1h")
    assert median(values) == pytest.approx(4, rel=0.03)
    assert values[int(DRAWS * 0.95)] == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize(
    "fields",
    [
        {"distribution": "uniform", "least": "1s", "most": "9s"},
        {"distribution": "exponential", "mean": "5s", "most": "60s"},
        {"distribution": "lognormal", "median": "4s", "p95": "20s", "most": "60s"},
    ],
)
def test_the_same_seed_draws_the_same(fields: dict[str, str]) -> None:
    assert drawn(seed=7, **fields) == drawn(seed=7, **fields) != drawn(seed=8, **fields)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"distribution": "uniform", "least": "5s", "most": "4s"}, "least is more than most"),
        ({"distribution": "lognormal", "median": "5s", "p95": "4s", "most": "9s"}, "p95 is less than the median"),
        ({"distribution": "fixed", "time": 5}, "expected a length of time"),
        ({"distribution": "fixed", "time": "5 s"}, "expected a length of time"),
        ({"distribution": "exponential", "mean": "0s", "most": "9s"}, "greater than 0"),
        ({"distribution": "gamma"}, "does not match any of the expected tags"),
    ],
)
def test_one_that_cannot_be_is_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        TIMES.validate_python(fields)
