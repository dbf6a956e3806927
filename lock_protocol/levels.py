"""The closed vocabularies of the wire: levels, reasons, operations, signals, conditions, results."""

from enum import IntEnum, IntFlag


class Level(IntEnum):
    """What the borrower can do with the phone. No level blocks emergency calls, incoming calls or alerts."""

    UNLOCKED = 0
    NOTICE = 1
    REMINDER = 2
    RESTRICTED = 3
    LOCKED = 4
    RELEASED = 9

    @property
    def is_open(self) -> bool:
        """Whether the phone can be used freely: unlocked, or a mere notice."""
        return self <= Level.NOTICE


class Reason(IntEnum):
    """Why the lender asks for this level; shown to the borrower, never decisive."""

    OVERDUE = 1
    LEASE_EXPIRED = 2
    SIM_CHANGED = 3
    LOST_OR_STOLEN = 4
    SETTLED = 5
    PAID = 6
    GRACE = 7
    DISPUTE = 8
    ENROLLED = 9
    TAMPER = 10
    SUPPORT = 11


class Ops(IntFlag):
    """What a delegated key may sign."""

    LOCK = 1
    UNLOCK = 2
    RELEASE = 4
    FRESH = 8


class Signals(IntFlag):
    """What a phone has noticed about itself; policy decides what follows."""

    SIM = 1
    BOOTLOADER = 2
    DEBUG = 4
    INTEGRITY = 8
    CLOCK = 16
    EDL = 32
    FLOOR_LOST = 64


class Condition(IntEnum):
    """How the effective level relates to the state that the phone holds."""

    NONE = 0
    APPLIED = 1
    PROVISIONAL = 2
    APPLY_FAILED = 3
    LEASE_FIRED = 4
    CODE_OPEN = 5


class Result(IntEnum):
    """What a phone reports about one message (or, `OBSERVED`, about itself)."""

    APPLIED = 0
    FAILED = 1
    REFUSED = 2
    OBSERVED = 3


_OPERATION = {
    Level.UNLOCKED: Ops.UNLOCK,
    Level.NOTICE: Ops.UNLOCK,
    Level.REMINDER: Ops.LOCK,
    Level.RESTRICTED: Ops.LOCK,
    Level.LOCKED: Ops.LOCK,
    Level.RELEASED: Ops.RELEASE,
}
# Written out once: flags are joined by code of the enumeration, at a cost that every message would pay.
_REQUIRED = {(level, then): _OPERATION[level] | _OPERATION[then] for level in Level for then in Level}


def operations_required(level: Level, lease_then: Level) -> Ops:
    """Return the operations whose keys must have signed a state with this level and lease.

    They are read off the state, not off the change, so that the phone needs no history to judge a signature.
    `lease_then` counts like a level: an open state that will lock by itself needs the lock key as well.
    """
    return _REQUIRED[level, lease_then]
