"""A second device key for an enrolled IMEI: refused, and not without a trace."""

from collections.abc import Sequence

import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.enrol import EnrolmentConflictError
from broker_bridge.app.key_conflicts import MAX_KEYS_NOTED
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.keys import PublicKey, SigningKey, key_id
from lock_protocol.messages import LenderId
from tests.bridge_rig import ACME, Office, signer_of
from tests.loopback.lender import Lender

IMEI, SECOND = simulated_imei(1), simulated_imei(2)
OTHER = LenderId("other-lender")
KEYS = [SigningKey.from_seed(number.to_bytes(32, "big")).public for number in range(1, MAX_KEYS_NOTED + 5)]
CLONE = KEYS[0]


@pytest.fixture
async def enrolled(store: SqlStore, office: Office) -> SqlStore:
    """A store with two phones of ours in it, and another lender."""
    office.signer.lenders.update(signer_of(Lender(name=OTHER)).lenders)
    await store.lenders.add(OTHER, b"o" * 32, at=1)
    for imei in (IMEI, SECOND):
        await store.commits.commit(office.enrol(imei))
    return store


async def noted(store: SqlStore, imei: Imei = IMEI, lender: LenderId = ACME) -> list[str]:
    """What the history has of a phone's conflicts, the newest first."""
    page = await store.phones.history(lender, imei, "", 1000)
    return [entry.detail for entry in page.items if entry.event == "device_key_conflict"]


def line(key: PublicKey) -> str:
    return f"key {key_id(key).hex()}"


async def refused(store: SqlStore, office: Office, keys: Sequence[PublicKey], *, lender: LenderId = ACME) -> None:
    """Offer keys for a phone that has another one, one after the other."""
    for key in keys:
        with pytest.raises(EnrolmentConflictError):
            await store.commits.commit(office.enrol(IMEI, lender=lender, device_key=key))


async def test_it_is_written_down_logged_and_counted_and_the_phone_stays_as_it_is(
    enrolled: SqlStore, office: Office
) -> None:
    before = await enrolled.phones.one(ACME, IMEI)
    await refused(enrolled, office, [CLONE])
    assert await noted(enrolled) == [line(CLONE)]
    ((level, event, fields),) = office.log.entries
    assert (level, event, fields["imei"], fields["key"]) == (
        "critical",
        "device_key_conflict",
        IMEI,
        key_id(CLONE).hex(),
    )
    assert office.key_conflicts.count == 1
    assert await enrolled.phones.one(ACME, IMEI) == before


async def test_the_same_key_is_written_down_and_logged_once_however_often_it_comes(
    enrolled: SqlStore, office: Office
) -> None:
    await refused(enrolled, office, [CLONE] * 5)
    assert await noted(enrolled) == [line(CLONE)]
    assert len(office.log.entries) == 1
    assert office.key_conflicts.count == 5


async def test_a_bridge_that_starts_anew_finds_what_was_written_down(enrolled: SqlStore, office: Office) -> None:
    await refused(enrolled, office, [CLONE])
    await refused(enrolled, Office(), [CLONE])
    assert await noted(enrolled) == [line(CLONE)]


async def test_of_one_phone_only_so_many_keys_are_written_down(enrolled: SqlStore, office: Office) -> None:
    await refused(enrolled, office, KEYS)
    assert await noted(enrolled) == [line(key) for key in reversed(KEYS[:MAX_KEYS_NOTED])]
    assert len(office.log.entries) == MAX_KEYS_NOTED
    assert office.key_conflicts.count == len(KEYS)


async def test_those_of_a_list_are_each_written_down_and_hold_up_no_others(enrolled: SqlStore, office: Office) -> None:
    third = simulated_imei(3)
    answers = await enrolled.commits.commit_each(
        [
            office.enrol(IMEI, device_key=CLONE),
            office.enrol(IMEI, device_key=CLONE),
            office.enrol(third),
            office.enrol(SECOND, device_key=CLONE),
        ]
    )
    assert [isinstance(one, EnrolmentConflictError) for one in answers] == [True, True, False, True]
    assert await noted(enrolled) == await noted(enrolled, SECOND) == [line(CLONE)]
    assert await enrolled.phones.one(ACME, third) is not None


async def test_one_that_another_lender_offers_is_told_to_the_phones_own_and_only_the_log_knows_whose_it_is(
    enrolled: SqlStore, office: Office
) -> None:
    await refused(enrolled, office, [CLONE], lender=OTHER)
    assert await noted(enrolled) == [line(CLONE)]
    assert await noted(enrolled, lender=OTHER) == []
    ((_, _, fields),) = office.log.entries
    assert (fields["lender"], fields["offered_by"]) == (ACME, OTHER)


async def test_the_same_key_for_another_loan_is_no_other_phone(enrolled: SqlStore, office: Office) -> None:
    with pytest.raises(EnrolmentConflictError):
        await enrolled.commits.commit(office.enrol(IMEI, loan_id="another"))
    assert (await noted(enrolled), office.log.entries, office.key_conflicts.count) == ([], [], 0)
