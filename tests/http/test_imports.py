"""Imports: a whole file of decisions, each row accounted for once, and nothing half-done."""

import asyncio
import csv
import io
import json
import stat
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from broker_bridge.adapters.imports.lines import MAX_LINE_BYTES
from broker_bridge.app.imports import MAX_UNFINISHED
from device_sim.identities import simulated_imei
from tests.conftest import PATIENCE_S
from tests.http.conftest import FOREIGN, IMEI, KEYS, OTHER, SECOND, Api, overdue, payment, problem
from tests.http.test_bad_input import IMEIS, assert_nothing_applied

HEADER = "decision_id,imei,type,occurred_at,days_overdue,cures"
LATE = f"d1,{IMEI},payment_overdue,2023-01-01T00:00:00Z,90,"
PAID = f"p1,{IMEI},payment_received,2023-01-02T00:00:00Z,,true"


def csv_file(*rows: str, header: str = HEADER) -> bytes:
    return "".join(f"{line}\n" for line in (header, *rows)).encode()


def ndjson(*decisions: object) -> bytes:
    return "".join(f"{json.dumps(one)}\n" for one in decisions).encode()


async def send(
    api: Api, content: bytes | AsyncIterator[bytes], *, key: str | None = "k1", kind: str = "text/csv", **query: Any
) -> httpx.Response:
    headers = api.headers | {"Content-Type": kind} | ({} if key is None else {"Idempotency-Key": key})
    return await api.http.post("/v1/imports", content=content, headers=headers, params=query)


async def finished(api: Api, import_id: str) -> dict[str, Any]:
    """The import once nothing changes any more."""
    return await once(api, import_id, lambda answer: answer["state"] in ("done", "failed"))


async def once(api: Api, import_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The import as soon as something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer: dict[str, Any] = (await api.get(f"/v1/imports/{import_id}")).json()
            if is_so(answer):
                return answer
            await asyncio.sleep(0.005)


async def imported(api: Api, content: bytes, **how: Any) -> dict[str, Any]:
    response = await send(api, content, **how)
    assert response.status_code == 202, response.text
    answer = response.json()
    assert response.headers["location"] == f"/v1/imports/{answer['import_id']}"
    return await finished(api, answer["import_id"])


async def results(api: Api, one: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    response = await api.get(f"/v1/imports/{one['import_id']}/results", **query)
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


async def level(api: Api, imei: str = IMEI) -> str:
    return str((await api.get(f"/v1/phones/{imei}")).json()["desired"]["level"])


def counts(one: dict[str, Any]) -> dict[str, int]:
    names = ("applied", "unchanged", "held", "repeated", "refused")
    assert one["done"] == sum(one[name] for name in names)
    return {name: one[name] for name in names if one[name]}


# --- what a file does ---


async def test_a_csv_file_does_what_its_rows_say(api: Api) -> None:
    one = await imported(api, csv_file(LATE))
    assert (one["state"], one["rows"], counts(one)) == ("done", 1, {"applied": 1})
    (row,) = await results(api, one)
    command_id = (await api.get(f"/v1/phones/{IMEI}")).json()["desired"]["command_id"]
    assert row == {
        "row": 1,
        "status": 200,
        "decision_id": "d1",
        "imei": IMEI,
        "type": "payment_overdue",
        "effect": "applied",
        "level": "locked",
        "wanted_level": "locked",
        "held": None,
        "command_id": command_id,
        "repeated": False,
    }


async def test_an_ndjson_file_does_what_its_lines_say(api: Api) -> None:
    one = await imported(api, ndjson(overdue(), payment()), kind="application/x-ndjson")
    assert counts(one) == {"applied": 2}
    assert await level(api) == "unlocked"


async def test_one_imei_locked_and_unlocked_in_one_file_ends_as_the_newest_fact_says(api: Api) -> None:
    later = LATE.replace("d1", "d2").replace("01-01", "01-03")
    one = await imported(api, csv_file(LATE, PAID, later))
    assert [row["level"] for row in await results(api, one)] == ["locked", "unlocked", "locked"]
    assert await level(api) == "locked"


async def test_an_older_overdue_below_its_payment_locks_nothing(api: Api) -> None:
    one = await imported(api, csv_file(PAID, LATE))
    assert [row["effect"] for row in await results(api, one)] == ["applied", "covered"]
    assert counts(one) == {"applied": 1, "unchanged": 1}
    assert await level(api) == "unlocked"


async def test_rows_of_one_phone_keep_their_order_over_many_groups(api: Api) -> None:
    rows = [
        f"d{number},{IMEI},payment_overdue,2023-01-01T00:{number // 60:02}:{number % 60:02}Z,{number},"
        for number in range(1, 501)
    ]
    one = await imported(api, csv_file(*rows))
    assert counts(one) == {"applied": 500}
    assert (await api.get(f"/v1/phones/{IMEI}")).json()["loan"]["days_overdue"] == 500


async def test_a_poison_row_is_told_and_the_others_go_on(api: Api) -> None:
    unknown = LATE.replace("d1", "d2").replace(IMEI, SECOND)
    foreign = LATE.replace("d1", "d3").replace(IMEI, FOREIGN)
    wrong = LATE.replace("d1", "d4").replace(",90,", ",ninety,")
    short = "d5"
    conflict = LATE.replace(",90,", ",91,")
    one = await imported(api, csv_file(unknown, foreign, wrong, short, LATE, LATE, conflict))
    assert (one["state"], counts(one)) == ("done", {"applied": 1, "repeated": 1, "refused": 5})
    rows = await results(api, one)
    kinds = [row["problem"]["type"].rpartition(":")[2] if "problem" in row else row["effect"] for row in rows]
    assert kinds == [
        *("unknown-phone", "unknown-phone", "invalid-body", "malformed-row"),
        *("applied", "applied", "decision-conflict"),
    ]
    assert [row["row"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["status"] for row in rows] == [404, 404, 422, 422, 200, 200, 422]
    assert (rows[0]["decision_id"], rows[0]["imei"]) == ("d2", SECOND)
    assert (rows[4]["repeated"], rows[5]["repeated"]) == (False, True)
    assert [row["row"] for row in await results(api, one, outcome="refused")] == [1, 2, 3, 4, 7]


async def test_a_decision_sent_before_by_another_way_is_one_decision(api: Api) -> None:
    assert (await api.decide(overdue())).status_code == 200
    one = await imported(api, csv_file(LATE))
    assert counts(one) == {"repeated": 1}
    assert [(row["effect"], row["level"]) for row in await results(api, one)] == [("applied", "locked")]


async def test_results_are_csv_for_a_spreadsheet_and_never_a_formula(api: Api) -> None:
    formula = LATE.replace("d1", "=cmd|' /C calc'!A0")
    one = await imported(api, csv_file(LATE, formula))
    response = await api.get(f"/v1/imports/{one['import_id']}/results", format="csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    first, second = csv.DictReader(io.StringIO(response.text))
    assert (first["row"], first["decision_id"], first["imei"], first["status"]) == ("1", "d1", IMEI, "200")
    assert (first["effect"], first["level"], first["repeated"], first["problem_type"]) == (
        "applied",
        "locked",
        "false",
        "",
    )
    assert second["decision_id"].startswith("'=")
    assert (second["status"], second["problem_type"]) == ("422", "urn:paylatch:problem:invalid-body")
    assert "decision_id" in second["problem_detail"]


async def test_results_are_csv_when_that_is_what_is_accepted(api: Api) -> None:
    one = await imported(api, csv_file(LATE))
    headers = api.headers | {"Accept": "text/csv"}
    response = await api.http.get(f"/v1/imports/{one['import_id']}/results", headers=headers)
    assert response.text.startswith("row,decision_id,imei,status,")


async def test_imports_are_listed_newest_first_and_page_by_page(api: Api) -> None:
    ids = [(await imported(api, csv_file(), key=f"k{number}"))["import_id"] for number in range(3)]
    page = (await api.get("/v1/imports", page_size=2)).json()
    assert [one["import_id"] for one in page["imports"]] == [ids[2], ids[1]]
    page = (await api.get("/v1/imports", page_size=2, page_token=page["next_page_token"])).json()
    assert [one["import_id"] for one in page["imports"]] == [ids[0]]
    assert page["next_page_token"] is None


async def test_another_lenders_import_is_not_found(api: Api) -> None:
    one = await imported(api, csv_file(LATE))
    other = api.of(KEYS[OTHER])
    for path in (f"/v1/imports/{one['import_id']}", f"/v1/imports/{one['import_id']}/results"):
        assert problem(await other.get(path)) == (404, "unknown-import")
    assert (await other.get("/v1/imports")).json()["imports"] == []


async def test_lenders_share_no_idempotency_keys(api: Api) -> None:
    one = await imported(api, csv_file(LATE))
    other = await imported(api.of(KEYS[OTHER]), csv_file(LATE.replace(IMEI, FOREIGN)))
    assert one["import_id"] != other["import_id"]
    assert await level(api.of(KEYS[OTHER]), FOREIGN) == "locked"


async def test_importing_needs_a_key(api: Api) -> None:
    assert problem(await send(api.of(None), csv_file(LATE))) == (401, "unauthorized")


# --- dry run ---


async def test_a_dry_run_judges_every_row_and_writes_nothing(api: Api) -> None:
    assert (await api.decide(overdue("known"))).status_code == 200
    before = (await api.get(f"/v1/phones/{IMEI}")).json()
    conflict = LATE.replace("d1", "known").replace(",90,", ",91,")
    unknown = LATE.replace(IMEI, SECOND)
    one = await imported(api, csv_file(PAID, conflict, unknown, "x"), dry_run=True)
    assert (one["dry_run"], counts(one)) == (True, {"applied": 1, "refused": 3})
    rows = await results(api, one)
    assert (rows[0]["effect"], rows[0]["level"]) == ("applied", "unlocked")
    assert [row["status"] for row in rows] == [200, 422, 404, 422]
    assert (await api.get(f"/v1/phones/{IMEI}")).json() == before
    assert counts(await imported(api, csv_file(PAID), key="k2")) == {"applied": 1}


# --- idempotency ---


async def test_the_same_key_with_the_same_file_is_the_same_import(api: Api) -> None:
    one = await imported(api, csv_file(LATE))
    again = await imported(api, csv_file(LATE))
    assert again == one
    assert counts(again) == {"applied": 1}


async def test_an_import_that_has_failed_is_tried_again_when_its_file_is_sent_again(api: Api) -> None:
    broken = csv_file(header="wrong")
    first = await imported(api, broken)
    api.clock.advance(60)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            response = await send(api, broken)
            if response.status_code == 202:
                break
            assert problem(response) == (409, "upload-running")  # the worker has told of its end, and is just leaving
            await asyncio.sleep(0.005)
    assert response.json()["import_id"] == first["import_id"]
    second = await finished(api, first["import_id"])
    assert second["problem"] == first["problem"]
    assert second["finished_at"] > first["finished_at"]


async def test_the_same_key_with_another_file_or_in_another_way_is_refused(api: Api) -> None:
    await imported(api, csv_file(LATE))
    for content, how in (
        (csv_file(PAID), {}),
        (csv_file(LATE), {"dry_run": True}),
        (csv_file(LATE), {"kind": "application/x-ndjson"}),
    ):
        assert problem(await send(api, content, **how)) == (422, "idempotency-key-reused")
    assert await level(api) == "locked"


@pytest.mark.parametrize("key", [None, "", "x" * 256, "naïve"], ids=["none", "empty", "256 characters", "no ASCII"])
async def test_a_key_is_needed(api: Api, key: str | None) -> None:
    headers = [(name.encode(), value.encode()) for name, value in (api.headers | {"Content-Type": "text/csv"}).items()]
    if key is not None:
        headers.append((b"Idempotency-Key", key.encode()))
    response = await api.http.post("/v1/imports", content=csv_file(LATE), headers=headers)
    assert problem(response) == (400, "idempotency-key")
    assert (await api.get("/v1/imports")).json()["imports"] == []


async def test_the_same_key_while_its_upload_runs_is_refused(api: Api) -> None:
    sending, begun = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield csv_file()
        begun.set()
        await sending.wait()
        yield f"{LATE}\n".encode()

    first = asyncio.create_task(send(api, slowly()))
    await begun.wait()
    assert problem(await send(api, csv_file(LATE))) == (409, "upload-running")
    assert [one["state"] for one in (await api.get("/v1/imports")).json()["imports"]] == ["receiving"]
    sending.set()
    assert (await first).status_code == 202
    assert counts(await imported(api, csv_file(LATE))) == {"applied": 1}


# --- uploads that do not come whole ---


async def assert_nothing_left(api: Api) -> None:
    assert (await api.get("/v1/imports")).json()["imports"] == []
    spool = api.passwords.parent / "spool"
    assert not spool.exists() or list(spool.iterdir()) == []
    await assert_nothing_applied(api)


async def test_an_upload_that_stands_still_leaves_nothing_behind(api: Api) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield csv_file(LATE)
        await asyncio.Event().wait()

    assert problem(await send(api, stuck())) == (408, "upload-cut")
    await assert_nothing_left(api)
    assert counts(await imported(api, csv_file(LATE))) == {"applied": 1}


async def test_an_upload_whose_sender_is_gone_leaves_nothing_behind(api: Api) -> None:
    begun = asyncio.Event()

    async def cut() -> AsyncIterator[bytes]:
        yield csv_file(LATE)
        begun.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(send(api, cut()))
    await begun.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await assert_nothing_left(api)


async def test_a_file_of_too_many_bytes_is_refused_before_its_end(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100_000_000:
            sent += 65_536
            yield b"x" * 65_536

    assert problem(await send(api, endless())) == (413, "too-large")
    assert sent < 5_000_000
    await assert_nothing_left(api)


async def test_a_full_disk_is_told_and_leaves_nothing_behind(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(28, "No space left on device")

    def fail(*_: object) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr("broker_bridge.adapters.imports.spool._append", fail)
        assert problem(await send(api, csv_file(LATE))) == (507, "disk-full")
    await assert_nothing_left(api)
    assert counts(await imported(api, csv_file(LATE))) == {"applied": 1}


async def test_files_wait_where_their_owner_alone_can_read_them(api: Api) -> None:
    begun, sending = asyncio.Event(), asyncio.Event()

    async def large() -> AsyncIterator[bytes]:
        yield csv_file() + b"x" * 1_100_000
        begun.set()
        await sending.wait()

    upload = asyncio.create_task(send(api, large()))
    await begun.wait()
    spool = api.passwords.parent / "spool"
    (file,) = spool.iterdir()
    assert (stat.S_IMODE(spool.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)
    sending.set()
    one = await finished(api, (await upload).json()["import_id"])
    assert (one["state"], one["rows"]) == ("done", 1)
    async with asyncio.timeout(PATIENCE_S):  # it goes right after the import is done
        while True:
            if not list(spool.iterdir()):
                break
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({}, "Content-Type"),
        ({"Content-Type": "application/json"}, "Content-Type"),
        ({"Content-Type": "text/csv; charset=utf-16"}, "charset"),
        ({"Content-Type": "text/csv; charset=latin-1"}, "charset"),
        ({"Content-Type": "text/csv", "Content-Encoding": "gzip"}, "Content-Encoding"),
    ],
)
async def test_a_file_in_another_format_is_refused(api: Api, headers: dict[str, str], named: str) -> None:
    headers = api.headers | {"Idempotency-Key": "k"} | headers
    response = await api.http.post("/v1/imports", content=csv_file(LATE), headers=headers)
    assert problem(response) == (415, "unsupported-media-type")
    assert named.lower() in response.json()["detail"]
    await assert_nothing_left(api)


async def test_a_lender_has_so_many_unfinished_imports_and_no_more(api: Api) -> None:
    hold, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def held() -> AsyncIterator[bytes]:
        begun.release()
        await hold.wait()
        yield csv_file()

    uploads = [asyncio.create_task(send(api, held(), key=f"k{number}")) for number in range(MAX_UNFINISHED)]
    for _ in uploads:
        await begun.acquire()
    refused = await send(api, csv_file(), key="one more")
    assert problem(refused) == (429, "too-many-imports")
    assert refused.headers["retry-after"] == "5"
    hold.set()
    assert {(await upload).status_code for upload in uploads} == {202}


# --- the lines of threats.md: CSV ---


async def test_a_byte_order_mark_at_the_start_is_read_over_because_excel_writes_one(api: Api) -> None:
    one = await imported(api, b"\xef\xbb\xbf" + csv_file(LATE))
    assert counts(one) == {"applied": 1}
    one = await imported(api, b"\xef\xbb\xbf" + ndjson(payment()), key="k2", kind="application/x-ndjson")
    assert counts(one) == {"applied": 1}


async def test_an_imei_that_a_spreadsheet_has_shortened_is_refused_and_explained(api: Api) -> None:
    one = await imported(api, csv_file(LATE.replace(IMEI, "4.90154E+14")))
    (row,) = await results(api, one)
    assert row["status"] == 422
    assert "spreadsheet" in row["problem"]["detail"]
    assert "text" in row["problem"]["detail"]
    assert row["imei"] == "4.90154E+14"


@pytest.mark.parametrize("column", ["decision_id", "imei", "type", "occurred_at", "days_overdue"])
async def test_a_cell_that_is_a_formula_is_refused(api: Api, column: str) -> None:
    cells = dict(zip(HEADER.split(","), LATE.split(","), strict=True)) | {column: "=cmd|' /C calc'!A0"}
    one = await imported(api, csv_file(",".join(cells.values())))
    (row,) = await results(api, one)
    assert (row["status"], counts(one)) == (422, {"refused": 1})
    assert column in row["problem"]["detail"]
    await assert_nothing_applied(api)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
async def test_a_utf_16_file_is_refused_as_a_whole(api: Api, encoding: str) -> None:
    for kind, content in (("text/csv", csv_file(LATE)), ("application/x-ndjson", ndjson(overdue()))):
        one = await imported(api, content.decode().encode(encoding), kind=kind, key=kind)
        assert (one["state"], one["problem"]["type"]) == ("failed", "urn:paylatch:problem:unreadable-file")
        assert "UTF-8" in one["problem"]["detail"]
    await assert_nothing_applied(api)


async def test_a_file_of_more_rows_than_allowed_is_applied_in_no_part(api: Api) -> None:
    one = await imported(api, csv_file(LATE, *(["x"] * 10_000)))
    assert (one["state"], one["done"]) == ("failed", 0)
    assert "10000 rows" in one["problem"]["detail"]
    await assert_nothing_applied(api)


@pytest.mark.parametrize(
    "broken",
    [f'd2,"{IMEI},payment_overdue,2023-01-01T00:00:00Z,90,', 'd2,"a"b,c,d,e,f', 'd2,"a\nb",c,d,e,f'],
    ids=["never closed", "goes on behind its end", "closed in another line"],
)
async def test_an_unclosed_quote_is_named_by_its_line_and_nothing_is_applied(api: Api, broken: str) -> None:
    one = await imported(api, csv_file(LATE, broken, PAID))
    assert (one["state"], one["done"]) == ("failed", 0)
    assert "line 3: a quote" in one["problem"]["detail"]
    await assert_nothing_applied(api)


@pytest.mark.parametrize("content", [csv_file(), HEADER.encode(), csv_file("", "", "")])
async def test_a_header_only_is_done_with_no_rows(api: Api, content: bytes) -> None:
    one = await imported(api, content)
    assert (one["state"], one["rows"], one["done"]) == ("done", 0, 0)
    assert await results(api, one) == []


@pytest.mark.parametrize("content", [csv_file(LATE).replace(b"\n", b"\r"), csv_file(LATE, "d2\rd3,,,,,")])
async def test_a_bare_carriage_return_is_refused(api: Api, content: bytes) -> None:
    one = await imported(api, content)
    assert one["state"] == "failed"
    assert "carriage return" in one["problem"]["detail"]
    await assert_nothing_applied(api)


@pytest.mark.parametrize("imei", [imei for imei in IMEIS.values() if isinstance(imei, str)])
async def test_an_imei_that_is_none_is_refused_as_a_cell(api: Api, imei: str) -> None:
    quoted = f'"{imei}"'
    one = await imported(api, csv_file(LATE.replace(IMEI, quoted)))
    if one["state"] == "done":
        (row,) = await results(api, one)
        assert (row["status"], counts(one)) == (422, {"refused": 1})
        assert "imei" in row["problem"]["detail"]
    else:
        assert "line 2" in one["problem"]["detail"]
    await assert_nothing_applied(api)


@pytest.mark.parametrize("imei", IMEIS.values(), ids=IMEIS)
async def test_an_imei_that_is_none_is_refused_in_a_line(api: Api, imei: object) -> None:
    one = await imported(api, ndjson(overdue(imei=imei)), kind="application/x-ndjson")
    (row,) = await results(api, one)
    assert (row["status"], counts(one)) == (422, {"refused": 1})
    assert "imei" in row["problem"]["detail"]
    await assert_nothing_applied(api)


# --- strictness ---


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (f"{HEADER},lender", "column 7 is 'lender'"),
        (HEADER.replace("cures", "imei"), "column imei is there twice"),
        (HEADER.replace("decision_id", "currency"), "column decision_id is missing"),
        (HEADER.replace(",", ";"), "column 1 is"),
        (f"{HEADER},", "column 7 is ''"),
        (HEADER.upper(), "'DECISION_ID'"),
        ("x" * (MAX_LINE_BYTES + 1), "longer than"),
        ("décision", "column 1 is"),
    ],
)
async def test_a_header_that_is_not_as_expected_is_named_and_nothing_is_applied(
    api: Api, header: str, named: str
) -> None:
    one = await imported(api, csv_file(LATE, header=header))
    assert (one["state"], one["done"]) == ("failed", 0)
    assert named in one["problem"]["detail"]
    assert len(one["problem"]["detail"]) < 1000
    await assert_nothing_applied(api)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
async def test_an_empty_file_has_no_header(api: Api, content: bytes) -> None:
    one = await imported(api, content)
    assert "header" in one["problem"]["detail"]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (LATE.replace(",90,", ",90.0,"), "days_overdue"),
        (LATE.replace(",90,", ",1e2,"), "days_overdue"),
        (LATE.replace(",90,", ", 90,"), "days_overdue"),
        (LATE.replace(",90,", ",٩٠,"), "days_overdue"),
        (LATE.replace(",90,", f",{'9' * 5000},"), "days_overdue"),
        (LATE.replace(",90,", ",,"), "days_overdue"),
        (PAID.replace("true", "yes"), "cures"),
        (PAID.replace("true", "1"), "cures"),
        (LATE + "true", "cures"),
        (LATE + ",", "7 cells; the header has 6"),
        (LATE.replace("d1", "x" * MAX_LINE_BYTES), "longer than"),
        ("\0" * 20, "1 cells"),
    ],
    ids=lambda value: str(value)[-40:],
)
async def test_a_row_that_does_not_fit_is_refused_alone(api: Api, row: str, named: str) -> None:
    one = await imported(api, csv_file(row, PAID.replace("p1", "p2")))
    first, second = await results(api, one)
    assert (first["status"], second["status"]) == (422, 200)
    assert named in first["problem"]["detail"]
    assert len(json.dumps(first)) < 1000


@pytest.mark.parametrize(
    "line",
    [
        b'{"decision_id": "a", "decision_id": "b"}',
        b'{"amount_due": NaN}',
        b"{",
        b"\xff\xfe",
        b"[" * 10_000,
        b'"' + b"x" * (3 * MAX_LINE_BYTES) + b'"',
    ],
    ids=lambda line: repr(line[:20]),
)
async def test_a_line_that_is_no_json_is_refused_alone(api: Api, line: bytes) -> None:
    content = ndjson(payment("p0")) + line + b"\n\n" + ndjson(payment())
    one = await imported(api, content, kind="application/x-ndjson")
    first, second, third = await results(api, one)
    assert (first["status"], third["status"], third["row"]) == (200, 200, 3)
    assert (second["status"], second["problem"]["type"]) == (400, "urn:paylatch:problem:not-json")
    assert len(json.dumps(second)) < 1000


async def test_booleans_are_read_as_spreadsheets_write_them(api: Api) -> None:
    one = await imported(api, csv_file(PAID.replace("true", "TRUE")).replace(b"\n", b"\r\n"))
    assert counts(one) == {"applied": 1}


# --- beside other work ---


async def large_file(api: Api, rows: int) -> bytes:
    """So many rows about twenty phones, which are enrolled by this."""
    imeis = [simulated_imei(number) for number in range(100, 120)]
    for imei in imeis:
        assert (await api.enrol(imei)).status_code == 201
    lines = (
        f"d{number},{imeis[number % 20]},payment_overdue,2023-01-01T00:00:00Z,{number % 300 + 1},"
        for number in range(rows)
    )
    return csv_file(*lines)


async def test_a_payment_sent_while_a_large_file_is_imported_does_not_wait_for_it(api: Api) -> None:
    assert (await api.decide(overdue())).status_code == 200
    begun = (await send(api, await large_file(api, 2000))).json()
    await once(api, begun["import_id"], lambda one: one["done"] > 0)
    assert (await api.decide(payment())).json()["level"] == "unlocked"
    one = (await api.get(f"/v1/imports/{begun['import_id']}")).json()
    assert one["state"] == "running"
    assert one["done"] < one["rows"] == 2000
    assert (await finished(api, begun["import_id"]))["done"] == 2000


async def test_lenders_take_turns(api: Api) -> None:
    large = (await send(api, await large_file(api, 9000))).json()
    other = api.of(KEYS[OTHER])
    await imported(other, csv_file(LATE.replace(IMEI, FOREIGN)))
    assert (await api.get(f"/v1/imports/{large['import_id']}")).json()["state"] != "done"
