"""Imports and their rows' results in the database."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Update,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from broker_bridge.adapters.store.errors import taken_away
from broker_bridge.adapters.store.hot import insert_rows
from broker_bridge.adapters.store.rows import Row, count_columns, import_of, import_row, result_of, result_values
from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.statements import insert_missing, seconds_now
from broker_bridge.adapters.store.tables import import_rows, imports, spools
from broker_bridge.app.ports.imports import TooManyImportsError
from broker_bridge.app.records import Page
from broker_bridge.domain.imports import Counts, Import, ImportId, ImportState, Outcome, RowResult, SpoolId, no_rows
from lock_protocol.messages import LenderId

T = TypeVar("T")

AT_WORK = (ImportState.QUEUED, ImportState.RUNNING)
_FINAL = tuple(state for state in ImportState if state.is_final)


@dataclass(frozen=True, slots=True)
class SqlImports:
    """The `Imports` of `broker_bridge.app.ports.imports`."""

    _read: Run
    _write: Run

    async def begin(self, new: Import, most: int) -> Import:
        """Record an import that is being received, and return it; or return the one that has its idempotency key."""

        def write(connection: Connection) -> Import:
            mine = imports.c.lender == new.upload.lender
            same_key = imports.c.idempotency_key == new.upload.idempotency_key
            known = connection.execute(select(imports).where(mine, same_key)).mappings().first()
            if known is not None:
                return import_of(known)
            _refuse_more(connection, new.upload.lender, most)
            connection.execute(insert(imports).values(import_row(new)))
            return new

        return await self._write(write)

    async def received(self, import_id: ImportId, content_hash: bytes, size_bytes: int) -> Import:
        """Queue an import whose file is safe on disk."""
        queued = _change(import_id, state=ImportState.QUEUED, content_hash=content_hash, size_bytes=size_bytes)

        def write(connection: Connection) -> Import:
            connection.execute(queued)
            return import_of(connection.execute(_one(import_id)).mappings().one())

        return await self._write(write)

    async def requeue(self, import_id: ImportId, spool: SpoolId, most: int) -> bool:
        """Queue an import that has failed, with its file in this spool; return whether it still had failed."""
        failed = imports.c.state == ImportState.FAILED
        lender_of = select(imports.c.lender).where(imports.c.import_id == import_id, failed)
        again = _change(import_id, state=ImportState.QUEUED, spool=spool, problem="", finished_at=0).where(failed)

        def write(connection: Connection) -> bool:
            lender = connection.execute(lender_of).scalar()
            if lender is not None:
                _refuse_more(connection, lender, most)
            return connection.execute(again).rowcount > 0

        return await self._write(write)

    async def forget(self, import_id: ImportId) -> bool:
        """Remove an import whose file never came whole; return whether it was there, and is not queued."""
        gone = delete(imports).where(imports.c.import_id == import_id, imports.c.state == ImportState.RECEIVING)
        return await self._write(lambda connection: connection.execute(gone).rowcount > 0)

    async def alive(self, spool: SpoolId, gone_s: int) -> None:
        """Note that the bridge of a spool is there; forget spools whose bridges are gone."""

        def write(connection: Connection) -> None:
            now = seconds_now(connection.dialect)
            insert_missing(connection, spools, spool=spool, seen_at=now)
            connection.execute(update(spools).where(spools.c.spool == spool).values(seen_at=now))
            connection.execute(delete(spools).where(spools.c.seen_at < now - gone_s))

        await self._write(write)

    async def receiving(self, spool: SpoolId, gone_s: int) -> Collection[ImportId]:
        """Return which of a bridge's imports are being received, or were when their bridge ended."""
        return await self._ids_of(spool, gone_s, ImportState.RECEIVING)

    async def waiting(self, lenders: Collection[LenderId], spool: SpoolId, gone_s: int) -> Sequence[Import]:
        """Return, of each lender not among `lenders`, the oldest of a bridge's own imports that is not done."""
        others = imports.c.lender.not_in(sorted(lenders))
        # Ids sort by time.
        oldest = select(func.min(imports.c.import_id)).where(imports.c.state.in_(AT_WORK), others)

        def read(connection: Connection) -> Sequence[Import]:
            mine = oldest.where(_own(connection.dialect, spool, gone_s)).group_by(imports.c.lender)
            query = select(imports).where(imports.c.import_id.in_(mine))
            return [import_of(row) for row in connection.execute(query).mappings()]

        return await self._read(read)

    async def unfinished(self, spool: SpoolId, gone_s: int) -> Collection[ImportId]:
        """Return which of a bridge's own imports are queued or running."""
        return await self._ids_of(spool, gone_s, *AT_WORK)

    async def _ids_of(self, spool: SpoolId, gone_s: int, *states: ImportState) -> Collection[ImportId]:
        query = select(imports.c.import_id).where(imports.c.state.in_(states))
        return await self._read(lambda one: list(one.execute(query.where(_own(one.dialect, spool, gone_s))).scalars()))

    async def start(self, one: Import, rows: int, at: int) -> None:
        """Say that an import runs, and how many rows its file has."""
        await self._go_on(one, {"state": ImportState.RUNNING, "rows": rows, "started_at": at})

    async def add(self, one: Import, refused: Sequence[RowResult], counts: Counts) -> None:
        """Record results that no job has recorded, and what has become of all rows so far, in one commit."""
        await self._go_on(one, count_columns(counts), refused)

    async def finish(self, one: Import, state: ImportState, at: int, counts: Counts, problem: str = "") -> None:
        """Record how an import ended and what has become of its rows, in one commit."""
        ended = {"state": state, "finished_at": at, "problem": problem}
        await self._go_on(one, ended | count_columns(counts))

    async def _go_on(self, one: Import, columns: Row, results: Sequence[RowResult] = ()) -> None:
        still = and_(imports.c.state.in_(AT_WORK), imports.c.spool == one.spool)
        changed = _change(one.import_id, **columns).where(still)

        def write(connection: Connection) -> None:
            if not connection.execute(changed).rowcount:
                raise taken_away(one.import_id)
            insert_rows(connection, import_rows, list(map(result_values, results)))

        await self._write(write)

    async def counted(self, import_id: ImportId) -> Counts:
        """Return what has become of an import's rows, counted from the results themselves."""
        query = (
            select(import_rows.c.outcome, func.count())
            .where(import_rows.c.import_id == import_id)
            .group_by(import_rows.c.outcome)
        )
        found = await self._read(lambda one: {Outcome(name): count for name, count in one.execute(query)})
        return no_rows() | found

    async def outcomes(self, import_id: ImportId, first: int, last: int) -> Mapping[int, Outcome]:
        """Return what has become of the rows of a stretch that have a result."""
        stretch = and_(import_rows.c.import_id == import_id, import_rows.c.row.between(first, last))
        query = select(import_rows.c.row, import_rows.c.outcome).where(stretch)
        return await self._read(lambda one: {row: Outcome(name) for row, name in one.execute(query)})

    async def one(self, lender: LenderId, import_id: ImportId) -> Import | None:
        """Return a lender's import."""
        query = _one(import_id).where(imports.c.lender == lender)
        row = await self._read(lambda connection: connection.execute(query).mappings().first())
        return None if row is None else import_of(row)

    async def all_of(self, lender: LenderId, before: str, limit: int) -> Page[Import]:
        """Return a lender's imports, the newest first, from the one behind `before` on."""
        query = select(imports).where(imports.c.lender == lender).order_by(imports.c.import_id.desc())
        if before:
            query = query.where(imports.c.import_id < before)
        rows = query.limit(limit + 1)
        found = await self._read(lambda one: [import_of(row) for row in one.execute(rows).mappings()])
        items = found[:limit]
        return Page(items, items[-1].import_id if len(found) > limit else None)

    async def results(
        self, import_id: ImportId, after: int, limit: int, outcome: Outcome | None = None
    ) -> Sequence[RowResult]:
        """Return results behind row `after`, in the file's order; of one outcome, if one is named."""
        query = select(import_rows).where(import_rows.c.import_id == import_id, import_rows.c.row > after)
        if outcome is not None:
            query = query.where(import_rows.c.outcome == outcome.value)
        page = query.order_by(import_rows.c.row).limit(limit)
        return await self._read(lambda one: [result_of(row) for row in one.execute(page).mappings()])

    async def forget_finished(self, before: int, limit: int) -> int:
        """Remove imports that were finished before that time; at most `limit` results at once."""
        old = select(imports.c.import_id).where(imports.c.state.in_(_FINAL), imports.c.finished_at < before).limit(1)

        def write(connection: Connection) -> int:
            import_id = connection.execute(old).scalar()
            if import_id is None:
                return 0
            mine = import_rows.c.import_id == import_id
            edge = select(import_rows.c.row).where(mine).order_by(import_rows.c.row).offset(limit - 1).limit(1)
            last = connection.execute(edge).scalar()
            if last is None:
                connection.execute(delete(imports).where(imports.c.import_id == import_id))
            upto = true() if last is None else import_rows.c.row <= last
            return connection.execute(delete(import_rows).where(mine, upto)).rowcount + (last is None)

        return await self._write(write)


def _own(dialect: Dialect, spool: SpoolId, gone_s: int) -> ColumnElement[bool]:
    """Return the condition that an import is a bridge's own: in its spool, in none, or in one whose bridge is gone."""
    there = select(spools.c.spool).where(spools.c.seen_at >= seconds_now(dialect) - gone_s)
    return or_(imports.c.spool.in_((spool, "")), imports.c.spool.not_in(there))


def _refuse_more(connection: Connection, lender: LenderId, most: int) -> None:
    mine = imports.c.lender == lender
    open_ones = select(func.count()).select_from(imports).where(mine, imports.c.state.not_in(_FINAL))
    if (connection.execute(open_ones).scalar() or 0) >= most:
        raise TooManyImportsError(f"{most} imports of yours are not finished; wait for one of them")


def _one(import_id: ImportId) -> Select[Any]:
    return select(imports).where(imports.c.import_id == import_id)


def _change(import_id: ImportId, **columns: object) -> Update:
    return update(imports).where(imports.c.import_id == import_id).values(**columns)
