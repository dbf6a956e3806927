"""The columns of a CSV file: the fields of the decisions' bodies, and how a cell becomes a JSON value."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from broker_bridge.adapters.lender_api.decisions import DECISION_BODIES
from broker_bridge.adapters.lender_api.quoting import shortened
from broker_bridge.app.ports.imports import UnreadableFileError

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_BOOLEANS = {"true": True, "false": False}

Read = Callable[[str], object]


@cache
def readers() -> dict[str, Read]:
    """Return how the cells of each column are read. A cell that does not fit stays text, which its field refuses."""
    found: dict[str, Read] = {}
    for model in DECISION_BODIES.values():
        for name, schema in model.model_json_schema()["properties"].items():
            found[name] = _READERS.get(_json_type(schema), _text)
    return found


@cache
def required() -> tuple[str, ...]:
    """Return the columns that every decision needs."""
    first, *others = (model.model_fields for model in DECISION_BODIES.values())
    return tuple(
        name for name, field in first.items() if field.is_required() and all(name in other for other in others)
    )


def check_header(names: Sequence[str]) -> None:
    """Refuse a header that could make a cell mean something else than its writer thinks.

    Raises:
        UnreadableFileError: naming the column that is unknown, there twice, or missing.
    """
    for place, name in enumerate(names, start=1):
        if name not in readers():
            known = ", ".join(readers())
            raise UnreadableFileError(f"header: column {place} is {shortened(name)}; expected one of {known}")
        if name in names[: place - 1]:
            raise UnreadableFileError(f"header: column {name} is there twice")
    for name in required():
        if name not in names:
            raise UnreadableFileError(f"header: column {name} is missing; every decision needs {', '.join(required())}")


def _json_type(schema: dict[str, Any]) -> str:
    """Return the type of a field; what may be null besides is absent when its cell is empty."""
    kinds = [one.get("type") for one in schema.get("anyOf", [schema])]
    return next((kind for kind in kinds if kind not in (None, "null")), "string")


def _integer(cell: str) -> object:
    return int(cell) if _INTEGER.fullmatch(cell) else cell


def _boolean(cell: str) -> object:
    return _BOOLEANS.get(cell.lower(), cell)


def _text(cell: str) -> object:
    return cell


_READERS: dict[str, Read] = {"integer": _integer, "boolean": _boolean}
