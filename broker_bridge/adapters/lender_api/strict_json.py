"""JSON read without the leniencies that hide mistakes: one reader for each way in, so that none is more forgiving."""

import json
from typing import Any, NoReturn

from broker_bridge.adapters.lender_api.quoting import shortened


class NotJsonError(ValueError):
    """Bytes that are no JSON, repeat a key, hold NaN or Infinity, or nest too deeply to be read."""


def parse_json(raw: bytes | bytearray) -> Any:
    """Return the JSON value that these bytes are.

    Raises:
        NotJsonError: saying what is wrong, and where.
    """
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
