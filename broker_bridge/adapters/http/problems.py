"""Errors as RFC 9457 problem documents, each with a stable type that a program can match."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from broker_bridge.adapters.http.documented import title_of, type_of
from broker_bridge.adapters.http.schemas import ProblemDocument
from broker_bridge.adapters.mqtt.credentials import CredentialsError
from broker_bridge.app.decide import DecisionConflictError, FutureDecisionError, UnknownPhoneError
from broker_bridge.app.enrol import EnrolmentConflictError
from broker_bridge.app.imports import ImportConflictError, UploadRunningError
from broker_bridge.app.ports.imports import FileTooLargeError, SpoolFullError, TooManyImportsError, UploadCutError
from broker_bridge.app.ports.signing import UnknownLenderError
from broker_bridge.app.ports.store import OverloadedError, StoreUnavailableError, UnstorableError
from broker_bridge.app.set_policy import PolicyRefusedError
from broker_bridge.app.sign import ClockSuspectError
from broker_bridge.domain.access import LastAdminKeyError
from broker_bridge.domain.authority import LinkNotDelegatedError, NotDelegatedError
from broker_bridge.domain.policy import PolicyError

RETRY_AFTER_S = "1"
MAX_FAULTS = 20
_SHOWN = 80


class ProblemError(Exception):
    """An answer that is an error."""

    def __init__(self, status: HTTPStatus, kind: str, detail: str) -> None:
        """Take the status, the last part of the type, and what the caller should know and do."""
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail

    def document(self) -> ProblemDocument:
        """Return the problem document."""
        return {
            "type": type_of(self.kind),
            "title": title_of(self.kind),
            "status": int(self.status),
            # It may quote what was sent, and JSON can name half a character that no UTF-8 can hold.
            "detail": self.detail.encode("utf-8", "backslashreplace").decode(),
        }


@dataclass(frozen=True, slots=True)
class _Meaning:
    status: HTTPStatus
    kind: str


_MEANINGS: dict[type[Exception], _Meaning] = {
    UnknownPhoneError: _Meaning(HTTPStatus.NOT_FOUND, "unknown-phone"),
    DecisionConflictError: _Meaning(HTTPStatus.UNPROCESSABLE_ENTITY, "decision-conflict"),
    FutureDecisionError: _Meaning(HTTPStatus.UNPROCESSABLE_ENTITY, "from-the-future"),
    EnrolmentConflictError: _Meaning(HTTPStatus.CONFLICT, "enrolment-conflict"),
    ImportConflictError: _Meaning(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
    UploadRunningError: _Meaning(HTTPStatus.CONFLICT, "upload-running"),
    UploadCutError: _Meaning(HTTPStatus.REQUEST_TIMEOUT, "upload-cut"),
    FileTooLargeError: _Meaning(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large"),
    SpoolFullError: _Meaning(HTTPStatus.INSUFFICIENT_STORAGE, "disk-full"),
    TooManyImportsError: _Meaning(HTTPStatus.TOO_MANY_REQUESTS, "too-many-imports"),
    LastAdminKeyError: _Meaning(HTTPStatus.CONFLICT, "last-admin-key"),
    ClockSuspectError: _Meaning(HTTPStatus.SERVICE_UNAVAILABLE, "clock-suspect"),
    CredentialsError: _Meaning(HTTPStatus.SERVICE_UNAVAILABLE, "broker-not-told"),
    OverloadedError: _Meaning(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded"),
    StoreUnavailableError: _Meaning(HTTPStatus.SERVICE_UNAVAILABLE, "store-unavailable"),
    LinkNotDelegatedError: _Meaning(HTTPStatus.UNPROCESSABLE_ENTITY, "link-not-delegated"),
    NotDelegatedError: _Meaning(HTTPStatus.SERVICE_UNAVAILABLE, "not-delegated"),
    UnstorableError: _Meaning(HTTPStatus.UNPROCESSABLE_ENTITY, "unstorable"),
    PolicyError: _Meaning(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-policy"),
    PolicyRefusedError: _Meaning(HTTPStatus.UNPROCESSABLE_ENTITY, "policy-refused"),
    UnknownLenderError: _Meaning(HTTPStatus.SERVICE_UNAVAILABLE, "no-signing-keys"),
}

EXPECTED: tuple[type[Exception], ...] = (ProblemError, *_MEANINGS)
"""What the use cases answer with instead of a result."""


def problem_of(error: Exception) -> ProblemError:
    """Return the answer that one of `EXPECTED` stands for."""
    if isinstance(error, ProblemError):
        return error
    meaning = _MEANINGS[type(error)]
    return ProblemError(meaning.status, meaning.kind, str(error))


def faults_of(errors: Iterable[Any]) -> str:
    """Return the first things that Pydantic found wrong, field by field.

    A body can hold hundreds of thousands of fields that nobody knows, each with a name as long as its sender likes.
    """
    faults = [f"{_place(one['loc'])}: {one['msg']}" for one in islice(errors, MAX_FAULTS + 1)]
    if len(faults) > MAX_FAULTS:
        faults[MAX_FAULTS:] = ["and more"]
    return "; ".join(faults)


def shortened(text: str) -> str:
    """Return text quoted, and cut to a length that cannot flood an answer or a log."""
    quoted = repr(text[: _SHOWN + 1])
    return quoted if len(quoted) <= _SHOWN else quoted[:_SHOWN] + "..."


def _place(location: Iterable[object]) -> str:
    name = ".".join(map(str, location)) or "body"
    return name if len(name) <= _SHOWN else name[:_SHOWN] + "..."


def answer(problem: ProblemError, more_headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem as an HTTP answer."""
    headers = dict(more_headers or {})
    if problem.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER_S
    return JSONResponse(
        problem.document(), status_code=problem.status, headers=headers, media_type="application/problem+json"
    )


def install(app: FastAPI) -> None:
    """Have every expected error, and the framework's own, answered as a problem."""

    async def expected(_: Request, error: Exception) -> JSONResponse:
        return answer(problem_of(error))

    async def framework(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        status = HTTPStatus(error.status_code)
        problem = ProblemError(status, status.phrase.lower().replace(" ", "-"), str(error.detail))
        headers = dict(error.headers or {})
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = _allowed_methods(request)
        return answer(problem, headers)

    async def query(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        return answer(ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-query", faults_of(error.errors())))

    for kind in EXPECTED:
        app.add_exception_handler(kind, expected)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, query)


def _allowed_methods(request: Request) -> str:
    """Return what the path takes by all of its routes: the framework knows those of the first one only."""
    path = request.scope["route"].path
    alike = (one for one in iter_route_contexts(request.app.routes) if one.path == path)
    return ", ".join(sorted({method for one in alike for method in one.methods or ()}))


def not_found(what: str, name: str) -> ProblemError:
    """Return the answer for what is not there, or not this lender's: nobody can tell the two apart."""
    return ProblemError(HTTPStatus.NOT_FOUND, f"unknown-{what}", f"no {what} {name} of yours")
