"""What the routes work with: the use cases, and the way from a credential to a lender."""

import base64
import os
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from fastapi import Request

from broker_bridge.adapters.http.answers import decided_answer, phone_answer
from broker_bridge.adapters.http.bodies import EnrolmentBody, decision_of
from broker_bridge.adapters.http.problems import EXPECTED, ProblemError, problem_of
from broker_bridge.adapters.mqtt.credentials import PasswordFile
from broker_bridge.adapters.mqtt.link import Link
from broker_bridge.adapters.mqtt.passwords import SALT_BYTES, hash_password
from broker_bridge.app.decide import Decide, Decided
from broker_bridge.app.enrol import Enrol
from broker_bridge.app.import_worker import ImportWorker
from broker_bridge.app.ports import Clock, Store
from broker_bridge.app.sign import Queue
from broker_bridge.domain.decisions import Decision
from broker_bridge.domain.policy import Policy
from lock_protocol.imei import Imei
from lock_protocol.keys import PublicKey
from lock_protocol.messages import LenderId

KEY_BELIEVED_S = 1.0
"""How long a key that was taken away may still work."""
_SECRET_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesBroker:
    """The broker as an enrolled phone is told of it."""

    host: str
    port: int
    topic_prefix: str
    root_envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What the routes work with."""

    store: Store
    queue: Queue
    policy: Policy
    clock: Clock
    credentials: PasswordFile
    link: Link
    broker: PhonesBroker
    imports: ImportWorker
    known_keys: dict[bytes, tuple[LenderId, float]] = field(default_factory=dict)
    """Keys that the database has confirmed, and until when (monotonic seconds) that is believed."""

    async def lender(self, request: Request) -> LenderId:
        """Return whose API key the request bears.

        Raises:
            ProblemError: 401, the same for a missing and for an unknown key.
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        lender = await self._lender_of_key(api_key_hash(key)) if scheme.lower() == "bearer" and key else None
        if lender is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED, "unauthorized", "send a valid API key: 'Authorization: Bearer <key>'"
            )
        return lender

    async def _lender_of_key(self, key_hash: bytes) -> LenderId | None:
        """Look a key up, at most once in a while: only keys that exist are remembered, so the memory is bounded."""
        now = self.clock.monotonic()
        lender, until = self.known_keys.get(key_hash, (None, now))
        if now < until:
            return lender
        lender = await self.store.lender_of_key(key_hash)
        if lender is None:
            self.known_keys.pop(key_hash, None)
        else:
            self.known_keys[key_hash] = (lender, now + KEY_BELIEVED_S)
        return lender

    async def decide(self, decision: Decision) -> Decided:
        """Take one decision."""
        return await self.store.commit(Decide(decision, self.policy, self.queue, self.clock))

    async def decide_one(self, value: object, lender: LenderId) -> dict[str, Any]:
        """Return the result of one item of a list: each stands for itself."""
        try:
            decided = await self.decide(decision_of(value, lender))
        except EXPECTED as error:
            problem = problem_of(error)
            return {"status": int(problem.status), "problem": problem.document()}
        return {"status": int(HTTPStatus.OK), **decided_answer(decided)}

    async def enrol(self, body: EnrolmentBody, lender: LenderId) -> dict[str, Any]:
        """Enrol a phone and return what it needs, once its credential works."""
        password = secrets.token_urlsafe(_SECRET_BYTES)
        job = Enrol(
            lender=lender,
            imei=Imei(body.imei),
            loan_id=body.loan_id,
            device_key=PublicKey(body.device_key),
            consent=body.consent,
            credential=hash_password(password, os.urandom(SALT_BYTES)),
            policy=self.policy,
            queue=self.queue,
            clock=self.clock,
        )
        phone = await self.store.commit(job)
        await self.credentials.publish()
        mqtt = {
            "host": self.broker.host,
            "port": self.broker.port,
            "username": phone.imei,
            "password": password,
            "topic_prefix": self.broker.topic_prefix,
        }
        root = base64.b64encode(self.broker.root_envelope).decode()
        return phone_answer(phone) | {"root": root, "mqtt": mqtt}


def new_api_key() -> str:
    """Return a new API key; only its hash is stored."""
    return "pl_" + secrets.token_urlsafe(_SECRET_BYTES)


def api_key_hash(key: str) -> bytes:
    """Return what is stored of an API key. Plain SHA-256 does: the key is random, so it cannot be guessed."""
    return sha256(key.encode()).digest()
