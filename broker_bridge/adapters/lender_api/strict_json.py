"""JSON read without the leniencies that hide mistakes: one reader for each way in, so that none is more forgiving."""

import json
from typing import Any, NoReturn

from broker_bridge.adapters.lender_api.quoting import shortened

MAX_MARKS = 25_000
"""How many commas, brackets and braces a text may hold: a list of a thousand decisions has ten to fifteen for each.

Two megabytes of little else take a quarter of a second to read and longer to check, and no payment goes on meanwhile.
"""
_MARKS = (b",", b"[", b"{")


class NotJsonError(ValueError):
    """Bytes that are no JSON, repeat a key, hold NaN or Infinity, nest too deeply to be read, or hold too much."""


def parse_json(raw: bytes | bytearray) -> Any:
    """Return the JSON value that these bytes are.

    Raises:
        NotJsonError: saying what is wrong, and where.
    """
    if len(raw) > MAX_MARKS and sum(map(raw.count, _MARKS)) > MAX_MARKS:
        raise NotJsonError(f"more than {MAX_MARKS} commas, brackets and braces; send it in parts")
    try:
        return json.loads(raw.decode(), object_pairs_hook=_without_repetition, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"key {shortened(key)} stands there twice")
        result[key] = value
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON has")
