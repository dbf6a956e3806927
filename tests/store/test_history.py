"""The history of each phone, however its entries lie among those of others."""

import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.records import AuditEntry
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId
from tests.bridge_rig import ACME, Office, Work

A, B = simulated_imei(1), simulated_imei(2)
OTHER = LenderId("other-lender")


class JobFailedError(Exception):
    """What a job here fails with."""


@pytest.fixture
async def enrolled(store: SqlStore, office: Office) -> SqlStore:
    for imei in (A, B):
        await store.commits.commit(office.enrol(imei))
    return store


def line(imei: Imei, detail: str) -> AuditEntry:
    return AuditEntry(at=1, lender=ACME, imei=imei, event="test", detail=detail)


def writing(*entries: AuditEntry) -> Work[None]:
    def write(tx: Transaction) -> None:
        for entry in entries:
            tx.audit(entry)

    return Work(write, sorted({entry.imei for entry in entries if entry.imei}))


async def told(store: SqlStore, imei: Imei, after: str = "", limit: int = 100) -> list[str]:
    """What the tests have written into a phone's history, the newest first."""
    page = await store.phones.history(ACME, imei, after, limit)
    return [entry.detail for entry in page.items if entry.event == "test"]


async def test_each_phone_has_its_own_entries_of_one_commit_and_of_many(enrolled: SqlStore) -> None:
    await enrolled.commits.commit(writing(line(A, "a1"), line(B, "b1"), line(A, "a2"), line(B, "b2")))
    await enrolled.commits.commit(writing(line(B, "b3")))
    await enrolled.commits.commit(writing(line(B, "b4"), line(A, "a3")))
    assert await told(enrolled, A) == ["a3", "a2", "a1"]
    assert await told(enrolled, B) == ["b4", "b3", "b2", "b1"]


async def test_a_job_that_fails_leaves_no_gap_and_what_it_was_refused_for(enrolled: SqlStore) -> None:
    def fail(tx: Transaction) -> None:
        tx.audit(line(A, "undone"))
        tx.audit_refusal(line(A, "refused"))
        raise JobFailedError

    await enrolled.commits.commit(writing(line(A, "before")))
    before = await enrolled.phones.one(ACME, A)
    with pytest.raises(JobFailedError):
        await enrolled.commits.commit(Work(fail, [A]))
    assert await enrolled.phones.one(ACME, A) == before
    await enrolled.commits.commit(writing(line(A, "after")))
    assert await told(enrolled, A) == ["after", "refused", "before"]


async def test_what_is_about_no_phone_is_in_no_phones_history(enrolled: SqlStore) -> None:
    await enrolled.commits.commit(writing(line(A, "a1"), line(Imei(""), "nobody's"), line(A, "a2")))
    assert await told(enrolled, A) == ["a2", "a1"]
    assert (await enrolled.phones.history(ACME, Imei(""), "", 100)).items == []


async def test_a_page_ends_where_it_is_told_to_and_names_what_comes_after_it(enrolled: SqlStore) -> None:
    await enrolled.commits.commit(writing(*(line(A, str(number)) for number in range(5))))
    page = await enrolled.phones.history(ACME, A, "", 3)
    assert [entry.detail for entry in page.items] == ["4", "3", "2"]
    assert page.next_token is not None
    assert await told(enrolled, A, page.next_token) == ["1", "0"]


@pytest.mark.parametrize("lender", [ACME, OTHER])
async def test_a_page_after_anothers_entry_is_empty(enrolled: SqlStore, lender: LenderId) -> None:
    await enrolled.commits.commit(writing(line(A, "a1"), line(B, "b1"), line(A, "a2"), line(B, "b2")))
    token = (await enrolled.phones.history(ACME, B, "", 1)).next_token
    assert token is not None
    imei = A if lender == ACME else B
    assert (await enrolled.phones.history(lender, imei, token, 100)).items == []
