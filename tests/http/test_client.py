"""The lenders' client asks the real application, and says the same as its JSON."""

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from broker_bridge.adapters.lender_api.decisions import DECISION_BODIES, decision_of
from broker_bridge.adapters.policies.profiles import profile_document
from broker_bridge.domain.decisions import Payment
from lock_protocol.levels import Level
from paylatch.client import (
    Bridge,
    ConflictError,
    Decided,
    Decision,
    DisputeClosed,
    DisputeOpened,
    GraceGranted,
    InvalidError,
    LoanSettled,
    LostOrStolen,
    NotAllowedError,
    NotFoundError,
    Patience,
    PaymentDue,
    PaymentOverdue,
    PaymentReceived,
    PaymentReversed,
    Recovered,
    Resend,
    UnavailableError,
    UnexpectedAnswerError,
    to_json,
)
from paylatch.client.answers import Enrolled, read
from paylatch.client.requests import Requests
from tests.bridge_rig import ACME, DEVICE
from tests.conftest import PATIENCE_S
from tests.http.conftest import FOREIGN, IMEI, KEYS, SECOND, Api

MORNING = datetime(2023, 1, 1, 6, tzinfo=UTC)
LATER = MORNING + timedelta(days=1)
QUICK = Patience(total_s=5, first_pause_s=0.001, longest_pause_s=0.01)
ONCE = Patience(total_s=0)
OVERDUE = PaymentOverdue(decision_id="d1", imei=IMEI, occurred_at=MORNING, days_overdue=90)
PAID = PaymentReceived(decision_id="p1", imei=IMEI, occurred_at=LATER, cures=True)
WITH_GATES = profile_document("default")


def asking(transport: httpx.AsyncBaseTransport, key: str | None = KEYS[ACME], patience: Patience = QUICK) -> Bridge:
    headers = {"Authorization": f"Bearer {key}"}
    return Bridge(Requests(httpx.AsyncClient(transport=transport, base_url="http://bridge", headers=headers), patience))


@pytest.fixture
async def bridge(api: Api) -> Bridge:
    return asking(httpx.ASGITransport(api.app))


# --- decisions -----------------------------------------------------------------------------------------------------

ALL_DECISIONS: list[Decision] = [
    OVERDUE,
    PAID,
    PaymentDue(decision_id="1", imei=IMEI, occurred_at=MORNING, due_at=LATER, amount_due=1, currency="INR"),
    replace(OVERDUE, amount_due=129900, currency="INR", pay_url="https://pay.example/1"),
    replace(PAID, cures=False, amount=5, currency="EUR"),
    PaymentReversed(decision_id="1", imei=IMEI, occurred_at=MORNING, days_overdue=0, reverses="p1"),
    LoanSettled(decision_id="1", imei=IMEI, occurred_at=MORNING),
    GraceGranted(decision_id="1", imei=IMEI, occurred_at=MORNING, until=LATER, level=Level.NOTICE),
    DisputeOpened(decision_id="1", imei=IMEI, occurred_at=MORNING),
    DisputeOpened(decision_id="1", imei=IMEI, occurred_at=MORNING, until=LATER),
    DisputeClosed(decision_id="1", imei=IMEI, occurred_at=MORNING),
    LostOrStolen(decision_id="1", imei=IMEI, occurred_at=MORNING),
    Recovered(decision_id="1", imei=IMEI, occurred_at=MORNING),
    Resend(decision_id="1", imei=IMEI, occurred_at=MORNING),
]


@pytest.mark.parametrize("decision", ALL_DECISIONS, ids=lambda one: type(one).__name__)
def test_the_bridge_takes_what_the_client_makes_of_a_decision(decision: Decision) -> None:
    taken = decision_of(json.loads(json.dumps(decision.body())), ACME)
    assert (taken.type, taken.imei) == (decision.type, decision.imei)
    assert taken.occurred_at == decision.occurred_at.timestamp() * 1000


def test_the_client_has_a_class_for_each_type_of_decision() -> None:
    assert {decision.type for decision in ALL_DECISIONS} == set(DECISION_BODIES)


def test_a_reversed_payment_is_one() -> None:
    reversal = PaymentReversed(decision_id="1", imei=IMEI, occurred_at=MORNING, days_overdue=30)
    assert decision_of(reversal.body(), ACME).payment is Payment.REVERSED


async def test_a_decision_is_taken_once_however_often_it_is_sent(bridge: Bridge) -> None:
    first = await bridge.decide(OVERDUE)
    again = await bridge.decide(OVERDUE)
    assert (first.level, first.effect, first.repeated) == (Level.LOCKED, "applied", False)
    assert again == replace(first, repeated=True)
    assert await bridge.decision("d1") == again


async def test_one_that_is_refused_in_a_list_holds_up_no_other(bridge: Bridge) -> None:
    unknown = replace(OVERDUE, decision_id="d2", imei=SECOND)
    locked, refused, opened = await bridge.decide_all([OVERDUE, unknown, PAID])
    assert isinstance(locked, Decided)
    assert isinstance(opened, Decided)
    assert opened.level is Level.UNLOCKED
    assert isinstance(refused, NotFoundError)


async def test_any_number_of_decisions_may_be_sent_as_a_list(bridge: Bridge) -> None:
    outcomes = await bridge.decide_all(replace(OVERDUE, decision_id=f"d{n}") for n in range(1001))
    assert [one.decision_id for one in outcomes if isinstance(one, Decided)] == [f"d{n}" for n in range(1001)]


# --- every answer ----------------------------------------------------------------------------------------------------


async def test_nothing_of_an_answer_is_lost_in_the_client(api: Api, bridge: Bridge) -> None:
    put = await bridge.set_policy(WITH_GATES)
    held = await bridge.decide(OVERDUE)
    assert held.held is not None
    await bridge.decide(GraceGranted(decision_id="g1", imei=IMEI, occurred_at=LATER, until=LATER + timedelta(days=900)))
    phone = await bridge.phone(IMEI)
    assert phone.holds.grace is not None
    command = await bridge.command(phone.desired.command_id)
    answers = {
        "/v1/decisions/d1": await bridge.decision("d1"),
        f"/v1/phones/{IMEI}": phone,
        f"/v1/commands/{command.command_id}": command,
        "/v1/policy": put,
        "/v1/policy/versions/1": await bridge.policy(1),
    }
    for path, answer in answers.items():
        assert to_json(answer) == (await api.get(path)).json(), path


async def test_a_list_is_read_page_by_page_to_its_end(api: Api, bridge: Bridge) -> None:
    await api.enrol(SECOND)
    assert [phone.imei async for phone in bridge.phones(page_size=1)] == [IMEI, SECOND]
    await bridge.decide_all([OVERDUE, PAID])
    events = [to_json(event) async for event in bridge.timeline(IMEI, page_size=2)]
    assert events == (await api.get(f"/v1/phones/{IMEI}/timeline")).json()["events"]
    assert len(events) > 2


async def test_an_enrolment_answers_what_goes_into_the_phone(api: Api, bridge: Bridge) -> None:
    enrolled = await bridge.enrol(
        imei=SECOND,
        loan_id="loan-2",
        device_key=DEVICE.public,
        consent="signed",
        evidence={"app": "opt-in 5"},
        time_zone="Asia/Kolkata",
    )
    assert enrolled.mqtt.username == SECOND
    assert (enrolled.mqtt.tls, enrolled.mqtt.ca) == (True, "the CA's certificate")
    assert len(enrolled.root) > 100
    assert (enrolled.time_zone, enrolled.evidence) == ("Asia/Kolkata", ("app", "contract"))
    raw = (await api.enrol(IMEI)).json()
    assert to_json(read(Enrolled, raw)) == raw


async def test_a_policy_is_checked_tried_and_put_in_force(api: Api, bridge: Bridge) -> None:
    faulty = await bridge.check_policy("schema = 1\nladder = 7\n")
    assert not faulty.valid
    assert faulty.faults
    assert (await bridge.check_policy(WITH_GATES)).valid
    await bridge.decide(OVERDUE)
    pages = [page async for page in bridge.dry_run_policy(WITH_GATES, page_size=1)]
    assert sum(page.judged for page in pages) == 1
    raw = await api.http.post(
        "/v1/policy/dry-run", content=WITH_GATES, headers=api.headers | {"Content-Type": "application/toml"}
    )
    assert [to_json(one) for page in pages for one in page.would_change] == raw.json()["would_change"] != []
    assert [one async for one in bridge.policy_versions()] == []
    put = await bridge.set_policy(WITH_GATES)
    assert await bridge.set_policy(WITH_GATES) == put
    await bridge.set_policy(WITH_GATES + "# the same rules\n")
    assert [one.version async for one in bridge.policy_versions(page_size=1)] == [2, 1]
    with pytest.raises(InvalidError):
        await bridge.set_policy("schema = 1\nladder = 7\n")


async def test_a_command_that_no_phone_has_done_is_waited_for_in_vain(bridge: Bridge) -> None:
    decided = await bridge.decide(OVERDUE)
    assert decided.command_id is not None
    with pytest.raises(TimeoutError, match="still queued"):
        await bridge.finished(decided.command_id, timeout_s=0)
    await bridge.decide(PAID)
    assert (await bridge.finished(decided.command_id, timeout_s=5)).status == "superseded"


# --- imports -------------------------------------------------------------------------------------------------------

FILE = "".join(
    f"{json.dumps(one.body())}\n" for one in (OVERDUE, replace(OVERDUE, decision_id="d2", imei=SECOND), PAID)
)


async def test_a_file_is_sent_waited_for_and_answered_row_by_row(api: Api, bridge: Bridge) -> None:
    pieces: list[int] = []
    sent = await bridge.imports.upload(io.BytesIO(FILE.encode()), "ndjson", "k1", sent=pieces.append)
    one = await bridge.imports.finished(sent.import_id, timeout_s=PATIENCE_S)
    assert (one.state, one.rows, one.applied, one.refused, sum(pieces)) == ("done", 3, 2, 1, len(FILE))
    assert [again.import_id async for again in bridge.imports.all(page_size=1)] == [one.import_id]
    assert to_json(one) == (await api.get(f"/v1/imports/{one.import_id}")).json()
    rows = b"".join([piece async for piece in bridge.imports.results(one.import_id, "ndjson")])
    assert [json.loads(row)["status"] for row in rows.splitlines()] == [200, 404, 200]
    refused = [piece async for piece in bridge.imports.results(one.import_id, "csv", outcome="refused")]
    assert b"unknown-phone" in b"".join(refused)


async def test_the_same_file_with_the_same_key_is_the_same_import(bridge: Bridge) -> None:
    first, again = [await bridge.imports.upload(io.BytesIO(FILE.encode()), "ndjson", "k1") for _ in range(2)]
    assert first.import_id == again.import_id
    with pytest.raises(InvalidError, match="Idempotency-Key"):
        await bridge.imports.upload(io.BytesIO(b"other"), "csv", "k1")


async def test_a_dry_run_writes_nothing(bridge: Bridge) -> None:
    sent = await bridge.imports.upload(io.BytesIO(FILE.encode()), "ndjson", "k1", dry_run=True)
    assert (await bridge.imports.finished(sent.import_id, timeout_s=PATIENCE_S)).dry_run
    assert (await bridge.phone(IMEI)).desired.level is Level.UNLOCKED


async def test_a_file_that_cannot_be_read_as_a_whole_says_why(bridge: Bridge) -> None:
    sent = await bridge.imports.upload(io.BytesIO(b"decision_id,lender\n"), "csv", "k1")
    one = await bridge.imports.finished(sent.import_id, timeout_s=PATIENCE_S)
    assert one.problem is not None
    assert (one.state, one.problem.status) == ("failed", 422)


async def test_results_of_no_import_are_refused(bridge: Bridge) -> None:
    with pytest.raises(NotFoundError):
        await anext(bridge.imports.results("imp_1", "csv"))


# --- errors ----------------------------------------------------------------------------------------------------------


async def test_each_kind_of_refusal_is_a_type_of_its_own(api: Api, bridge: Bridge) -> None:
    await bridge.decide(OVERDUE)
    with pytest.raises(ConflictError) as conflict:
        await bridge.decide(replace(OVERDUE, days_overdue=1))
    assert conflict.value.problem.kind == "decision-conflict"
    with pytest.raises(NotFoundError):
        await bridge.phone(FOREIGN)
    with pytest.raises(NotFoundError):
        await bridge.command("../livez")
    with pytest.raises(InvalidError, match="days_overdue"):
        await bridge.decide({**OVERDUE.body(), "days_overdue": "many"})
    with pytest.raises(NotAllowedError, match="valid API key"):
        await asking(httpx.ASGITransport(api.app), key="pl_none").phone(IMEI)


@pytest.mark.parametrize("imei", ["001017000000004", "1", "", "٠٠١٠١٧٠٠٠٠٠٠٠٠٣"])
def test_what_is_no_imei_is_refused_before_anything_is_sent(imei: str) -> None:
    with pytest.raises(ValueError, match="IMEI"):
        replace(OVERDUE, imei=imei)


def test_a_time_without_a_zone_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="occurred_at has no time zone"):
        replace(OVERDUE, occurred_at=MORNING.replace(tzinfo=None))


# --- trying again ----------------------------------------------------------------------------------------------------


class Flaky(httpx.AsyncBaseTransport):
    """Answers the first requests otherwise; what they asked is done all the same where `does` says so."""

    def __init__(
        self, real: httpx.AsyncBaseTransport, *firsts: Callable[[], httpx.Response], does: bool = False
    ) -> None:
        self._real, self._firsts, self._does = real, list(firsts), does
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if not self._firsts:
            return await self._real.handle_async_request(request)
        if self._does:
            await (await self._real.handle_async_request(request)).aread()
        return self._firsts.pop(0)()


def busy() -> httpx.Response:
    problem = {"type": "urn:paylatch:problem:overloaded", "title": "Overloaded", "status": 503, "detail": "later"}
    return httpx.Response(503, json=problem, headers={"Retry-After": "0"})


def proxy() -> httpx.Response:
    return httpx.Response(502, text="<html>bad gateway</html>")


def silence() -> httpx.Response:
    raise httpx.ReadTimeout("")


async def test_what_was_told_not_now_is_sent_again(api: Api) -> None:
    transport = Flaky(httpx.ASGITransport(api.app), busy, proxy, silence)
    assert (await asking(transport).decide(OVERDUE)).repeated is False
    assert transport.asked == 4


async def test_a_decision_whose_answer_was_lost_is_sent_again_and_done_once(api: Api) -> None:
    transport = Flaky(httpx.ASGITransport(api.app), silence, does=True)
    decided = await asking(transport).decide(OVERDUE)
    assert (decided.level, decided.repeated) == (Level.LOCKED, True)


async def test_patience_ends(api: Api) -> None:
    transport = Flaky(httpx.ASGITransport(api.app), busy, busy)
    with pytest.raises(UnavailableError, match="later") as gave_up:
        await asking(transport, patience=ONCE).decide(OVERDUE)
    assert gave_up.value.problem is not None
    assert transport.asked == 1
    with pytest.raises(UnavailableError, match="bridge does not answer: ReadTimeout"):
        await asking(Flaky(httpx.ASGITransport(api.app), silence), patience=ONCE).phone(IMEI)


async def test_a_refusal_is_not_sent_again(api: Api) -> None:
    transport = Flaky(httpx.ASGITransport(api.app))
    with pytest.raises(NotFoundError):
        await asking(transport).phone(SECOND)
    assert transport.asked == 1


async def test_of_a_list_only_what_was_told_not_now_is_sent_again(api: Api) -> None:
    sent: list[Any] = []

    class Half(httpx.AsyncBaseTransport):
        """Takes the first of a list and has no time for the others."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            bodies = json.loads(await request.aread())
            sent.append([body["decision_id"] for body in bodies])
            taken = (await api.decide(*bodies[:1], overdue_nobody)).json()["results"][:1]
            later = [{"status": 503, "problem": busy().json()} for _ in bodies[1:]]
            return httpx.Response(200, json={"results": taken + later})

    overdue_nobody = replace(OVERDUE, decision_id="none", imei=SECOND).body()
    both = await asking(Half()).decide_all([OVERDUE, PAID])
    assert [type(one) for one in both] == [Decided, Decided]
    assert sent == [["d1", "p1"], ["p1"]]
    one, other = await asking(Half(), patience=ONCE).decide_all([OVERDUE, replace(PAID, decision_id="p2")])
    assert (type(one), type(other)) == (Decided, UnavailableError)


async def test_what_is_no_bridge_is_told_as_such() -> None:
    for response in (httpx.Response(200, text="hello"), httpx.Response(404, text="nothing here")):
        transport = httpx.MockTransport(lambda _, response=response: response)
        with pytest.raises(UnexpectedAnswerError):
            await asking(transport).phone(IMEI)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"imei": 1}))
    with pytest.raises(UnexpectedAnswerError, match="no Phone: imei"):
        await asking(transport).phone(IMEI)


async def test_many_may_ask_at_once(bridge: Bridge) -> None:
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(bridge.phone(IMEI)) for _ in range(50)]
    assert len({task.result().imei for task in asked}) == 1
