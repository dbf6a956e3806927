"""The OpenAPI 3.1 document: what FastAPI knows of the routes, completed by what `documented.py` has of them."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from broker_bridge.adapters.http.documented import (
    BODY_KEY,
    FILES_KEY,
    OF_ALL,
    OF_KEYS,
    PROBLEMS_KEY,
    REF_TEMPLATE,
    responses_of,
)
from broker_bridge.adapters.lender_api.problem_kinds import OF_DATA
from broker_bridge.adapters.lender_api.schemas import ProblemDocument

_OF_THE_FRAMEWORK: Final = ("HTTPValidationError", "ValidationError")

_DESCRIPTION: Final = """\
Paylatch turns what happens to a loan into the state of the phone that was bought with it: signed, versioned, and proven
by the phone.

**Authentication.** Send an API key with every request: `Authorization: Bearer pl_…`.
Each operation names the scope that the key needs; `admin` implies all of them.
Everything belongs to the key's lender: what is another's looks like what does not exist.

**Idempotency.** A `decision_id` is one decision, however often and by whichever way it comes.
Sent again, it gets the same answer with `repeated: true`; with another content it is refused.
So whenever an answer is missing, or is a 503, send the same again.
What is answered with success is durable.

**Errors** are problem documents (RFC 9457). Match `type`, show `detail`.

**Lists** come in pages: hand `next_page_token` back as `page_token` until it is null.

**Times** are RFC 3339. **Money** is a whole number of minor units, with an ISO 4217 currency.
"""

TAGS: Final = {
    "Decisions": "What happened to loans.",
    "Imports": "Files of decisions, taken as a whole and answered row by row.",
    "Phones": "What phones should be, and what they say they are.",
    "Commands": "Where one version of a phone's state is on its way.",
    "Policy": "A lender's rules: which arrears lead to which level, when, and after what.",
    "Keys": "A lender's API keys.",
    "Operations": "Whether the bridge works, for whoever runs it. No key is needed.",
}


class PaylatchApi(FastAPI):
    """An application without routes, which completes its own document."""

    def __init__(self, version: str) -> None:
        """Take the version that the document names."""
        super().__init__(
            title="Paylatch",
            summary="From what happens to a loan to the state of a phone.",
            description=_DESCRIPTION,
            version=version,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
            openapi_url=None,  # `routes/docs.py` serves it
            docs_url=None,
            redoc_url=None,
            # A path that is not there is not there: a POST that is sent on may be sent twice.
            redirect_slashes=False,
            # The bridge counts and times its requests itself; looking for someone else who would costs each of them.
            telemetry={"tracing": False, "metrics": False, "logs": False},
            generate_unique_id_function=_operation_id,
        )

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _operation_id(route: APIRoute) -> str:
    return route.name


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["ProblemDocument"] = TypeAdapter(ProblemDocument).json_schema()
    for operation in _operations(document):
        body: dict[str, Any] | None = operation.pop(BODY_KEY, None)
        if body is not None:
            operation["requestBody"] = _request_body(body, schemas)
        files: dict[str, str] | None = operation.pop(FILES_KEY, None)
        if files is not None:
            operation["requestBody"] = _file_body(files)
            _require_headers(operation)
        operation["summary"] = _summary(operation["description"])
        _complete_problems(operation)
        _name_scopes(operation)
    for name in _OF_THE_FRAMEWORK:
        schemas.pop(name, None)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _require_headers(operation: dict[str, Any]) -> None:
    """Say that headers are required: the framework would answer for a missing one itself, in words of its own."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "header":
            parameter["required"] = True
            parameter["schema"].pop("default", None)


def _file_body(files: dict[str, str]) -> dict[str, Any]:
    """Return a request body that is a file in one of several formats."""
    content = {kind: {"schema": {"type": "string"}, "example": example} for kind, example in files.items()}
    return {"required": True, "content": content}


def _request_body(body: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return a request body whose models stand among the components, each of them once."""
    schema = body["schema"]
    schemas.update(schema.pop("$defs", {}))
    if schema.get("type") == "object" and "title" in schema:
        schemas[schema["title"]] = schema
        schema = {"$ref": REF_TEMPLATE.format(model=schema["title"])}
    examples = {name: {"summary": name, "value": value} for name, value in body["examples"].items()}
    return {"required": True, "content": {body["media_type"]: {"schema": schema, "examples": examples}}}


def _summary(description: str) -> str:
    """Return what an operation does in a few words: its first sentence, or the part of it that says as much."""
    return re.split(r"[.:;]\s", f"{description} ", maxsplit=1)[0]


def _complete_problems(operation: dict[str, Any]) -> None:
    """Add what can go wrong: what the route names, and what goes without saying."""
    kinds: list[str] = operation.pop(PROBLEMS_KEY, [])
    if "security" in operation:
        kinds = [*OF_KEYS, *kinds, *OF_DATA]
    if "422" in operation["responses"]:  # the framework's own: the operation has parameters
        kinds = ["invalid-query", *kinds]
    answers = {status: one for status, one in operation["responses"].items() if status != "422"}
    operation["responses"] = dict(sorted((responses_of([*kinds, *OF_ALL]) | answers).items()))


def _name_scopes(operation: dict[str, Any]) -> None:
    """Say the scopes in words too: not every tool shows those of a bearer key."""
    scopes = sorted({scope for one in operation.get("security", ()) for names in one.values() for scope in names})
    if scopes:
        operation["x-required-scope"] = scopes
        needed = " or ".join(f"`{scope}`" for scope in scopes)
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope {needed}.".lstrip()


def text_of(document: dict[str, Any]) -> str:
    """Return a document as it is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
