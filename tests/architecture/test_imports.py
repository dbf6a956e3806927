"""Boundaries that no import contract can say, because they are lists of what is allowed rather than of what is not."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = {
    "paylatch/oracle.py": set[str](),
    "paylatch/histories.py": set[str](),
    "paylatch/client": {"paylatch.client", "lock_protocol", "aiomqtt", "httpx", "pydantic"},
    "broker_bridge/domain": {"broker_bridge.domain", "lock_protocol"},
    "lock_protocol": {"lock_protocol", "msgpack", "nacl"},
    "device_sim/phone": {"device_sim.phone", "lock_protocol"},
}
"""What each may import besides the standard library."""

PURE = ("lock_protocol", "broker_bridge/domain", "device_sim/phone")


def sources(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def imported_modules(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: import by the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(module: str, packages: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("place", ALLOWED)
def test_imports_the_standard_library_and_what_is_allowed_alone(place: str) -> None:
    imports = {(source.name, module) for source in sources(place) for module in imported_modules(source)}
    assert sources(place)
    foreign = {(name, module) for name, module in imports if module.split(".")[0] not in sys.stdlib_module_names}
    assert {each for each in foreign if not is_within(each[1], ALLOWED[place])} == set()


@pytest.mark.parametrize("place", PURE)
def test_pure_code_is_under_the_ban(place: str) -> None:
    configuration = (ROOT / place / "ruff.toml").read_text(encoding="utf-8")
    assert "banned-api" in configuration or "lock_protocol/ruff.toml" in configuration


@pytest.mark.parametrize("place", PURE)
def test_pure_code_switches_no_ban_off(place: str) -> None:
    assert [source for source in sources(place) if "TID25" in source.read_text(encoding="utf-8")] == []
