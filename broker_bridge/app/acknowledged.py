"""Acknowledged publishes that the database does not know of yet.

A phone's word comes a few milliseconds behind the broker's PUBACK. So a PUBACK waits a moment for that word, and both
are written in one commit instead of two: reading and writing a phone's rows is most of what either costs.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice, takewhile

from broker_bridge.app.sent import Ack
from lock_protocol.imei import Imei

AWAIT_WORD_S = 0.5
"""How long a PUBACK waits for the phone's word: longer than a commit of a busy bridge, and nobody looks for less."""
MOST = 10_000
"""So many wait here at most before nothing but openings goes out: the database does not keep up, and memory ends."""


@dataclass(slots=True)
class Acknowledged:
    """PUBACKs in the order in which they came. Each stays here until it is durable."""

    _since: dict[Ack, float] = field(default_factory=dict)
    _newest: dict[Imei, Ack] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether nothing should be added but what cannot wait."""
        return len(self._since) >= MOST

    def add(self, ack: Ack, now: float) -> None:
        """Take a PUBACK that came `now`, by the monotonic clock."""
        self._since[ack] = now
        self._newest[ack.imei] = ack

    def of(self, imei: Imei) -> Ack | None:
        """Return a phone's newest PUBACK, for the commit of its word. It stays here."""
        return self._newest.get(imei)

    def has(self, imei: Imei, order: tuple[int, int]) -> bool:
        """Return whether this state of a phone is among them: the database still takes it for one to publish."""
        ack = self._newest.get(imei)
        return ack is not None and ack.order == order

    def wait(self, now: float) -> float | None:
        """Return in how many seconds the oldest has waited long enough, or None when there is none."""
        oldest = next(iter(self._since.values()), None)
        return None if oldest is None else max(oldest + AWAIT_WORD_S - now, 0.0)

    def due(self, now: float, limit: int) -> list[Ack]:
        """Return those that have waited long enough, the oldest first and at most so many. They stay here."""
        waited = takewhile(lambda ack: self._since[ack] + AWAIT_WORD_S <= now, self._since)
        return list(islice(waited, limit))

    def durable(self, acks: Collection[Ack]) -> list[Ack]:
        """Forget what has been committed; return what was not forgotten before."""
        known = [ack for ack in acks if self._since.pop(ack, None) is not None]
        for ack in known:
            if self._newest.get(ack.imei) == ack:
                del self._newest[ack.imei]
        return known
