"""The canary: how much of what was published the broker still has.

A broker that was killed may come back with older retained states, every one of which it had acknowledged. So publishes
are numbered, and once all up to `n` are acknowledged, a pair `(token, n)` is stored and then published, retained. What
the broker restores is a picture of one moment: when the pair is in it, every publish up to `n` is in it as well.

Several bridges may share a database and have the connection by turns. Each goes on above the highest number that the
database knows: below the canary of another, its publishes would count as kept by a broker that has lost them.
"""

from dataclasses import dataclass, field

from lock_protocol.codec import pack, read_first


@dataclass(slots=True)
class PublishNumbers:
    """Numbers publishes and knows up to which one all are settled."""

    last: int = 0
    _open: dict[int, None] = field(default_factory=dict)

    def take(self) -> int:
        """Return the number of the next publish."""
        self.last += 1
        self._open[self.last] = None
        return self.last

    def go_on_from(self, number: int) -> None:
        """Give out none up to this number any more."""
        self.last = max(self.last, number)

    def settle(self, number: int) -> None:
        """Note that a publish was acknowledged, or will be made again under another number."""
        del self._open[number]

    @property
    def settled(self) -> int:
        """The highest number up to which every publish is settled."""
        return next(iter(self._open)) - 1 if self._open else self.last


def encode_canary(token: str, number: int) -> bytes:
    """Return the payload of a canary."""
    return pack((token, number))


def decode_canary(payload: bytes) -> str | None:
    """Return the token in a canary, or None when it is none: then nothing is known of what the broker has.

    The number is looked up by the token in the database and never believed from here.
    """
    try:
        values = read_first(payload)
    except ValueError:
        return None
    match values:
        case (str(token), int()):
            return token
        case _:
            return None
