"""Bad input over MQTT: a result that says so, nothing lost, nothing applied."""

import json
from typing import Any

import pytest

from broker_bridge.adapters.lender_api.decisions import MAX_LIST
from broker_bridge.app.ports.broker import Received
from tests.bridge_rig import ACME
from tests.http.conftest import FOREIGN, IMEI, OTHER, overdue, payment
from tests.mqtt.conftest import TOPICS, Desk


async def assert_nothing_applied(desk: Desk) -> None:
    phone = await desk.store.phones.one(ACME, IMEI)
    assert phone is not None
    assert (phone.desired.state.version, phone.loan.days_overdue) == (1, 0)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"paid",
        b"\xff\xfe\x00",
        b"\xc3\x28",
        b"\x00",
        b'{"a": 1} trailing',
        b'{"decision_id": "a", "decision_id": "b"}',
        b'[{"a": {"b": 1, "b": 2}}]',
        b'{"amount_due": NaN}',
        b'{"amount_due": -Infinity}',
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b'{"days_overdue": ' + b"9" * 10_000 + b"}",
        b"\x1f\x8b\x08\x00" + b"\x00" * 100,
    ],
    ids=lambda payload: repr(payload[:30]),
)
async def test_a_message_that_is_no_json_is_refused(desk: Desk, payload: bytes) -> None:
    desk.send(payload)
    assert await desk.problem() == (None, 400, "not-json")
    await assert_nothing_applied(desk)


@pytest.mark.parametrize(
    "decision",
    [
        overdue(level=9),
        overdue(lender=OTHER),
        overdue(days_overdue=-1),
        overdue(days_overdue=90.0),
        overdue(amount_due=1.5),
        overdue(imei="00-101700-000001-1"),
        overdue(type="payment_late"),
        overdue(type=["payment_overdue"]),
        overdue(occurred_at="yesterday"),
        payment(cures="true"),
        {**overdue(), "\ud800": 1},
    ],
    ids=lambda decision: json.dumps(decision)[:90],
)
async def test_a_decision_that_does_not_fit_is_refused_by_its_name(desk: Desk, decision: dict[str, Any]) -> None:
    desk.send(decision)
    assert await desk.problem() == (decision["decision_id"], 422, "invalid-body")
    await assert_nothing_applied(desk)


@pytest.mark.parametrize("value", [7, None, "payment_overdue", {}, [[]], overdue(name="x" * 65), overdue(name=7)])
async def test_what_names_no_decision_is_refused_without_a_name(desk: Desk, value: object) -> None:
    desk.send(value)
    assert await desk.problem() == (None, 422, "invalid-body")
    await assert_nothing_applied(desk)


async def test_another_lenders_phone_is_unknown(desk: Desk) -> None:
    desk.send(overdue(imei=FOREIGN))
    assert await desk.problem() == ("d1", 404, "unknown-phone")
    phone = await desk.store.phones.one(OTHER, FOREIGN)
    assert phone is not None
    assert phone.desired.state.version == 1


async def test_a_retained_decision_is_refused_and_not_taken(desk: Desk) -> None:
    desk.send(overdue(), retained=True)
    desk.send(b"", retained=True)
    for _ in range(2):
        assert await desk.problem() == (None, 400, "retained")
    await assert_nothing_applied(desk)


async def test_the_same_id_with_another_body_is_refused(desk: Desk) -> None:
    desk.send(overdue(days_overdue=1))
    await desk.steps("decided", "queued")
    desk.send(overdue(days_overdue=90))
    assert await desk.problem() == ("d1", 422, "decision-conflict")
    await desk.nothing_more()


async def test_a_list_that_is_too_long_is_refused_as_a_whole(desk: Desk) -> None:
    desk.send([0] * (MAX_LIST + 1))
    assert await desk.problem() == (None, 422, "too-many")
    await desk.nothing_more()


async def test_an_empty_list_is_no_decision_and_no_fault(desk: Desk) -> None:
    desk.send([])
    await desk.nothing_more()


async def test_in_a_list_each_stands_for_itself(desk: Desk) -> None:
    desk.send([overdue("ours"), overdue("theirs", imei=FOREIGN), 7])
    results = [await desk.result() for _ in range(4)]
    told = {(result["decision_id"], result["step"]) for result in results}
    assert told == {("ours", "decided"), ("ours", "queued"), ("theirs", "refused"), (None, "refused")}


@pytest.mark.parametrize("topic", ["lenders/+/decisions", "lenders/x/decisions", "lenders/Acme/decisions", "elsewhere"])
async def test_a_topic_that_names_no_lender_is_not_listened_to(desk: Desk, topic: str) -> None:
    desk.intake.receive(Received(f"{TOPICS.prefix}/{topic}", json.dumps(overdue()).encode(), retained=False))
    await desk.nothing_more()
    await assert_nothing_applied(desk)


async def test_refusals_are_counted_by_name(desk: Desk) -> None:
    desk.send(b"{")
    desk.send(overdue(imei=FOREIGN))
    desk.send(overdue(imei=FOREIGN))
    for _ in range(3):
        await desk.problem()
    assert desk.intake.refusals == {"not-json": 1, "unknown-phone": 2}
