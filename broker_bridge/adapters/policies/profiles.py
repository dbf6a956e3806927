"""The policies that ship, by name: `profiles/*.toml`."""

from functools import cache
from pathlib import Path

from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.domain.policy import Policy

_DIRECTORY = Path(__file__).with_name("profiles")


class UnknownProfileError(Exception):
    """No policy ships under this name."""


def profile_names() -> list[str]:
    """Return the names of all profiles."""
    return sorted(path.stem for path in _DIRECTORY.glob("*.toml"))


def profile_document(name: str) -> str:
    """Return a profile's document.

    Raises:
        UnknownProfileError: there is none of this name.
    """
    if name not in profile_names():
        raise UnknownProfileError(f"{name!r} is none of {', '.join(profile_names())}")
    return (_DIRECTORY / f"{name}.toml").read_text(encoding="utf-8")


@cache
def profile(name: str) -> Policy:
    """Return a profile as a policy.

    Raises:
        UnknownProfileError: there is none of this name.
    """
    return read_policy(profile_document(name))
