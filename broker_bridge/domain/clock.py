"""When the bridge may sign, and with which time: payers never wait for a wrong clock."""

from dataclasses import dataclass

from lock_protocol.compiling import quick
from lock_protocol.schema import MAX_TIME

MAX_JUMP_S = 3600
"""How far ahead of what it has to be the wall clock may be and still be believed."""


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
            process has signed nothing yet).
    """
    if now > MAX_TIME:
        # Nothing can be signed with it. A clock that has never been set may show anything, and payers do not wait.
        return SigningTime(
            min(max(last_signed_at, expected_at or 0), MAX_TIME), f"the clock is past {MAX_TIME}, where times end"
        )
    if now < last_signed_at:
        return SigningTime(last_signed_at, f"the clock is {last_signed_at - now} s behind the last signed time")
    if expected_at is not None and now > max(last_signed_at, expected_at) + MAX_JUMP_S:
        likely = max(last_signed_at, expected_at)
        return SigningTime(likely, f"the clock jumped {now - likely} s ahead")
    return SigningTime(now, None)
