"""Every kind of problem: its name, its status, and what it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem: its status, and what has happened."""

    status: HTTPStatus
    meaning: str
    retry_after_s: int | None = None
    """After how many seconds the same request may succeed; None where it has to be another one."""


_SOON_S = 1
"""What passes by itself."""
_WHEN_ONE_IS_OVER_S = 5
_BY_A_PERSON_S = 30
"""What somebody who runs the bridge has to put right."""
_WITHIN_THE_HOUR_S = 60


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
        HTTPStatus.TOO_MANY_REQUESTS, "As many imports of yours as may wait are waiting already.", _WHEN_ONE_IS_OVER_S
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
    "unstorable": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The database cannot hold a value: too long, too large, or a NUL."
    ),
    "invalid-policy": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The document is no policy; the detail names each line that is wrong."
    ),
    "policy-refused": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The bridge, its root or your delegation does not allow this policy."
    ),
    "too-many-policies": Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "As many versions of your policy as may be set in an hour were set.",
        _WITHIN_THE_HOUR_S,
    ),
    "clock-suspect": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The bridge's clock cannot be right, so it locks nothing until it is.",
        _BY_A_PERSON_S,
    ),
    "broker-not-told": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "The MQTT broker could not be told the credential.", _SOON_S
    ),
    "too-many-connections": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open; use fewer, for longer.", _SOON_S
    ),
    "overloaded": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "More work is waiting than the bridge promises to hold.", _SOON_S
    ),
    "store-unavailable": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer. Nothing was done.", _SOON_S
    ),
    "not-delegated": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "The bridge's delegation does not allow it, or has expired.", _BY_A_PERSON_S
    ),
    "no-signing-keys": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "The bridge holds no keys or no delegation of yours.", _BY_A_PERSON_S
    ),
}
"""Every kind that a route may answer with, by the last part of its type. A test finds the ones that are missing."""

OF_DATA: Final = ("unstorable", "store-unavailable")
"""What may be answered wherever the database is asked."""
OF_SIGNING: Final = ("overloaded", "clock-suspect", "not-delegated", "no-signing-keys")
"""What may be answered wherever a state is signed."""


def type_of(kind: str) -> str:
    """Return the type of a kind of problem, which programs match."""
    return f"urn:paylatch:problem:{kind}"


def title_of(kind: str) -> str:
    """Return the title of a kind of problem, which people read."""
    return kind.replace("-", " ").capitalize()
