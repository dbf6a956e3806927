"""Versions of policies, as the database keeps them."""

import asyncio
from functools import partial

import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.records import PolicyVersion
from broker_bridge.app.set_policy import MAX_VERSIONS_AN_HOUR, SetPolicy, TooManyVersionsError
from lock_protocol.messages import LenderId
from tests.bridge_rig import ACME, Office, Work
from tests.loopback.lender import DAY

OTHER = LenderId("other-lender")


def version_of(number: int, lender: LenderId = ACME) -> PolicyVersion:
    return PolicyVersion(
        lender=lender, version=number, document=f"# {number}", set_at=100 + number, set_by="key_0123456789abcdef"
    )


def put_next(tx: Transaction) -> PolicyVersion:
    """Put the next version in force; it, and the one before it, must be seen by this very job."""
    before = tx.lender(ACME).policy_version
    tx.put_policy(version_of(before + 1))
    assert tx.policy(ACME, before) == (version_of(before) if before else None)
    assert tx.policy(OTHER, before + 2) is None
    found = tx.policy(ACME, before + 1)
    assert found is not None
    return found


async def test_a_job_sees_versions_of_its_own_commit_and_of_those_before(store: SqlStore) -> None:
    together = await asyncio.gather(*(store.commits.commit(Work(put_next)) for _ in range(3)))
    assert [one.version for one in together] == [1, 2, 3]
    assert await store.commits.commit(Work(put_next)) == version_of(4) == await store.policies.one(ACME)


async def test_versions_are_listed_page_by_page_the_newest_first(store: SqlStore) -> None:
    await store.lenders.add(OTHER, b"o" * 32, at=1)
    await store.commits.commit(Work(lambda tx: tx.put_policy(version_of(1, OTHER))))
    for _ in range(3):
        await store.commits.commit(Work(put_next))
    page_of = partial(store.policies.all_of, ACME, limit=2)
    first = await page_of(before="")
    assert ([one.version for one in first.items], first.next_token) == ([3, 2], "2")
    second = await page_of(before="2")
    assert ([one.version for one in second.items], second.next_token) == ([1], None)
    assert len((await page_of(before="9" * 18)).items) == 2, "more than any version can be"


async def test_versions_that_were_set_while_a_clock_was_ahead_keep_nobody_from_setting_more(
    store: SqlStore, office: Office
) -> None:
    async def set_many() -> None:
        for number in range(MAX_VERSIONS_AN_HOUR):
            document = f"{number} at {office.clock.wall}"
            await store.commits.commit(SetPolicy(ACME, document, "key", "name", office.reconsider))

    office.clock.wall += 400 * DAY
    await set_many()
    office.clock.wall -= 400 * DAY
    await set_many()
    with pytest.raises(TooManyVersionsError, match="in 60 minutes"):
        await set_many()
