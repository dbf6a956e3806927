"""The store: SQLite or PostgreSQL behind one writer thread with group commit.

Jobs that come while a commit is under way share the next one. A single commit costs as much as one with fifty jobs, so
the busier the bridge, the cheaper each decision; and an idle bridge waits for nobody.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.engine import database_url, engines, make_file
from broker_bridge.adapters.store.migrate import upgrade
from broker_bridge.adapters.store.rows import command_of, outgoing_of, phone_of
from broker_bridge.adapters.store.statements import among, insert_missing
from broker_bridge.adapters.store.transaction import SharedTransaction
from broker_bridge.app.ports import (
    Command,
    Job,
    Outgoing,
    OverloadedError,
    Page,
    StoreUnavailableError,
    UnstorableError,
)
from broker_bridge.domain.commands import Status
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import CommandId, Phone
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import Delegation, LenderId

T = TypeVar("T")

MAX_BATCH = 500
MAX_WAITING = 20_000
CANARIES_KEPT = 1000
# Written into the statement, as the partial indexes have them: with a parameter in their place PostgreSQL's prepared
# statements could not know that the index holds what is asked for.
_ZERO: ColumnElement[int] = literal_column("0")
_SENT = literal(Status.SENT.value, literal_execute=True)
_NOT_NEWEST = ~exists().where(
    tables.phones.c.imei == tables.commands.c.imei, tables.phones.c.command_id == tables.commands.c.command_id
)
_OPEN_LEVELS = [int(level) for level in Level if level.is_open or level is Level.RELEASED]


@dataclass(slots=True)
class _Submitted:
    """A job that waits for its commit, and where its result goes."""

    job: Job[Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Hand over the result. Runs in the event loop; a submitter that was cancelled does not want it."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class SqlStore:
    """The `Store` of `broker_bridge.app.ports`. Open it with `async with`."""

    def __init__(self, url: str) -> None:
        """Take a database URL, like `sqlite:///paylatch.db` or `postgresql://paylatch@db.example:5432/paylatch`.

        Raises:
            ValueError: it is neither.
        """
        self._url = database_url(url)
        self._engine, self._writing = engines(self._url)
        self._inbox: queue.Queue[_Submitted | None] = queue.Queue(MAX_WAITING)
        self._writer = threading.Thread(target=self._write_until_closed, name="store.writer", daemon=True)
        self._on_committed: Callable[[Outgoing], object] = lambda _: None
        self._on_doubt: Callable[[], object] = lambda: None

    async def __aenter__(self) -> Self:
        """Bring the schema up to date and start the writer.

        Raises:
            StoreUnavailableError: the database cannot be opened or migrated.
        """
        make_file(self._url)
        try:
            await self._write(upgrade)
        except BaseException:
            self._engine.dispose()
            raise
        self._writer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what has been submitted and close."""
        await asyncio.to_thread(self._inbox.put, None)
        await asyncio.to_thread(self._writer.join)
        self._engine.dispose()

    def on_committed(self, publish: Callable[[Outgoing], object]) -> None:
        """Say who takes the states that committed jobs want published."""
        self._on_committed = publish

    def on_doubt(self, look_again: Callable[[], object]) -> None:
        """Say who is told that a commit has failed in a way that leaves open whether it was made.

        A connection may end between PostgreSQL's commit and its answer. What it wrote is there then, waits to be
        published, and nobody has offered it.
        """
        self._on_doubt = look_again

    # --- writing ---

    async def commit(self, job: Job[T]) -> T:
        """Run a job and return its result once it is durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            self._inbox.put_nowait(_Submitted(job, loop, future))
        except queue.Full:
            raise OverloadedError(f"{MAX_WAITING} jobs are waiting for the database") from None
        return await future

    def _write_until_closed(self) -> None:
        while True:
            batch, closing = self._next_batch()
            if batch:
                self._commit_batch(batch)
            if closing:
                return

    def _next_batch(self) -> tuple[list[_Submitted], bool]:
        """Wait for one job and take with it all that have come meanwhile; tell whether the store is closing."""
        batch: list[_Submitted] = []
        submitted = self._inbox.get()
        while submitted is not None:
            batch.append(submitted)
            if len(batch) == MAX_BATCH:
                return batch, False
            try:
                submitted = self._inbox.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit_batch(self, batch: list[_Submitted]) -> None:
        try:
            to_publish = self._run_together(batch)
        except _AWAY as error:
            batch[0].loop.call_soon_threadsafe(self._settle_in_doubt, batch, _unavailable(error))
        except Exception:  # noqa: BLE001 - the writer outlives whatever a batch holds
            # One of them has a row that cannot be read, or wrote what the database will not take: a phone that another
            # bridge has enrolled meanwhile, say. Alone, and knowing that by then, each answers for itself.
            for submitted in batch:
                self._commit_alone(submitted)
        else:
            batch[0].loop.call_soon_threadsafe(self._settle, batch, to_publish)

    def _commit_alone(self, submitted: _Submitted) -> None:
        to_publish: list[Outgoing] = []
        try:
            to_publish = self._run_together([submitted])
        except _AWAY as error:
            submitted.loop.call_soon_threadsafe(self._settle_in_doubt, [submitted], _unavailable(error))
            return
        except IntegrityError as error:
            submitted.error = error
        except (DataError, OverflowError) as error:  # the first is PostgreSQL's, the second SQLite's
            submitted.error = _unstorable(error)
        except SQLAlchemyError as error:
            submitted.error = _unavailable(error)
        except Exception as error:  # noqa: BLE001 - the same
            submitted.error = error
        submitted.loop.call_soon_threadsafe(self._settle, [submitted], to_publish)

    def _run_together(self, batch: list[_Submitted]) -> list[Outgoing]:
        with self._writing.begin() as connection:
            tx = SharedTransaction(connection, [submitted.job for submitted in batch])
            for submitted in batch:
                submitted.result, submitted.error = None, None
                try:
                    submitted.result = tx.run(submitted.job)
                except SQLAlchemyError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a job raises is its submitter's answer
                    submitted.error = error
            tx.flush()
        return tx.to_publish

    def _settle(self, batch: list[_Submitted], to_publish: list[Outgoing]) -> None:
        for state in to_publish:
            self._on_committed(state)
        for submitted in batch:
            submitted.settle()

    def _settle_in_doubt(self, batch: list[_Submitted], error: StoreUnavailableError) -> None:
        self._on_doubt()
        for submitted in batch:
            submitted.error = error
        self._settle(batch, [])

    # --- reading ---

    async def phone(self, lender: LenderId, imei: Imei) -> Phone | None:
        """Return a lender's phone."""
        table = tables.phones
        query = select(table).where(table.c.imei == imei, table.c.lender == lender)
        return await self._read(lambda connection: _first(connection, query, phone_of))

    async def phones(self, lender: LenderId, after: str, limit: int) -> Page[Phone]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""
        table = tables.phones
        # PostgreSQL takes no NUL in a text; what comes before one sorts like the whole, since no IMEI has any.
        mine = select(table).where(table.c.lender == lender, table.c.imei > after.partition("\0")[0])
        found = await self._read(lambda one: _all(one, mine.order_by(table.c.imei).limit(limit + 1), phone_of))
        items = found[:limit]
        return Page(items, items[-1].imei if len(found) > limit else None)

    async def command(self, lender: LenderId, command_id: CommandId) -> Command | None:
        """Return a lender's command."""
        table = tables.commands
        if "\0" in command_id:  # no id has one, and PostgreSQL takes none even in a question
            return None
        query = select(table).where(table.c.command_id == command_id, table.c.lender == lender)
        return await self._read(lambda connection: _first(connection, query, command_of))

    async def lender_of_key(self, key_hash: bytes) -> LenderId | None:
        """Return whose API key has this SHA-256."""
        query = select(tables.api_keys.c.lender).where(tables.api_keys.c.key_hash == key_hash)
        return cast("LenderId | None", await self._read(lambda connection: connection.execute(query).scalar()))

    async def credentials(self) -> dict[Imei, str]:
        """Return every phone's password hash."""
        query = select(tables.phones.c.imei, tables.phones.c.credential)
        rows = await self._read(lambda connection: connection.execute(query).all())
        return {row.imei: row.credential for row in rows}

    async def claim(self, lane: Lane, now: int, limit: int) -> Sequence[Outgoing]:
        """Return states of this lane whose newest command is due, the longest waiting first."""
        phone, command = tables.phones, tables.commands
        query = (
            select(phone.c.lender, phone.c.imei, phone.c.epoch, phone.c.version, phone.c.envelope)
            .join_from(command, phone, phone.c.command_id == command.c.command_id)
            .where(command.c.lane == int(lane), command.c.due_at > _ZERO, command.c.due_at <= now)
            .order_by(command.c.due_at)
            .limit(limit)
        )
        return await self._read(lambda connection: _all(connection, query, partial(outgoing_of, lane=lane)))

    async def sent_before(self, at: int, limit: int) -> Sequence[Imei]:
        """Return phones whose newest command was sent before `at` and is still `sent`."""
        table = tables.commands
        query = select(table.c.imei).where(table.c.status == _SENT, table.c.sent_at < at).limit(limit)
        return await self._read(lambda connection: list(connection.execute(query).scalars()))

    async def published_after(
        self, number: int, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Outgoing]:
        """Return states published with a number above `number`, by IMEI, of open or of closed levels.

        A state without a number counts too: its phone may have reported it before its acknowledgement was committed.
        """
        table = tables.phones
        levels = table.c.level.in_(_OPEN_LEVELS) if opening else table.c.level.not_in(_OPEN_LEVELS)
        columns = [table.c[name] for name in ("lender", "imei", "epoch", "version", "level", "said_level", "envelope")]
        query = (
            select(*columns)
            .where(or_(table.c.publish_number > number, table.c.publish_number == 0))
            .where(levels, table.c.imei > (after or ""))
            .order_by(table.c.imei)
            .limit(limit)
        )
        return await self._read(lambda connection: _all(connection, query, outgoing_of))

    async def signed_under_older(
        self, delegation: Delegation, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Imei]:
        """Return, by IMEI, phones of open or of closed levels whose state an older delegation covers."""
        table = tables.phones
        levels = table.c.level.in_(_OPEN_LEVELS) if opening else table.c.level.not_in(_OPEN_LEVELS)
        older = (table.c.lender == delegation.lender, table.c.delegation_version < delegation.version)
        query = select(table.c.imei).where(*older, levels, table.c.imei > (after or "")).order_by(table.c.imei)
        return await self._read(lambda connection: list(connection.execute(query.limit(limit)).scalars()))

    async def newest_delegation(self, lender: LenderId) -> tuple[int, int]:
        """Return the highest epoch and the highest delegation version that a state of this lender was signed under."""
        table = tables.phones
        query = select(func.max(table.c.epoch), func.max(table.c.delegation_version)).where(table.c.lender == lender)
        epoch, version = await self._read(lambda connection: connection.execute(query).one())
        return epoch or 0, version or 0

    async def newest_publish_number(self) -> int:
        """Return the highest number that any publish was acknowledged with, or that a canary was made for."""
        phones = select(func.max(tables.phones.c.publish_number))
        canaries = select(func.max(tables.canaries.c.number))
        return await self._read(lambda one: max(one.execute(phones).scalar() or 0, one.execute(canaries).scalar() or 0))

    async def canary_number(self, token: str) -> int | None:
        """Return the publish number of a canary that this database has stored."""
        query = select(tables.canaries.c.number).where(tables.canaries.c.token == token)
        return cast("int | None", await self._read(lambda connection: connection.execute(query).scalar()))

    async def finished_commands(
        self, statuses: Collection[Status], *, since: int, before: int, limit: int
    ) -> Sequence[tuple[int, CommandId]]:
        """Return when they ended, and the ids, of commands that have one of these statuses and are no phone's newest.

        The oldest first, from those that ended at `since` (above 0) on, up to `before` and without it.
        """
        table = tables.commands
        query = (
            select(table.c.finished_at, table.c.command_id)
            .where(table.c.status.in_([status.value for status in statuses]))
            .where(table.c.finished_at > _ZERO)
            .where(table.c.finished_at >= since, table.c.finished_at < before, _NOT_NEWEST)
            .order_by(table.c.finished_at)
            .limit(limit)
        )
        return await self._read(lambda connection: [(row[0], row[1]) for row in connection.execute(query)])

    async def ping(self) -> None:
        """Return when the database answers."""
        await self._read(lambda connection: connection.execute(select(1)))

    # --- small writes of their own ---

    async def store_canary(self, token: str, number: int) -> None:
        """Remember a canary before it is published, and forget the oldest ones."""

        def write(connection: Connection) -> None:
            connection.execute(insert(tables.canaries).values(token=token, number=number))
            newest = select(tables.canaries.c.number).order_by(tables.canaries.c.number.desc())
            edge = connection.execute(newest.offset(CANARIES_KEPT).limit(1)).scalar()
            if edge is not None:
                connection.execute(delete(tables.canaries).where(tables.canaries.c.number <= edge))

        await self._write(write)

    async def forget_commands(self, commands: Collection[CommandId]) -> int:
        """Delete those of these commands that are no phone's newest; return how many they were."""

        def write(connection: Connection) -> int:
            wanted = among(connection, tables.commands.c.command_id, commands)
            return connection.execute(delete(tables.commands).where(wanted, _NOT_NEWEST)).rowcount

        return await self._write(write)

    async def add_lender(self, lender: LenderId, key_hash: bytes, at: int) -> None:
        """Add a lender if it is new, and an API key of it."""

        def write(connection: Connection) -> None:
            insert_missing(connection, tables.lenders, lender=lender, created_at=at)
            connection.execute(insert(tables.api_keys).values(key_hash=key_hash, lender=lender, created_at=at))

        await self._write(write)

    async def fact(self, name: str, default: str) -> str:
        """Return one of the bridge's single values, storing `default` when it has none yet."""

        def read_or_write(connection: Connection) -> str:
            insert_missing(connection, tables.facts, name=name, value=default)
            value = connection.execute(select(tables.facts.c.value).where(tables.facts.c.name == name)).scalar_one()
            return cast("str", value)

        return await self._write(read_or_write)

    async def _read(self, query: Callable[[Connection], T]) -> T:
        """Run something short in a transaction of its own, on a thread."""
        return await asyncio.to_thread(_in_transaction, self._engine, query)

    async def _write(self, query: Callable[[Connection], T]) -> T:
        """Run something short that writes in a transaction of its own, on a thread."""
        return await asyncio.to_thread(_in_transaction, self._writing, query)


# The database itself, not what it was given: each job of a batch would meet the same.
_AWAY = (OperationalError, InternalError, PoolTimeoutError, StoreUnavailableError)


def _in_transaction(engine: Engine, query: Callable[[Connection], T]) -> T:
    try:
        with engine.begin() as connection:
            return query(connection)
    except DataError as error:
        raise _unstorable(error) from error
    except SQLAlchemyError as error:
        raise _unavailable(error) from error


def _unstorable(error: DataError | OverflowError) -> UnstorableError:
    return UnstorableError(f"the database cannot hold this: {error.orig if isinstance(error, DataError) else error}")


def _unavailable(error: SQLAlchemyError | StoreUnavailableError) -> StoreUnavailableError:
    """Return an error in the database's own words, without the statement and its parameters."""
    if isinstance(error, StoreUnavailableError):
        return error
    reason = error.orig if isinstance(error, DBAPIError) else error
    return StoreUnavailableError(f"the database does not answer: {reason}")


def _first(connection: Connection, query: Any, make: Callable[..., T]) -> T | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else make(row)


def _all(connection: Connection, query: Any, make: Callable[..., T]) -> list[T]:
    return [make(row) for row in connection.execute(query).mappings()]
