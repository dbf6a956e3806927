"""Where a setting comes from: flags above environment above file above defaults."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
"""Settings by name; a section's are a mapping in it."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one source says."""

    name: str
    values: Values


def merged(sources: Sequence[Source]) -> dict[str, Any]:
    """Return what all say together; of two that say something about one option, the later one counts."""
    result: dict[str, Any] = {}
    for source in sources:
        _put(result, source.values)
    return result


def origins(sources: Sequence[Source]) -> dict[str, str]:
    """Return which source each option's value comes from, by dotted name."""
    return {option: source.name for source in sources for option, _ in options(source.values)}


def options(values: Values, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return each option's dotted name, like `http.port`, and its value."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from options(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def touch(wrong: Collection[str], *options: str) -> bool:
    """Tell whether one of these options is wrong, or its section, or anything in it; all by dotted names."""
    return any(
        f"{one}.".startswith(f"{name}.") or f"{name}.".startswith(f"{one}.") for one in wrong for name in options
    )


def without(values: Values, wrong: Collection[str], prefix: str = "") -> dict[str, Any]:
    """Return values without those options and sections, which are named by dotted names."""
    left = {name: value for name, value in values.items() if f"{prefix}{name}" not in wrong}
    return {
        name: without(value, wrong, f"{prefix}{name}.") if isinstance(value, Mapping) else value
        for name, value in left.items()
    }


def _put(result: dict[str, Any], values: Values) -> None:
    for name, value in values.items():
        below = result.get(name)
        if isinstance(value, Mapping):
            section = dict(below) if isinstance(below, Mapping) else {}
            _put(section, value)
            result[name] = section
        else:
            result[name] = value
