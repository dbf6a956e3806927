"""Lenders' API keys in the database."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, insert, select, update

from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.tables import api_keys, lenders
from broker_bridge.app.ports.signing import UnknownLenderError
from broker_bridge.app.records import Page
from broker_bridge.domain.access import ApiKey, KeyId, LastAdminKeyError, Scope
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True)
class SqlKeys:
    """The `ApiKeys` of `broker_bridge.app.ports.queries`, and what each request asks of them."""

    _read: Run
    _write: Run

    async def working(self, key_hash: bytes) -> ApiKey | None:
        """Return the API key that has this SHA-256, unless it is revoked."""
        query = select(api_keys).where(api_keys.c.key_hash == key_hash, api_keys.c.revoked_at == 0)
        return await self._read(lambda connection: _key_in(connection, query))

    async def all_of(self, lender: LenderId, after: str, limit: int) -> Page[ApiKey]:
        """Return a lender's API keys by id, from the one behind `after` on; revoked ones too."""
        mine = select(api_keys).where(api_keys.c.lender == lender, api_keys.c.key_id > after)
        rows = mine.order_by(api_keys.c.key_id).limit(limit + 1)
        found = await self._read(lambda one: [_key_of(row) for row in one.execute(rows).mappings()])
        items = found[:limit]
        return Page(items, items[-1].key_id if len(found) > limit else None)

    async def add(self, key: ApiKey) -> None:
        """Add an API key."""
        await self._write(lambda connection: insert_key(connection, key))

    async def revoke(self, lender: LenderId, key_id: KeyId, at: int, *, even_last_admin: bool = False) -> ApiKey | None:
        """Revoke an API key and return it as it is now; one that is revoked stays as it was. None: there is none such.

        Raises:
            LastAdminKeyError: it is the last working key with the scope `admin`, and that must stay.
        """
        # All working keys are locked, so that the last two do not revoke each other.
        working = select(api_keys).where(api_keys.c.lender == lender, api_keys.c.revoked_at == 0)
        locked = working.order_by(api_keys.c.key_id).with_for_update()
        mine = (api_keys.c.lender == lender, api_keys.c.key_id == key_id)

        def write(connection: Connection) -> ApiKey | None:
            keys = [_key_of(row) for row in connection.execute(locked).mappings()]
            admins = {key.key_id for key in keys if Scope.ADMIN in key.scopes}
            if admins == {key_id} and not even_last_admin:
                raise LastAdminKeyError(
                    f"{key_id} is the last admin key of {lender}; `paylatch key revoke` takes even that"
                )
            connection.execute(update(api_keys).where(*mine, api_keys.c.revoked_at == 0).values(revoked_at=at))
            return _key_in(connection, select(api_keys).where(*mine))

        return await self._write(write)

    async def put_last_uses(self, uses: Mapping[KeyId, int]) -> None:
        """Remember when keys were last used."""
        change = update(api_keys).where(api_keys.c.key_id == bindparam("key")).values(last_used_at=bindparam("at"))
        values = [{"key": key_id, "at": at} for key_id, at in sorted(uses.items())]
        await self._write(lambda connection: connection.execute(change, values))


def insert_key(connection: Connection, key: ApiKey) -> None:
    """Add a key.

    Raises:
        UnknownLenderError: nobody has added its lender.
    """
    known = select(lenders.c.lender).where(lenders.c.lender == key.lender)
    if connection.execute(known).scalar() is None:
        raise UnknownLenderError(f"there is no lender {key.lender}; `paylatch lender add` adds one")
    row = {field.name: getattr(key, field.name) for field in fields(key)}
    connection.execute(insert(api_keys).values(row | {"scopes": " ".join(sorted(key.scopes))}))


def _key_in(connection: Connection, query: Select[Any]) -> ApiKey | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else _key_of(row)


def _key_of(row: RowMapping) -> ApiKey:
    return ApiKey(**{**row, "scopes": frozenset(map(Scope, row["scopes"].split()))})
