"""The store: SQLite or PostgreSQL, with jobs in group commits and everything else in short transactions of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, select

from broker_bridge.adapters.store.backlog import SqlBacklog
from broker_bridge.adapters.store.canaries import SqlCanaries
from broker_bridge.adapters.store.commands import SqlCommands
from broker_bridge.adapters.store.credentials import SqlCredentials
from broker_bridge.adapters.store.database_file import is_to_be_made
from broker_bridge.adapters.store.decisions import SqlDecisions
from broker_bridge.adapters.store.engine import READERS, database_url, engines, make_file
from broker_bridge.adapters.store.facts import SqlFacts
from broker_bridge.adapters.store.finished_commands import SqlFinishedCommands
from broker_bridge.adapters.store.group_commit import GroupCommit
from broker_bridge.adapters.store.heartbeats import SqlHeartbeats
from broker_bridge.adapters.store.imports import SqlImports
from broker_bridge.adapters.store.keys import SqlKeys
from broker_bridge.adapters.store.lenders import SqlLenders
from broker_bridge.adapters.store.migrate import newest_revision, upgrade, writable_revision
from broker_bridge.adapters.store.outgoing import SqlOutgoing
from broker_bridge.adapters.store.phones import SqlPhones
from broker_bridge.adapters.store.policies import SqlPolicies
from broker_bridge.adapters.store.schedule import SqlSchedule
from broker_bridge.adapters.store.short import in_transaction
from broker_bridge.adapters.store.signed import SqlSigned

T = TypeVar("T")


class SqlStore:
    """All that is done with the database, each part by its port. Open it with `async with`.

    `commits` are the `Commits` of `broker_bridge.app.ports.store`; everything else is asked outside jobs.
    """

    def __init__(self, url: str) -> None:
        """Take a database URL, like `sqlite:///paylatch.db` or `postgresql://paylatch@db.example:5432/paylatch`.

        Raises:
            ValueError: it is neither.
        """
        self._url = database_url(url)
        self._engine, self._writing = engines(self._url)
        self.commits = GroupCommit(self._writing)
        self._short = ThreadPoolExecutor(READERS, thread_name_prefix="store.short")
        self._on_asked: Callable[[float], object] = lambda _: None
        self.phones = SqlPhones(self._read)
        self.commands = SqlCommands(self._read)
        self.decisions = SqlDecisions(self._read)
        self.policies = SqlPolicies(self._read)
        self.lenders = SqlLenders(self._read, self._write)
        self.keys = SqlKeys(self._read, self._write)
        self.outgoing = SqlOutgoing(self._read, self._write)
        self.canaries = SqlCanaries(self._read, self._write)
        self.heartbeats = SqlHeartbeats(self._read, self._write)
        self.signed = SqlSigned(self._read)
        self.schedule = SqlSchedule(self._read, self._write)
        self.finished_commands = SqlFinishedCommands(self._read, self._write)
        self.credentials = SqlCredentials(self._read)
        self.imports = SqlImports(self._read, self._write)
        self.facts = SqlFacts(self._read, self._write)
        self.backlog = SqlBacklog(self._read)

    async def __aenter__(self) -> Self:
        """Bring the schema up to date and start the writer.

        Raises:
            StoreUnavailableError: the database cannot be opened or migrated.
        """
        make_file(self._url)
        try:
            await self._write(upgrade)
        except BaseException:
            await self._close()
            raise
        self.commits.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what has been submitted and close."""
        await self.commits.close()
        await self._close()

    async def _close(self) -> None:
        """Close all connections, once what has begun is over: who asked may be gone, its question is still asked."""
        await asyncio.to_thread(self._short.shutdown)
        self._dispose()

    def _dispose(self) -> None:
        self._engine.dispose()
        self._writing.dispose()

    async def revisions(self) -> tuple[str | None, str | None]:
        """Return the revision that the database is at (None: it is new), and the newest that there is.

        Changes nothing, and is for a store that is not open.

        Raises:
            StoreUnavailableError: the database cannot be opened, or not be written to.
        """
        if is_to_be_made(self._url):
            return None, newest_revision()
        try:
            return await self._write(writable_revision), newest_revision()
        finally:
            self._dispose()

    @asynccontextmanager
    async def as_it_is(self) -> AsyncIterator[None]:
        """Ask a store that is not open, and never will be: it is not brought up to date and takes no jobs."""
        try:
            yield
        finally:
            await self._close()

    def on_asked(self, observe: Callable[[float], object]) -> None:
        """Say who is told how long each question and each small write took, waiting for its turn included (seconds)."""
        self._on_asked = observe

    @property
    def kind(self) -> str:
        """The database's name, like `sqlite`."""
        return self._url.get_backend_name()

    async def ping(self) -> None:
        """Return when the database answers."""
        await self._read(lambda connection: connection.execute(select(1)))

    async def _read(self, query: Callable[[Connection], T]) -> T:
        """Run something short in a transaction of its own, on a thread."""
        return await self._ask(self._engine, query)

    async def _write(self, query: Callable[[Connection], T]) -> T:
        """Run something short that writes in a transaction of its own, on a thread."""
        return await self._ask(self._writing, query)

    async def _ask(self, engine: Engine, query: Callable[[Connection], T]) -> T:
        started = time.perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._short, in_transaction, engine, query)
        finally:
            self._on_asked(time.perf_counter() - started)
