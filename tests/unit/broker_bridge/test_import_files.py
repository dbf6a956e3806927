"""Files of decisions, row by row: what a row says is what the same decision says as JSON."""

import asyncio
import io
import json
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from broker_bridge.adapters.imports.columns import readers, required
from broker_bridge.adapters.imports.csv_rows import csv_rows
from broker_bridge.adapters.imports.lines import MAX_EMPTY_LINES, MAX_LINE_BYTES
from broker_bridge.adapters.imports.ndjson_rows import ndjson_rows
from broker_bridge.adapters.imports.spool import DirectorySpool
from broker_bridge.adapters.lender_api.decisions import DECISION_BODIES, decision_of
from broker_bridge.app.ports.imports import (
    FileRow,
    FileTooLargeError,
    SpoolUnavailableError,
    UnreadableFileError,
    UploadCutError,
)
from broker_bridge.domain.imports import Format, ImportId, SpoolId
from device_sim.identities import simulated_imei
from tests.bridge_rig import ACME

IMPORT = ImportId("imp_1")
COMMON = {"decision_id": "d1", "imei": simulated_imei(0), "occurred_at": "2023-01-01T00:00:00Z"}
TIME = "2023-02-01T08:00:00+05:30"
DECISIONS: list[dict[str, Any]] = [
    {"type": "payment_due", "due_at": TIME, "amount_due": 0, "currency": "EUR"},
    {"type": "payment_overdue", "days_overdue": 30, "amount_due": 12_345, "pay_url": "https://pay.example/1"},
    {"type": "payment_received", "cures": True},
    {"type": "payment_received", "cures": False, "amount": 100, "currency": "INR"},
    {"type": "payment_received", "reversed": True, "days_overdue": 0, "reverses": "p1"},
    {"type": "loan_settled"},
    {"type": "grace_granted", "until": TIME, "level": "notice"},
    {"type": "dispute_opened", "until": TIME},
    {"type": "dispute_opened"},
    {"type": "dispute_closed"},
    {"type": "lost_or_stolen"},
    {"type": "recovered"},
    {"type": "resend"},
]


def cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def as_csv(*decisions: dict[str, Any]) -> BinaryIO:
    columns = list(readers())
    lines = [columns, *([cell(one.get(name)) for name in columns] for one in decisions)]
    return io.BytesIO("".join(f"{','.join(line)}\r\n" for line in lines).encode())


def test_every_type_of_decision_is_tried_here() -> None:
    assert {one["type"] for one in DECISIONS} == set(DECISION_BODIES)


@pytest.mark.parametrize("decision", DECISIONS, ids=" ".join)
def test_a_row_says_what_the_same_decision_says_as_json(decision: dict[str, Any]) -> None:
    (row,) = csv_rows(as_csv(COMMON | decision))
    assert row == FileRow(1, COMMON | decision)
    assert decision_of(row.value, ACME) == decision_of(COMMON | decision, ACME)


def test_the_columns_are_the_fields_of_all_types() -> None:
    assert set(readers()) == {name for model in DECISION_BODIES.values() for name in model.model_fields}
    assert set(required()) == {"decision_id", "imei", "occurred_at", "type"}


@pytest.mark.parametrize("text", ["", "007", "+1", "1.0", "1e3", "0x1", "１", "1_000", " 1", "9" * 20])  # noqa: RUF001 - a full-width digit
def test_what_is_no_plain_integer_stays_text(text: str) -> None:
    assert readers()["days_overdue"](text) == text


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("90", 90), ("-1", -1), ("9" * 19, 10**19 - 1)])
def test_a_plain_integer_is_one(text: str, number: int) -> None:
    assert readers()["days_overdue"](text) == number


def test_a_quoted_cell_may_hold_commas_and_quotes() -> None:
    file = io.BytesIO(b'decision_id,imei,type,occurred_at\n"a,""b""",1,resend,"x"\n')
    (row,) = csv_rows(file)
    assert row.value == {"decision_id": 'a,"b"', "imei": "1", "type": "resend", "occurred_at": "x"}


@pytest.mark.parametrize("reader", [csv_rows, ndjson_rows])
def test_a_line_without_end_takes_no_memory(reader: Callable[[BinaryIO], Iterator[FileRow]]) -> None:
    class Endless(io.RawIOBase):
        """A header and then 64 MiB without a line feed."""

        left = 64 * 1024 * 1024

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any, /) -> int:
            size = min(len(buffer), self.left)
            self.left -= size
            buffer[:size] = b"x" * size
            return size

    header = io.BytesIO(b"decision_id,imei,type,occurred_at\n") if reader is csv_rows else io.BytesIO(b"1\n")
    file = io.BufferedReader(Joined(header, Endless()))
    tracemalloc.start()
    rows = list(reader(file))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows[-1].error is not None
    assert str(MAX_LINE_BYTES) in str(rows[-1].error)
    assert most < 1024 * 1024


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_file_of_empty_lines_is_not_read_to_its_end(end: bytes) -> None:
    rows = b"1" + end + end * MAX_EMPTY_LINES + b"2" + end + end * MAX_EMPTY_LINES + b"3" + end
    assert [row.value for row in ndjson_rows(io.BytesIO(rows))] == [1, 2, 3]
    with pytest.raises(UnreadableFileError, match="line 102: more than 100 empty lines in a row"):
        list(ndjson_rows(io.BytesIO(b"1" + end + end * (MAX_EMPTY_LINES + 1) + b"2" + end)))


class Joined(io.RawIOBase):
    """One stream after another."""

    def __init__(self, *streams: Any) -> None:
        self._streams = list(streams)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while self._streams:
            if size := self._streams[0].readinto(buffer):
                return int(size)
            self._streams.pop(0)
        return 0


# --- the spool ---


def spool_in(directory: Path, *, max_bytes: int = 1000) -> DirectorySpool:
    return DirectorySpool(
        directory=directory, spool_id=SpoolId("spool"), max_bytes=max_bytes, max_rows=10, idle_s=0.05, upload_s=0.2
    )


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def upload(*chunks: bytes) -> Any:
    for chunk in chunks:
        yield chunk


async def test_a_file_comes_out_of_the_spool_as_it_went_in(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    digest, size = await spool.receive(IMPORT, upload(b'{"a"', b": 1}\n", b"2"))
    assert size == 10
    assert await spool.digest(upload(b'{"a": 1}\n2')) == digest
    assert [row.value for row in spool.rows(IMPORT, Format.NDJSON)] == [{"a": 1}, 2]


async def test_an_upload_that_trickles_is_cut_when_its_time_is_over(tmp_path: Path) -> None:
    async def trickle() -> Any:
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    with pytest.raises(UploadCutError):
        await spool_in(tmp_path, max_bytes=10**9).receive(IMPORT, trickle())
    assert files_in(tmp_path) == []


async def test_a_file_may_be_as_large_as_allowed_and_not_larger(tmp_path: Path) -> None:
    await spool_in(tmp_path).receive(IMPORT, upload(b"x" * 1000))
    with pytest.raises(FileTooLargeError):
        await spool_in(tmp_path).receive(ImportId("imp_2"), upload(b"x" * 1000, b"x"))
    assert files_in(tmp_path) == [IMPORT]


async def test_the_spool_lists_its_files_and_discards_them(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    assert spool.files() == []
    for name in ("imp_1", "imp_2"):
        await spool.receive(ImportId(name), upload(b"1"))
    (tmp_path / "spool" / ".spool").touch()
    spool.discard(ImportId("imp_1"))
    assert spool.files() == ["imp_2"]
    spool.discard(ImportId("imp_1"))


def test_a_file_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="send it again"):
        list(spool_in(tmp_path).rows(IMPORT, Format.CSV))


async def test_a_file_that_cannot_be_read_just_now_is_not_taken_for_gone(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await spool.receive(IMPORT, upload(b"1\n"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(SpoolUnavailableError, match="Too many open files"):
            list(spool.rows(IMPORT, Format.NDJSON))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [row.value for row in spool.rows(IMPORT, Format.NDJSON)] == [1]


async def test_a_file_of_as_many_rows_as_allowed_is_read_and_a_longer_one_is_not(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await spool.receive(IMPORT, upload(b"1\n" * 10))
    assert len(list(spool.rows(IMPORT, Format.NDJSON))) == 10
    await spool.receive(ImportId("imp_2"), upload(b"1\n" * 11))
    with pytest.raises(UnreadableFileError, match="more than 10 rows"):
        list(spool.rows(ImportId("imp_2"), Format.NDJSON))
