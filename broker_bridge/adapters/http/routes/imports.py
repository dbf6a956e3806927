"""`/v1/imports`: files of decisions, taken as a whole and answered row by row."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from email.message import Message
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from broker_bridge.adapters.http.access import Decider
from broker_bridge.adapters.http.answers import import_answer
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.problems import ProblemError, not_found
from broker_bridge.app.ports import Imports, UploadCutError
from broker_bridge.domain.imports import Format, ImportId, Outcome, RowResult, Upload

MAX_PAGE = 500
MAX_KEY = 255
_RESULTS_PAGE = 1000
_MEDIA_TYPES = {"text/csv": Format.CSV, "application/x-ndjson": Format.NDJSON}
_COLUMNS = ("row", "decision_id", "imei", "status", "effect", "level", "held", "command_id", "repeated")
_PROBLEM_COLUMNS = ("type", "detail")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1")
    imports = gateway.imports.imports

    @router.post("/imports", status_code=HTTPStatus.ACCEPTED)
    async def take(request: Request, caller: Decider, *, dry_run: bool = False) -> JSONResponse:
        """Take a file of decisions, CSV or NDJSON; its rows are done after the answer. A dry run writes nothing."""
        upload = Upload(
            lender=caller.lender, idempotency_key=_idempotency_key(request), format=_format_of(request), dry_run=dry_run
        )
        taken = await gateway.imports.intake.take(upload, _chunks(request))
        location = {"Location": f"/v1/imports/{taken.import_id}"}
        return JSONResponse(import_answer(taken), status_code=HTTPStatus.ACCEPTED, headers=location)

    @router.get("/imports")
    async def all_imports(
        caller: Decider, page_size: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100, page_token: str = ""
    ) -> dict[str, Any]:
        """List imports, the newest first."""
        page = await imports.all_of(caller.lender, page_token, page_size)
        return {"imports": [import_answer(one) for one in page.items], "next_page_token": page.next_token}

    @router.get("/imports/{import_id}")
    async def one_import(import_id: str, caller: Decider) -> dict[str, Any]:
        """Show how far an import is, and what became of its rows."""
        found = await imports.one(caller.lender, ImportId(import_id))
        if found is None:
            raise not_found("import", import_id)
        return import_answer(found, gateway.imports.waiting_for.get(found.import_id))

    @router.get("/imports/{import_id}/results")
    async def results(
        request: Request,
        import_id: str,
        caller: Decider,
        *,
        kind: Annotated[Format | None, Query(alias="format")] = None,
        outcome: Outcome | None = None,
    ) -> StreamingResponse:
        """Stream what became of each row, in the file's order: of all that are done, or of those with one outcome."""
        found = await imports.one(caller.lender, ImportId(import_id))
        if found is None:
            raise not_found("import", import_id)
        pages = _pages(imports, found.import_id, outcome)
        if (kind or _accepted(request)) is Format.CSV:
            return StreamingResponse(_as_csv(pages), media_type="text/csv; charset=utf-8")
        return StreamingResponse(_as_ndjson(pages), media_type="application/x-ndjson")

    return router


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if not (1 <= len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "idempotency-key",
            f"send an Idempotency-Key header of 1 to {MAX_KEY} printable ASCII characters: "
            "the same for the same file, however often you send it",
        )
    return key


def _format_of(request: Request) -> Format:
    """Return the format that the Content-Type names."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise _unsupported("Content-Encoding: send the file as it is; compressed files are not unpacked")
    header = Message()
    header["content-type"] = request.headers.get("content-type", "application/octet-stream")
    kind = _MEDIA_TYPES.get(header.get_content_type())
    if kind is None:
        raise _unsupported(f"Content-Type: must be one of {', '.join(_MEDIA_TYPES)}")
    charset = str(header.get_param("charset", "utf-8")).lower()
    if charset not in ("utf-8", "utf8"):
        raise _unsupported("Content-Type: charset must be utf-8")
    return kind


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)


def _accepted(request: Request) -> Format:
    return Format.CSV if "text/csv" in request.headers.get("accept", "").lower() else Format.NDJSON


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise UploadCutError("the connection ended before the file did") from error


async def _pages(imports: Imports, import_id: ImportId, outcome: Outcome | None) -> AsyncIterator[Sequence[RowResult]]:
    after = 0
    while page := await imports.results(import_id, after, _RESULTS_PAGE, outcome):
        yield page
        after = page[-1].row


async def _as_ndjson(pages: AsyncIterator[Sequence[RowResult]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield "".join(f"{json.dumps({'row': one.row, **json.loads(one.answer)})}\n" for one in page).encode()


async def _as_csv(pages: AsyncIterator[Sequence[RowResult]]) -> AsyncIterator[bytes]:
    yield _csv([(*_COLUMNS, *(f"problem_{name}" for name in _PROBLEM_COLUMNS))])
    async for page in pages:
        yield _csv(_csv_row(one) for one in page)


def _csv_row(result: RowResult) -> list[str]:
    answer = {"row": result.row, **json.loads(result.answer)}
    problem = answer.get("problem", {})
    cells = [*(answer.get(name) for name in _COLUMNS), *(problem.get(name) for name in _PROBLEM_COLUMNS)]
    return [_cell(cell) for cell in cells]


def _cell(value: object) -> str:
    """Return a cell's text: nothing for nothing, JSON for what is no text, and never a formula for a spreadsheet."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
