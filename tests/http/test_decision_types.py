"""Decisions of every type over HTTP: their bodies, their answers, and what is told of them later."""

from datetime import UTC, datetime
from typing import Any

import pytest

from broker_bridge.adapters.lender_api.decisions import DECISION_BODIES
from broker_bridge.adapters.policies.profiles import profile_document
from tests.http.conftest import FOREIGN, IMEI, Api, overdue, payment, problem

DAY = 86_400
NOW = "2023-11-15T00:00:00Z"
LATER = "2023-11-25T00:00:00Z"


def told(kind: str, name: str = "d1", **fields: Any) -> dict[str, Any]:
    return {"decision_id": name, "imei": IMEI, "type": kind, "occurred_at": NOW} | fields


GOOD = [
    # the decision, its effect on a phone of which nothing is known, and the level then
    (told("payment_due", due_at=LATER), "applied", "unlocked"),
    (
        told("payment_due", due_at=LATER, amount_due=5, currency="INR", pay_url="https://pay.example/1"),
        "applied",
        "unlocked",
    ),
    (told("payment_overdue", days_overdue=1), "applied", "notice"),
    (told("payment_overdue", days_overdue=36_500, amount_due=0, currency="INR"), "applied", "locked"),
    (told("payment_received", cures=True), "applied", "unlocked"),
    (told("payment_received", cures=False, amount=10, currency="INR"), "noted", "unlocked"),
    (told("payment_received", reversed=True, days_overdue=40), "applied", "restricted"),
    (told("payment_received", reversed=True, days_overdue=0, reverses="p-1"), "applied", "unlocked"),
    (told("payment_received", cures=True, reversed=False), "applied", "unlocked"),
    (told("loan_settled"), "applied", "released"),
    (told("grace_granted", until=LATER), "applied", "unlocked"),
    (told("grace_granted", until=LATER, level="notice"), "applied", "unlocked"),
    (told("grace_granted", until="2020-01-01T00:00:00+05:30"), "noted", "unlocked"),
    (told("dispute_opened"), "applied", "unlocked"),
    (told("dispute_opened", until=LATER), "applied", "unlocked"),
    (told("dispute_closed"), "noted", "unlocked"),
    (told("lost_or_stolen"), "applied", "locked"),
    (told("recovered"), "noted", "unlocked"),
    (told("resend"), "resent", "unlocked"),
]


@pytest.mark.parametrize(("decision", "effect", "level"), GOOD, ids=lambda one: str(one)[:90])
async def test_a_decision_of_every_type_is_taken_once_and_answered_the_same_again(
    api: Api, decision: dict[str, Any], effect: str, level: str
) -> None:
    first = (await api.decide(decision)).json()
    assert (first["effect"], first["level"], first["type"], first["repeated"]) == (
        effect,
        level,
        decision["type"],
        False,
    )
    api.clock.advance(30 * DAY)
    again = (await api.decide(decision)).json()
    assert again == first | {"repeated": True}
    assert (await api.get(f"/v1/decisions/{decision['decision_id']}")).json() == again


def test_there_is_a_good_body_of_every_type() -> None:
    assert {decision["type"] for decision, _, _ in GOOD} == set(DECISION_BODIES)


BAD = [
    # the decision, and the field that the refusal names
    (told("payment_due"), "due_at"),
    (told("payment_due", due_at=1_700_000_000), "due_at"),
    (told("payment_due", due_at="2023-11-25"), "due_at"),
    (told("payment_due", due_at=LATER, days_overdue=3), "days_overdue"),
    (told("payment_overdue"), "days_overdue"),
    (told("payment_overdue", days_overdue=0), "days_overdue"),
    (told("payment_overdue", days_overdue=36_501), "days_overdue"),
    (told("payment_overdue", days_overdue="90"), "days_overdue"),
    (told("payment_overdue", days_overdue=90.0), "days_overdue"),
    (told("payment_overdue", days_overdue=True), "days_overdue"),
    (told("payment_overdue", days_overdue=90, cures=True), "cures"),
    (told("payment_overdue", days_overdue=90, level="locked"), "level"),
    (told("payment_overdue", days_overdue=90, currency="inr"), "currency"),
    (told("payment_received"), "cures"),
    (told("payment_received", cures=True, reversed=True, days_overdue=3), "cures"),
    (told("payment_received", reversed=True), "days_overdue"),
    (told("payment_received", cures=True, days_overdue=3), "days_overdue"),
    (told("payment_received", cures=True, reverses="p-1"), "reverses"),
    (told("payment_received", cures="yes"), "cures"),
    (told("payment_received", cures=True, amount_due=5), "amount_due"),
    (told("loan_settled", cures=True), "cures"),
    (told("grace_granted"), "until"),
    (told("grace_granted", until=LATER, level="released"), "level"),
    (told("grace_granted", until=LATER, level=3), "level"),
    (told("grace_granted", until="2023-11-25T00:00:00"), "until"),
    (told("dispute_opened", level="notice"), "level"),
    (told("dispute_opened", until="tomorrow"), "until"),
    (told("dispute_closed", until=LATER), "until"),
    (told("lost_or_stolen", level="locked"), "level"),
    (told("recovered", until=LATER), "until"),
    (told("resend", version=3), "version"),
    (told("payment_late"), "type"),
    (told("payment_overdue", days_overdue=90) | {"type": None}, "type"),
    (told("payment_overdue", days_overdue=90) | {"type": ["payment_overdue"]}, "type"),
    (told("payment_overdue", days_overdue=90) | {"lender": "other-lender"}, "lender"),
]


@pytest.mark.parametrize(("decision", "field"), BAD, ids=lambda one: str(one)[70:150] or str(one))
async def test_a_body_that_does_not_fit_its_type_is_refused_by_the_name_of_the_field(
    api: Api, decision: dict[str, Any], field: str
) -> None:
    answer = await api.decide(decision)
    assert problem(answer) == (422, "invalid-body")
    assert field in answer.json()["detail"]
    assert problem(await api.get("/v1/decisions/d1")) == (404, "unknown-decision")


@pytest.mark.parametrize(
    "decision",
    [
        told("payment_overdue", days_overdue=3),
        told("lost_or_stolen"),
        told("dispute_closed"),
        told("payment_received", reversed=True, days_overdue=3),
    ],
    ids=lambda one: str(one["type"]),
)
async def test_what_would_lock_cannot_come_from_the_future_and_a_payment_can(
    api: Api, decision: dict[str, Any]
) -> None:
    tomorrow = datetime.fromtimestamp(api.clock.now() + DAY, UTC).isoformat()
    assert problem(await api.decide(decision | {"occurred_at": tomorrow})) == (422, "from-the-future")
    assert (await api.decide(payment(occurred_at=tomorrow))).status_code == 200


async def test_the_same_id_with_another_body_is_refused(api: Api) -> None:
    await api.decide(told("grace_granted", until=LATER))
    for other in (
        told("grace_granted", until=LATER, level="notice"),
        told("grace_granted", until=NOW),
        told("dispute_opened", until=LATER),
        told("grace_granted", until=LATER, occurred_at=LATER),
    ):
        assert problem(await api.decide(other)) == (422, "decision-conflict")


async def test_a_list_of_all_types_gets_a_result_for_each(api: Api) -> None:
    decisions = [decision | {"decision_id": f"d{number}"} for number, (decision, _, _) in enumerate(GOOD)]
    results = (await api.decide(*decisions, told("payment_late"), overdue("x", FOREIGN))).json()["results"]
    assert [one["status"] for one in results] == [200] * len(GOOD) + [422, 404]
    assert [one["decision_id"] for one in results[: len(GOOD)]] == [one["decision_id"] for one in decisions]


# --- held ----------------------------------------------------------------------------------------------------------


async def test_what_is_held_says_what_it_waits_for_and_stays_the_answer_of_its_day(api: Api) -> None:
    await api.send_text("PUT", "/v1/policy", profile_document("gentle"))
    first = (await api.decide(overdue(days_overdue=95))).json()
    assert (first["level"], first["wanted_level"], first["held"]["level"]) == ("reminder", "restricted", "restricted")
    missing = {one["condition"]: one["earliest"] for one in first["held"]["missing"]}
    assert missing["notice_reached"] is None
    assert missing["final_notice"] is None
    assert first["held"]["earliest"] is None
    assert all(one["detail"] for one in first["held"]["missing"])
    await api.decide(payment())
    again = (await api.decide(overdue(days_overdue=95))).json()
    assert again == first | {"repeated": True}
    assert (await api.get("/v1/decisions/d1")).json() == again
    assert (await api.get(f"/v1/phones/{IMEI}")).json()["held"] is None


async def test_what_a_phone_waits_for_is_told_as_of_now(api: Api) -> None:
    now = api.clock.now()
    until = datetime.fromtimestamp(now + 5 * DAY, UTC).isoformat()
    await api.decide(told("grace_granted", "g1", until=until))
    decided = (await api.decide(overdue())).json()
    ends = until.replace("+00:00", "Z")
    grace = {"condition": "grace", "detail": "a grace period has been granted", "earliest": ends}
    assert decided["held"] == {"level": "locked", "missing": [grace], "earliest": ends}
    phone = (await api.get(f"/v1/phones/{IMEI}")).json()
    assert phone["held"] == decided["held"]
    assert phone["holds"] == {
        "grace": {"at_most": "unlocked", "until": ends},
        "dispute": None,
        "lost_or_stolen": False,
    }
    api.clock.advance(5 * DAY)
    phone = (await api.get(f"/v1/phones/{IMEI}")).json()
    assert (phone["held"], phone["desired"]["level"]) == (None, "unlocked")
    await api.judge_what_is_due()
    phone = (await api.get(f"/v1/phones/{IMEI}")).json()
    assert (phone["held"], phone["desired"]["level"], phone["holds"]["grace"]) == (None, "locked", None)
    assert (await api.decide(overdue())).json() == decided | {"repeated": True}


async def test_the_list_of_phones_tells_the_same_as_each_phone(api: Api) -> None:
    await api.decide(told("dispute_opened", "q1"), overdue())
    listed = (await api.get("/v1/phones")).json()["phones"]
    assert listed == [(await api.get(f"/v1/phones/{one['imei']}")).json() for one in listed]
    assert listed[0]["held"]["missing"][0]["condition"] == "dispute"


# --- the timeline --------------------------------------------------------------------------------------------------


async def events(api: Api, **query: Any) -> list[tuple[str, str]]:
    answer = (await api.get(f"/v1/phones/{IMEI}/timeline", **query)).json()
    return [(one["event"], one["detail"]) for one in answer["events"]]


async def test_the_timeline_tells_what_was_reported_what_was_held_and_what_followed(api: Api) -> None:
    until = datetime.fromtimestamp(api.clock.now() + 5 * DAY, UTC).isoformat()
    await api.decide(told("grace_granted", "g1", until=until))
    await api.decide(overdue())
    api.clock.advance(5 * DAY)
    await api.judge_what_is_due()
    await api.decide(payment())
    assert await events(api) == [
        ("decision", "p1 payment_received applied"),
        ("queued", "1.4 unlocked"),
        ("queued", "1.3 locked"),
        ("decision", "d1 payment_overdue applied held: grace"),
        ("queued", "1.2 unlocked"),
        ("decision", "g1 grace_granted applied"),
        ("enrolled", "signed on paper"),
        ("queued", "1.1 unlocked"),
    ]


async def test_the_timeline_comes_in_pages_that_lose_and_repeat_nothing(api: Api) -> None:
    for number in range(5):
        await api.decide(overdue(f"d{number}", days_overdue=number + 1))
    everything, pages, token = await events(api), [], ""
    while True:
        answer = (await api.get(f"/v1/phones/{IMEI}/timeline", page_size=3, page_token=token)).json()
        pages += [(one["event"], one["detail"]) for one in answer["events"]]
        token = answer["next_page_token"]
        if token is None:
            break
    assert pages == everything
