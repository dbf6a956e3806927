"""The lenders' client over MQTT: on a real broker, with a stand-in for the bridge that answers as a test has it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from device_sim.identities import simulated_imei
from lock_protocol.levels import Level
from paylatch.client import (
    ConflictError,
    Decided,
    LoanSettled,
    MqttLender,
    NotAllowedError,
    Patience,
    Step,
    UnavailableError,
    connect_mqtt,
)
from paylatch.local.ports import LOOPBACK
from tests.broker.bridge_rig import TOPICS
from tests.broker.tls_rig import tls_broker
from tests.certificates import DAY
from tests.conftest import PATIENCE_S, RealBroker

LENDER = "acme-mqtt"
IMEI = simulated_imei(77)
SETTLED = LoanSettled(decision_id="s1", imei=IMEI, occurred_at=datetime(2026, 1, 1, tzinfo=UTC))
QUICK = Patience(total_s=PATIENCE_S, first_pause_s=0.01, longest_pause_s=0.1)
DECIDED = {
    "decision_id": "s1",
    "step": "decided",
    "imei": IMEI,
    "type": "loan_settled",
    "effect": "applied",
    "level": "released",
    "wanted_level": "released",
    "held": None,
    "command_id": "cmd_1",
    "repeated": False,
}


def step(name: str, command_id: str = "cmd_1") -> dict[str, Any]:
    return {
        "decision_id": "s1",
        "step": name,
        "command_id": command_id,
        "imei": IMEI,
        "status": name,
        "pending": name in ("queued", "sent"),
        "level": "released",
        "reason": "settled",
        "epoch": 1,
        "version": 2,
        "detail": "",
        "attempts": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "sent_at": None,
        "finished_at": None,
    }


def refused(status: int, kind: str) -> dict[str, Any]:
    problem = {"type": f"urn:paylatch:problem:{kind}", "title": kind, "status": status, "detail": f"because of {kind}"}
    return {"decision_id": "s1", "step": "refused", "problem": problem}


@dataclass
class StandIn:
    """Answers each decision that comes with the next of its answers, and the last one for ever."""

    client: aiomqtt.Client
    answers: list[list[Any]]
    came: list[Any] = field(default_factory=list)

    async def serve(self) -> None:
        async for message in self.client.messages:
            self.came.append(json.loads(message.payload))
            for result in self.answers[min(len(self.came), len(self.answers)) - 1]:
                payload = result if isinstance(result, bytes) else json.dumps(result)
                await self.client.publish(TOPICS.results(LENDER), payload, qos=1)


@asynccontextmanager
async def answering(broker: RealBroker, *answers: Iterable[Any]) -> AsyncIterator[StandIn]:
    async with broker.service("bridge", client_id="bridge-of-client-test") as client:
        await client.subscribe(TOPICS.decisions(LENDER), qos=1)
        bridge = StandIn(client, [list(each) for each in answers])
        serving = asyncio.create_task(bridge.serve())
        yield bridge
        serving.cancel()


@asynccontextmanager
async def lender_at(broker: RealBroker, *, within_s: float = PATIENCE_S) -> AsyncIterator[MqttLender]:
    if LENDER not in broker.services:
        broker.add_services(LENDER)
    password, port = broker.services[LENDER], broker.services_port
    async with connect_mqtt(
        LOOPBACK, port, lender=LENDER, password=password, patience=QUICK, answer_within_s=within_s
    ) as lender:
        yield lender


async def test_a_decision_is_answered_by_its_result(broker: RealBroker) -> None:
    async with lender_at(broker) as lender, answering(broker, [DECIDED]) as bridge:
        decided = await lender.decide(SETTLED)
        assert (decided.level, decided.command_id) == (Level.RELEASED, "cmd_1")
        assert bridge.came == [SETTLED.body()]


async def test_a_decision_without_a_result_is_sent_again_unchanged(broker: RealBroker) -> None:
    async with (
        lender_at(broker, within_s=0.05) as lender,
        answering(
            broker, [], [b"no json", b"[]"], [{"decision_id": "another", "step": "decided"}], [DECIDED]
        ) as bridge,
    ):
        await lender.decide(SETTLED)
        assert bridge.came[:4] == [SETTLED.body()] * 4


async def test_what_was_told_not_now_is_sent_again(broker: RealBroker) -> None:
    async with lender_at(broker) as lender, answering(broker, [refused(503, "overloaded")], [DECIDED]) as bridge:
        assert (await lender.decide(SETTLED)).effect == "applied"
        assert len(bridge.came) == 2


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -float("inf")])
async def test_what_json_has_no_number_for_is_refused_before_it_is_sent(broker: RealBroker, amount: float) -> None:
    async with lender_at(broker) as lender, answering(broker, [DECIDED]) as bridge:
        with pytest.raises(ValueError, match="JSON"):
            await lender.decide(SETTLED.body() | {"amount_due": amount})
        await lender.decide(SETTLED)
        assert bridge.came == [SETTLED.body()]


async def test_a_refusal_is_the_same_error_as_over_http(broker: RealBroker) -> None:
    async with lender_at(broker) as lender, answering(broker, [refused(422, "decision-conflict")]) as bridge:
        with pytest.raises(ConflictError, match="because of decision-conflict"):
            await lender.decide(SETTLED)
        assert len(bridge.came) == 1


async def test_every_step_is_told_once_until_the_phone_has_done_it(broker: RealBroker) -> None:
    repeated = [DECIDED, step("queued"), step("queued"), step("sent"), step("rejected"), step("queued", "cmd_2")]
    async with lender_at(broker) as lender, answering(broker, [*repeated, step("succeeded", "cmd_2"), step("sent")]):
        told = [one async for one in lender.follow(SETTLED, PATIENCE_S)]
        assert isinstance(told[0], Decided)
        names = [(one.step, one.command.command_id) for one in told if isinstance(one, Step)]
        assert names == [
            ("queued", "cmd_1"),
            ("sent", "cmd_1"),
            ("rejected", "cmd_1"),
            ("queued", "cmd_2"),
            ("succeeded", "cmd_2"),
        ]


async def test_nothing_follows_a_decision_that_changes_nothing(broker: RealBroker) -> None:
    async with lender_at(broker) as lender, answering(broker, [DECIDED | {"command_id": None, "effect": "stale"}]):
        assert [type(one) async for one in lender.follow(SETTLED, PATIENCE_S)] == [Decided]


async def follow(lender: MqttLender, told: list[str], timeout_s: float = PATIENCE_S) -> None:
    """Follow the decision, and keep the names of the steps that are told."""
    async for one in lender.follow(SETTLED, timeout_s):
        told.append(one.step if isinstance(one, Step) else "decided")  # noqa: PERF401 - it has to stay when an error comes


async def test_a_phone_that_does_nothing_is_not_waited_for_without_end(broker: RealBroker) -> None:
    told: list[str] = []
    async with lender_at(broker) as lender, answering(broker, [DECIDED, step("queued"), step("sent")]):
        with pytest.raises(UnavailableError, match=r"cmd_1 is still sent after 0\.5 s"):
            await follow(lender, told, timeout_s=0.5)
    assert told == ["decided", "queued", "sent"]


async def test_a_refusal_while_it_is_followed_is_the_error_that_it_stands_for(broker: RealBroker) -> None:
    told: list[str] = []
    answers = [DECIDED, step("queued"), refused(422, "decision-conflict"), step("succeeded")]
    async with lender_at(broker) as lender, answering(broker, answers):
        with pytest.raises(ConflictError, match="because of decision-conflict"):
            await follow(lender, told)
    assert told == ["decided", "queued"]


async def test_what_is_refused_for_the_moment_while_it_is_followed_is_waited_out(broker: RealBroker) -> None:
    told: list[str] = []
    answers = [DECIDED, refused(503, "overloaded"), step("succeeded")]
    async with lender_at(broker) as lender, answering(broker, answers):
        await follow(lender, told)
    assert told == ["decided", "succeeded"]


async def test_two_decisions_are_not_taken_for_each_other(broker: RealBroker) -> None:
    other = LoanSettled(decision_id="s2", imei=IMEI, occurred_at=SETTLED.occurred_at)
    both = [DECIDED | {"decision_id": "s2", "effect": "noted"}, DECIDED]
    async with lender_at(broker) as lender, answering(broker, [], both, []):
        first, second = await asyncio.gather(lender.decide(SETTLED), lender.decide(other))
        assert (first.effect, second.effect) == ("applied", "noted")


async def test_a_broker_that_died_and_came_back_is_found_again(own_broker: RealBroker) -> None:
    async with lender_at(own_broker, within_s=0.2) as lender:
        async with answering(own_broker, [DECIDED]):
            await lender.decide(SETTLED)
        await asyncio.to_thread(own_broker.process.kill)
        deciding = asyncio.create_task(lender.decide(SETTLED))
        await asyncio.to_thread(own_broker.process.start)
        async with answering(own_broker, [DECIDED | {"repeated": True}]):
            assert (await deciding).repeated


async def test_who_is_not_known_to_the_broker_is_told_so(broker: RealBroker) -> None:
    connection = connect_mqtt(LOOPBACK, broker.services_port, lender="nobody-at-all", password="x", patience=QUICK)
    with pytest.raises(NotAllowedError, match="knows no lender nobody-at-all"):
        async with connection:
            pass


async def test_who_waits_is_told_at_once_when_the_broker_does_not_let_the_lender_in_any_more(
    own_broker: RealBroker,
) -> None:
    other = LoanSettled(decision_id="s2", imei=IMEI, occurred_at=SETTLED.occurred_at)
    async with lender_at(own_broker) as lender:
        following = lender.follow(SETTLED, PATIENCE_S)
        async with answering(own_broker, [DECIDED], [step("queued")]):
            await anext(following)
            deciding = asyncio.create_task(lender.decide(other))
            await anext(following)
        await asyncio.to_thread(own_broker.add_services, LENDER)
        async with asyncio.timeout(PATIENCE_S / 2):
            told = await asyncio.gather(anext(following), deciding, return_exceptions=True)
        assert [type(error) for error in told] == [NotAllowedError] * 2
        with pytest.raises(NotAllowedError, match="another password"):
            await lender.decide(SETTLED)


async def test_a_broker_that_is_not_there_is_told_as_such() -> None:
    connection = connect_mqtt(LOOPBACK, 1, lender=LENDER, password="x", patience=Patience(total_s=0.2))
    with pytest.raises(UnavailableError, match=r"broker at 127\.0\.0\.1:1"):
        async with connection:
            pass


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_expired_certificate_of_the_broker_is_told_as_such(tmp_path: Path) -> None:
    with tls_broker(tmp_path / "secured") as secured:
        secured.broker.add_services(LENDER)
        secured.authority.issue(secured.certfile, begins=-2 * DAY, ends=-DAY)
        secured.broker.reload()
        connection = connect_mqtt(
            LOOPBACK,
            secured.broker.services_port,
            lender=LENDER,
            password=secured.broker.services[LENDER],
            tls=ssl.create_default_context(cafile=secured.authority.cafile),
            patience=Patience(total_s=1),
        )
        with pytest.raises(UnavailableError, match="certificate has expired"):
            async with connection:
                pass


async def test_an_error_inside_comes_out_as_itself(broker: RealBroker) -> None:
    with pytest.raises(LookupError):
        async with lender_at(broker):
            raise LookupError
