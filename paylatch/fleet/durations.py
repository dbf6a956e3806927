"""Lengths of time as people write them: `500ms`, `30s`, `5m`, `1h30m`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_PART.pattern.replace('?P<number>', '?:').replace('?P<unit>', '?:')})+")


def seconds_in(text: Any) -> float:
    """Return how many seconds this is.

    Raises:
        ValueError: it is no length of time.
    """
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        raise ValueError('expected a length of time, like "500ms", "30s", "5m" or "1h30m"')
    return sum(float(part["number"]) * _UNITS[part["unit"]] for part in _PART.finditer(text))


Duration = Annotated[float, BeforeValidator(seconds_in), Field(ge=0, le=14 * 24 * 3600)]
"""Seconds, written as a length of time."""
