"""What a delegation lets the bridge ask of a phone."""

from dataclasses import replace
from typing import Any

import pytest

from broker_bridge.domain.authority import (
    LinkNotDelegatedError,
    NotDelegatedError,
    require_authority,
    require_link,
    within,
)
from broker_bridge.domain.policy import Lease, Wish
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import Notice
from lock_protocol.schema import MAX_TIME
from lock_protocol.trust import verify_delegation
from tests.loopback.lender import DAY, EPOCH_BEGIN, Lender

NOW = EPOCH_BEGIN + DAY
DELEGATION = verify_delegation(Lender().authority.root, Lender().delegation)
EXPIRED = DELEGATION.expires_at + 1


def wish(level: Level, **fields: Any) -> Wish:
    return Wish(level=level, reason=Reason.OVERDUE, **fields)


@pytest.mark.parametrize("level", [Level.UNLOCKED, Level.NOTICE, Level.RELEASED])
def test_an_expired_delegation_still_opens_and_releases(level: Level) -> None:
    require_authority(wish(level), DELEGATION, EXPIRED)


@pytest.mark.parametrize("level", [Level.REMINDER, Level.RESTRICTED, Level.LOCKED])
def test_an_expired_delegation_closes_nothing(level: Level) -> None:
    require_authority(wish(level), DELEGATION, NOW)
    with pytest.raises(NotDelegatedError, match=r"acme-mobile expired at"):
        require_authority(wish(level), DELEGATION, EXPIRED)


def test_a_delegation_closes_in_its_last_second_as_phones_take_it() -> None:
    require_authority(wish(Level.LOCKED), DELEGATION, DELEGATION.expires_at)


def test_no_level_is_above_the_cap() -> None:
    capped = replace(DELEGATION, max_level=Level.RESTRICTED)
    require_authority(wish(Level.RELEASED), capped, NOW)
    with pytest.raises(NotDelegatedError, match=r"locked is above the delegation's cap, restricted"):
        require_authority(wish(Level.LOCKED), capped, NOW)


def test_a_link_leads_to_a_host_of_the_delegation() -> None:
    require_link(None, DELEGATION)
    require_link("https://pay.example/1", DELEGATION)
    with pytest.raises(LinkNotDelegatedError, match=r"links to evil\.example; the delegation names pay\.example"):
        require_link("https://evil.example/1", DELEGATION)


def test_a_link_that_is_delegated_no_more_is_left_out_and_holds_up_nothing() -> None:
    notice = Notice(title="Due", pay_url="https://gone.example/1", appeal_url="https://pay.example/help")
    shown = within(wish(Level.NOTICE, notice=notice), DELEGATION, NOW).notice
    assert shown == replace(notice, pay_url="")


def test_a_lease_is_as_long_and_as_high_as_delegated_or_not_there() -> None:
    lease = Lease(until=NOW + 200 * DAY, then=Level.LOCKED, warn_s=DAY, term_s=200 * DAY)
    open_wish = wish(Level.UNLOCKED, lease=lease)
    shorter = within(open_wish, DELEGATION, NOW).lease
    assert shorter == replace(lease, until=NOW + 90 * DAY)
    assert shorter is not None
    assert shorter.term_s == 90 * DAY
    lower = within(open_wish, replace(DELEGATION, max_level=Level.REMINDER), NOW).lease
    assert lower is not None
    assert lower.then is Level.REMINDER
    for other in (
        replace(DELEGATION, max_lease_s=DAY),
        replace(DELEGATION, max_level=Level.UNLOCKED),
        replace(DELEGATION, expires_at=NOW - 1),
    ):
        assert within(open_wish, other, NOW).lease is None


def test_an_expired_delegation_keeps_a_lease_that_opens() -> None:
    lease = Lease(until=EXPIRED + DAY, then=Level.UNLOCKED, term_s=DAY)
    assert within(wish(Level.NOTICE, lease=lease), DELEGATION, EXPIRED).lease is not None


def test_no_lease_ends_when_no_time_is_left() -> None:
    lasting = replace(DELEGATION, expires_at=MAX_TIME)
    lease = Lease(until=MAX_TIME + DAY, then=Level.LOCKED, term_s=2 * DAY)
    shortened = within(wish(Level.UNLOCKED, lease=lease), lasting, MAX_TIME - DAY).lease
    assert shortened is not None
    assert shortened.until == MAX_TIME
