"""No lender's question is answered with what is another's, and nothing that is written for one changes another's."""

from dataclasses import replace

import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.set_policy import SetPolicy
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.imports import (
    Format,
    Import,
    ImportId,
    ImportState,
    Outcome,
    RowResult,
    SpoolId,
    Upload,
    no_rows,
)
from device_sim.identities import simulated_imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId
from tests.bridge_rig import ACME, Office, Work, signer_of
from tests.loopback.lender import Lender
from tests.unit.broker_bridge.facts import overdue

MINE, MINE_TOO, THEIRS = sorted(simulated_imei(number) for number in range(3))
OTHER = LenderId("other-lender")
SAME = DecisionId("same")
SPOOL = SpoolId("spool")


@pytest.fixture
async def shared(store: SqlStore, office: Office) -> SqlStore:
    """A store with phones of two lenders, who have sent decisions and set policies under the same names."""
    office.signer.lenders.update(signer_of(Lender(name=OTHER, epoch=3, delegation_version=5)).lenders)
    await store.lenders.add(OTHER, b"o" * 32, at=1)
    for lender, imeis in ((ACME, (MINE, MINE_TOO)), (OTHER, (THEIRS,))):
        for imei in imeis:
            await store.commits.commit(office.enrol(imei, lender=lender))
    for lender, imei, days in ((ACME, MINE, 90), (OTHER, THEIRS, 5)):
        await store.commits.commit(office.decide(replace(overdue(days, at=1, imei=imei, name=SAME), lender=lender)))
        for document in (f"of {lender}", f"of {lender}, again"):
            await store.commits.commit(SetPolicy(lender, document, "key", "name", office.reconsider))
    return store


def an_import(name: str, lender: LenderId) -> Import:
    upload = Upload(lender=lender, idempotency_key="same", format=Format.CSV, dry_run=False)
    return Import(import_id=ImportId(name), upload=upload, state=ImportState.RECEIVING, created_at=1, spool=SPOOL)


async def test_phones_and_their_history_are_their_lenders_alone(shared: SqlStore) -> None:
    assert await shared.phones.one(OTHER, MINE) is None
    assert [phone.imei for phone in (await shared.phones.all_of(ACME, "", 9)).items] == [MINE, MINE_TOO]
    assert [phone.imei for phone in (await shared.phones.all_of(OTHER, "", 9)).items] == [THEIRS]
    assert (await shared.phones.history(OTHER, MINE, "", 9)).items == []
    history = (await shared.phones.history(ACME, MINE, "", 9)).items
    assert {(one.lender, one.imei) for one in history} == {(ACME, MINE)}


async def test_a_history_is_told_in_pages_the_newest_first_and_each_entry_once(shared: SqlStore) -> None:
    events = [one.event for one in (await shared.phones.history(ACME, MINE, "", 9)).items]
    assert events == ["decision", "queued", "enrolled", "queued"]
    first = await shared.phones.history(ACME, MINE, "", 3)
    assert first.next_token is not None
    second = await shared.phones.history(ACME, MINE, first.next_token, 3)
    assert [one.event for one in (*first.items, *second.items)] == events
    assert second.next_token is None


async def test_commands_are_their_lenders_and_their_phones_alone(shared: SqlStore) -> None:
    command = await shared.commands.newest_of(ACME, MINE, SAME)
    assert command is not None
    assert (command.lender, command.imei, command.version) == (ACME, MINE, 2)
    assert await shared.commands.one(OTHER, command.command_id) is None
    assert await shared.commands.newest_of(OTHER, MINE, SAME) is None
    assert await shared.commands.newest_of(ACME, MINE_TOO, SAME) is None


async def test_two_lenders_may_give_decisions_the_same_id(shared: SqlStore, office: Office) -> None:
    for lender, imei, level in ((ACME, MINE, Level.LOCKED), (OTHER, THEIRS, Level.NOTICE)):
        record = await shared.decisions.one(lender, SAME)
        assert record is not None
        assert (record.lender, record.imei, record.level) == (lender, imei, level)
    again = overdue(90, at=1, imei=MINE, name=SAME)
    assert (await shared.commits.commit(office.decide(again))).repeated


@pytest.mark.parametrize("lender", [ACME, OTHER])
async def test_each_lender_has_its_own_newest_policy_in_force(shared: SqlStore, lender: LenderId) -> None:
    newest, first = await shared.policies.one(lender), await shared.policies.one(lender, 1)
    assert newest is not None
    assert first is not None
    assert (newest.lender, newest.version, newest.document) == (lender, 2, f"of {lender}, again")
    assert (first.lender, first.document) == (lender, f"of {lender}")
    page = await shared.policies.all_of(lender, "", 9)
    assert [(one.lender, one.version) for one in page.items] == [(lender, 2), (lender, 1)]
    record = await shared.lenders.one(lender)
    assert (record.policy_version, record.policy_document) == (2, f"of {lender}, again")


async def test_what_is_noted_of_a_lender_is_noted_of_no_other(shared: SqlStore, office: Office) -> None:
    now = office.clock.now()
    for sweep in await shared.schedule.sweeps(now + 9):
        await shared.schedule.swept(sweep, None)
    await shared.commits.commit(Work(lambda tx: tx.put_heard(OTHER, now + 7_000)))
    await shared.commits.commit(Work(lambda tx: tx.judge_all_again(OTHER, now + 10)))
    assert (await shared.lenders.one(ACME)).heard_at == now
    assert await shared.schedule.sweeps(now + 9) == []
    (sweep,) = await shared.schedule.sweeps(now + 10)
    assert sweep.lender == OTHER


async def test_a_sweep_of_one_lender_ends_without_anothers(shared: SqlStore, office: Office) -> None:
    for sweep in await shared.schedule.sweeps(office.clock.now() + 9):
        await shared.schedule.swept(sweep, None)
    for lender in (ACME, OTHER):
        await shared.commits.commit(Work(lambda tx, lender=lender: tx.judge_all_again(lender, 50)))  # type: ignore[misc]
    mine, theirs = sorted(await shared.schedule.sweeps(99), key=lambda sweep: sweep.lender)
    assert await shared.schedule.imeis_after(ACME, mine.after, 9) == [MINE, MINE_TOO]
    await shared.schedule.swept(mine, None)
    assert await shared.schedule.sweeps(99) == [theirs]


async def test_a_phone_that_cannot_be_read_is_put_off_alone(shared: SqlStore) -> None:
    await shared.schedule.put_off(MINE, 10)
    await shared.schedule.put_off(MINE_TOO, 5)
    assert await shared.schedule.due(9, 9) == [MINE_TOO]
    assert await shared.schedule.due(10, 9) == [MINE_TOO, MINE]


async def test_delegations_are_held_against_their_own_lenders_phones(shared: SqlStore, office: Office) -> None:
    assert await shared.signed.newest_delegation(ACME) == (1, 1)
    assert await shared.signed.newest_delegation(OTHER) == (3, 5)
    newer = replace(office.signer.delegation(ACME), version=2)
    assert await shared.signed.under_older(newer, opening=True, after=None, limit=9) == [MINE_TOO]
    assert await shared.signed.under_older(newer, opening=False, after=None, limit=9) == [MINE]


async def test_imports_and_their_results_are_their_lenders_alone(shared: SqlStore) -> None:
    for name, lender in (("imp_1", ACME), ("imp_2", OTHER)):
        assert (await shared.imports.begin(an_import(name, lender), 1)).import_id == name
        queued = await shared.imports.received(ImportId(name), b"h" * 32, 1)
        outcome = Outcome.APPLIED if lender == ACME else Outcome.HELD
        result = RowResult(import_id=ImportId(name), row=1, outcome=outcome, answer=lender)
        await shared.imports.add(queued, [result], no_rows() | {outcome: 1})
    assert await shared.imports.one(OTHER, ImportId("imp_1")) is None
    assert [one.import_id for one in (await shared.imports.all_of(ACME, "", 9)).items] == ["imp_1"]
    assert [one.answer for one in await shared.imports.results(ImportId("imp_1"), 0, 9)] == [ACME]
    assert await shared.imports.outcomes(ImportId("imp_1"), 1, 9) == {1: Outcome.APPLIED}
    assert await shared.imports.counted(ImportId("imp_2")) == no_rows() | {Outcome.HELD: 1}
