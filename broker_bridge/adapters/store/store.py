"""The store: SQLite or PostgreSQL, with jobs in group commits and everything else in short transactions of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.backlog import read_backlog
from broker_bridge.adapters.store.commands import SqlCommands
from broker_bridge.adapters.store.database_file import is_to_be_made
from broker_bridge.adapters.store.decisions import SqlDecisions
from broker_bridge.adapters.store.engine import READERS, database_url, engines, make_file
from broker_bridge.adapters.store.group_commit import GroupCommit
from broker_bridge.adapters.store.imports import SqlImports
from broker_bridge.adapters.store.keys import SqlKeys
from broker_bridge.adapters.store.lenders import SqlLenders
from broker_bridge.adapters.store.migrate import newest_revision, upgrade, writable_revision
from broker_bridge.adapters.store.phones import SqlPhones
from broker_bridge.adapters.store.policies import SqlPolicies
from broker_bridge.adapters.store.rows import (
    outgoing_of,
    pending_lane_of,
)
from broker_bridge.adapters.store.short import every, in_transaction
from broker_bridge.adapters.store.statements import among, insert_missing
from broker_bridge.app.confirm import RESEND_AFTER_S
from broker_bridge.app.ports.metrics import Backlog
from broker_bridge.app.ports.store import Job
from broker_bridge.app.records import (
    Outgoing,
    Sweep,
)
from broker_bridge.domain.commands import Status
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import CommandId
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import Delegation, LenderId

T = TypeVar("T")

CANARIES_KEPT = 1000
# Written into the statement, as the partial indexes have them: with a parameter in their place PostgreSQL's prepared
# statements could not know that the index holds what is asked for.
_ZERO: ColumnElement[int] = literal_column("0")
_SENT = literal(Status.SENT.value, literal_execute=True)
_NOT_NEWEST = ~exists().where(
    tables.phones.c.imei == tables.commands.c.imei, tables.phones.c.command_id == tables.commands.c.command_id
)
_OUTGOING = [
    tables.phones.c[name] for name in ("lender", "imei", "epoch", "version", "level", "said_level", "envelope")
]
"""What `outgoing_of` reads."""
_CLAIMED = [tables.phones.c[name] for name in ("lender", "imei", "epoch", "version", "envelope")]
"""The same, when the lane is known."""
_OPEN_LEVELS = [int(level) for level in Level if level.is_open or level is Level.RELEASED]


class SqlStore:
    """The `Store` of `broker_bridge.app.ports.store`. Open it with `async with`."""

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
        self.imports = SqlImports(self._read, self._write)

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

    async def commit(self, job: Job[T], *, first: bool = False) -> T:
        """Run a job and return its result once it is durable."""
        return await self.commits.commit(job, first=first)

    async def commit_each(self, jobs: Sequence[Job[T]]) -> list[T | Exception]:
        """Run jobs in their order, and return the result of each, or its error, once all that succeeded is durable."""
        return await self.commits.commit_each(jobs)

    # --- reading ---

    async def sweeps(self, now: int) -> Sequence[Sweep]:
        """Return the sweeps that are under way at `now`."""
        table = tables.lenders
        under_way = select(table.c.lender, table.c.judge_at, table.c.judged_to).where(
            table.c.judge_at > 0, table.c.judge_at <= now
        )
        rows = await self._read(lambda connection: connection.execute(under_way).all())
        return [Sweep(lender=row.lender, at=row.judge_at, after=row.judged_to) for row in rows]

    async def imeis_after(self, lender: LenderId, after: str, limit: int) -> Sequence[Imei]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""
        table = tables.phones
        mine = select(table.c.imei).where(table.c.lender == lender, table.c.imei > after)
        page = mine.order_by(table.c.imei).limit(limit)
        return await self._read(lambda connection: list(connection.execute(page).scalars()))

    async def swept(self, sweep: Sweep, upto: Imei | None) -> None:
        """Note how far a sweep is (None: it is over), unless a new one has begun meanwhile."""
        table = tables.lenders
        same = update(table).where(table.c.lender == sweep.lender, table.c.judge_at == sweep.at)
        change = same.values(judge_at=0, judged_to=tables.SWEEP_BEGINS) if upto is None else same.values(judged_to=upto)
        await self._write(lambda connection: connection.execute(change))

    async def to_judge(self, now: int, limit: int) -> Sequence[Imei]:
        """Return phones that are to be judged again at `now`, the longest waiting first."""
        table = tables.phones
        query = select(table.c.imei).where(table.c.look_at > _ZERO, table.c.look_at <= now).order_by(table.c.look_at)
        return await self._read(lambda connection: list(connection.execute(query.limit(limit)).scalars()))

    async def credentials(self, after: str, limit: int) -> Sequence[tuple[Imei, str]]:
        """Return phones with their password hashes by IMEI, from the one behind `after` on."""
        table = tables.phones
        query = select(table.c.imei, table.c.credential).where(table.c.imei > after).order_by(table.c.imei).limit(limit)
        return await self._read(lambda connection: [(row[0], row[1]) for row in connection.execute(query)])

    async def claim(self, lane: Lane, now: int, limit: int, *, put_off: bool = False) -> Sequence[Outgoing]:
        """Return states of this lane whose newest command is due, the longest waiting first.

        With `put_off`, only those that fell due later than they were made: to be published again, or after a refusal.
        """
        phone, command = tables.phones, tables.commands
        was_put_off = command.c.due_at > command.c.created_at
        mine = (
            select(*_CLAIMED, was_put_off.label("was_put_off"))
            # By the IMEI as well, which has an index: by the command alone, each sweep would read every phone.
            .join_from(command, phone, and_(phone.c.imei == command.c.imei, phone.c.command_id == command.c.command_id))
            .where(command.c.lane == int(lane), command.c.due_at > _ZERO)
            .order_by(command.c.due_at)
        )
        if put_off:
            mine = mine.where(was_put_off)
        due = mine.where(command.c.due_at <= now)
        # Nothing is put off for longer than this, so the clock has been set back since: who has paid waits for none.
        from_a_clock_ahead = mine.where(command.c.due_at > now + RESEND_AFTER_S[-1])

        def make(row: Row[Any]) -> Outgoing:
            # An opening is published again as such, and once is enough while the same one is in flight.
            return outgoing_of(row, lane, repetition=bool(row.was_put_off) and lane is not Lane.OPENING)

        def read(connection: Connection) -> list[Outgoing]:
            states = every(connection, due.limit(limit), make)
            return states + every(connection, from_a_clock_ahead.limit(limit - len(states)), make)

        return await self._read(read)

    async def newest(self, imeis: Collection[Imei]) -> Sequence[Outgoing]:
        """Return the newest states of phones, each in its command's lane while that is pending."""
        phone, command = tables.phones, tables.commands
        query = select(*_OUTGOING, command.c.lane, command.c.finished_at).join_from(
            phone, command, phone.c.command_id == command.c.command_id, isouter=True
        )

        def read(connection: Connection) -> list[Outgoing]:
            rows = connection.execute(query.where(among(connection, phone.c.imei, imeis)))
            return [outgoing_of(row, pending_lane_of(row)) for row in rows]

        return await self._read(read)

    async def backlog(self) -> Backlog:
        """Return how far the bridge is behind: a look at the beginning of a few indexes."""
        return await self._read(read_backlog)

    async def sent_before(self, at: int, limit: int) -> Sequence[Imei]:
        """Return phones whose newest command was sent before `at` and is still `sent`."""
        table = tables.commands
        query = select(table.c.imei).where(table.c.status == _SENT, table.c.sent_at < at).limit(limit)
        return await self._read(lambda connection: list(connection.execute(query).scalars()))

    async def put_timed_out(self, imei: Imei, sent_before: int) -> None:
        """Have what was sent before `sent_before` to a phone whose row cannot be read not hold up the others."""
        table = tables.commands
        silent = update(table).where(table.c.imei == imei, table.c.status == _SENT, table.c.sent_at < sent_before)
        await self._write(lambda connection: connection.execute(silent.values(status=Status.TIMED_OUT.value)))

    async def published_after(
        self, number: int, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Outgoing]:
        """Return states published with a number above `number`, by IMEI, of open or of closed levels.

        A state without a number counts too: its phone may have reported it before its acknowledgement was committed.
        """
        table = tables.phones
        levels = table.c.level.in_(_OPEN_LEVELS) if opening else table.c.level.not_in(_OPEN_LEVELS)
        query = (
            select(*_OUTGOING)
            .where(or_(table.c.publish_number > number, table.c.publish_number == 0))
            .where(levels, table.c.imei > (after or ""))
            .order_by(table.c.imei)
            .limit(limit)
        )
        return await self._read(lambda connection: every(connection, query, outgoing_of))

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
        if "\0" in token:  # none of ours has one, and PostgreSQL takes none even in a question
            return None
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

    async def put_look_at(self, imei: Imei, at: int) -> None:
        """Have a phone whose row cannot be read judged again later, so that it does not hold up the others."""
        table = tables.phones
        change = update(table).where(table.c.imei == imei).values(look_at=at)
        await self._write(lambda connection: connection.execute(change))

    async def fact(self, name: str, default: str) -> str:
        """Return one of the bridge's single values, storing `default` when it has none yet."""

        def read_or_write(connection: Connection) -> str:
            insert_missing(connection, tables.facts, name=name, value=default)
            value = connection.execute(select(tables.facts.c.value).where(tables.facts.c.name == name)).scalar_one()
            return cast("str", value)

        return await self._write(read_or_write)

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
