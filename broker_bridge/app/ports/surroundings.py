"""Time and the log, as the use cases need them."""

from typing import Any, Protocol


class Clock(Protocol):
    """Time, as the bridge may use it."""

    def now(self) -> int:
        """Return the wall clock, whole seconds UTC."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""


class Log(Protocol):
    """Structured log: an event and its fields (structlog's bound logger fits)."""

    def info(self, event: str, **fields: Any) -> object:
        """Something worth knowing happened."""

    def warning(self, event: str, **fields: Any) -> object:
        """Something went wrong that mends itself."""

    def critical(self, event: str, **fields: Any) -> object:
        """Somebody has to look now."""
