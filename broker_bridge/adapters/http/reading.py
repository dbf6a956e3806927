"""Reading a request's body: all of it or nothing, in bounded time and space."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.adapters.lender_api.strict_json import NotJsonError, parse_json

MAX_BODY_BYTES = 2 * 1024 * 1024
BODY_S = 30.0
"""How long a whole body may take. Who dribbles one byte at a time holds a place for no longer."""


async def read_body(request: Request, media_type: str, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return a request's whole body.

    Raises:
        ProblemError: 415 when it is compressed or says that it is of another type; 413 as soon as it is too large; 408
            when it is not there in time; 400 when the connection ends before.
    """
    refuse_other_types(request, media_type)
    try:
        async with asyncio.timeout(BODY_S):
            return await _whole(request, max_bytes)
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, "too-slow", f"the body was not there within {BODY_S:g} s; send it again"
        ) from None
    except ClientDisconnect:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "incomplete-body", "the connection ended before the body") from None


async def read_json(request: Request) -> Any:
    """Return the JSON value of a request's body, read without the leniencies that hide mistakes.

    Raises:
        ProblemError: what `read_body` raises; 400 when it is no JSON, repeats a key, or holds NaN or Infinity.
    """
    raw = await read_body(request, "application/json")
    try:
        return parse_json(raw)
    except NotJsonError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-json", f"the body is not JSON: {error}") from error


async def read_text(request: Request, media_type: str, max_bytes: int) -> str:
    """Return the text of a request's body.

    Raises:
        ProblemError: what `read_body` raises; 400 when there is none, or it is no UTF-8, or holds a NUL.
    """
    raw = await read_body(request, media_type, max_bytes)
    if not raw:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-text", "the body is empty")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-text", f"the body is not UTF-8: {error}") from error
    if "\0" in text:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-text", "the body holds a NUL character")
    return text


def refuse_other_types(request: Request, *media_types: str) -> None:
    """Refuse a body that is compressed, or says that it is of another type than these; silence is taken for consent.

    Raises:
        ProblemError: 415.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        # Unpacked it could be a thousand times as large as what was sent.
        raise unsupported(f"send the body as it is, without content-encoding {encoding[:32]!r}")
    sent = request.headers.get("content-type")
    if sent is None:
        return
    kind, _, parameters = sent.partition(";")
    if kind.strip().lower() not in media_types:
        raise unsupported(f"send content-type {' or '.join(media_types)}; curl -d alone says something else")
    if parameters.strip().lower().replace('"', "") not in ("", "charset=utf-8"):
        raise unsupported("send the body in UTF-8, which is the only charset here")


async def _whole(request: Request, max_bytes: int) -> bytes:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > max_bytes:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", f"at most {max_bytes} bytes in a body")
    return bytes(raw)


def unsupported(detail: str) -> ProblemError:
    """Return the answer for a body of a type that this does not take."""
    return ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
