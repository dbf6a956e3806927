"""What the OpenAPI document says beyond what the routes' signatures show: problems that can happen, and bodies.

Bodies are read by hand, because JSON has to be read more strictly than the framework does; and what can go wrong is
raised deep inside. So each route says both in its `openapi_extra`, made by `extra`, and `openapi.py` writes them out.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import TypeAdapter

from broker_bridge.adapters.lender_api.problem_kinds import PROBLEMS, title_of, type_of

PROBLEMS_KEY: Final = "x-problems"
BODY_KEY: Final = "x-body"
FILES_KEY: Final = "x-files"
"""Where `extra` leaves for `openapi.py` what it writes out; none of these keys stays in the document."""
REF_TEMPLATE: Final = "#/components/schemas/{model}"

OF_ALL: Final = ("not-http", "too-many-connections")
"""What may be answered wherever one asks."""
OF_KEYS: Final = ("unauthorized", "forbidden")
"""What every route answers that asks for a key."""
_OF_ALL_BODIES: Final = ("incomplete-body", "too-slow", "too-large", "unsupported-media-type")
OF_BODIES: Final = ("not-json", *_OF_ALL_BODIES, "invalid-body")
"""What every route answers that reads a JSON body."""
OF_TEXTS: Final = ("not-text", *_OF_ALL_BODIES)
"""What every route answers that reads a text."""


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
