"""A histogram of bounded size: counts in buckets that grow with the value, so that every percentile is 0.4 % right."""

import math
from collections import Counter
from collections.abc import Iterator

_BITS = 8
_EXACT = 2 << _BITS
"""Values below this have a bucket of their own."""
_NS_PER_US = 1000
_US_PER_MS = 1000
_ALL = 100
_ROUNDING = 1e-9


class Histogram:
    """Times, as many as there are, in a few kilobytes."""

    def __init__(self) -> None:
        self.count = 0
        """How many times there are."""
        self._counts: Counter[int] = Counter()
        self._total_us = 0
        self._least_us = self._most_us = 0

    def add(self, ns: int) -> None:
        """Count one time in nanoseconds; what clocks make negative is 0."""
        us = max(ns, 0) // _NS_PER_US
        self._least_us = us if not self.count else min(us, self._least_us)
        self._most_us = max(us, self._most_us)
        self.count += 1
        self._counts[_bucket(us)] += 1
        self._total_us += us

    @property
    def mean(self) -> float:
        """Their mean, in milliseconds.

        Raises:
            ZeroDivisionError: there are none.
        """
        return self._total_us / self.count / _US_PER_MS

    def percentile(self, percent: float) -> float:
        """Return the nearest-rank percentile in milliseconds: 0 for the least, 100 for the most.

        Raises:
            ValueError: there are no times.
        """
        if not self._counts:
            raise ValueError("a percentile of nothing")
        if percent <= 0 or percent >= _ALL:
            return (self._least_us if percent <= 0 else self._most_us) / _US_PER_MS
        rank = max(math.ceil(self.count * percent / _ALL - _ROUNDING), 1)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                start, end = _bounds(bucket)
                return min(max((start + end - 1) / 2, self._least_us), self._most_us) / _US_PER_MS
        raise AssertionError("the ranks are those of the counts")

    def buckets(self) -> Iterator[tuple[float, float, int]]:
        """Yield where each bucket begins and ends, in milliseconds, and how many times are in it, in order."""
        for bucket in sorted(self._counts):
            start, end = _bounds(bucket)
            yield start / _US_PER_MS, end / _US_PER_MS, self._counts[bucket]


def _bucket(us: int) -> int:
    shift = max(us.bit_length() - _BITS - 1, 0)
    return (shift << _BITS) + (us >> shift)


def _bounds(bucket: int) -> tuple[int, int]:
    """Return the least value of a bucket, and the least above it."""
    if bucket < _EXACT:
        return bucket, bucket + 1
    shift = (bucket >> _BITS) - 1
    start = bucket - (shift << _BITS) << shift
    return start, start + (1 << shift)
