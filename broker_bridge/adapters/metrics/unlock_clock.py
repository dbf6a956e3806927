"""The unlock clock: from the acceptance of a decision that opens a phone to the phone's proof that it is open."""

from collections.abc import Callable, Iterable

from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.app.records import Command
from broker_bridge.domain.commands import Status
from broker_bridge.domain.lanes import Lane
from lock_protocol.imei import Imei

MAX_RUNNING = 100_000
"""How many phones are timed at once; of the oldest beyond that only whole seconds are known."""


class UnlockClock:
    """Times openings, one for each phone: a payment is as long on its way as its phone stays closed.

    A second payment, or the same opening signed anew, does not start over. A lock that overtakes the opening ends it
    untimed. What this process did not see begin (a restart lies between) is timed by the database's whole seconds, and
    so is what it may not have seen end: another bridge had the broker meanwhile.
    """

    def __init__(self, clock: Clock, observe: Callable[[float], object]) -> None:
        """Take the time, and who is told each duration in seconds."""
        self._clock = clock
        self._observe = observe
        self._running: dict[Imei, float] = {}

    @property
    def running(self) -> int:
        """How many openings that this process accepted are still unproven."""
        return len(self._running)

    def forget(self) -> None:
        """Time what runs now by whole seconds, where it has not been proven to another bridge long ago."""
        self._running.clear()

    def follow(self, moved: Iterable[Command]) -> None:
        """Take note of commands that a commit has brought into another status."""
        for command in moved:
            if command.status is Status.QUEUED:
                self._queued(command)
            elif command.status is Status.SUCCEEDED and command.lane is Lane.OPENING:
                self._stop(command)

    def _queued(self, command: Command) -> None:
        if command.lane is Lane.CLOSING:
            self._running.pop(command.imei, None)
        elif command.lane is Lane.OPENING and command.decision_id is not None:
            self._start(command.imei)

    def _start(self, imei: Imei) -> None:
        if imei in self._running:
            return
        if len(self._running) >= MAX_RUNNING:
            del self._running[next(iter(self._running))]
        self._running[imei] = self._clock.monotonic()

    def _stop(self, command: Command) -> None:
        started = self._running.pop(command.imei, None)
        if started is not None:
            self._observe(self._clock.monotonic() - started)
        elif command.decision_id is not None:
            self._observe(max(self._clock.now() - command.created_at, 0))
