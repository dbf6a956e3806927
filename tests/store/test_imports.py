"""Imports in the database, and the worker over it when the database does not do as it should."""

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from broker_bridge.adapters.imports.desk import import_worker
from broker_bridge.adapters.imports.spool import DirectorySpool
from broker_bridge.adapters.metrics.metrics import Metrics
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.adapters.store.tables import spools
from broker_bridge.app.import_worker import ImportWorker
from broker_bridge.app.imports import GONE_S, ImportConflictError, UploadRunningError
from broker_bridge.app.ports.imports import ImportTakenAwayError, TooManyImportsError
from broker_bridge.app.ports.store import Job, OverloadedError, StoreUnavailableError, Transaction
from broker_bridge.app.sign import ClockSuspectError
from broker_bridge.domain.imports import (
    Format,
    Import,
    ImportId,
    ImportState,
    Outcome,
    RowResult,
    SpoolId,
    Upload,
    no_rows,
)
from device_sim.identities import simulated_imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId
from tests.bridge_rig import ACME, KeptLog, Office, Work
from tests.conftest import PATIENCE_S, writing_engine

IMEI, SECOND = simulated_imei(0), simulated_imei(1)
OTHER = LenderId("other-lender")
SPOOL, OTHER_SPOOL = SpoolId("spool"), SpoolId("other spool")
NOW = 1_700_000_000


def upload(key: str = "k", lender: LenderId = ACME) -> Upload:
    return Upload(lender=lender, idempotency_key=key, format=Format.CSV, dry_run=False)


def new(name: str, key: str = "k", lender: LenderId = ACME, spool: SpoolId = SPOOL) -> Import:
    return Import(
        import_id=ImportId(name), upload=upload(key, lender), state=ImportState.RECEIVING, created_at=NOW, spool=spool
    )


def result(name: str, row: int, outcome: Outcome = Outcome.APPLIED) -> RowResult:
    return RowResult(import_id=ImportId(name), row=row, outcome=outcome, answer='{"status": 200}')


async def queued(store: SqlStore, name: str, key: str = "k", lender: LenderId = ACME) -> Import:
    await store.imports.begin(new(name, key, lender), 10)
    return await store.imports.received(ImportId(name), b"h" * 32, 7)


# --- the tables ---


async def test_one_key_is_one_import(store: SqlStore) -> None:
    first = await store.imports.begin(new("imp_1"), 10)
    assert await store.imports.begin(new("imp_2"), 10) == first == new("imp_1")


async def test_an_import_is_what_was_stored_of_it(store: SqlStore) -> None:
    await queued(store, "imp_1")
    await store.imports.start(new("imp_1"), 3, 5)
    some, counts = no_rows() | {Outcome.REFUSED: 1}, no_rows() | {Outcome.APPLIED: 1, Outcome.REFUSED: 2}
    await store.imports.add(new("imp_1"), [result("imp_1", 2, Outcome.REFUSED)], some)
    (under_way,) = await store.imports.waiting([], SPOOL, GONE_S)
    assert (under_way.state, under_way.counts) == (ImportState.RUNNING, some)
    await store.imports.finish(new("imp_1"), ImportState.FAILED, 9, counts, '{"detail": "x"}')
    expected = replace(
        new("imp_1"),
        state=ImportState.FAILED,
        content_hash=b"h" * 32,
        size_bytes=7,
        rows=3,
        counts=counts,
        problem='{"detail": "x"}',
        started_at=5,
        finished_at=9,
    )
    assert await store.imports.one(ACME, ImportId("imp_1")) == expected
    assert await store.imports.one(OTHER, ImportId("imp_1")) is None
    assert expected.done == 3


async def test_a_lender_has_so_many_unfinished_and_no_more(store: SqlStore) -> None:
    await queued(store, "imp_1", "a")
    await store.imports.begin(new("imp_2", "b"), 2)
    with pytest.raises(TooManyImportsError):
        await store.imports.begin(new("imp_3", "c"), 2)
    await store.imports.finish(new("imp_1"), ImportState.DONE, 9, no_rows())
    assert (await store.imports.begin(new("imp_3", "c"), 2)).import_id == "imp_3"


async def test_what_waits_is_the_oldest_of_each_lender_that_is_not_served(store: SqlStore) -> None:
    await store.lenders.add(OTHER, b"o" * 32, at=1)
    for number in (1, 2):
        await queued(store, f"imp_{number}", f"k{number}")
    await queued(store, "imp_3", lender=OTHER)
    await store.imports.begin(new("imp_0", "receiving"), 10)
    assert {one.import_id for one in await store.imports.waiting([], SPOOL, GONE_S)} == {"imp_1", "imp_3"}
    assert {one.import_id for one in await store.imports.waiting([ACME], SPOOL, GONE_S)} == {"imp_3"}
    await store.imports.finish(new("imp_1"), ImportState.DONE, 9, no_rows())
    assert {one.import_id for one in await store.imports.waiting([OTHER], SPOOL, GONE_S)} == {"imp_2"}


async def test_a_rows_result_is_there_exactly_if_its_job_was_committed(store: SqlStore) -> None:
    def take(tx: Transaction) -> None:
        tx.put_row_result(result("imp_1", 1))

    def fail(tx: Transaction) -> None:
        tx.put_row_result(result("imp_1", 2))
        raise ValueError("no")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.commits.commit(Work(take)))
        failed = asyncio.ensure_future(store.commits.commit(Work(fail)))
    with pytest.raises(ValueError, match="no"):
        await failed
    assert await store.imports.results(ImportId("imp_1"), 0, 10) == [result("imp_1", 1)]
    assert await store.imports.outcomes(ImportId("imp_1"), 1, 2) == {1: Outcome.APPLIED}


async def test_results_come_in_order_page_by_page_and_by_outcome(store: SqlStore) -> None:
    rows = [result("imp_1", row, Outcome.REFUSED if row % 2 else Outcome.HELD) for row in range(1, 8)]
    await queued(store, "imp_1")
    await store.imports.add(new("imp_1"), rows[::-1], no_rows())
    assert await store.imports.results(ImportId("imp_1"), 2, 3) == rows[2:5]
    assert await store.imports.results(ImportId("imp_1"), 0, 10, Outcome.HELD) == rows[1::2]
    assert await store.imports.counted(ImportId("imp_1")) == no_rows() | {Outcome.REFUSED: 4, Outcome.HELD: 3}


async def test_old_imports_are_forgotten_a_piece_at_a_time(store: SqlStore) -> None:
    for name, finished_at in (("imp_1", 10), ("imp_2", 20)):
        await queued(store, name, name)
        await store.imports.add(new(name), [result(name, row) for row in range(1, 6)], no_rows())
        await store.imports.finish(new(name), ImportState.DONE, finished_at, no_rows())
    await queued(store, "imp_3", "not finished")
    assert await store.imports.forget_finished(20, 2) == 2
    assert await store.imports.one(ACME, ImportId("imp_1")) is not None
    while await store.imports.forget_finished(20, 2):
        pass
    page = await store.imports.all_of(ACME, "", 10)
    assert [one.import_id for one in page.items] == ["imp_3", "imp_2"]
    assert await store.imports.results(ImportId("imp_1"), 0, 10) == []
    assert len(await store.imports.results(ImportId("imp_2"), 0, 10)) == 5


async def test_a_bridge_sees_its_own_imports_and_those_of_bridges_that_are_gone(store: SqlStore, database: str) -> None:
    imports = store.imports
    await store.lenders.add(OTHER, b"o" * 32, at=1)
    for spool in (SPOOL, OTHER_SPOOL):
        await imports.alive(spool, GONE_S)
    await queued(store, "imp_1", "a", ACME)
    await imports.begin(new("imp_2", "b", OTHER, OTHER_SPOOL), 10)
    await imports.begin(new("imp_3", "c", OTHER, SpoolId("")), 10)  # from before spools had names

    async def seen() -> tuple[set[ImportId], set[ImportId]]:
        mine = await imports.unfinished(SPOOL, GONE_S)
        assert {one.import_id for one in await imports.waiting([], SPOOL, GONE_S)} == set(mine)
        return set(mine), set(await imports.receiving(SPOOL, GONE_S))

    silent(database, OTHER_SPOOL, GONE_S - 60)
    assert await seen() == ({"imp_1"}, {"imp_3"})
    silent(database, OTHER_SPOOL, 61)
    assert await seen() == ({"imp_1"}, {"imp_2", "imp_3"})
    assert await imports.unfinished(OTHER_SPOOL, GONE_S) == []
    await imports.alive(SPOOL, GONE_S)
    assert spools_in(database) == [SPOOL]  # who is gone is forgotten, and as gone as before
    assert await seen() == ({"imp_1"}, {"imp_2", "imp_3"})


def silent(database: str, spool: SpoolId, seconds: int) -> None:
    """Have a bridge be silent for so long, by the database's clock."""
    with writing_engine(database) as engine, engine.begin() as connection:
        connection.execute(update(spools).where(spools.c.spool == spool).values(seen_at=spools.c.seen_at - seconds))


def spools_in(database: str) -> list[str]:
    with writing_engine(database) as engine, engine.begin() as connection:
        return list(connection.execute(select(spools.c.spool)).scalars())


@pytest.mark.parametrize("over", [ImportState.DONE, ImportState.FAILED])
async def test_an_import_that_is_over_is_left_as_it_is(store: SqlStore, over: ImportState) -> None:
    await queued(store, "imp_1")
    await store.imports.finish(new("imp_1"), over, 9, no_rows())
    told = await store.imports.one(ACME, ImportId("imp_1"))
    for change in (
        store.imports.start(new("imp_1"), 3, 10),
        store.imports.add(new("imp_1"), [result("imp_1", 1)], no_rows() | {Outcome.APPLIED: 1}),
        store.imports.finish(new("imp_1"), ImportState.DONE, 10, no_rows() | {Outcome.APPLIED: 1}),
    ):
        with pytest.raises(ImportTakenAwayError):
            await change
    assert await store.imports.one(ACME, ImportId("imp_1")) == told
    assert await store.imports.results(ImportId("imp_1"), 0, 9) == []


async def test_an_import_whose_file_another_bridge_has_is_left_as_it_is(store: SqlStore) -> None:
    one = await queued(store, "imp_1")
    with pytest.raises(ImportTakenAwayError):
        await store.imports.finish(new("imp_1", spool=OTHER_SPOOL), ImportState.DONE, 10, no_rows())
    assert await store.imports.one(ACME, ImportId("imp_1")) == one


async def test_an_import_that_has_failed_is_queued_again_and_no_other(store: SqlStore) -> None:
    one = await queued(store, "imp_1")
    assert not await store.imports.requeue(ImportId("imp_1"), OTHER_SPOOL, 10)
    await store.imports.finish(new("imp_1"), ImportState.FAILED, 9, no_rows(), "{}")
    assert await store.imports.requeue(ImportId("imp_1"), OTHER_SPOOL, 10)
    assert await store.imports.one(ACME, ImportId("imp_1")) == replace(one, spool=OTHER_SPOOL)
    await store.imports.finish(new("imp_1", spool=OTHER_SPOOL), ImportState.DONE, 9, no_rows())
    assert not await store.imports.requeue(ImportId("imp_1"), SPOOL, 10)


async def test_an_import_that_is_queued_again_counts_among_the_unfinished(store: SqlStore) -> None:
    await queued(store, "imp_1", "a")
    await store.imports.finish(new("imp_1"), ImportState.FAILED, 9, no_rows())
    await queued(store, "imp_2", "b")
    with pytest.raises(TooManyImportsError):
        await store.imports.requeue(ImportId("imp_1"), SPOOL, 1)
    assert await store.imports.requeue(ImportId("imp_1"), SPOOL, 2)


# --- the worker ---


@dataclass
class Troubled:
    """A store, and imports, that fail at chosen times; whatever they are not asked to fail at is the real one's."""

    store: SqlStore
    before: list[Exception] = field(default_factory=list)
    """What jobs are answered with, one after the other, instead of being committed."""
    after: list[Exception] = field(default_factory=list)
    """The same, once they have been committed."""
    adding: list[Exception] = field(default_factory=list)
    """What recording a group is answered with."""
    refusing: list[Exception] = field(default_factory=list)
    """What queuing an upload is answered with."""
    queuing: list[Exception] = field(default_factory=list)
    """The same, once it is queued."""
    tidying: list[asyncio.Event] = field(default_factory=list)
    """Two for each time that it is asked what is unfinished: set with the answer, and what that waits for then."""
    counting: list[asyncio.Event] = field(default_factory=list)
    """The same for the first time that results are to be counted and recorded."""
    committing: list[asyncio.Event] = field(default_factory=list)
    """The same for the first job, which waits before it is committed."""
    idle: bool = False
    """Whether nothing waits, as far as the worker is told."""
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store.imports, name)

    async def commit(self, job: Job[Any]) -> Any:
        self.asked += [name for _, name in job.decisions]
        if self.committing:
            asked, go_on = self.committing
            self.committing = []
            asked.set()
            await go_on.wait()
        if self.before:
            raise self.before.pop(0)
        done = await self.store.commits.commit(job)
        if self.after:
            raise self.after.pop(0)
        return done

    async def commit_each(self, jobs: Sequence[Job[Any]]) -> list[Any]:
        return list(await asyncio.gather(*map(self.commit, jobs), return_exceptions=True))

    async def add(self, *arguments: Any) -> None:
        if self.adding:
            raise self.adding.pop(0)
        if self.counting:
            self.counting.pop(0).set()
            await self.counting.pop(0).wait()
        await self.store.imports.add(*arguments)

    async def received(self, *arguments: Any) -> Import:
        if self.refusing:
            raise self.refusing.pop(0)
        queued = await self.store.imports.received(*arguments)
        if self.queuing:
            raise self.queuing.pop(0)
        return queued

    async def unfinished(self, *arguments: Any) -> Collection[ImportId]:
        found = await self.store.imports.unfinished(*arguments)
        if self.tidying:
            self.tidying.pop(0).set()
            await self.tidying.pop(0).wait()
        return found

    async def waiting(self, *arguments: Any) -> Sequence[Import]:
        return [] if self.idle else await self.store.imports.waiting(*arguments)


@dataclass
class Site:
    """A worker that runs."""

    worker: ImportWorker
    store: SqlStore
    trouble: Troubled
    log: KeptLog

    async def imported(self, *rows: str) -> Import:
        return await self.finished((await self.taken(*rows)).import_id)

    async def taken(self, *rows: str, after: asyncio.Event | None = None) -> Import:
        async def chunks() -> AsyncIterator[bytes]:
            if after is not None:
                await after.wait()
            yield "".join(f"{line}\n" for line in ("decision_id,imei,type,occurred_at,days_overdue", *rows)).encode()

        return await self.worker.uploads.take(upload(), chunks())

    async def failed(self, *rows: str) -> Import:
        """An import whose file was lost."""
        self.trouble.idle = True
        taken = await self.taken(*rows)
        self.worker.spool.discard(taken.import_id)
        self.trouble.idle = False
        self.worker.awake.set()
        failed = await self.finished(taken.import_id)
        assert failed.state is ImportState.FAILED
        await until(lambda: not self.worker.uploads.at_work)
        return failed

    async def finished(self, import_id: ImportId) -> Import:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                one = await self.store.imports.one(ACME, import_id)
                assert one is not None
                if one.state.is_final:
                    return one
                await asyncio.sleep(0.005)


@asynccontextmanager
async def working(store: SqlStore, directory: Path, office: Office, spool_id: SpoolId = SPOOL) -> AsyncIterator[Site]:
    trouble: Any = Troubled(store)
    log = KeptLog()
    spool = DirectorySpool(
        directory=directory / spool_id, spool_id=spool_id, max_bytes=10**6, max_rows=10**4, idle_s=5, upload_s=5
    )
    worker = import_worker(
        store=trouble,
        imports=trouble,
        spool=spool,
        reconsider=office.reconsider,
        meters=Metrics(office.clock).meters,
        log=log,
        keep_s=86_400,
    )
    running = asyncio.create_task(worker.run())
    yield Site(worker, store, trouble, log)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def site(store: SqlStore, tmp_path: Path, office: Office) -> AsyncIterator[Site]:
    await enrol_both(store, office)
    async with working(store, tmp_path, office) as running:
        yield running


def late(name: str, imei: str = IMEI, days: int = 90) -> str:
    return f"{name},{imei},payment_overdue,2023-01-01T{days // 60:02}:{days % 60:02}:00Z,{days}"


def in_turns(count: int) -> list[str]:
    """So many rows, each about the other phone than the one before."""
    return [late(f"d{number}", (IMEI, SECOND)[number % 2], days=number) for number in range(1, count + 1)]


async def enrol_both(store: SqlStore, office: Office) -> None:
    for imei in (IMEI, SECOND):
        await store.commits.commit(office.enrol(imei))


PASSING = [StoreUnavailableError("gone"), OverloadedError("full"), ClockSuspectError("ahead")]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
async def test_what_passes_is_tried_again_and_is_no_rows_fault(site: Site, error: Exception) -> None:
    site.trouble.before = [error, error]
    one = await site.imported(late("a"), late("b", SECOND))
    assert one.counts == no_rows() | {Outcome.APPLIED: 2}
    assert site.worker.waiting_for == {}
    assert "import_waits" in site.log.events("warning")


async def test_a_row_that_waits_keeps_its_place_before_the_next_of_its_phone(site: Site) -> None:
    site.trouble.before = [PASSING[0], PASSING[0]]
    one = await site.imported(late("a", days=30), late("b", days=60), late("c", SECOND))
    asked = [name for name in site.trouble.asked if name != "c"]
    assert asked in (["a", "a", "b"], ["a", "a", "a", "b"])  # the other phone's row may have met one of the failures
    assert one.counts == no_rows() | {Outcome.APPLIED: 3}


async def test_a_commit_whose_answer_was_lost_is_told_as_what_it_did(site: Site) -> None:
    site.trouble.after = [PASSING[0]]
    one = await site.imported(late("a"))
    assert one.counts == no_rows() | {Outcome.APPLIED: 1}
    assert [row.outcome for row in await site.store.imports.results(one.import_id, 0, 9)] == [Outcome.APPLIED]


async def test_a_group_that_could_not_be_recorded_is_counted_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_bridge.app.import_worker.LONGEST_PAUSE_S", 0.01)
    site.trouble.adding = [PASSING[0], PASSING[0]]
    one = await site.imported(late("a"), "broken", late("b", SECOND))
    assert one.counts == no_rows() | {Outcome.APPLIED: 2, Outcome.REFUSED: 1}
    assert [row.row for row in await site.store.imports.results(one.import_id, 0, 9)] == [1, 2, 3]
    assert sorted(site.trouble.asked) == ["a", "b"]


async def test_a_file_that_cannot_be_read_just_now_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_bridge.app.import_worker.LONGEST_PAUSE_S", 0.01)
    real, errors = Path.open, [OSError(errno.EMFILE, "Too many open files"), OSError(errno.EIO, "Input/output error")]

    def opened(path: Path, mode: str) -> Any:
        if errors:
            raise errors.pop(0)
        return real(path, mode)

    monkeypatch.setattr(Path, "open", opened)
    one = await site.imported(late("a"))
    assert (errors, one.state, one.counts) == ([], ImportState.DONE, no_rows() | {Outcome.APPLIED: 1})
    assert "import_waits" in site.log.events("warning")


async def test_a_row_that_breaks_something_is_told_and_stops_nothing(site: Site) -> None:
    site.trouble.before = [RuntimeError("a defect")]
    one = await site.imported(late("a"), late("b"))
    assert one.counts == no_rows() | {Outcome.APPLIED: 1, Outcome.REFUSED: 1}
    (refused,) = await site.store.imports.results(one.import_id, 0, 9, Outcome.REFUSED)
    assert "internal-error" in refused.answer
    assert "a defect" not in refused.answer
    assert site.log.events("critical") == ["import_row"]


async def test_an_import_that_was_under_way_is_finished_by_the_next_worker(
    store: SqlStore, tmp_path: Path, office: Office
) -> None:
    await enrol_both(store, office)
    rows = in_turns(240)
    async with working(store, tmp_path, office) as first:
        importing = asyncio.create_task(first.imported(*rows))
        await until(lambda: len(first.trouble.asked) >= 210)
        importing.cancel()
    (left,) = await store.imports.unfinished(SPOOL, GONE_S)
    async with working(store, tmp_path, office) as second:
        one = await second.finished(left)
    assert one.counts == no_rows() | {Outcome.APPLIED: 240}
    assert [row.row for row in await store.imports.results(left, 0, 1000)] == list(range(1, 241))


async def test_a_worker_removes_what_an_upload_left_whose_bridge_was_killed(
    store: SqlStore, tmp_path: Path, office: Office
) -> None:
    await store.imports.begin(new("imp_cut"), 10)
    left = tmp_path / "spool" / "imp_cut"
    left.parent.mkdir()
    left.write_bytes(b"decision_id")
    async with working(store, tmp_path, office):
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: not left.exists())
    assert await store.imports.receiving(SPOOL, GONE_S) == []


async def test_an_upload_that_was_not_queued_leaves_no_file(site: Site, tmp_path: Path) -> None:
    site.trouble.refusing = [PASSING[0]]
    with pytest.raises(StoreUnavailableError):
        await site.imported(late("a"))
    assert list((tmp_path / SPOOL).iterdir()) == []


async def test_an_upload_of_which_nobody_heard_that_it_was_queued_keeps_its_file(site: Site) -> None:
    site.trouble.queuing = [PASSING[0]]
    with pytest.raises(StoreUnavailableError):
        await site.imported(late("a"))
    (one,) = (await site.store.imports.all_of(ACME, "", 9)).items
    site.worker.awake.set()
    assert (await site.finished(one.import_id)).counts == no_rows() | {Outcome.APPLIED: 1}


async def test_an_upload_that_ends_while_it_is_tidied_up_keeps_its_file(
    store: SqlStore, tmp_path: Path, office: Office
) -> None:
    await store.commits.commit(office.enrol(IMEI))
    async with working(store, tmp_path, office) as site:
        site.trouble.idle = True
        asked, go_on = site.trouble.tidying = [asyncio.Event(), asyncio.Event()]
        await asked.wait()
        taken = await site.taken(late("a"))
        go_on.set()
        site.trouble.idle = False
        site.worker.awake.set()
        one = await site.finished(taken.import_id)
    assert one.counts == no_rows() | {Outcome.APPLIED: 1}


async def test_a_file_that_is_sent_again_after_its_bridge_has_gone_is_done_to_its_end(
    store: SqlStore, database: str, tmp_path: Path, office: Office
) -> None:
    await enrol_both(store, office)
    rows = in_turns(240)
    async with working(store, tmp_path, office) as first:
        taken = await first.taken(*rows)
        await until(lambda: len(first.trouble.asked) >= 60)
    silent(database, SPOOL, GONE_S + 1)
    async with working(store, tmp_path, office, OTHER_SPOOL) as second:
        failed = await second.finished(taken.import_id)
        assert (failed.state, "send it again" in failed.problem) == (ImportState.FAILED, True)
        assert 0 < failed.done < 240
        await until(lambda: not second.worker.uploads.at_work)
        done = await second.imported(*rows)
        assert await second.imported(*rows) == done
    assert (done.import_id, done.state, done.problem) == (taken.import_id, ImportState.DONE, "")
    assert done.counts == no_rows() | {Outcome.APPLIED: 240}
    assert [row.row for row in await store.imports.results(taken.import_id, 0, 1000)] == list(range(1, 241))


async def test_another_file_under_the_key_of_an_import_that_has_failed_is_refused(site: Site) -> None:
    failed = await site.failed(late("a"))
    with pytest.raises(ImportConflictError):
        await site.taken(late("b"))
    assert site.worker.spool.files() == []
    assert await site.store.imports.one(ACME, failed.import_id) == failed


async def test_a_file_that_is_sent_again_twice_at_a_time_is_received_once(site: Site) -> None:
    await site.failed(late("a"))
    go_on = asyncio.Event()
    first = asyncio.create_task(site.taken(late("a"), after=go_on))
    await until(lambda: bool(site.worker.spool.files()))
    with pytest.raises(UploadRunningError):
        await site.taken(late("a"))
    go_on.set()
    assert (await site.finished((await first).import_id)).counts == no_rows() | {Outcome.APPLIED: 1}


async def test_a_file_that_is_sent_again_to_two_bridges_stays_with_the_faster_one(site: Site) -> None:
    failed = await site.failed(late("a"))
    go_on = asyncio.Event()
    slower = asyncio.create_task(site.taken(late("a"), after=go_on))
    await until(lambda: bool(site.worker.spool.files()))
    await site.store.imports.alive(OTHER_SPOOL, GONE_S)
    await site.store.imports.requeue(failed.import_id, OTHER_SPOOL, 10)
    go_on.set()
    one = await slower
    assert (one.state, one.spool) == (ImportState.QUEUED, OTHER_SPOOL)
    assert site.worker.spool.files() == []


async def test_a_file_in_use_by_a_bridge_that_was_taken_for_gone_is_not_replaced(site: Site) -> None:
    asked, go_on = site.trouble.counting = [asyncio.Event(), asyncio.Event()]
    taken = await site.taken(late("a"))
    await asked.wait()
    await site.store.imports.finish(taken, ImportState.FAILED, NOW, no_rows())
    with pytest.raises(UploadRunningError):
        await site.taken(late("a"))
    go_on.set()
    await until(lambda: not site.worker.uploads.at_work)
    assert (await site.imported(late("a"))).counts == no_rows() | {Outcome.APPLIED: 1}


async def test_a_file_is_not_sent_again_while_what_is_left_of_it_is_tidied_up(
    store: SqlStore, tmp_path: Path, office: Office
) -> None:
    await store.commits.commit(office.enrol(IMEI))
    async with working(store, tmp_path, office) as before:
        failed = await before.failed(late("a"))
    (tmp_path / SPOOL / failed.import_id).write_bytes(b"left")
    async with working(store, tmp_path, office) as site:
        asked, go_on = site.trouble.tidying = [asyncio.Event(), asyncio.Event()]
        await asked.wait()
        with pytest.raises(UploadRunningError):
            await site.taken(late("a"))
        go_on.set()
        await until(lambda: site.worker.spool.files() == [])
        assert (await site.imported(late("a"))).counts == no_rows() | {Outcome.APPLIED: 1}


async def test_two_bridges_on_one_database_leave_each_others_imports_alone(
    store: SqlStore, tmp_path: Path, office: Office
) -> None:
    """The second one has no file of what the first one receives or works off, and would fail it."""
    await store.lenders.add(OTHER, b"o" * 32, at=1)
    await enrol_both(store, office)
    rows = in_turns(60)
    async with working(store, tmp_path, office) as first:
        await until(lambda: not first.worker.awake.is_set())
        first.worker.uploads.receiving.add(ImportId("imp_upload"))  # before it is recorded, as `Uploads` does
        await store.imports.begin(new("imp_upload", "another key", OTHER), 10)
        importing = asyncio.create_task(first.imported(*rows))
        await until(lambda: bool(first.trouble.asked))
        async with working(store, tmp_path, office, OTHER_SPOOL) as second:
            one = await importing
            assert await second.imported(*rows) == one
            second.worker.awake.set()
            await until(lambda: not second.worker.awake.is_set())
            assert second.trouble.asked == []
            assert second.worker.waits_for(replace(one, state=ImportState.RUNNING)) is not None
    assert (one.state, one.counts) == (ImportState.DONE, no_rows() | {Outcome.APPLIED: 60})
    assert await store.imports.one(OTHER, ImportId("imp_upload")) is not None


async def test_a_bridge_that_was_taken_for_gone_changes_nothing_when_it_wakes(
    store: SqlStore, database: str, tmp_path: Path, office: Office
) -> None:
    await enrol_both(store, office)
    rows = in_turns(60)
    async with working(store, tmp_path, office) as first:
        asked, go_on = first.trouble.counting = [asyncio.Event(), asyncio.Event()]
        taken = await first.taken(*rows)
        await asked.wait()  # its rows are done: this bridge is stopped before it says so
        silent(database, SPOOL, GONE_S + 1)
        async with working(store, tmp_path, office, OTHER_SPOOL) as second:
            told = await second.finished(taken.import_id)
        go_on.set()
        await until(lambda: "import_taken_away" in first.log.events("warning"))
        await until(lambda: first.worker.spool.files() == [])
        assert await store.imports.one(ACME, taken.import_id) == told
        assert first.log.events("info") == []
    assert (told.state, told.counts) == (ImportState.FAILED, no_rows() | {Outcome.APPLIED: 60})
    assert "send it again" in told.problem


async def test_a_bridge_that_was_taken_for_gone_takes_no_decision_when_it_wakes(
    store: SqlStore, database: str, tmp_path: Path, office: Office
) -> None:
    await enrol_both(store, office)
    async with working(store, tmp_path, office) as first:
        asked, go_on = first.trouble.committing = [asyncio.Event(), asyncio.Event()]
        taken = await first.taken(late("a"), late("b"))
        await asked.wait()
        silent(database, SPOOL, GONE_S + 1)
        async with working(store, tmp_path, office, OTHER_SPOOL) as second:
            told = await second.finished(taken.import_id)
        go_on.set()
        await until(lambda: "import_taken_away" in first.log.events("warning"))
        assert first.log.events("critical") == []
    assert (told.state, told.counts) == (ImportState.FAILED, no_rows())
    assert await store.imports.results(taken.import_id, 0, 9) == []
    phone = await store.phones.one(ACME, IMEI)
    assert phone is not None
    assert phone.desired.level is Level.UNLOCKED


async def test_who_takes_an_import_away_waits_for_the_rows_that_are_just_being_committed(
    store: SqlStore, database: str
) -> None:
    """So that what it tells of them is what became of them."""
    await queued(store, "imp_1")
    under_way, may_go_on = threading.Event(), threading.Event()

    def commit_a_row(tx: Transaction) -> None:
        tx.require_import(ImportId("imp_1"), SPOOL)
        tx.put_row_result(result("imp_1", 1))
        under_way.set()
        may_go_on.wait(20)

    async with SqlStore(database) as other:
        row = asyncio.create_task(store.commits.commit(Work(commit_a_row)))
        await asyncio.to_thread(under_way.wait, 20)
        taking = asyncio.create_task(other.imports.finish(new("imp_1"), ImportState.FAILED, NOW, no_rows()))
        await asyncio.wait([taking], timeout=0.2)
        assert not taking.done()
        may_go_on.set()
        await asyncio.gather(row, taking)
        assert await other.imports.counted(ImportId("imp_1")) == no_rows() | {Outcome.APPLIED: 1}
        with pytest.raises(ImportTakenAwayError):
            await store.commits.commit(Work(commit_a_row))


async def test_an_upload_that_another_bridge_receives_is_not_begun_again(
    store: SqlStore, database: str, tmp_path: Path, office: Office
) -> None:
    await store.imports.alive(SPOOL, GONE_S)
    await store.imports.begin(new("imp_upload"), 10)
    office.clock.advance(2 * GONE_S)  # this bridge's clock is ahead, which is no fault of the other one
    async with working(store, tmp_path, office, OTHER_SPOOL) as second:
        with pytest.raises(UploadRunningError):
            await second.imported(late("a"))
        silent(database, SPOOL, GONE_S + 1)
        one = await second.imported(late("a", imei="000000000000000"))
    assert one.state is ImportState.DONE


async def until(is_so: Callable[[], bool]) -> None:
    while True:
        if is_so():
            return
        await asyncio.sleep(0.001)
