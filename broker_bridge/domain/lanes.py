"""The three lanes: which change may overtake which."""

from enum import IntEnum

from lock_protocol.levels import Level


class Lane(IntEnum):
    """Ordered by urgency: the smaller goes first."""

    OPENING = 0
    KEEPING = 1
    CLOSING = 2


FIRST_LANE = Lane.KEEPING
"""The lane of a phone's very first state: it opens nothing, as there was nothing to close the phone before.

Lenders enrol a whole book at once; among the openings it would stand before payers, and be repeated for phones that are
still in their boxes and say hello when they are switched on.
"""


def lane_of(level: Level, reported: Level | None) -> Lane:
    """Return the lane of a state, seen from the level that its phone reported last (None: unknown)."""
    if level == reported:
        return Lane.KEEPING
    if level is Level.RELEASED:
        return Lane.OPENING
    if reported is None:
        return Lane.OPENING if level.is_open else Lane.CLOSING
    return Lane.OPENING if level < reported else Lane.CLOSING
