"""API keys: made, shown once, limited to their scopes, revoked, and when they were last used."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from broker_bridge.adapters.http.access import KEY_BELIEVED_S, USES_WRITTEN_EVERY_S, Access
from broker_bridge.adapters.store.tables import metadata
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.domain.access import ApiKey, KeyId, Scope, first_key
from broker_bridge.domain.decisions import DecisionType
from tests.bridge_rig import ACME, KeptLog, SetClock
from tests.http.conftest import IMEI, KEYS, OTHER, Api, overdue, payment, problem
from tests.loopback.virtual_time import VirtualTimeLoop


async def created(api: Api, *scopes: Scope, name: str = "a system") -> dict[str, Any]:
    response = await api.post("/v1/keys", {"name": name, "scopes": list(scopes)})
    assert response.status_code == 201
    document: dict[str, Any] = response.json()
    return document


async def with_scopes(api: Api, *scopes: Scope) -> Api:
    """The API for a holder of these scopes."""
    return api.of((await created(api, *scopes))["key"])


async def listed(api: Api) -> dict[str, dict[str, Any]]:
    return {key["key_id"]: key for key in (await api.get("/v1/keys")).json()["keys"]}


def needs(response: httpx.Response, scope: Scope) -> None:
    """The answer says that this scope is missing."""
    assert problem(response) == (403, "forbidden")
    assert f"lacks the scope {scope}" in response.json()["detail"]


# --- making keys ---------------------------------------------------------------------------------------------------


async def test_a_key_is_shown_once_and_works(api: Api) -> None:
    key = await created(api, Scope.PHONES_READ, name="dashboard")
    assert key["key"].startswith("pl_")
    assert (key["name"], key["scopes"], key["revoked_at"]) == ("dashboard", ["phones:read"], None)
    assert (await listed(api))[key["key_id"]] == {name: key[name] for name in key if name != "key"}
    assert (await api.of(key["key"]).get(f"/v1/phones/{IMEI}")).status_code == 200


async def test_only_a_keys_hash_is_in_the_database(api: Api) -> None:
    key = await created(api, Scope.ADMIN)
    rows = await api.store._read(lambda one: [one.execute(select(table)).all() for table in metadata.sorted_tables])
    assert key["key_id"] in str(rows)
    assert key["key"] not in str(rows)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["phones:delete"]}, "scopes"),
        ({"name": "x", "scopes": ["ADMIN"]}, "scopes"),
        ({"name": "x", "scopes": [["admin"]]}, "scopes"),
        ({"name": "x", "scopes": "admin"}, "scopes"),
        ({"name": "x", "scopes": ["admin"] * 7}, "scopes"),
        ({"name": "x"}, "scopes"),
        ({"scopes": ["admin"]}, "name"),
        ({"name": "", "scopes": ["admin"]}, "name"),
        ({"name": " x", "scopes": ["admin"]}, "name"),
        ({"name": "x" * 65, "scopes": ["admin"]}, "name"),
        ({"name": "line\nfeed", "scopes": ["admin"]}, "name"),
        ({"name": "\ud800", "scopes": ["admin"]}, "name"),
        ({"name": "x", "scopes": ["admin"], "lender": OTHER}, "lender"),
        ([], "body"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_by_what_is_wrong(api: Api, body: object, named: str) -> None:
    response = await api.post("/v1/keys", body)
    assert problem(response) == (422, "invalid-body")
    assert named in response.json()["detail"]
    assert len(await listed(api)) == 1


async def test_keys_are_listed_page_by_page(api: Api) -> None:
    made = {(await created(api, Scope.SUPPORT))["key_id"] for _ in range(3)}
    pages = [(await api.get("/v1/keys", page_size=1)).json()]
    while (token := pages[-1]["next_page_token"]) is not None:
        pages.append((await api.get("/v1/keys", page_size=1, page_token=token)).json())
    seen = [page["keys"][0]["key_id"] for page in pages]
    assert len(seen) == len(set(seen)) == 4
    assert made < set(seen)


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.ADMIN])
async def test_nobody_but_an_admin_makes_sees_or_revokes_keys(api: Api, scope: Scope) -> None:
    holder = await with_scopes(api, scope)
    needs(await holder.post("/v1/keys", {"name": "more", "scopes": ["admin"]}), Scope.ADMIN)
    needs(await holder.get("/v1/keys"), Scope.ADMIN)
    needs(await holder.post("/v1/keys/key_1/revoke", None), Scope.ADMIN)


# --- what a scope allows -------------------------------------------------------------------------------------------


async def test_a_reader_reads_and_nothing_else(api: Api) -> None:
    reader = await with_scopes(api, Scope.PHONES_READ)
    assert (await reader.get("/v1/phones")).status_code == 200
    needs(await reader.enrol(), Scope.PHONES_WRITE)
    needs(await reader.decide(overdue()), Scope.DECISIONS_WRITE)


async def test_a_system_that_sends_decisions_sees_no_phones(api: Api) -> None:
    sender = await with_scopes(api, Scope.DECISIONS_WRITE)
    assert (await sender.decide(overdue(), payment())).status_code == 200
    needs(await sender.get("/v1/phones"), Scope.PHONES_READ)


async def test_scopes_of_one_key_add_up(api: Api) -> None:
    both = await with_scopes(api, Scope.DECISIONS_WRITE, Scope.PHONES_READ)
    assert (await both.decide(overdue())).status_code == 200
    assert (await both.get(f"/v1/phones/{IMEI}")).json()["desired"]["level"] == "locked"


async def test_support_sees_phones_and_neither_locks_nor_opens_one(api: Api) -> None:
    support = await with_scopes(api, Scope.SUPPORT)
    assert (await support.get(f"/v1/phones/{IMEI}")).status_code == 200
    needs(await support.decide(overdue()), Scope.DECISIONS_WRITE)
    needs(await support.decide(payment()), Scope.DECISIONS_WRITE)
    assert (await support.get(f"/v1/phones/{IMEI}")).json()["desired"]["version"] == 1


async def test_support_grants_grace_and_opens_disputes(api: Api) -> None:
    support = await with_scopes(api, Scope.SUPPORT)
    common = {"imei": IMEI, "occurred_at": "2023-01-01T00:00:00Z"}
    results = await support.decide(
        {"decision_id": "g", "type": "grace_granted", "until": "2023-01-20T00:00:00Z", **common},
        {"decision_id": "o", "type": "dispute_opened", **common},
        {"decision_id": "c", "type": "dispute_closed", **common},
        {"decision_id": "r", "type": "resend", **common},
    )
    assert [one["status"] for one in results.json()["results"]] == [200] * 4


async def test_each_item_of_supports_list_is_judged_by_itself(api: Api) -> None:
    support = await with_scopes(api, Scope.SUPPORT)
    response = await support.decide(overdue(), payment())
    assert response.status_code == 200
    results = response.json()["results"]
    assert [one["status"] for one in results] == [403, 403]
    assert results[0]["problem"]["type"] == "urn:paylatch:problem:forbidden"
    assert DecisionType.PAYMENT_OVERDUE in results[0]["problem"]["detail"]


async def test_whether_a_key_is_valid_is_said_before_whether_a_request_is(api: Api) -> None:
    assert problem(await api.of(None).get("/v1/phones", page_size=-1)) == (401, "unauthorized")
    reader = await with_scopes(api, Scope.PHONES_READ)
    assert problem(await reader.post_raw("/v1/decisions", b"no JSON")) == (403, "forbidden")


# --- revoking ------------------------------------------------------------------------------------------------------


async def test_a_revoked_key_works_for_a_second_at_most(api: Api) -> None:
    key = await created(api, Scope.PHONES_READ)
    holder = api.of(key["key"])
    assert (await holder.get("/v1/phones")).status_code == 200
    revoked = await api.post(f"/v1/keys/{key['key_id']}/revoke", None)
    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"] is not None
    api.clock.ticks += KEY_BELIEVED_S
    gone, unknown = await holder.get("/v1/phones"), await api.of("pl_wrong").get("/v1/phones")
    assert problem(gone) == (401, "unauthorized")
    assert gone.json() == unknown.json(), "a revoked key looks like one that never was"


async def test_a_key_is_looked_up_again_once_it_has_been_believed_long_enough() -> None:
    book, clock = MemoryKeyBook(), SetClock()
    access = Access(book, clock, KeptLog())
    assert await access.caller("one") is not None
    book.knows = False
    clock.ticks = math.nextafter(KEY_BELIEVED_S, 0)
    assert await access.caller("one") is not None
    clock.ticks = KEY_BELIEVED_S
    assert await access.caller("one") is None
    clock.ticks = 0
    assert await access.caller("one") is None, "nothing is believed of it any more"


async def test_revoking_a_key_again_changes_nothing(api: Api) -> None:
    key = await created(api, Scope.SUPPORT)
    first = await api.post(f"/v1/keys/{key['key_id']}/revoke", None)
    api.clock.advance(60)
    assert (await api.post(f"/v1/keys/{key['key_id']}/revoke", None)).json() == first.json()


async def test_the_last_admin_key_is_not_revoked_by_itself(api: Api) -> None:
    (only,) = await listed(api)
    response = await api.post(f"/v1/keys/{only}/revoke", None)
    assert problem(response) == (409, "last-admin-key")
    assert "paylatch key revoke" in response.json()["detail"]
    second = await with_scopes(api, Scope.ADMIN)
    assert (await second.post(f"/v1/keys/{only}/revoke", None)).status_code == 200


async def test_an_unknown_key_cannot_be_revoked(api: Api) -> None:
    assert problem(await api.post("/v1/keys/key_0/revoke", None)) == (404, "unknown-key")


# --- last use ------------------------------------------------------------------------------------------------------


async def test_the_last_use_of_a_key_is_recorded(api: Api) -> None:
    key = await created(api, Scope.PHONES_READ)
    await api.of(key["key"]).get("/v1/phones")
    assert (await listed(api))[key["key_id"]]["last_used_at"] is None, "no request waits for that"
    await api.access.write_uses()
    assert (await listed(api))[key["key_id"]]["last_used_at"] is not None


async def test_a_request_that_a_key_may_not_make_is_a_use_of_it(api: Api) -> None:
    key = await created(api, Scope.SUPPORT)
    needs(await api.of(key["key"]).enrol(), Scope.PHONES_WRITE)
    await api.access.write_uses()
    assert (await listed(api))[key["key_id"]]["last_used_at"] is not None


async def test_keys_that_do_not_exist_are_not_remembered(api: Api) -> None:
    for number in range(50):
        await api.of(f"pl_{number}").get("/v1/phones")
    assert len(api.access._believed) + len(api.access._uses) <= 2 * len(KEYS)


class MemoryKeyBook:
    """A `KeyBook` that knows every key or none, and can go away."""

    def __init__(self) -> None:
        self.knows = True
        self.available = True
        self.written: list[dict[KeyId, int]] = []
        self.asked = 0

    async def working(self, key_hash: bytes) -> ApiKey | None:
        return first_key(ACME, key_hash, at=1) if self.knows else None

    async def put_last_uses(self, uses: Mapping[KeyId, int]) -> None:
        self.asked += 1
        if not self.available:
            raise StoreUnavailableError("the database does not answer")
        self.written.append(dict(uses))


class UsedAccess:
    """`Access` in a minute that passes at once."""

    def __init__(self) -> None:
        self.keys, self.clock, self.log = MemoryKeyBook(), SetClock(), KeptLog()
        self.loop = VirtualTimeLoop()
        self.access = Access(self.keys, self.clock, self.log)
        self.writing = self.loop.create_task(self.access.run())

    def use(self, key: str) -> None:
        assert self.loop.run(self.access.caller(key)) is not None

    def close(self) -> None:
        self.writing.cancel()
        self.loop.pass_time(0)
        self.loop.close()


@pytest.fixture
def used() -> Iterator[UsedAccess]:
    access = UsedAccess()
    yield access
    access.close()


def test_a_minute_of_requests_is_one_write(used: UsedAccess) -> None:
    used.use("one")
    used.loop.pass_time(1)
    assert [len(uses) for uses in used.keys.written] == [1], "the first use is seen soon"
    for _ in range(100):
        used.use("one")
        used.use("two")
        used.clock.advance(1)
    used.loop.pass_time(USES_WRITTEN_EVERY_S)
    assert [len(uses) for uses in used.keys.written] == [1, 2]
    assert set(used.keys.written[-1].values()) == {used.clock.now() - 1}


def test_nothing_is_written_while_no_key_is_used(used: UsedAccess) -> None:
    used.loop.pass_time(10 * USES_WRITTEN_EVERY_S)
    assert used.keys.asked == 0


def test_a_use_that_no_database_takes_is_written_when_it_is_back(used: UsedAccess) -> None:
    used.keys.available = False
    used.use("one")
    used.loop.pass_time(3 * USES_WRITTEN_EVERY_S)
    assert used.keys.asked in (3, 4), "it is asked once a minute"
    used.clock.advance(500)
    used.use("two")
    used.keys.available = True
    used.loop.pass_time(USES_WRITTEN_EVERY_S)
    assert [len(uses) for uses in used.keys.written] == [2]
    assert used.log.events("warning")[0] == "key_uses_not_written"
