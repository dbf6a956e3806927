"""What the routes work with: the use cases and their ports."""

import base64
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from broker_bridge.adapters.http.access import Caller
from broker_bridge.adapters.http.enrolment import EnrolmentBody
from broker_bridge.adapters.lender_api.answers import decided_answer, phone_answer
from broker_bridge.adapters.lender_api.decision_desk import DecisionDesk
from broker_bridge.adapters.lender_api.decisions import decision_of
from broker_bridge.adapters.lender_api.problems import EXPECTED, problem_of
from broker_bridge.adapters.lender_api.schemas import (
    EnrolledAnswer,
    MqttAnswer,
    PhoneAnswer,
    RefusedResult,
    TakenResult,
)
from broker_bridge.app.decide import Decided
from broker_bridge.app.enrol import Enrol
from broker_bridge.app.imports import Uploads
from broker_bridge.app.key_conflicts import KeyConflicts
from broker_bridge.app.ports.broker import Link
from broker_bridge.app.ports.credentials import Credentials
from broker_bridge.app.ports.imports import Imports
from broker_bridge.app.ports.metrics import Metrics
from broker_bridge.app.ports.queries import ApiKeys, Commands, Decisions, Lenders, Phones
from broker_bridge.app.ports.store import Commits
from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.set_policy import PolicyDesk
from broker_bridge.app.standby import Standby
from broker_bridge.domain.imports import Import
from broker_bridge.domain.phones import Phone
from lock_protocol.imei import Imei
from lock_protocol.keys import PublicKey
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesBroker:
    """The broker as an enrolled phone is told of it."""

    host: str
    port: int
    tls: bool
    ca: str | None
    """CA certificates, PEM."""
    topic_prefix: str
    root_envelope: bytes
    """As a phone whose firmware pins no root pins it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What the routes work with."""

    store: Commits
    phones: Phones
    commands: Commands
    decisions: Decisions
    lenders: Lenders
    keys: ApiKeys
    ping: Callable[[], Awaitable[None]]
    """Returns when the database answers, or raises `StoreUnavailableError`."""
    reconsider: Reconsider
    desk: DecisionDesk
    key_conflicts: KeyConflicts
    policies: PolicyDesk
    clock: Clock
    credentials: Credentials
    link: Link
    standby: Standby
    broker: PhonesBroker
    metrics: Metrics
    uploads: Uploads
    imports: Imports
    import_waits_for: Callable[[Import], str | None]
    """Returns why an import does not move on just now; None when it does, or is over."""

    async def decide_for(self, caller: Caller, value: object) -> Decided:
        """Take a JSON value as one decision of a caller that may send it.

        Raises:
            ProblemError: 422, naming what is wrong; 403, naming the scope needed.
        """
        decision = decision_of(value, caller.lender)
        caller.check_decision(decision.type)
        return await self.desk.decide(decision, way="http")

    async def decide_one(self, caller: Caller, value: object) -> TakenResult | RefusedResult:
        """Return the result of one item of a list: each stands for itself."""
        try:
            decided = await self.decide_for(caller, value)
        except EXPECTED as error:
            problem = problem_of(error)
            return {"status": int(problem.status), "problem": problem.document()}
        return {"status": 200, **decided_answer(decided)}

    async def show(self, phone: Phone) -> PhoneAnswer:
        """Return a phone with what it waits for now."""
        record = await self.lenders.one(phone.lender)
        return phone_answer(phone, self.reconsider.judgement(phone, record).missing, self.clock.now())

    async def show_all(self, lender: LenderId, phones: Iterable[Phone]) -> list[PhoneAnswer]:
        """Return phones of one lender, each with what it waits for now."""
        record, now = await self.lenders.one(lender), self.clock.now()
        return [phone_answer(phone, self.reconsider.judgement(phone, record).missing, now) for phone in phones]

    async def enrol(self, body: EnrolmentBody, lender: LenderId) -> EnrolledAnswer:
        """Enrol a phone and return what it needs, once its credential works."""
        password, credential = self.credentials.new()
        job = Enrol(
            lender=lender,
            imei=Imei(body.imei),
            loan_id=body.loan_id,
            device_key=PublicKey(body.device_key),
            consent=body.consent,
            credential=credential,
            evidence=dict(body.evidence),
            time_zone=body.time_zone or "",
            reconsider=self.reconsider,
            key_conflicts=self.key_conflicts,
        )
        phone = await self.store.commit(job)
        await self.credentials.publish()
        mqtt: MqttAnswer = {
            "host": self.broker.host,
            "port": self.broker.port,
            "tls": self.broker.tls,
            "ca": self.broker.ca,
            "username": phone.imei,
            "password": password,
            "topic_prefix": self.broker.topic_prefix,
        }
        root = base64.b64encode(self.broker.root_envelope).decode()
        return {**await self.show(phone), "root": root, "mqtt": mqtt}
