"""What the OpenAPI document says beyond what the routes' signatures show: problems that can happen, and bodies.

Bodies are read by hand, because JSON has to be read more strictly than the framework does; and what can go wrong is
raised deep inside. So each route says both in its `openapi_extra`, made by `extra`, and `openapi.py` writes them out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from pydantic import TypeAdapter

PROBLEMS_KEY: Final = "x-problems"
BODY_KEY: Final = "x-body"
FILES_KEY: Final = "x-files"
"""Where `extra` leaves for `openapi.py` what it writes out; none of these keys stays in the document."""
REF_TEMPLATE: Final = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem: its status, and what has happened."""

    status: HTTPStatus
    meaning: str


PROBLEMS: Final[Mapping[str, Problem]] = {
    "not-http": Problem(HTTPStatus.BAD_REQUEST, "The request is none of HTTP/1.1, or its chunks are broken."),
    "not-json": Problem(HTTPStatus.BAD_REQUEST, "The body is no JSON, repeats a key, or holds NaN or Infinity."),
    "incomplete-body": Problem(HTTPStatus.BAD_REQUEST, "The connection ended before the body did."),
    "not-text": Problem(HTTPStatus.BAD_REQUEST, "The body is empty, is no UTF-8, or holds a NUL."),
    "unauthorized": Problem(HTTPStatus.UNAUTHORIZED, "The API key is missing, unknown or revoked."),
    "forbidden": Problem(HTTPStatus.FORBIDDEN, "The API key lacks a scope, which the detail names."),
    "unknown-phone": Problem(HTTPStatus.NOT_FOUND, "No phone of yours has this IMEI."),
    "unknown-command": Problem(HTTPStatus.NOT_FOUND, "No command of yours has this id."),
    "unknown-decision": Problem(HTTPStatus.NOT_FOUND, "No decision of yours has this id."),
    "unknown-policy": Problem(HTTPStatus.NOT_FOUND, "Your policy has no such version."),
    "unknown-key": Problem(HTTPStatus.NOT_FOUND, "No API key of yours has this id."),
    "unknown-import": Problem(HTTPStatus.NOT_FOUND, "No import of yours has this id."),
    "idempotency-key": Problem(HTTPStatus.BAD_REQUEST, "The Idempotency-Key header is missing, or is none."),
    "upload-running": Problem(HTTPStatus.CONFLICT, "Another request with this Idempotency-Key is still uploading."),
    "upload-cut": Problem(HTTPStatus.REQUEST_TIMEOUT, "The file did not come whole, or not in time."),
    "idempotency-key-reused": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The Idempotency-Key was used before, for another file."
    ),
    "too-many-imports": Problem(
        HTTPStatus.TOO_MANY_REQUESTS, "As many imports of yours as may wait are waiting already."
    ),
    "disk-full": Problem(HTTPStatus.INSUFFICIENT_STORAGE, "The bridge has no room for the file. Nothing was done."),
    "too-slow": Problem(HTTPStatus.REQUEST_TIMEOUT, "The body did not come in time."),
    "enrolment-conflict": Problem(
        HTTPStatus.CONFLICT, "The IMEI is enrolled already, with another key, loan or lender."
    ),
    "last-admin-key": Problem(HTTPStatus.CONFLICT, "Without this key nobody of yours could make or revoke keys."),
    "too-large": Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than this takes."),
    "unsupported-media-type": Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is of another type than this takes, or compressed."
    ),
    "invalid-body": Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "A field is wrong; the detail names each one."),
    "invalid-imei": Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "What stands for an IMEI is none."),
    "invalid-query": Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "A parameter is wrong; the detail names each one."),
    "too-many": Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The list is longer than this takes."),
    "decision-conflict": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The decision_id was used before, for another decision."
    ),
    "from-the-future": Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "An overdue payment that has not happened yet."),
    "link-not-delegated": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The payment link's host is none that your delegation names."
    ),
    "invalid-policy": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The document is no policy; the detail names each line that is wrong."
    ),
    "policy-refused": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The bridge, its root or your delegation does not allow this policy."
    ),
    "clock-suspect": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "The bridge's clock cannot be right, so it locks nothing until it is."
    ),
    "broker-not-told": Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The MQTT broker could not be told the credential."),
    "too-many-connections": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open; use fewer, for longer."
    ),
    "overloaded": Problem(HTTPStatus.SERVICE_UNAVAILABLE, "More work is waiting than the bridge promises to hold."),
    "store-unavailable": Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer. Nothing was done."),
    "not-delegated": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "The bridge's delegation does not allow it, or has expired."
    ),
    "no-signing-keys": Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The bridge holds no keys or no delegation of yours."),
}
"""Every kind that a route may answer with, by the last part of its type. A test finds the ones that are missing."""

OF_ALL: Final = ("not-http", "too-many-connections")
"""What may be answered wherever one asks."""
OF_KEYS: Final = ("unauthorized", "forbidden")
"""What every route answers that asks for a key."""
OF_DATA: Final = ("store-unavailable",)
"""What every route answers that asks the database."""
_OF_ALL_BODIES: Final = ("incomplete-body", "too-slow", "too-large", "unsupported-media-type")
OF_BODIES: Final = ("not-json", *_OF_ALL_BODIES, "invalid-body")
"""What every route answers that reads a JSON body."""
OF_TEXTS: Final = ("not-text", *_OF_ALL_BODIES)
"""What every route answers that reads a text."""
OF_SIGNING: Final = ("overloaded", "clock-suspect", "not-delegated", "no-signing-keys")
"""What every route answers that has a state signed."""


def extra(*problems: str) -> dict[str, Any]:
    """Return the `openapi_extra` of a route without a body: the kinds of problem it answers with.

    What every route with a key answers needs no mention.
    """
    return {PROBLEMS_KEY: list(problems)}


def json_body(schema: Any, examples: Mapping[str, object], *problems: str) -> dict[str, Any]:
    """Return the `openapi_extra` of a route with a JSON body; what every JSON body can have wrong needs no mention.

    Args:
        schema: a type that Pydantic knows.
        examples: bodies, by what they show.
        problems: the kinds of problem it answers with besides.
    """
    shape = TypeAdapter[Any](schema).json_schema(ref_template=REF_TEMPLATE)
    body = {"schema": shape, "examples": dict(examples), "media_type": "application/json"}
    return extra(*problems, *OF_BODIES) | {BODY_KEY: body}


def text_body(
    media_type: str, schema: Mapping[str, Any], examples: Mapping[str, str], *problems: str
) -> dict[str, Any]:
    """Return the `openapi_extra` of a route whose body is a text; what every text can have wrong needs no mention.

    Args:
        media_type: of the text.
        schema: of the text, as JSON Schema.
        examples: texts, by what they show.
        problems: the kinds of problem it answers with besides.
    """
    body = {"schema": dict(schema), "examples": dict(examples), "media_type": media_type}
    return extra(*problems, *OF_TEXTS) | {BODY_KEY: body}


def files_body(examples: Mapping[str, str], *problems: str) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that takes a file in any of several formats.

    Args:
        examples: for each media type, a small file.
        problems: the kinds of problem it answers with.
    """
    return extra(*problems) | {FILES_KEY: dict(examples)}


def links(status: int, **targets: tuple[str, str]) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses`: where an answer of this status leads to.

    Args:
        status: of the answer.
        targets: by operation id, its path parameter and where in the answer (a JSON pointer) that stands.
    """
    found = {
        operation: {"operationId": operation, "parameters": {parameter: f"$response.body#{pointer}"}}
        for operation, (parameter, pointer) in targets.items()
    }
    return {status: {"links": found}}


def responses_of(kinds: Sequence[str]) -> dict[str, Any]:
    """Return the responses of an OpenAPI operation that answers with these kinds of problem."""
    by_status: dict[HTTPStatus, list[str]] = {}
    for kind in dict.fromkeys(kinds):
        by_status.setdefault(PROBLEMS[kind].status, []).append(kind)
    return {str(int(status)): _response(status, by_status[status]) for status in sorted(by_status)}


def _response(status: HTTPStatus, kinds: Sequence[str]) -> dict[str, Any]:
    examples = {
        kind: {"summary": PROBLEMS[kind].meaning, "value": {**_document(kind), "detail": PROBLEMS[kind].meaning}}
        for kind in kinds
    }
    content = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "examples": examples}
    described = "\n".join(f"- `{kind}`: {PROBLEMS[kind].meaning}" for kind in kinds)
    response: dict[str, Any] = {"description": described, "content": {"application/problem+json": content}}
    headers = _HEADERS.get(status)
    return response if headers is None else response | {"headers": headers}


def type_of(kind: str) -> str:
    """Return the type of a kind of problem, which programs match."""
    return f"urn:paylatch:problem:{kind}"


def title_of(kind: str) -> str:
    """Return the title of a kind of problem, which people read."""
    return kind.replace("-", " ").capitalize()


def _document(kind: str) -> dict[str, Any]:
    return {"type": type_of(kind), "title": title_of(kind), "status": int(PROBLEMS[kind].status)}


def _header(description: str, schema: Mapping[str, Any], example: object) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": dict(schema), "example": example}


_RETRY_AFTER: Final = {
    "Retry-After": _header("After how many seconds to try again.", {"type": "string", "pattern": "^[0-9]+$"}, "1")
}
_HEADERS: Final = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": _header("How to authenticate.", {"type": "string", "const": "Bearer"}, "Bearer")
    },
    HTTPStatus.SERVICE_UNAVAILABLE: _RETRY_AFTER,
    HTTPStatus.TOO_MANY_REQUESTS: _RETRY_AFTER,
}
