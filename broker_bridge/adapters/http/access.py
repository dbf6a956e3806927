"""From a request's credential to whose it is, and what that key may do."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Final, Protocol

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param

from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.domain.access import ApiKey, KeyId, Scope, api_key_hash, effective, may_decide
from broker_bridge.domain.decisions import DecisionType
from lock_protocol.messages import LenderId

KEY_BELIEVED_S = 1.0
"""How long a key that was revoked may still work."""
MAX_BELIEVED = 10_000
USES_WRITTEN_EVERY_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who has sent a request."""

    lender: LenderId
    key_id: KeyId
    scopes: frozenset[Scope]
    """With those that they imply."""

    def check_decision(self, decision_type: DecisionType) -> None:
        """Refuse a decision that this caller may not send.

        Raises:
            ProblemError: 403, naming the scope needed.
        """
        if not may_decide(self.scopes, decision_type):
            raise forbidden([Scope.DECISIONS_WRITE], f"for {decision_type}")


class KeyBook(Protocol):
    """The part of the store that knows keys."""

    async def working(self, key_hash: bytes) -> ApiKey | None:
        """Return the API key that has this SHA-256, unless it is revoked."""

    async def put_last_uses(self, uses: Mapping[KeyId, int]) -> None:
        """Remember when (seconds UTC) API keys were last used."""


@dataclass(slots=True)
class Access:
    """Knows callers by their keys, and remembers when each key was last used."""

    keys: KeyBook
    clock: Clock
    log: Log
    _believed: dict[bytes, tuple[Caller, float]] = field(default_factory=dict)
    """Whose keys the database has confirmed, by their hashes, and until when (monotonic seconds) that is believed."""
    _uses: dict[KeyId, int] = field(default_factory=dict)
    """What is still to be written: at most one entry a key, and only keys that exist."""
    _used: asyncio.Event = field(default_factory=asyncio.Event)

    async def caller(self, key: str) -> Caller | None:
        """Return whose key this is; None for one that is unknown or revoked."""
        caller = await self._holder_of(api_key_hash(key))
        if caller is not None:
            self._uses[caller.key_id] = self.clock.now()
            self._used.set()
        return caller

    async def _holder_of(self, key_hash: bytes) -> Caller | None:
        """Look a key up, at most once in a while: only keys that exist are remembered."""
        now = self.clock.monotonic()
        caller, until = self._believed.get(key_hash, (None, now))
        if now < until:
            return caller
        key = await self.keys.working(key_hash)
        if key is None:
            self._believed.pop(key_hash, None)
            return None
        if len(self._believed) >= MAX_BELIEVED:
            self._believed.clear()
        caller = Caller(lender=key.lender, key_id=key.key_id, scopes=effective(key.scopes))
        self._believed[key_hash] = (caller, now + KEY_BELIEVED_S)
        return caller

    async def run(self) -> None:
        """Write when keys were last used: soon after the first use, and then at most once a minute."""
        while True:
            await self._used.wait()
            await self.write_uses()
            await asyncio.sleep(USES_WRITTEN_EVERY_S)

    async def write_uses(self) -> None:
        """Write what has not been written. Without a database it waits for the next time; no request does."""
        uses, self._uses = self._uses, {}
        self._used.clear()
        if not uses:
            return
        try:
            await self.keys.put_last_uses(uses)
        except StoreUnavailableError as error:
            self.log.warning("key_uses_not_written", keys=len(uses), error=str(error))
            self._uses = uses | self._uses
            self._used.set()


class _ApiKey(SecurityBase):
    """The dependency of a route that a caller with any one of some scopes may use.

    One for all of it: the framework takes as long for each dependency of a dependency as the key itself does.
    """

    def __init__(self, scopes: Collection[Scope]) -> None:
        self.model = _SCHEME
        self.scheme_name = "api_key"
        self._scopes = tuple(scopes)

    async def __call__(self, request: Request) -> Caller:
        """Return who has sent a request."""
        access: Access = request.app.state.access
        scheme, key = get_authorization_scheme_param(request.headers.get("Authorization"))
        caller = await access.caller(key) if key and scheme.lower() == "bearer" else None
        if caller is None:
            # One answer for a missing, an unknown and a revoked key: whoever guesses learns nothing.
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "unauthorized",
                "the API key is missing, unknown or revoked: send a valid API key, 'Authorization: Bearer <key>'",
            )
        if caller.scopes.isdisjoint(self._scopes):
            raise forbidden(self._scopes, "for this")
        return caller


_SCHEME: Final = HTTPBearer(
    bearerFormat="pl_…",
    description="An API key of a lender, made by `paylatch lender add`, `paylatch key create` or `POST /v1/keys`.",
)


def _with(*scopes: Scope) -> Any:
    """Return the dependency of a route that a caller with any one of these scopes may use."""
    return Security(_ApiKey(scopes), scopes=[scope.value for scope in scopes])


PhoneReader = Annotated[Caller, _with(Scope.PHONES_READ)]
PhoneWriter = Annotated[Caller, _with(Scope.PHONES_WRITE)]
Asker = Annotated[Caller, _with(Scope.PHONES_READ, Scope.DECISIONS_WRITE)]
"""May see what became of decisions: whoever sends them, too."""
Decider = Annotated[Caller, _with(Scope.DECISIONS_WRITE)]
Admin = Annotated[Caller, _with(Scope.ADMIN)]
SomeDecider = Annotated[Caller, _with(Scope.DECISIONS_WRITE, Scope.SUPPORT)]
"""May send decisions of some type at least: each one has to pass `Caller.check_decision`."""


def forbidden(needed: Collection[str], purpose: str) -> ProblemError:
    """Return the answer for a key that lacks a scope."""
    return ProblemError(
        HTTPStatus.FORBIDDEN,
        "forbidden",
        f"this key lacks the scope {' or '.join(needed)}, needed {purpose}; an admin of yours can make one that has it",
    )
