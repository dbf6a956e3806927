"""What a run must reach: `unlock_ms.p99 < 250`. A threshold over what was never measured is not reached."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from paylatch.fleet.metrics import FIGURES, STATISTICS, TRENDS

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "==": operator.eq}
)
_FORM = re.compile(r"\s*(?P<metric>[A-Za-z_0-9.]+)\s*(?P<operator><=|<|>=|>|==)\s*(?P<limit>[0-9]+(\.[0-9]+)?)\s*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One limit."""

    metric: str
    """The name of a figure, or of a trend with one of its statistics."""
    operator: str
    limit: float

    def is_reached(self, value: float | None) -> bool:
        """Return whether what was measured is within the limit; None for nothing measured."""
        return value is not None and _OPERATORS[self.operator](value, self.limit)

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {self.limit:g}"


def threshold_of(text: str) -> Threshold:
    """Return the threshold that is written like `unlock_ms.p99<250`.

    Raises:
        ValueError: it is none, or over something that no run measures.
    """
    written = _FORM.fullmatch(text)
    if written is None:
        raise ValueError(f"{text!r} is no threshold, like 'unlock_ms.p99<250' or 'lost==0'")
    metric = written["metric"]
    trend, _, statistic = metric.partition(".")
    if trend in TRENDS and statistic not in STATISTICS:
        raise ValueError(f"{metric!r}: a trend needs one of its statistics: {', '.join(STATISTICS)}")
    if trend not in TRENDS and metric not in FIGURES:
        raise ValueError(f"{metric!r} is not measured; there are {', '.join((*TRENDS, *FIGURES))}")
    return Threshold(metric, written["operator"], float(written["limit"]))
