"""Lenders and their API keys in the database."""

from collections.abc import Mapping
from dataclasses import fields

from sqlalchemy import Connection, RowMapping, bindparam, exists, func, insert, select, update

from broker_bridge.adapters.store.statements import insert_missing
from broker_bridge.adapters.store.tables import api_keys, lenders, phones
from broker_bridge.app.ports.signing import UnknownLenderError
from broker_bridge.app.records import LenderSummary
from broker_bridge.domain.access import ApiKey, KeyId, LastAdminKeyError, Scope
from lock_protocol.messages import LenderId


def working_key(connection: Connection, key_hash: bytes) -> ApiKey | None:
    """Return the key that has this hash, unless it is revoked."""
    query = select(api_keys).where(api_keys.c.key_hash == key_hash, api_keys.c.revoked_at == 0)
    row = connection.execute(query).mappings().first()
    return None if row is None else _key_of(row)


def keys_of(connection: Connection, lender: LenderId, after: str, limit: int) -> list[ApiKey]:
    """Return a lender's keys by id, from the one behind `after` on; revoked ones too."""
    mine = select(api_keys).where(api_keys.c.lender == lender, api_keys.c.key_id > after)
    rows = connection.execute(mine.order_by(api_keys.c.key_id).limit(limit)).mappings()
    return [_key_of(row) for row in rows]


def insert_lender(connection: Connection, lender: LenderId, at: int) -> None:
    """Add a lender, unless it is there."""
    insert_missing(connection, lenders, lender=lender, created_at=at)


def all_lenders(connection: Connection) -> list[LenderSummary]:
    """Return every lender, with how many phones and working keys it has."""
    working = select(func.count()).where(api_keys.c.lender == lenders.c.lender, api_keys.c.revoked_at == 0)
    enrolled = select(func.count()).where(phones.c.lender == lenders.c.lender)
    counts = enrolled.scalar_subquery().label("phones"), working.scalar_subquery().label("keys")
    query = select(lenders.c.lender, lenders.c.created_at, *counts).order_by(lenders.c.lender)
    return [LenderSummary(**row) for row in connection.execute(query).mappings()]


def lenders_with_phones(connection: Connection) -> list[LenderId]:
    """Return the lenders that have enrolled a phone."""
    query = select(lenders.c.lender).where(exists().where(phones.c.lender == lenders.c.lender))
    return list(connection.execute(query).scalars())


def insert_key(connection: Connection, key: ApiKey) -> None:
    """Add a key.

    Raises:
        UnknownLenderError: nobody has added its lender.
    """
    if not _is_known(connection, key.lender):
        raise UnknownLenderError(f"there is no lender {key.lender}; `paylatch lender add` adds one")
    row = {field.name: getattr(key, field.name) for field in fields(key)}
    connection.execute(insert(api_keys).values(row | {"scopes": " ".join(sorted(key.scopes))}))


def revoke_key(
    connection: Connection, lender: LenderId, key_id: KeyId, at: int, *, even_last_admin: bool
) -> ApiKey | None:
    """Revoke a key and return it as it is now; one that is revoked stays as it was. None: the lender has none such.

    Raises:
        LastAdminKeyError: it is the last working key with the scope `admin`, and that must stay.
    """
    # All working keys are locked, so that the last two do not revoke each other.
    working = select(api_keys).where(api_keys.c.lender == lender, api_keys.c.revoked_at == 0)
    rows = connection.execute(working.order_by(api_keys.c.key_id).with_for_update()).mappings()
    admins = {key.key_id for key in map(_key_of, rows) if Scope.ADMIN in key.scopes}
    if admins == {key_id} and not even_last_admin:
        raise LastAdminKeyError(f"{key_id} is the last admin key of {lender}; `paylatch key revoke` takes even that")
    mine = (api_keys.c.lender == lender, api_keys.c.key_id == key_id)
    connection.execute(update(api_keys).where(*mine, api_keys.c.revoked_at == 0).values(revoked_at=at))
    row = connection.execute(select(api_keys).where(*mine)).mappings().first()
    return None if row is None else _key_of(row)


def put_last_uses(connection: Connection, uses: Mapping[KeyId, int]) -> None:
    """Remember when keys were last used."""
    change = update(api_keys).where(api_keys.c.key_id == bindparam("key")).values(last_used_at=bindparam("at"))
    connection.execute(change, [{"key": key_id, "at": at} for key_id, at in sorted(uses.items())])


def _is_known(connection: Connection, lender: LenderId) -> bool:
    return connection.execute(select(lenders.c.lender).where(lenders.c.lender == lender)).scalar() is not None


def _key_of(row: RowMapping) -> ApiKey:
    return ApiKey(**{**row, "scopes": frozenset(map(Scope, row["scopes"].split()))})
