"""A lender's view of a bridge, over HTTP."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any
from urllib.parse import quote

import httpx

from paylatch.client.answers import (
    Command,
    Decided,
    DryRunPage,
    Enrolled,
    Event,
    Phone,
    PolicyCheck,
    PolicyDocument,
    PolicyVersion,
    read,
)
from paylatch.client.decisions import DecisionLike, body_of
from paylatch.client.errors import RefusedError, UnavailableError, error_of, problem_in
from paylatch.client.imports import Imports
from paylatch.client.requests import Requests, items

MAX_LIST = 1000
"""How many decisions go in one request."""
PAGE = 500
POLICY_PAGE = 1000
_POLL_S = 0.1
_TOML = {"Content-Type": "application/toml"}

Outcome = Decided | RefusedError | UnavailableError
"""What became of one decision of a list."""

_ENROL_TIMEOUT_S = 60.0
"""An answer waits until the broker knows the new phone, the longer the more it knows: docs/scale.md has how long."""


class Bridge:
    """What a lender asks of a bridge.

    What got no answer, or was told "not now", is sent again by itself: each of these requests does nothing twice.
    If it still does not come about, that is a `PaylatchError`: `UnavailableError`, `UnexpectedAnswerError`, or one of
    the kinds of `RefusedError`, of which a method names those that are about what it does. `finished` raises
    `TimeoutError` too, and whatever takes values a `ValueError` or a `TypeError` for those that JSON cannot hold,
    before anything is sent.

    Args:
        requests: as `connect` makes it.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    # --- decisions ----------------------------------------------------------------------------------------------------

    async def decide(self, decision: DecisionLike) -> Decided:
        """Report a decision. When this returns, it is durable; the phone follows.

        To report the same one again, after a crash of yours, say, is safe: keep its `decision_id`.

        Raises:
            ConflictError: the `decision_id` was used for something else.
            NotFoundError: no such phone is enrolled with you.
        """
        return read(Decided, await self._requests.ask("POST", "/v1/decisions", json=body_of(decision)))

    async def decide_all(self, decisions: Iterable[DecisionLike]) -> list[Outcome]:
        """Report decisions in as few requests as possible; return what became of each, in their order.

        One that is refused holds up no other. Hundreds of thousands are better imported as a file.
        """
        outcomes: list[Outcome] = []
        remaining = iter(decisions)
        while part := [body_of(one) for one in islice(remaining, MAX_LIST)]:
            outcomes += await self._decide_list(part)
        return outcomes

    async def _decide_list(self, bodies: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}

        async def send_what_is_left() -> None:
            left = [n for n in range(len(bodies)) if n not in outcomes or isinstance(outcomes[n], UnavailableError)]
            answer = await self._requests.ask_once("POST", "/v1/decisions", json=[bodies[n] for n in left])
            outcomes.update(zip(left, map(_outcome, answer["results"]), strict=True))
            for one in outcomes.values():
                if isinstance(one, UnavailableError):
                    raise one

        try:
            await self._requests.patience.insist(send_what_is_left)
        except UnavailableError:
            if not outcomes:
                raise
        return [outcomes[n] for n in range(len(bodies))]

    async def decision(self, decision_id: str) -> Decided:
        """Return what became of a decision when it was first reported."""
        return read(Decided, await self._requests.ask("GET", f"/v1/decisions/{_segment(decision_id)}"))

    # --- phones -------------------------------------------------------------------------------------------------------

    async def enrol(
        self,
        *,
        imei: str,
        loan_id: str,
        device_key: bytes,
        consent: str,
        evidence: Mapping[str, str] | None = None,
        time_zone: str | None = None,
    ) -> Enrolled:
        """Bind a phone to its loan; return what has to be put into it, once the broker lets the phone in.

        Args:
            imei: the phone.
            loan_id: what you call the loan.
            device_key: the raw Ed25519 public key that the phone has made.
            consent: your reference to the borrower's signed agreement.
            evidence: more references, by kind: what a policy may require.
            time_zone: the borrower's, an IANA name, for quiet hours.

        Raises:
            ConflictError: the phone is enrolled already, with another key or loan.
        """
        body = {
            "imei": imei,
            "loan_id": loan_id,
            "device_key": base64.b64encode(device_key).decode(),
            "consent": consent,
            "evidence": evidence,
            "time_zone": time_zone,
        }
        given = {name: value for name, value in body.items() if value is not None}
        answer = await self._requests.ask("POST", "/v1/phones", json=given, timeout=_ENROL_TIMEOUT_S)
        return read(Enrolled, answer)

    async def phone(self, imei: str) -> Phone:
        """Return a phone: what it should be, what it says it is, and what it waits for."""
        return read(Phone, await self._requests.ask("GET", f"/v1/phones/{_segment(imei)}"))

    async def phones(self, page_size: int = PAGE) -> AsyncIterator[Phone]:
        """Yield all phones, by IMEI."""
        phones_in = items(Phone, "phones")
        async for page in self._requests.pages("GET", "/v1/phones", page_size):
            for phone in phones_in(page):
                yield phone

    async def timeline(self, imei: str, page_size: int = PAGE) -> AsyncIterator[Event]:
        """Yield all that has happened to a phone, the newest first."""
        events_in = items(Event, "events")
        async for page in self._requests.pages("GET", f"/v1/phones/{_segment(imei)}/timeline", page_size):
            for event in events_in(page):
                yield event

    # --- commands -----------------------------------------------------------------------------------------------------

    async def command(self, command_id: str) -> Command:
        """Return where a command is on its way to its phone."""
        return read(Command, await self._requests.ask("GET", f"/v1/commands/{_segment(command_id)}"))

    async def finished(self, command_id: str, timeout_s: float) -> Command:
        """Wait until a command is no longer pending: its phone has done it (`succeeded`), say.

        Raises:
            TimeoutError: it is still pending; the phone may be switched off, and follows when it is back.
        """
        deadline = time.monotonic() + timeout_s
        while (command := await self.command(command_id)).pending:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{command_id} is still {command.status} after {timeout_s:g} s")
            await asyncio.sleep(_POLL_S)
        return command

    # --- imports ------------------------------------------------------------------------------------------------------

    @property
    def imports(self) -> Imports:
        """Files of decisions."""
        return Imports(self._requests)

    # --- policy -------------------------------------------------------------------------------------------------------

    async def policy(self, version: int | None = None) -> PolicyDocument:
        """Return your rules: those in force, or one version of them."""
        path = "/v1/policy" if version is None else f"/v1/policy/versions/{version}"
        return read(PolicyDocument, await self._requests.ask("GET", path))

    async def policy_versions(self, page_size: int = PAGE) -> AsyncIterator[PolicyVersion]:
        """Yield all versions, the newest, which is in force, first."""
        versions_in = items(PolicyVersion, "versions")
        async for page in self._requests.pages("GET", "/v1/policy/versions", page_size):
            for version in versions_in(page):
                yield version

    async def set_policy(self, document: str) -> PolicyDocument:
        """Put a document in force: all phones are judged by it within moments. See first what `dry_run_policy` says.

        Raises:
            InvalidError: it is no policy, or not one that this bridge allows; the message names the lines.
        """
        return read(PolicyDocument, await self._requests.ask("PUT", "/v1/policy", content=document, headers=_TOML))

    async def check_policy(self, document: str) -> PolicyCheck:
        """Return whether a document could be put in force, and if not, what is wrong in which line."""
        answer = await self._requests.ask("POST", "/v1/policy/check", content=document, headers=_TOML)
        return read(PolicyCheck, answer)

    async def dry_run_policy(self, document: str, page_size: int = POLICY_PAGE) -> AsyncIterator[DryRunPage]:
        """Yield which phones a document would change if it came into force now, a page of phones at a time.

        Raises:
            InvalidError: see `set_policy`.
        """
        content = {"content": document, "headers": _TOML}
        async for page in self._requests.pages("POST", "/v1/policy/dry-run", page_size, **content):
            yield read(DryRunPage, page)

    # --- the bridge itself --------------------------------------------------------------------------------------------

    async def is_ready(self) -> bool:
        """Return whether the bridge answers, and has its database and its broker."""
        try:
            return (await self._requests.http.get("/readyz")).status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False


def _outcome(result: Mapping[str, Any]) -> Outcome:
    if result["status"] == HTTPStatus.OK:
        return read(Decided, result)
    error = error_of(problem_in(result["problem"], result["status"]))
    if isinstance(error, RefusedError | UnavailableError):
        return error
    raise error


def _segment(text: str) -> str:
    """Return text as one level of a path, whatever it holds."""
    return quote(text, safe="")
