"""What a lender's delegation lets the bridge ask of a phone: the phone would refuse the rest, so it is never signed."""

from dataclasses import replace

from lock_protocol.levels import Level
from lock_protocol.messages import Delegation, Notice, hosts_of
from lock_protocol.schema import MAX_TIME

from broker_bridge.domain.policy import Wish


class NotDelegatedError(Exception):
    """The lender's delegation does not allow this; the root's owners have to make another one."""


class LinkNotDelegatedError(Exception):
    """The notice links to a host that the lender's delegation does not name."""


def require_authority(wish: Wish, delegation: Delegation, at: int) -> None:
    """Refuse a wish that phones would refuse at `at` (seconds UTC).

    An expired delegation still opens and releases, so that nobody who has paid waits for a ceremony.

    Raises:
        NotDelegatedError: expired, or a level above the cap.
    """
    closes = not (wish.level.is_open or wish.level is Level.RELEASED)
    if closes and at > delegation.expires_at:
        raise NotDelegatedError(f"the delegation of {delegation.lender} expired at {delegation.expires_at}")
    if wish.level is not Level.RELEASED and wish.level > delegation.max_level:
        cap = delegation.max_level.name.lower()
        raise NotDelegatedError(f"level {wish.level.name.lower()} is above the delegation's cap, {cap}")


def require_link(pay_url: str | None, delegation: Delegation) -> None:
    """Refuse a link to pay that phones would refuse to show.

    Raises:
        LinkNotDelegatedError: it leads to a host that the delegation does not name.
    """
    foreign = hosts_of(pay_url or "").difference(delegation.hosts)
    if foreign:
        allowed = ", ".join(delegation.hosts)
        raise LinkNotDelegatedError(f"links to {', '.join(sorted(foreign))}; the delegation names {allowed}")


def within(wish: Wish, delegation: Delegation, at: int) -> Wish:
    """Return a wish as phones accept it at `at` (seconds UTC): with a lease that they take, or with none.

    A lease is a safeguard, so one that is too long is shortened, and one that cannot be is left out: an expired
    delegation still opens, without one. A link to a host that the delegation no longer names is left out as well: it
    was there when the link was taken, and nobody who has paid waits for another.
    """
    if wish.notice.hosts().difference(delegation.hosts):
        wish = replace(wish, notice=_delegated(wish.notice, delegation))
    lease = wish.lease
    if lease is None:
        return wish
    then, until = min(lease.then, delegation.max_level), min(lease.until, at + delegation.max_lease_s, MAX_TIME)
    expired = at > delegation.expires_at and not then.is_open
    if expired or then is wish.level or until - lease.warn_s <= at:
        return replace(wish, lease=None)
    term_s = min(lease.term_s, delegation.max_lease_s)
    return replace(wish, lease=replace(lease, then=then, until=until, term_s=term_s))


def _delegated(notice: Notice, delegation: Delegation) -> Notice:
    """Return a notice without links to hosts that the delegation does not name."""
    pay, appeal = (
        "" if hosts_of(url).difference(delegation.hosts) else url for url in (notice.pay_url, notice.appeal_url)
    )
    return replace(notice, pay_url=pay, appeal_url=appeal)
