"""What each scope allows."""

from dataclasses import replace

import pytest

from broker_bridge.domain.access import SUPPORT_DECISIONS, Scope, effective, first_key, key_id_of, may_decide
from broker_bridge.domain.decisions import DecisionType
from lock_protocol.messages import LenderId


def test_admin_is_every_scope() -> None:
    assert effective({Scope.ADMIN}) == set(Scope)


def test_support_sees_phones() -> None:
    assert effective({Scope.SUPPORT}) == {Scope.SUPPORT, Scope.PHONES_READ}


@pytest.mark.parametrize("scope", [one for one in Scope if one not in (Scope.ADMIN, Scope.SUPPORT)])
def test_every_other_scope_is_itself_alone(scope: Scope) -> None:
    assert effective({scope}) == {scope}


def test_scopes_add_up() -> None:
    held = effective({Scope.DECISIONS_WRITE, Scope.SUPPORT})
    assert held == {Scope.DECISIONS_WRITE, Scope.SUPPORT, Scope.PHONES_READ}


@pytest.mark.parametrize("kind", DecisionType)
@pytest.mark.parametrize("scope", Scope)
def test_who_may_send_which_decision(scope: Scope, kind: DecisionType) -> None:
    anything = scope in (Scope.DECISIONS_WRITE, Scope.ADMIN)
    assert may_decide({scope}, kind) == (anything or (scope is Scope.SUPPORT and kind in SUPPORT_DECISIONS))


def test_support_tells_nothing_of_payments_and_of_thefts() -> None:
    assert {kind for kind in DecisionType if not may_decide({Scope.SUPPORT}, kind)} == {
        DecisionType.PAYMENT_DUE,
        DecisionType.PAYMENT_OVERDUE,
        DecisionType.PAYMENT_RECEIVED,
        DecisionType.LOAN_SETTLED,
        DecisionType.LOST_OR_STOLEN,
        DecisionType.RECOVERED,
    }


def test_a_key_has_at_least_one_scope() -> None:
    key = first_key(LenderId("acme"), bytes(32), at=1)
    with pytest.raises(ValueError, match="at least one scope"):
        replace(key, scopes=frozenset())


def test_a_keys_id_tells_keys_apart_and_does_not_tell_the_hash() -> None:
    one, other = key_id_of(b"1" * 32), key_id_of(b"2" * 32)
    assert one != other
    assert one.startswith("key_")
    assert len(one) == 20
