"""When the bridge may sign, and with which time: payers never wait for a wrong clock."""

from dataclasses import dataclass

from lock_protocol.compiling import quick

MAX_AHEAD_S = 3600


@quick
@dataclass(frozen=True, slots=True)
class SigningTime:
    """The time to sign with (seconds UTC), and why closing states are not to be signed now, if so."""

    at: int
    suspicion: str | None


def signing_time(now: int, last_signed_at: int, elapsed_s: float | None) -> SigningTime:
    """Return the time to sign with.

    Args:
        now: the bridge's wall clock, seconds UTC.
        last_signed_at: the newest time ever signed with; 0 for none.
        elapsed_s: monotonic seconds since then; None when that is not known (the process has started since).
    """
    if now < last_signed_at:
        return SigningTime(last_signed_at, f"the clock is {last_signed_at - now} s behind the last signed time")
    if elapsed_s is not None and last_signed_at and now > last_signed_at + elapsed_s + MAX_AHEAD_S:
        ahead = now - last_signed_at - int(elapsed_s)
        return SigningTime(last_signed_at + int(elapsed_s), f"the clock jumped {ahead} s ahead")
    return SigningTime(now, None)
