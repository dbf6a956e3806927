"""API keys: who they are of, what they may do, and that a revoked one is none."""

from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from broker_bridge.adapters.store.migrate import upgrade
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.signing import UnknownLenderError
from broker_bridge.domain.access import ApiKey, KeyId, LastAdminKeyError, Scope, first_key, key_id_of
from lock_protocol.messages import LenderId
from tests.bridge_rig import ACME

OTHER = LenderId("other-lender")
FIRST = key_id_of(b"k" * 32)
"""The key that the fixture has added with the lender."""


def reader(seed: bytes = b"r", **fields: object) -> ApiKey:
    key = replace(first_key(ACME, seed * 32, at=7), name="reader", scopes=frozenset({Scope.PHONES_READ}))
    return replace(key, **fields)  # type: ignore[arg-type]  # what a test names is a field


async def all_keys(store: SqlStore, lender: LenderId = ACME) -> list[ApiKey]:
    return list((await store.keys.all_of(lender, "", 100)).items)


async def test_a_lenders_first_key_may_do_everything(store: SqlStore) -> None:
    found = await store.keys.working(b"k" * 32)
    assert found == first_key(ACME, b"k" * 32, at=1)
    assert found.scopes == {Scope.ADMIN}


async def test_a_key_is_found_as_it_was_added(store: SqlStore) -> None:
    key = reader(scopes=frozenset({Scope.PHONES_READ, Scope.SUPPORT}))
    await store.keys.add(key)
    assert await store.keys.working(b"r" * 32) == key


async def test_a_key_of_an_unknown_lender_is_refused(store: SqlStore) -> None:
    with pytest.raises(UnknownLenderError, match="paylatch lender add"):
        await store.keys.add(reader(lender=OTHER))


async def test_a_revoked_key_works_no_more_and_is_still_listed(store: SqlStore) -> None:
    await store.keys.add(reader())
    revoked = await store.keys.revoke(ACME, reader().key_id, at=9)
    assert revoked == reader(revoked_at=9)
    assert await store.keys.working(b"r" * 32) is None
    assert revoked in await all_keys(store)


async def test_a_key_is_revoked_once(store: SqlStore) -> None:
    await store.keys.add(reader())
    await store.keys.revoke(ACME, reader().key_id, at=9)
    assert await store.keys.revoke(ACME, reader().key_id, at=10) == reader(revoked_at=9)


async def test_another_lenders_key_cannot_be_revoked(store: SqlStore) -> None:
    await store.lenders.add(OTHER, b"o" * 32, at=1)
    assert await store.keys.revoke(OTHER, FIRST, at=9) is None
    assert await store.keys.working(b"k" * 32) is not None


async def test_the_last_admin_key_is_revoked_only_when_that_is_meant(store: SqlStore) -> None:
    await store.keys.add(reader())
    await store.lenders.add(OTHER, b"o" * 32, at=1)  # whose admin key is no help
    with pytest.raises(LastAdminKeyError, match=FIRST):
        await store.keys.revoke(ACME, FIRST, at=9)
    assert await store.keys.working(b"k" * 32) is not None
    await store.keys.revoke(ACME, FIRST, at=9, even_last_admin=True)
    assert await store.keys.working(b"k" * 32) is None


async def test_an_admin_key_may_go_while_another_stays(store: SqlStore) -> None:
    await store.lenders.add(ACME, b"2" * 32, at=1)
    assert await store.keys.revoke(ACME, FIRST, at=9) is not None
    with pytest.raises(LastAdminKeyError):
        await store.keys.revoke(ACME, key_id_of(b"2" * 32), at=9)


async def test_keys_are_listed_lender_by_lender_page_by_page(store: SqlStore) -> None:
    await store.lenders.add(OTHER, b"o" * 32, at=1)
    await store.keys.add(reader())
    first = await store.keys.all_of(ACME, "", 1)
    assert first.next_token is not None
    second = await store.keys.all_of(ACME, first.next_token, 1)
    assert second.next_token is None
    assert {key.key_id for key in (*first.items, *second.items)} == {FIRST, reader().key_id}
    assert {key.lender for key in await all_keys(store, OTHER)} == {OTHER}


async def test_the_last_use_of_many_keys_is_remembered(store: SqlStore) -> None:
    await store.keys.add(reader())
    await store.keys.put_last_uses({FIRST: 100, reader().key_id: 200, KeyId("key_none"): 300})
    assert {key.key_id: key.last_used_at for key in await all_keys(store)} == {FIRST: 100, reader().key_id: 200}


async def test_a_key_of_before_there_were_scopes_still_does_everything(empty_database: str) -> None:
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        upgrade(connection, "0001")
        connection.execute(text("INSERT INTO lenders VALUES ('acme-mobile', 1)"))
        row = {"key": b"k" * 32}
        connection.execute(text("INSERT INTO api_keys VALUES (:key, 'acme-mobile', 1)"), row)
    engine.dispose()
    async with SqlStore(empty_database) as opened:
        assert await opened.keys.working(b"k" * 32) == first_key(ACME, b"k" * 32, at=1)
