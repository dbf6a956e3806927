"""Problems as HTTP responses: what the use cases expect, and what the framework finds by itself."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from broker_bridge.adapters.lender_api.problems import EXPECTED, ProblemError, faults_of, problem_of


def answer(problem: ProblemError, more_headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem as an HTTP answer."""
    headers = dict(more_headers or {})
    if problem.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
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
