"""What is told of measurements."""

import pytest

from paylatch.latency import Latency

MS = 1_000_000


@pytest.mark.parametrize(
    ("measured", "p50", "p99", "most"),
    [
        ([], None, None, None),
        ([7 * MS], 7, 7, 7),
        ([3 * MS, 1 * MS, 2 * MS], 2, 3, 3),
        ([number * MS for number in range(1, 201)], 100, 198, 200),
    ],
)
def test_percentiles_are_of_what_was_measured(
    measured: list[int], p50: float | None, p99: float | None, most: float | None
) -> None:
    assert Latency.of(measured) == Latency(p50=p50, p99=p99, max=most)
