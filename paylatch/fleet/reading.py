"""From a TOML file to a `Scenario`, with errors that name the file, the line and the key."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from broker_bridge.adapters.policies.lines import Place, line_of, lines_of
from paylatch.fleet.scenario import Numbers, Scenario
from paylatch.fleet.thresholds import threshold_of

_SHIPPED = files("paylatch.fleet") / "scenarios"
_SUFFIX = ".toml"
MAX_BYTES = 256 * 1024


class ScenarioError(ValueError):
    """There is no such scenario, or it cannot be played; the message names what is wrong, and where."""


def shipped() -> list[str]:
    """Return the names of the scenarios that come with Paylatch."""
    return sorted(file.name.removesuffix(_SUFFIX) for file in _SHIPPED.iterdir() if file.name.endswith(_SUFFIX))


def text_of(name: str) -> str:
    """Return the file of a scenario: one that is shipped, by its name, or your own, by its path.

    Raises:
        ScenarioError: there is none, or it cannot be read.
    """
    if name in shipped():
        return (_SHIPPED / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    path = Path(name)
    if path.suffix != _SUFFIX:
        raise ScenarioError(f"no scenario {name!r}; there are {', '.join(shipped())}, or give the path of a .toml file")
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise ScenarioError(f"{name}: {len(data)} bytes; a scenario has {MAX_BYTES} at most")
        return data.decode()
    except OSError as error:
        raise ScenarioError(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{name}: not UTF-8 text: {error}") from error


def read_scenario(name: str) -> Scenario:
    """Return a scenario by name or path.

    Raises:
        ScenarioError: there is none, or something in it cannot be; the message names each line.
    """
    return scenario_of(text_of(name), name)


def scenario_of(document: str, name: str) -> Scenario:
    """Return the scenario that a document describes.

    Args:
        document: TOML.
        name: what errors call it.

    Raises:
        ScenarioError: it describes none.
    """
    try:
        fields = tomllib.loads(document)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ScenarioError(f"{name}: {error}") from error
    try:
        return Scenario.model_validate(fields)
    except ValidationError as error:
        raise ScenarioError("\n".join(_faults(error, fields, lines_of(document), name))) from error


def changed(scenario: Scenario, fields: Mapping[str, Any], limits: Iterable[str]) -> Scenario:
    """Return a scenario with other numbers, and with more thresholds: one over the same metric takes the other's place.

    Args:
        scenario: as its file has it.
        fields: by the names that they have in the file, and as they are written there.
        limits: like `unlock_ms.p99<250`.

    Raises:
        ScenarioError: a value that cannot be; the message names the flag.
    """
    try:
        added = [threshold_of(limit) for limit in limits]
    except ValueError as error:
        raise ScenarioError(f"--threshold: {error}") from error
    kept = [one for one in scenario.thresholds if one.metric not in {other.metric for other in added}]
    try:
        # The numbers alone: the rest of the scenario has been checked, and is no TOML any more.
        numbers = Numbers.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ScenarioError(f"--{first['loc'][0]}: {_explained(first)}") from error
    update = {name: getattr(numbers, name) for name in fields}
    return scenario.model_copy(update={**update, "thresholds": (*kept, *added)})


def _faults(error: ValidationError, fields: Mapping[str, Any], lines: dict[Place, int], name: str) -> Iterator[str]:
    told: set[Place] = set()
    for fault in error.errors(include_url=False):
        place = _place(fault, fields)
        # A value of several possible kinds is wrong in as many ways, and a list in what is wrong in it: one is enough.
        if not any(one[: len(place)] == place for one in told):
            told.add(place)
            yield f"{name}, line {line_of(lines, place)}: {_said(place)}: {_explained(fault)}"


def _place(fault: ErrorDetails, fields: Mapping[str, Any]) -> Place:
    """Return where a fault is in the document; Pydantic also names which of several kinds it has tried."""
    place: list[str | int] = []
    node: Any = fields
    for part in fault["loc"]:
        if isinstance(part, int) if isinstance(node, list) else isinstance(node, Mapping) and part in node:
            node = node[part]
            place.append(part)
    if fault["type"] == "missing":
        place.append(fault["loc"][-1])
    return tuple(place)


def _said(place: Place) -> str:
    """Return the key as people find it: steps are counted from 1."""
    return ".".join(f"{part + 1}" if isinstance(part, int) else part for part in place) or "the whole"


def _explained(fault: ErrorDetails) -> str:
    match fault["type"]:
        case "extra_forbidden":
            return "there is no such key"
        case "missing":
            return "is missing"
    return fault["msg"].removeprefix("Value error, ")
