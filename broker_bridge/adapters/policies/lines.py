"""Where in a TOML document a key stands: `tomllib` tells the line of bad syntax only, not of a value that cannot be."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

_TABLE = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<name>[A-Za-z0-9_.-]+)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(r"\s*(?P<key>[A-Za-z0-9_-]+)\s*=")

Place = tuple[str | int, ...]
"""A key's place, like `("ladder", 2, "level")`."""


def lines_of(document: str) -> dict[Place, int]:
    """Return the line, from 1 on, of each table and key. Keys in inline tables and arrays have their table's line."""
    lines: dict[Place, int] = {}
    table: Place = ()
    seen: Counter[str] = Counter()
    for number, line in enumerate(document.splitlines(), start=1):
        if opened := _TABLE.fullmatch(line):
            table = tuple(opened["name"].split("."))
            if opened["open"] == "[[":
                lines.setdefault(table, number)
                table = (*table, seen[opened["name"]])
                seen[opened["name"]] += 1
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, key["key"]), number)
    return lines


def line_of(lines: Mapping[Place, int], place: Sequence[str | int]) -> int:
    """Return the line of the nearest thing that has one: the key, else its table, else the first line."""
    for length in range(len(place), 0, -1):
        if (line := lines.get(tuple(place[:length]))) is not None:
            return line
    return 1
