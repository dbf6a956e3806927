"""What is asked of the database outside jobs, and the small writes that are no jobs: a port for each use of it.

All methods raise `StoreUnavailableError` when the database does not answer.
"""

from collections.abc import Sequence
from typing import Protocol

from broker_bridge.app.records import AuditEntry, Command, LenderRecord, Page, PolicyVersion, RecordedDecision
from broker_bridge.domain.access import ApiKey, KeyId
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.phones import CommandId, Phone
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId


class Phones(Protocol):
    """Phones, as their lenders look them up."""

    async def one(self, lender: LenderId, imei: Imei) -> Phone | None:
        """Return a lender's phone."""

    async def all_of(self, lender: LenderId, after: str, limit: int) -> Page[Phone]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""

    async def history(self, lender: LenderId, imei: Imei, after: str, limit: int) -> Page[AuditEntry]:
        """Return what has happened to a lender's phone, the newest first, from the entry behind `after` on."""


class Commands(Protocol):
    """Commands, as their lenders look them up."""

    async def one(self, lender: LenderId, command_id: CommandId) -> Command | None:
        """Return a lender's command."""

    async def newest_of(self, lender: LenderId, imei: Imei, decision_id: DecisionId) -> Command | None:
        """Return the newest command that stands for a decision: it may have been held, or signed again."""


class Decisions(Protocol):
    """Decisions, as their lenders look them up."""

    async def one(self, lender: LenderId, decision_id: DecisionId) -> RecordedDecision | None:
        """Return the record of a lender's decision."""


class Lenders(Protocol):
    """Lenders, and which policy each has."""

    async def one(self, lender: LenderId) -> LenderRecord:
        """Return a lender's record.

        Raises:
            UnknownLenderError: there is no such lender.
        """

    async def with_phones(self) -> Sequence[LenderId]:
        """Return the lenders that have enrolled a phone."""


class PolicyVersions(Protocol):
    """The versions of lenders' own policies."""

    async def all_of(self, lender: LenderId) -> Sequence[PolicyVersion]:
        """Return all versions of a lender's own policy, the newest first, without their documents."""

    async def one(self, lender: LenderId, version: int | None = None) -> PolicyVersion | None:
        """Return one version of a lender's own policy; without a number, the newest."""


class ApiKeys(Protocol):
    """API keys, as their lenders administer them."""

    async def all_of(self, lender: LenderId, after: str, limit: int) -> Page[ApiKey]:
        """Return a lender's API keys by id, from the one behind `after` on; revoked ones too."""

    async def add(self, key: ApiKey) -> None:
        """Add an API key.

        Raises:
            UnknownLenderError: nobody has added its lender.
        """

    async def revoke(self, lender: LenderId, key_id: KeyId, at: int, *, even_last_admin: bool = False) -> ApiKey | None:
        """Revoke an API key and return it as it is now; one that is revoked stays as it was. None: there is none such.

        Raises:
            LastAdminKeyError: nobody of this lender could make or revoke keys any more.
        """
