"""`/v1/imports`: files of decisions, taken as a whole and answered row by row."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from broker_bridge.adapters.http.access import Decider
from broker_bridge.adapters.http.documented import extra, files_body, links
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.import_results import as_csv, as_ndjson, pages_of
from broker_bridge.adapters.http.paging import ImportPath, ImportsToken, PageSize
from broker_bridge.adapters.http.problem_responses import not_found
from broker_bridge.adapters.http.reading import refuse_other_types, unsupported
from broker_bridge.adapters.lender_api.answers import import_answer
from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.adapters.lender_api.schemas import ImportAnswer, ImportsAnswer
from broker_bridge.app.ports.imports import UploadCutError
from broker_bridge.domain.imports import Format, ImportId, Outcome, Upload

MAX_KEY = 255
_MEDIA_TYPES = {"text/csv": Format.CSV, "application/x-ndjson": Format.NDJSON}

_DOCUMENT: Final = files_body(
    {
        "text/csv": (
            "decision_id,imei,type,occurred_at,days_overdue\n"
            "2026-01-0001,001017000000003,payment_overdue,2026-01-23T00:00:00Z,30\n"
        ),
        "application/x-ndjson": (
            '{"decision_id": "2026-01-0002", "imei": "001017000000003", "type": "payment_received", '
            '"occurred_at": "2026-01-24T00:00:00Z", "cures": true}\n'
        ),
    },
    "idempotency-key",
    "upload-running",
    "upload-cut",
    "idempotency-key-reused",
    "too-large",
    "unsupported-media-type",
    "too-many-imports",
    "disk-full",
)
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        json_schema_extra={"minLength": 1, "maxLength": MAX_KEY, "pattern": "^[ -~]+$"},
        description="The same for the same file, however often it is sent: then it is one import, "
        "which is tried again if it has failed.",
        examples=["book of 2026-01"],
    ),
]


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1", tags=["Imports"])

    @router.post(
        "/imports",
        status_code=HTTPStatus.ACCEPTED,
        responses=links(202, show_import=("import_id", "/import_id")),
        openapi_extra=_DOCUMENT,
    )
    async def create_import(
        request: Request,
        response: Response,
        caller: Decider,
        idempotency_key: IdempotencyKey = "",
        *,
        dry_run: Annotated[bool, Query(description="Judge every row, and write nothing.")] = False,
    ) -> ImportAnswer:
        """Take a file of decisions, CSV or NDJSON; its rows are done after the answer. A dry run writes nothing."""
        upload = Upload(
            lender=caller.lender,
            idempotency_key=_checked_key(idempotency_key),
            format=_format_of(request),
            dry_run=dry_run,
        )
        taken = await gateway.uploads.take(upload, _chunks(request))
        response.headers["Location"] = f"/v1/imports/{taken.import_id}"
        return import_answer(taken)

    @router.get("/imports")
    async def list_imports(caller: Decider, page_size: PageSize = 100, page_token: ImportsToken = "") -> ImportsAnswer:
        """List imports, the newest first."""
        page = await gateway.imports.all_of(caller.lender, page_token, page_size)
        return {"imports": [import_answer(one) for one in page.items], "next_page_token": page.next_token}

    @router.get("/imports/{import_id}", openapi_extra=extra("unknown-import"))
    async def show_import(import_id: ImportPath, caller: Decider) -> ImportAnswer:
        """Show how far an import is, and what became of its rows."""
        found = await gateway.imports.one(caller.lender, ImportId(import_id))
        if found is None:
            raise not_found("import", import_id)
        return import_answer(found, gateway.import_waits_for(found))

    @router.get(
        "/imports/{import_id}/results",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "A line for each row: its number, and what it was answered with.",
                "content": {kind: {"schema": {"type": "string"}} for kind in _MEDIA_TYPES},
            }
        },
        openapi_extra=extra("unknown-import"),
    )
    async def list_import_results(
        request: Request,
        import_id: ImportPath,
        caller: Decider,
        *,
        kind: Annotated[Format | None, Query(alias="format", description="Without it, what Accept asks for.")] = None,
        outcome: Annotated[Outcome | None, Query(description="Only rows of which this became.")] = None,
    ) -> StreamingResponse:
        """Stream what became of each row, in the file's order: of all that are done, or of those with one outcome."""
        found = await gateway.imports.one(caller.lender, ImportId(import_id))
        if found is None:
            raise not_found("import", import_id)
        pages = pages_of(gateway.imports, found.import_id, outcome)
        if (kind or _accepted(request)) is Format.CSV:
            return StreamingResponse(as_csv(pages), media_type="text/csv; charset=utf-8")
        return StreamingResponse(as_ndjson(pages), media_type="application/x-ndjson")

    return router


def _checked_key(key: str) -> str:
    if not (1 <= len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "idempotency-key",
            f"send an Idempotency-Key header of 1 to {MAX_KEY} printable ASCII characters: "
            "the same for the same file, however often you send it",
        )
    return key


def _format_of(request: Request) -> Format:
    """Return the format that the Content-Type names; here silence does not do, as nobody can guess it."""
    refuse_other_types(request, *_MEDIA_TYPES)
    sent = request.headers.get("content-type")
    if sent is None:
        raise unsupported(f"send content-type {' or '.join(_MEDIA_TYPES)}")
    return _MEDIA_TYPES[sent.partition(";")[0].strip().lower()]


def _accepted(request: Request) -> Format:
    return Format.CSV if "text/csv" in request.headers.get("accept", "").lower() else Format.NDJSON


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise UploadCutError("the connection ended before the file did") from error
