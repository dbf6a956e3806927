"""Errors as RFC 9457 problem documents, each with a stable type that a program can match."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import Any

from broker_bridge.adapters.lender_api.problem_kinds import PROBLEMS, title_of, type_of
from broker_bridge.adapters.lender_api.quoting import MAX_SHOWN
from broker_bridge.adapters.lender_api.schemas import ProblemDocument
from broker_bridge.app.decide import DecisionConflictError, FutureDecisionError, UnknownPhoneError
from broker_bridge.app.enrol import EnrolmentConflictError
from broker_bridge.app.imports import ImportConflictError, UploadRunningError
from broker_bridge.app.ports.credentials import CredentialsError
from broker_bridge.app.ports.imports import FileTooLargeError, SpoolFullError, TooManyImportsError, UploadCutError
from broker_bridge.app.ports.signing import UnknownLenderError
from broker_bridge.app.ports.store import OverloadedError, StoreUnavailableError, UnstorableError
from broker_bridge.app.set_policy import PolicyRefusedError, TooManyVersionsError
from broker_bridge.app.sign import ClockSuspectError
from broker_bridge.domain.access import LastAdminKeyError
from broker_bridge.domain.authority import LinkNotDelegatedError, NotDelegatedError
from broker_bridge.domain.policy import PolicyError

MAX_FAULTS = 20


class ProblemError(Exception):
    """An answer that is an error."""

    def __init__(self, status: HTTPStatus, kind: str, detail: str) -> None:
        """Take the status, the last part of the type, and what the caller should know and do."""
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail

    @property
    def retry_after_s(self) -> int | None:
        """After how many seconds the same request may succeed; None where it has to be another one."""
        known = PROBLEMS.get(self.kind)
        return None if known is None else known.retry_after_s

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
    TooManyVersionsError: _Meaning(HTTPStatus.TOO_MANY_REQUESTS, "too-many-policies"),
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
    faults = [fault_of(one) for one in islice(errors, MAX_FAULTS + 1)]
    if len(faults) > MAX_FAULTS:
        faults[MAX_FAULTS:] = ["and more"]
    return "; ".join(faults)


def fault_of(error: Any) -> str:
    """Return one of Pydantic's errors as a lender reads it; where it is, cut to what cannot flood an answer."""
    place = ".".join(map(str, error["loc"])) or "body"
    shown = place if len(place) <= MAX_SHOWN else place[:MAX_SHOWN] + "..."
    return f"{shown}: {error['msg'].removeprefix('Value error, ')}"
