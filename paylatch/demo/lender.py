"""The lender's side: its system, talking to the bridge's HTTP API over connections that are kept alive."""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from lock_protocol.imei import Imei
from lock_protocol.keys import PublicKey
from lock_protocol.levels import Condition, Level
from lock_protocol.messages import StateHash
from paylatch.demo.options import DemoError
from paylatch.facts import Borrower, Fact

MAX_DECISIONS_PER_REQUEST = 1000
_PAGE = 500
_TIMEOUT_S = 30.0
_CONNECTIONS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What a phone is handed when it is enrolled."""

    imei: Imei
    root: bytes
    """The root's envelope, which firmware pins."""
    password: str
    topic_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A phone's newest verified word about itself, as the bridge tells it."""

    level: Level
    condition: Condition
    epoch: int
    version: int
    state_hash: StateHash


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgePhone:
    """A phone as the bridge tells of it."""

    imei: Imei
    level: Level
    """The level of its newest desired state."""
    epoch: int
    version: int
    state_hash: StateHash
    reported: Word | None

    @property
    def is_proven(self) -> bool:
        """Whether the phone itself has said that it applied its newest state."""
        said = self.reported
        return said is not None and (said.epoch, said.version, said.state_hash, said.level, said.condition) == (
            self.epoch,
            self.version,
            self.state_hash,
            self.level,
            Condition.APPLIED,
        )


class Lender:
    """A lender's system. All methods raise `DemoError` when the bridge does not do as it is asked.

    Args:
        http: a client that knows the bridge's address and the API key.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def is_ready(self) -> bool:
        """Return whether the bridge has its database and its broker."""
        try:
            return (await self._http.get("/readyz")).status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    async def enrol(self, borrower: Borrower, device_key: PublicKey) -> Enrolment:
        """Bind a phone to its loan."""
        body = {
            "imei": borrower.imei,
            "loan_id": borrower.loan_id,
            "device_key": base64.b64encode(device_key).decode(),
            "consent": f"contract of {borrower.loan_id}",
        }
        answer = await self._send("POST", "/v1/phones", HTTPStatus.CREATED, json=body)
        return Enrolment(
            imei=borrower.imei,
            root=base64.b64decode(answer["root"]),
            password=answer["mqtt"]["password"],
            topic_prefix=answer["mqtt"]["topic_prefix"],
        )

    async def decide(self, fact: Fact) -> None:
        """Report one fact."""
        await self._send("POST", "/v1/decisions", HTTPStatus.OK, json=fact.body())

    async def decide_many(self, facts: Sequence[Fact]) -> None:
        """Report facts as lists, and see that each was taken."""
        for start in range(0, len(facts), MAX_DECISIONS_PER_REQUEST):
            part = facts[start : start + MAX_DECISIONS_PER_REQUEST]
            bodies = [fact.body() for fact in part]
            answer = await self._send("POST", "/v1/decisions", HTTPStatus.OK, json=bodies)
            for fact, result in zip(part, answer["results"], strict=True):
                if result["status"] != HTTPStatus.OK:
                    raise DemoError(f"the bridge refused a decision about {fact.imei}: {result['problem']}")

    async def phone(self, imei: Imei) -> BridgePhone:
        """Return what the bridge knows of a phone."""
        return _phone(await self._send("GET", f"/v1/phones/{imei}", HTTPStatus.OK))

    async def phones(self) -> AsyncIterator[BridgePhone]:
        """Yield what the bridge knows of each phone, page by page."""
        query: dict[str, str | int] = {"page_size": _PAGE}
        while True:
            page = await self._send("GET", "/v1/phones", HTTPStatus.OK, params=query)
            for each in page["phones"]:
                yield _phone(each)
            if not page.get("next_page_token"):
                return
            query["page_token"] = page["next_page_token"]

    async def _send(self, method: str, path: str, expected: HTTPStatus, **content: Any) -> Any:
        try:
            response = await self._http.request(method, path, **content)
        except httpx.TransportError as error:
            raise DemoError(f"{method} {path}: the bridge does not answer: {error!r}") from error
        if response.status_code != expected:
            raise DemoError(f"{method} {path}: the bridge answered {response.status_code}: {response.text}")
        return response.json()


@asynccontextmanager
async def connected(base_url: str, api_key: str) -> AsyncIterator[Lender]:
    """Give a lender that keeps its connections to the bridge open."""
    async with httpx.AsyncClient(
        base_url=base_url,
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=_TIMEOUT_S,
        limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
        trust_env=False,  # a proxy from the environment has no business on loopback
    ) as http:
        yield Lender(http)


def _phone(answer: Any) -> BridgePhone:
    desired, reported = answer["desired"], answer["reported"]
    return BridgePhone(
        imei=answer["imei"],
        level=_level(desired["level"]),
        epoch=desired["epoch"],
        version=desired["version"],
        state_hash=_hash(desired["state_hash"]),
        reported=None if reported is None else _word(reported),
    )


def _word(reported: Any) -> Word:
    return Word(
        level=_level(reported["level"]),
        condition=Condition[reported["condition"].upper()],
        epoch=reported["epoch"],
        version=reported["version"],
        state_hash=_hash(reported["state_hash"]),
    )


def _level(name: str) -> Level:
    return Level[name.upper()]


def _hash(digits: str) -> StateHash:
    return StateHash(bytes.fromhex(digits))
