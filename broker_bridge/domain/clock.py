"""When the bridge may sign, and with which time: payers never wait for a wrong clock."""

from dataclasses import dataclass

from lock_protocol.compiling import quick
from lock_protocol.schema import MAX_TIME

MAX_JUMP_S = 3600
"""How far ahead of what it has to be the wall clock may be and still be believed."""
MAX_BEHIND_S = 5
"""How far the clocks of two bridges on one database may be apart: the one behind signs with the other one's time."""
MAX_REST_S = 7 * 86_400
"""For how long no bridge may have run until a clock that has gone on meanwhile needs a person's word for it."""

_ASK_FOR_A_WORD = "; if it is right, say so with `paylatch bridge confirm-clock`"


@quick
@dataclass(frozen=True, slots=True)
class SigningTime:
    """The time to sign with (seconds UTC), and why closing states are not to be signed now, if so."""

    at: int
    suspicion: str | None


def signing_time(now: int, last_signed_at: int, expected_at: int | None) -> SigningTime:
    """Return the time to sign with.

    Args:
        now: the bridge's wall clock, seconds UTC.
        last_signed_at: the newest time ever signed with, by whichever bridge; 0 for none.
        expected_at: what the wall clock has to be by the monotonic one, seconds UTC; None when that is not known (this
            process has signed nothing yet). Then all that is known is how long no bridge has run.
    """
    if now > MAX_TIME:
        # Nothing can be signed with it. A clock that has never been set may show anything, and payers do not wait.
        return SigningTime(
            min(max(last_signed_at, expected_at or 0), MAX_TIME), f"the clock is past {MAX_TIME}, where times end"
        )
    if now < last_signed_at:
        behind = last_signed_at - now
        suspicion = f"the clock is {behind} s behind the last signed time" if behind > MAX_BEHIND_S else None
        return SigningTime(last_signed_at, suspicion)
    if expected_at is not None and now > max(last_signed_at, expected_at) + MAX_JUMP_S:
        likely = max(last_signed_at, expected_at)
        return SigningTime(likely, f"the clock jumped {now - likely} s ahead{_ASK_FOR_A_WORD}")
    if expected_at is None and last_signed_at and now > last_signed_at + MAX_REST_S:
        days = (now - last_signed_at) // 86_400
        return SigningTime(
            last_signed_at,
            f"the clock is {days} days ahead of the last time that a bridge ran{_ASK_FOR_A_WORD}",
        )
    return SigningTime(now, None)
