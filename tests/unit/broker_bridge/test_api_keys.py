"""API keys as they are made."""

from broker_bridge.app.api_keys import new_key
from broker_bridge.domain.access import Scope, api_key_hash, key_id_of
from lock_protocol.messages import LenderId

ACME = LenderId("acme")


def test_what_is_stored_of_a_key_is_found_by_the_key_that_its_holder_sends() -> None:
    key, secret = new_key(ACME, "crm", [Scope.SUPPORT], at=7)
    assert key.key_hash == api_key_hash(secret)
    assert key.key_id == key_id_of(key.key_hash)
    assert (key.lender, key.name, key.scopes, key.created_at) == (ACME, "crm", frozenset({Scope.SUPPORT}), 7)


def test_what_is_stored_of_a_key_does_not_hold_it() -> None:
    key, secret = new_key(ACME, "crm", [Scope.SUPPORT], at=7)
    assert secret.removeprefix("pl_") not in repr(key)


def test_no_two_keys_are_the_same() -> None:
    assert len({new_key(ACME, "crm", [Scope.SUPPORT], at=7)[1] for _ in range(100)}) == 100
