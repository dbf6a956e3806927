"""The lifecycle of a command: one version of a desired state on its way to a phone.

A table, so that an event nobody thought of is an error and the diagram in the docs can be drawn from it.
"""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where a command is. "Pending", as borrowers and support say it, is `QUEUED`, `SENT` or `TIMED_OUT`."""

    QUEUED = "queued"
    SENT = "sent"
    TIMED_OUT = "timed_out"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"

    @property
    def is_pending(self) -> bool:
        """Whether the phone's word is still to come."""
        return self in PENDING

    @property
    def is_settled(self) -> bool:
        """Whether nothing that a phone says later changes it."""
        return self in SETTLED


class Event(StrEnum):
    """What happens to a command."""

    ACKNOWLEDGED = "acknowledged"
    """The broker's PUBACK, with success."""
    APPLIED = "applied"
    """The phone's signed word, by report or by hello."""
    FAILED = "failed"
    """The phone could not."""
    REFUSED = "refused"
    """The phone would not; the report names the rule."""
    REPLACED = "replaced"
    """A newer version was queued."""
    WAITED_TOO_LONG = "waited_too_long"


class IllegalEventError(Exception):
    """This event cannot happen to a command in this status."""


SETTLED: Final = frozenset({Status.SUCCEEDED, Status.SUPERSEDED})
PENDING: Final = frozenset({Status.QUEUED, Status.SENT, Status.TIMED_OUT})

_S, _E = Status, Event

TRANSITIONS: Final[dict[tuple[Status, Event], Status]] = {
    (_S.QUEUED, _E.ACKNOWLEDGED): _S.SENT,
    # The phone can be quicker than the broker's acknowledgement.
    (_S.QUEUED, _E.APPLIED): _S.SUCCEEDED,
    (_S.QUEUED, _E.FAILED): _S.FAILED,
    (_S.QUEUED, _E.REFUSED): _S.REJECTED,
    (_S.QUEUED, _E.REPLACED): _S.SUPERSEDED,
    (_S.SENT, _E.ACKNOWLEDGED): _S.SENT,
    (_S.SENT, _E.APPLIED): _S.SUCCEEDED,
    (_S.SENT, _E.FAILED): _S.FAILED,
    (_S.SENT, _E.REFUSED): _S.REJECTED,
    (_S.SENT, _E.REPLACED): _S.SUPERSEDED,
    (_S.SENT, _E.WAITED_TOO_LONG): _S.TIMED_OUT,
    # Timed out is not final: the phone may come back after a year.
    (_S.TIMED_OUT, _E.ACKNOWLEDGED): _S.TIMED_OUT,
    (_S.TIMED_OUT, _E.APPLIED): _S.SUCCEEDED,
    (_S.TIMED_OUT, _E.FAILED): _S.FAILED,
    (_S.TIMED_OUT, _E.REFUSED): _S.REJECTED,
    (_S.TIMED_OUT, _E.REPLACED): _S.SUPERSEDED,
    (_S.TIMED_OUT, _E.WAITED_TOO_LONG): _S.TIMED_OUT,
    # The phone's word that it applied the state beats whatever it says later about the same version.
    (_S.SUCCEEDED, _E.ACKNOWLEDGED): _S.SUCCEEDED,
    (_S.SUCCEEDED, _E.APPLIED): _S.SUCCEEDED,
    (_S.SUCCEEDED, _E.FAILED): _S.SUCCEEDED,
    (_S.SUCCEEDED, _E.REFUSED): _S.SUCCEEDED,
    (_S.SUCCEEDED, _E.REPLACED): _S.SUCCEEDED,
    # A phone that could not, or would not, may be able to when the same state is published again.
    (_S.FAILED, _E.ACKNOWLEDGED): _S.FAILED,
    (_S.FAILED, _E.APPLIED): _S.SUCCEEDED,
    (_S.FAILED, _E.FAILED): _S.FAILED,
    # It had accepted it, so what it refuses now is most likely a forgery of it; and if each word replaced the other, a
    # phone that says them in turns would add a step and a line of history each time.
    (_S.FAILED, _E.REFUSED): _S.FAILED,
    (_S.FAILED, _E.REPLACED): _S.FAILED,
    (_S.REJECTED, _E.ACKNOWLEDGED): _S.REJECTED,
    (_S.REJECTED, _E.APPLIED): _S.SUCCEEDED,
    (_S.REJECTED, _E.FAILED): _S.FAILED,
    (_S.REJECTED, _E.REFUSED): _S.REJECTED,
    (_S.REJECTED, _E.REPLACED): _S.REJECTED,
    # Superseded is final: late reports are only logged.
    (_S.SUPERSEDED, _E.ACKNOWLEDGED): _S.SUPERSEDED,
    (_S.SUPERSEDED, _E.APPLIED): _S.SUPERSEDED,
    (_S.SUPERSEDED, _E.FAILED): _S.SUPERSEDED,
    (_S.SUPERSEDED, _E.REFUSED): _S.SUPERSEDED,
    (_S.SUPERSEDED, _E.REPLACED): _S.SUPERSEDED,
}


def after(status: Status, event: Event) -> Status:
    """Return the status after an event.

    Raises:
        IllegalEventError: a pair that the table does not have.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise IllegalEventError(f"{event} cannot happen to a command that is {status}") from None
