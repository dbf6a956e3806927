"""Decisions over MQTT: what their lender is told, in which order, and what becomes of floods."""

import asyncio
from datetime import UTC, datetime

import pytest

from broker_bridge.adapters.lender_api.decisions import decision_of
from broker_bridge.adapters.mqtt.intake import MAX_UNDER_WAY, MAX_WAITING
from broker_bridge.app.confirm import Judge
from broker_bridge.app.decide import Decided
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.store import StoreUnavailableError, Transaction
from broker_bridge.app.schedule import JudgeAgain
from broker_bridge.app.sent import Ack, MarkSent
from broker_bridge.domain.commands import Event
from broker_bridge.domain.decisions import Decision
from broker_bridge.domain.phones import Phone
from tests.bridge_rig import ACME, Work
from tests.conftest import PATIENCE_S
from tests.http.conftest import IMEI, OTHER, overdue, payment
from tests.mqtt.conftest import Desk, by_http


async def acknowledge(desk: Desk) -> None:
    """Have the broker acknowledge the phone's newest state."""
    phone = await desk.store.phones.one(ACME, IMEI)
    assert phone is not None
    await desk.store.commits.commit(MarkSent([Ack(IMEI, phone.desired.order, 1)], desk.office.clock))


def known(tx: Transaction) -> Phone:
    """The phone, which is enrolled."""
    phone = tx.phone(IMEI)
    assert phone is not None
    return phone


async def settle(desk: Desk, event: Event, detail: str = "") -> None:
    """Have something happen to the phone's newest command, as its reports do."""
    judge = Judge(desk.office.queue, desk.office.clock, PhonesLog(desk.log, desk.office.clock))

    def act(tx: Transaction) -> None:
        judge.settle(tx, known(tx), event, detail)

    await desk.store.commits.commit(Work(act, imeis=[IMEI]))


async def test_a_lender_hears_every_step_of_what_it_decided_in_order(desk: Desk) -> None:
    desk.send(overdue())
    decided, queued = await desk.steps("decided", "queued")
    await acknowledge(desk)
    (sent,) = await desk.steps("sent")
    await settle(desk, Event.APPLIED)
    (succeeded,) = await desk.steps("succeeded")
    assert (decided["effect"], decided["level"], decided["repeated"]) == ("applied", "locked", False)
    for step in (queued, sent, succeeded):
        assert (step["decision_id"], step["command_id"], step["imei"]) == ("d1", decided["command_id"], IMEI)
    assert succeeded["finished_at"] is not None


@pytest.mark.parametrize(
    ("event", "step"), [(Event.FAILED, "failed"), (Event.REFUSED, "rejected"), (Event.REPLACED, "superseded")]
)
async def test_a_lender_hears_what_went_wrong(desk: Desk, event: Event, step: str) -> None:
    desk.send(overdue())
    await desk.steps("decided", "queued")
    await settle(desk, event, "Rollback")
    (told,) = await desk.steps(step)
    assert (told["step"], told["detail"]) == (step, "Rollback")


async def test_a_command_that_a_newer_decision_replaces_is_superseded(desk: Desk) -> None:
    desk.send(overdue())
    await desk.steps("decided", "queued")
    desk.send(payment())
    results = [await desk.result() for _ in range(3)]
    told = [(result["decision_id"], result["step"]) for result in results]
    assert told[0] == ("d1", "superseded")
    assert told[1:] == [("p1", "decided"), ("p1", "queued")]


async def test_a_step_that_changes_nothing_is_not_told(desk: Desk) -> None:
    desk.send(overdue())
    await desk.steps("decided", "queued")
    for _ in range(2):
        await acknowledge(desk)
    await desk.steps("sent")
    await desk.nothing_more()


async def test_a_decision_that_needs_no_command_is_decided_and_that_is_all(desk: Desk) -> None:
    desk.send(payment(cures=False))
    (decided,) = await desk.steps("decided")
    assert (decided["effect"], decided["command_id"]) == ("noted", None)
    await desk.nothing_more()


async def test_a_decision_sent_again_is_answered_with_where_it_is_now(desk: Desk) -> None:
    desk.send(overdue())
    await desk.steps("decided", "queued")
    await acknowledge(desk)
    await desk.steps("sent")
    desk.send(overdue())
    again, present = await desk.steps("decided", "sent")
    assert (again["repeated"], present["command_id"]) == (True, again["command_id"])


async def test_a_decision_sent_twice_at_once_is_one(desk: Desk) -> None:
    desk.send([overdue(), overdue()])
    first, queued, second, present = [await desk.result() for _ in range(4)]
    assert [first["step"], queued["step"], second["step"], present["step"]] == ["decided", "queued"] * 2
    assert (first["repeated"], second["repeated"]) == (False, True)
    assert first["command_id"] == second["command_id"]


async def test_the_same_decision_by_http_and_by_mqtt_is_one(desk: Desk) -> None:
    await by_http(desk, decision_of(overdue(), ACME))
    await desk.nothing_more()
    desk.send(overdue())
    decided, _ = await desk.steps("decided", "queued")
    assert decided["repeated"]
    desk.send(payment())
    await desk.steps("decided", "queued")
    assert (await by_http(desk, decision_of(payment(), ACME))).repeated


async def test_what_was_decided_by_http_is_not_told_by_mqtt(desk: Desk) -> None:
    await by_http(desk, decision_of(overdue(), ACME))
    await acknowledge(desk)
    await settle(desk, Event.APPLIED)
    await desk.nothing_more()


async def test_steps_go_on_being_told_after_the_bridge_was_started_anew(desk: Desk) -> None:
    desk.send(overdue())
    (decided, _) = await desk.steps("decided", "queued")
    command = await desk.store.commands.one(ACME, decided["command_id"])
    assert command is not None
    assert command.told


async def test_a_state_that_is_signed_again_is_told_as_the_same_decisions(desk: Desk) -> None:
    desk.send(overdue())
    (first, _) = await desk.steps("decided", "queued")

    def sign_again(tx: Transaction) -> None:
        desk.office.queue.again(tx, known(tx))

    await desk.store.commits.commit(Work(sign_again, imeis=[IMEI]))
    queued, superseded = await desk.steps("queued", "superseded")
    assert {queued["decision_id"], superseded["decision_id"]} == {"d1"}
    assert superseded["command_id"] == first["command_id"] != queued["command_id"]
    desk.send(overdue())
    _, present = await desk.steps("decided", "queued")
    assert present["command_id"] == queued["command_id"]


async def test_what_follows_by_itself_from_a_decision_that_was_held_is_told_too(desk: Desk) -> None:
    """A job of the scheduler's queues it later, which has neither the decision nor its record."""
    clock = desk.office.clock
    until = datetime.fromtimestamp(clock.now() + 3600, UTC).isoformat()
    occurred_at = datetime.fromtimestamp(clock.now(), UTC).isoformat()
    grace = {"decision_id": "g1", "imei": IMEI, "type": "grace_granted", "occurred_at": occurred_at, "until": until}
    desk.send(grace)
    await desk.steps("decided")
    desk.send(overdue())
    decided, _ = await desk.steps("decided", "queued")  # it is told what is overdue, and stays open
    assert (decided["level"], decided["wanted_level"]) == ("unlocked", "locked")
    clock.advance(3601)
    await desk.store.commits.commit(JudgeAgain(IMEI, desk.office.reconsider))
    queued, _ = await desk.steps("queued", "superseded")
    assert (queued["decision_id"], queued["level"]) == ("d1", "locked")
    desk.send(overdue())
    _, present = await desk.steps("decided", "queued")
    assert present["level"] == "locked"


async def test_what_follows_by_itself_later_is_told_no_more_once_nothing_is_held(desk: Desk) -> None:
    desk.send(overdue())
    await desk.steps("decided", "queued")
    phone = await desk.store.phones.one(ACME, IMEI)
    assert phone is not None
    assert phone.held_decision is None


async def test_a_job_that_fails_tells_nothing(desk: Desk) -> None:
    desk.send(overdue())
    await desk.steps("decided", "queued")

    def fail(tx: Transaction) -> None:
        desk.office.queue.again(tx, known(tx))
        raise RuntimeError("after all")

    with pytest.raises(RuntimeError):
        await desk.store.commits.commit(Work(fail, imeis=[IMEI]))
    await desk.nothing_more()


async def test_a_database_that_is_away_is_told_as_a_reason_to_send_again(desk: Desk) -> None:
    async def away(decision: Decision) -> Decided:
        raise StoreUnavailableError(f"the disk is full, {decision.decision_id}")

    desk.intake.decide = away
    desk.send(overdue())
    assert await desk.problem() == ("d1", 503, "store-unavailable")


async def test_a_decision_that_breaks_the_bridge_breaks_nobody_elses(desk: Desk) -> None:
    decide = desk.intake.decide

    async def broken(decision: Decision) -> Decided:
        if decision.decision_id == "bad":
            raise ZeroDivisionError
        return await decide(decision)

    desk.intake.decide = broken
    desk.send([overdue("bad"), overdue("good")])
    assert await desk.problem() == ("bad", 500, "internal")
    await desk.steps("decided", "queued")
    assert desk.log.events("critical") == ["decision_failed"]


async def test_a_burst_of_a_thousand_decisions_is_answered_whole(desk: Desk) -> None:
    for number in range(1000):
        desk.send(payment(f"p{number}", cures=False))
    answered = {(await desk.result())["decision_id"] for _ in range(1000)}
    assert answered == {f"p{number}" for number in range(1000)}
    assert (desk.results.dropped, desk.intake.refusals) == (0, {})


async def test_a_flood_is_answered_as_one_and_another_lender_does_not_wait_for_it(desk: Desk) -> None:
    for number in range(MAX_WAITING + 500):
        desk.send(payment(f"p{number}", cures=False))
    desk.send(overdue(imei=IMEI), OTHER)
    heard: list[tuple[str, str | None]] = []
    lost = ""
    answers = MAX_WAITING + 2
    """One for each payment that was read, one for all that were not, and one for the other lender."""
    async with asyncio.timeout(PATIENCE_S):
        while len(heard) < answers:
            topic, result = await desk.ear.heard.get()
            heard.append((topic.split("/")[3], result["decision_id"]))
            if result["decision_id"] is None:
                lost = result["problem"]["detail"]
    position = [lender for lender, _ in heard].index(OTHER)
    assert position < MAX_UNDER_WAY
    assert lost.startswith("500 of your messages")
    assert desk.intake.refusals["overloaded"] == 500
    assert "lender_floods" in desk.log.events("warning")


async def test_another_lender_waits_for_one_decision_of_a_list_and_not_for_the_list(desk: Desk) -> None:
    begun: asyncio.Queue[str] = asyncio.Queue()

    async def refuse(decision: Decision) -> Decided:
        begun.put_nowait(decision.decision_id)
        raise StoreUnavailableError("the disk is full")

    desk.intake.decide = refuse
    desk.send([payment(f"p{number}") for number in range(50)])
    desk.send(payment("other"), OTHER)
    assert "other" in [await begun.get() for _ in range(2)]


async def test_a_payment_waits_for_none_of_its_own_lenders_overdue_figures(desk: Desk) -> None:
    decide = desk.intake.decide

    async def only_payments(decision: Decision) -> Decided:
        if decision.can_close:
            await asyncio.Event().wait()
        return await decide(decision)

    desk.intake.decide = only_payments
    for number in range(MAX_WAITING):
        desk.send(overdue(f"d{number}"))
    desk.send([overdue("among"), payment()])
    (decided,) = await desk.steps("decided")
    assert decided["decision_id"] == "p1"
    assert desk.intake.refusals == {}
