"""What whoever runs a bridge does to its lenders and their API keys, straight in the database."""

import time
from collections.abc import Collection, Sequence

from broker_bridge.adapters.mqtt.passwords import SERVICE_USERS
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.api_keys import new_key
from broker_bridge.app.ports.signing import UnknownLenderError
from broker_bridge.app.records import LenderSummary
from broker_bridge.domain.access import ApiKey, KeyId, Scope
from broker_bridge.settings import Settings, SettingsError
from lock_protocol.messages import LenderId

_PAGE = 500


class LenderExistsError(Exception):
    """A lender is added once; the message says how it gets another key."""


async def add_lender(settings: Settings, lender: LenderId) -> str:
    """Add a lender and return its first API key, which may do everything and is shown this once.

    Raises:
        SettingsError: a name that a service of the broker has already.
        LenderExistsError: it is there.
        StoreUnavailableError: the database does not answer.
    """
    if lender in SERVICE_USERS:
        raise SettingsError(f"{lender}: is the name of a service at the broker; choose another for the lender")
    async with SqlStore(settings.database) as store:
        if (await store.keys.all_of(lender, "", 1)).items:
            raise LenderExistsError(f"{lender} is a lender already; `paylatch key create {lender}` makes another key")
        now = int(time.time())
        key, secret = new_key(lender, "first", {Scope.ADMIN}, now)
        await store.lenders.add(lender, key.key_hash, now)
    return secret


async def lenders(settings: Settings) -> Sequence[LenderSummary]:
    """Return every lender.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    async with SqlStore(settings.database) as store:
        return await store.lenders.summaries()


async def create_key(settings: Settings, lender: LenderId, name: str, scopes: Collection[Scope]) -> tuple[ApiKey, str]:
    """Add an API key; return it as it is stored, and the key itself, which is shown this once.

    Raises:
        UnknownLenderError: nobody has added the lender.
        StoreUnavailableError: the database does not answer.
    """
    key, secret = new_key(lender, name, scopes, int(time.time()))
    async with SqlStore(settings.database) as store:
        await store.keys.add(key)
    return key, secret


async def keys_of(settings: Settings, lender: LenderId) -> Sequence[ApiKey]:
    """Return a lender's API keys, revoked ones too, the oldest first.

    Raises:
        UnknownLenderError: nobody has added the lender.
        StoreUnavailableError: the database does not answer.
    """
    found: list[ApiKey] = []
    async with SqlStore(settings.database) as store:
        after: str | None = ""
        while after is not None:
            page = await store.keys.all_of(lender, after, _PAGE)
            found += page.items
            after = page.next_token
    if not found:  # a lender is added with a key, and keys stay listed
        raise UnknownLenderError(f"there is no lender {lender}; `paylatch lender add {lender}` adds it")
    return sorted(found, key=lambda key: (key.created_at, key.key_id))


async def revoke_key(settings: Settings, lender: LenderId, key_id: KeyId) -> ApiKey | None:
    """Revoke an API key, even the last one with the scope `admin`. None: the lender has none such.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    async with SqlStore(settings.database) as store:
        return await store.keys.revoke(lender, key_id, int(time.time()), even_last_admin=True)
