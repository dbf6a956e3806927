"""A person's word for the clock, straight in the database: what a bridge that starts after a long rest asks for."""

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.settings import Settings, SettingsError


async def last_time(settings: Settings) -> int:
    """Return until when (seconds UTC) a bridge has run with a clock that was right; 0 when none has.

    Raises:
        SettingsError: no bridge of this version has run with this database; nothing is changed in it, or made.
        StoreUnavailableError: the database does not answer.
    """
    store = SqlStore(settings.database)
    found, ours = await store.revisions()
    if found != ours:
        raise SettingsError("database: no bridge of this version has run with it, so there is no time to answer for")
    async with store.as_it_is():
        return await store.facts.last_signed_at()


async def confirm_clock(settings: Settings, now: int) -> None:
    """Have bridges go on from `now` (seconds UTC), whatever they have signed with before.

    Phones that were told a later time keep it until their delegation has a higher epoch.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    async with SqlStore(settings.database) as store:
        await store.facts.put_last_signed_at(now)
