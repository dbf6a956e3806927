"""The log of what phones bring about, in which no phone fills the disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from broker_bridge.app.ports.surroundings import Clock, Log

LOG_AGAIN_S = 60.0
"""The same is logged of the same phone no more often than this."""

MOST_REMEMBERED = 10_000
"""How many events are remembered; then all are forgotten, and logged once more."""


@dataclass(frozen=True, slots=True)
class PhonesLog:
    """Logs each event once a minute for each thing that it is about; what comes in between is dropped."""

    log: Log
    clock: Clock
    _logged: dict[tuple[str, str], float] = field(default_factory=dict)
    """When what was logged, by event and what it was about; by the monotonic clock."""

    def about(self, about: str, /, **fields: object) -> Log:
        """Return the log for one thing.

        Args:
            about: what is the same: a phone, or something of one. Nothing in it may be of a phone's own choosing.
            fields: what is logged with each event.
        """
        return _LogOfOne(self, about, fields)

    def take(self, event: str, about: str) -> bool:
        """Note that an event is to be logged, and return whether it is: not when it has just been."""
        # By the writer's thread and the event loop: at worst, both log the same.
        now = self.clock.monotonic()
        if now - self._logged.get((event, about), -LOG_AGAIN_S) < LOG_AGAIN_S:
            return False
        if len(self._logged) >= MOST_REMEMBERED:
            self._logged.clear()
        self._logged[event, about] = now
        return True


@dataclass(frozen=True, slots=True)
class _LogOfOne:
    """The `Log` of one thing."""

    phones: PhonesLog
    about: str
    fields: Mapping[str, object]

    def info(self, event: str, **fields: object) -> None:
        self._write(self.phones.log.info, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write(self.phones.log.warning, event, fields)

    def critical(self, event: str, **fields: object) -> None:
        self._write(self.phones.log.critical, event, fields)

    def _write(self, write: Callable[..., object], event: str, fields: Mapping[str, object]) -> None:
        if self.phones.take(event, self.about):
            write(event, **self.fields, **fields)
