"""The database of a bridge that is run on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from broker_bridge.adapters.store.engine import database_url, is_empty
from paylatch.local.errors import LocalRunUsageError
from paylatch.local.postgres_process import PostgresProcess

OWN_POSTGRES = "postgresql"
"""In place of a URL: a PostgreSQL of the run's own, gone in the end."""


@asynccontextmanager
async def database_of(asked: str | None, file: Path) -> AsyncIterator[str]:
    """Give the URL of an empty database for the bridge.

    Args:
        asked: the URL of an empty one, `OWN_POSTGRES`, or None.
        file: where it is kept for None.

    Raises:
        LocalRunUsageError: it is not empty, or no URL of a database.
        StoreUnavailableError: it does not answer.
        PostgresError: the run's own PostgreSQL does not start.
    """
    if asked == OWN_POSTGRES:
        async with AsyncExitStack() as stack:
            server = await asyncio.to_thread(stack.enter_context, PostgresProcess())
            yield await asyncio.to_thread(server.create, "paylatch")
        return
    if asked is not None:
        await _require_empty(asked)
    yield asked or f"sqlite:///{file}"


async def _require_empty(database: str) -> None:
    try:
        url = database_url(database)
    except ValueError as error:
        raise LocalRunUsageError(f"--database: {error}, or {OWN_POSTGRES} for a server of its own") from error
    if not await asyncio.to_thread(is_empty, url):
        raise LocalRunUsageError(f"--database: {url!r} holds tables already; an empty one is needed")
