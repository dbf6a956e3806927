"""What a fleet has done, in numbers."""

from collections import Counter

from device_sim.fleet.process import resident_bytes
from device_sim.phone.effects import Happening, Observed
from lock_protocol.levels import Level


class Counters:
    """Running totals over all phones since the fleet started."""

    def __init__(self) -> None:
        self.happenings: Counter[Happening] = Counter()
        self.refusals: Counter[str] = Counter()
        self.applies = 0
        self.locks = 0
        """Times a phone came to be locked (level 4)."""
        self.unlocks = 0
        """Times a phone came to be open (level 0 or 1, or released) from above that."""
        self.connects = 0
        self.online = 0
        """Phones that are connected and subscribed now."""
        self.storage_failures = 0
        self.empty_bytes = resident_bytes()
        """Memory of the process before it had phones."""

    def count(self, observed: Observed) -> None:
        """Count what a step was about."""
        self.happenings[observed.happening] += 1
        if observed.refusal:
            self.refusals[observed.refusal] += 1

    def count_level(self, before: Level, after: Level) -> None:
        """Count a change of the level applied."""
        if after is not before:
            self.locks += after is Level.LOCKED
            self.unlocks += after in _USABLE and before not in _USABLE

    @property
    def refused(self) -> int:
        """Messages refused, of all kinds."""
        return self.refusals.total()


_USABLE = {level for level in Level if level.is_open or level is Level.RELEASED}
