"""What can go wrong, as types; each answers "what now?".

::

    PaylatchError
    ├── UnavailableError        not now: send the same again, it does nothing twice
    │   └── UnprovenError       what is there has no certificate that proves it; send the same once that is mended
    ├── UnexpectedAnswerError   no bridge, or one of another age
    └── RefusedError            the bridge said no, and will say so again
        ├── NotAllowedError     the key is none, or lacks a scope
        ├── NotFoundError       not there, or not yours: nobody can tell the two apart
        ├── ConflictError       something else is there under this name
        └── InvalidError        the request is wrong; `problem.detail` names what
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

_PREFIX = "urn:paylatch:problem:"
DECISION_CONFLICT = "decision-conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An RFC 9457 problem document."""

    type: str
    """Stable, so that a program can match it: `urn:paylatch:problem:…`."""
    title: str
    status: int
    detail: str

    @property
    def kind(self) -> str:
        """The last part of its type."""
        return self.type.removeprefix(_PREFIX)


class PaylatchError(Exception):
    """What goes wrong with a bridge or a broker, or on the way to it; what is wrong before that has Python's errors."""


class UnexpectedAnswerError(PaylatchError):
    """What answered is no bridge, or one that says what this client does not know."""


class UnavailableError(PaylatchError):
    """The bridge, its database or its broker is not there just now.

    What was asked may have been done or not. Decisions, enrolments and everything else that this client sends by itself
    again can be sent again as they are.
    """

    def __init__(self, detail: str, problem: Problem | None = None, retry_after_s: float = 0.0) -> None:
        """Take what to tell, what the bridge answered (None: nothing), and how long it asks to wait (seconds)."""
        super().__init__(detail)
        self.problem, self.retry_after_s = problem, retry_after_s


class UnprovenError(UnavailableError):
    """What answers at the bridge's address has not proven by its certificate that it is the bridge; nothing was sent.

    This client does not try again by itself, as waiting mends no certificate.
    """


class RefusedError(PaylatchError):
    """The bridge refused; nothing was done."""

    def __init__(self, problem: Problem) -> None:
        """Take what the bridge answered."""
        super().__init__(problem.detail)
        self.problem = problem


class NotAllowedError(RefusedError):
    """The API key is unknown or revoked (401), or lacks the scope that the message names (403)."""


class NotFoundError(RefusedError):
    """There is none, or it is another lender's."""


class ConflictError(RefusedError):
    """Under this IMEI or `decision_id` something else is known already; that stands."""


class InvalidError(RefusedError):
    """The request cannot be right, whenever it is sent."""


_BUSY: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""About the moment, not about the request."""

_REFUSALS: Final[Mapping[int, type[RefusedError]]] = {
    HTTPStatus.UNAUTHORIZED: NotAllowedError,
    HTTPStatus.FORBIDDEN: NotAllowedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.BAD_REQUEST: InvalidError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidError,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: InvalidError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidError,
}


def problem_in(document: Any, status: int) -> Problem:
    """Return a problem document that came with this status.

    Raises:
        UnexpectedAnswerError: it is none.
    """
    try:
        return Problem(
            type=str(document["type"]),
            title=str(document["title"]),
            status=int(document["status"]),
            detail=str(document["detail"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnexpectedAnswerError(f"answered {status}, and not as a bridge does") from error


def error_of(problem: Problem, retry_after_s: float = 0.0) -> PaylatchError:
    """Return what a problem means to whoever asked."""
    if problem.status in _BUSY:
        return UnavailableError(problem.detail, problem, retry_after_s)
    if problem.kind == DECISION_CONFLICT:
        return ConflictError(problem)
    return _REFUSALS.get(problem.status, RefusedError)(problem)
