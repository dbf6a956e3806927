"""`/v1/policy`: what a dry run says is what happens, and only what is safe comes in force."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker_bridge.adapters.policies.profiles import profile_document
from broker_bridge.app.set_policy import MAX_VERSIONS_AN_HOUR
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from tests.conftest import new_sqlite
from tests.http.conftest import IMEI, KEYS, OTHER, Api, overdue, payment, problem, running_api

DAY = 86_400
STRICT = """\
name = "strict"
development_only = true
[[ladder]]
days_overdue = 1
level = "restricted"
[[ladder]]
days_overdue = 2
level = "locked"
[due]
notice_days = 5
"""
LEASED = """\
name = "leased"
max_level = "reminder"
[[ladder]]
days_overdue = 10
level = "reminder"
[leases]
offline_lock_days = 30
offline_level = "reminder"
warning_days = 3
lender_silent_days = 30
"""


def text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


async def enrol_a_book(api: Api) -> list[Imei]:
    """Phones of every kind: what is reported of each of them, under the profile `replay`."""
    now = api.clock.now()

    def told(kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "occurred_at": text(now - 50)} | fields

    def late(days: int) -> dict[str, Any]:
        return told("payment_overdue", days_overdue=days, occurred_at=text(now - 100))

    book: list[list[dict[str, Any]]] = [
        [],
        *([late(days)] for days in (1, 2, 9, 20, 45, 70, 95, 400)),
        [late(70), told("payment_received", cures=True)],
        [late(70), told("payment_received", reversed=True, days_overdue=72)],
        [late(70), told("grace_granted", until=text(now + 9 * DAY))],
        [told("grace_granted", until=text(now + 9 * DAY), level="notice"), late(70)],
        [late(5), late(70) | {"occurred_at": text(now - 90)}, told("dispute_opened")],
        [told("lost_or_stolen")],
        [told("loan_settled")],
        [told("payment_due", due_at=text(now + 2 * DAY), amount_due=5, currency="INR")],
    ]
    imeis = [simulated_imei(100 + number) for number in range(len(book))]
    for imei, decisions in zip(imeis, book, strict=True):
        assert (await api.enrol(imei)).status_code == 201
        for number, decision in enumerate(decisions):
            sent = {"decision_id": f"{imei}-{number}", "imei": imei} | decision
            assert (await api.decide(sent)).status_code == 200
    return [IMEI, *imeis]


async def states(api: Api) -> dict[str, tuple[int, str, str]]:
    """Version and level of each phone's state, and the level that is wanted."""
    phones = (await api.get("/v1/phones", page_size=500)).json()["phones"]
    return {
        one["imei"]: (one["desired"]["version"], one["desired"]["level"], one["loan"]["wanted_level"]) for one in phones
    }


async def dry_run(api: Api, document: str, page_size: int) -> tuple[int, list[dict[str, Any]]]:
    """How many phones were judged, and which would change, over all pages."""
    changes: list[dict[str, Any]] = []
    judged, token = 0, ""
    while True:
        query = {"page_size": page_size, "page_token": token}
        answer = await api.send_text("POST", "/v1/policy/dry-run", document, **query)
        assert answer.status_code == 200
        page = answer.json()
        assert page["judged"] <= page_size
        judged, changes = judged + page["judged"], changes + page["would_change"]
        token = page["next_page_token"]
        if not token:
            return judged, changes


@pytest.mark.parametrize(
    "document",
    [STRICT, LEASED, *(profile_document(name) for name in ("default", "gentle", "in-rbi-draft-2026", "replay"))],
    ids=lambda one: str(one.split('name = "')[1].split('"')[0]),
)
@pytest.mark.parametrize("page_size", [3, 1000])
async def test_a_dry_run_says_exactly_what_then_happens(api: Api, document: str, page_size: int) -> None:
    book = await enrol_a_book(api)
    await api.judge_what_is_due()
    before = await states(api)
    judged, changes = await dry_run(api, document, page_size)
    assert judged == len(book) == len(before)
    assert await states(api) == before

    assert (await api.send_text("PUT", "/v1/policy", document)).status_code == 200
    await api.judge_what_is_due()
    after = await states(api)
    assert {one["imei"] for one in changes} == {imei for imei in before if after[imei][0] != before[imei][0]}
    for one in changes:
        assert (one["level"], one["becomes"], one["wanted_level"]) == (
            before[one["imei"]][1],
            after[one["imei"]][1],
            after[one["imei"]][2],
        )
        assert one["changes"]
        assert ("level" in one["changes"]) == (one["level"] != one["becomes"])
        assert (one["held"] is None) == ((await api.get(f"/v1/phones/{one['imei']}")).json()["held"] is None)


async def test_nothing_changes_a_second_time(api: Api) -> None:
    await enrol_a_book(api)
    await api.send_text("PUT", "/v1/policy", LEASED)
    await api.judge_what_is_due()
    once = await states(api)
    assert (await dry_run(api, LEASED, 1000))[1] == []
    await api.send_text("PUT", "/v1/policy", LEASED + "# another version of the same rules\n")
    await api.judge_what_is_due()
    assert await states(api) == once


async def test_a_new_policy_closes_no_paid_phone_and_opens_no_other_lenders(api: Api) -> None:
    other = api.of(KEYS[OTHER])
    foreign = (await other.get("/v1/phones")).json()
    await api.decide(overdue(), payment())
    await api.send_text("PUT", "/v1/policy", STRICT)
    await api.judge_what_is_due()
    assert (await api.get(f"/v1/phones/{IMEI}")).json()["desired"]["level"] == "unlocked"
    assert (await other.get("/v1/phones")).json() == foreign
    assert (await other.get("/v1/policy")).json()["version"] == 0


async def test_versions_count_up_and_the_same_document_makes_none(api: Api) -> None:
    assert (await api.get("/v1/policy")).json() == {
        "version": 0,
        "own": False,
        "set_at": None,
        "set_by": None,
        "document": profile_document("replay"),
    }
    first = (await api.send_text("PUT", "/v1/policy", LEASED)).json()
    api.clock.advance(60)
    assert (await api.send_text("PUT", "/v1/policy", LEASED)).json() == first
    second = (await api.send_text("PUT", "/v1/policy", STRICT)).json()
    back = (await api.send_text("PUT", "/v1/policy", LEASED)).json()
    assert [one["version"] for one in (first, second, back)] == [1, 2, 3]
    assert first["set_by"].startswith("key_")
    listed = (await api.get("/v1/policy/versions")).json()["versions"]
    assert [one["version"] for one in listed] == [3, 2, 1]
    assert (await api.get("/v1/policy/versions/2")).json() == second
    assert (await api.get("/v1/policy")).json() == back
    assert problem(await api.get("/v1/policy/versions/4")) == (404, "unknown-policy")


async def test_the_same_document_sent_twice_at_once_makes_one_version(api: Api) -> None:
    answers = await asyncio.gather(*(api.send_text("PUT", "/v1/policy", LEASED) for _ in range(5)))
    assert [one.json()["version"] for one in answers] == [1] * 5


async def test_versions_are_listed_by_pages(api: Api) -> None:
    for number in range(5):
        await api.send_text("PUT", "/v1/policy", f"{LEASED}# {number}\n")
    pages: list[list[int]] = []
    token: str | None = ""
    while token is not None:
        page = (await api.get("/v1/policy/versions", page_size=2, page_token=token)).json()
        pages.append([one["version"] for one in page["versions"]])
        token = page["next_page_token"]
    assert pages == [[5, 4], [3, 2], [1]]
    assert problem(await api.get("/v1/policy/versions", page_token="-1")) == (422, "invalid-query")


async def test_only_so_many_versions_are_taken_in_an_hour(api: Api) -> None:
    async def put(number: int) -> httpx.Response:
        return await api.send_text("PUT", "/v1/policy", f"{LEASED}# {number}\n")

    for number in range(MAX_VERSIONS_AN_HOUR):
        assert (await put(number)).status_code == 200
        api.clock.advance(60)
    in_force = (await api.get("/v1/policy")).json()
    refused = await put(MAX_VERSIONS_AN_HOUR)
    assert problem(refused) == (429, "too-many-policies")
    assert refused.headers["retry-after"] == "60"
    assert "the next can be set in 30 minutes" in refused.json()["detail"]
    assert (await put(MAX_VERSIONS_AN_HOUR - 1)).json() == in_force == (await api.get("/v1/policy")).json()
    assert (await api.of(KEYS[OTHER]).send_text("PUT", "/v1/policy", LEASED)).status_code == 200

    api.clock.advance(1800)
    assert (await put(MAX_VERSIONS_AN_HOUR)).json()["version"] == MAX_VERSIONS_AN_HOUR + 1
    assert problem(await put(MAX_VERSIONS_AN_HOUR + 1)) == (429, "too-many-policies")


async def test_a_document_with_faults_changes_nothing_and_says_where_they_are(api: Api) -> None:
    bad = LEASED.replace("= 10", "= 0").replace("warning_days = 3", "warning_days = 30")
    checked = (await api.send_text("POST", "/v1/policy/check", bad)).json()
    assert (checked["valid"], [one.split(":")[0] for one in checked["faults"]]) == (False, ["line 4", "line 9"])
    for method, path in (("PUT", "/v1/policy"), ("POST", "/v1/policy/dry-run")):
        answer = await api.send_text(method, path, bad)
        assert problem(answer) == (422, "invalid-policy")
        assert answer.json()["detail"].splitlines() == checked["faults"]
    assert (await api.get("/v1/policy")).json()["version"] == 0


async def test_a_good_document_is_told_so(api: Api) -> None:
    checked = (await api.send_text("POST", "/v1/policy/check", LEASED)).json()
    assert checked == {"valid": True, "name": "leased", "faults": []}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ('appeal_url = "https://evil.example/"', "appeal_url: evil.example is none of the delegation's hosts"),
        ("[reset]\nprovisional_minutes = 5\nprovisional_level = 'notice'", "reset: phones take this from root 1"),
        ("offline_lock_days = 91", "leases.offline_lock_days: the delegation allows leases of at most 90 days"),
    ],
)
async def test_what_phones_would_refuse_is_not_put_in_force(api: Api, change: str, fault: str) -> None:
    document = f"{change}\n{LEASED}" if change.startswith("appeal") else f"{LEASED}\n{change}"
    if change.startswith("offline"):
        document = LEASED.replace("offline_lock_days = 30", change)
    answer = await api.send_text("PUT", "/v1/policy", document)
    assert problem(answer) == (422, "policy-refused")
    assert fault in answer.json()["detail"]
    checked = (await api.send_text("POST", "/v1/policy/check", document)).json()
    assert not checked["valid"]
    assert fault in checked["faults"][0]


async def test_a_policy_without_gates_is_refused_outside_development_mode(tmp_path: Path) -> None:
    async with running_api(new_sqlite(tmp_path / "paylatch.db"), tmp_path, development=False) as api:
        for document in (profile_document("replay"), STRICT):
            for method, path in (("PUT", "/v1/policy"), ("POST", "/v1/policy/dry-run")):
                assert problem(await api.send_text(method, path, document)) == (422, "policy-refused")
            checked = (await api.send_text("POST", "/v1/policy/check", document)).json()
            assert checked["faults"] == ["development_only: this bridge is not in development mode"]
        ungated = STRICT.replace("development_only = true", "")
        assert problem(await api.send_text("PUT", "/v1/policy", ungated)) == (422, "invalid-policy")
        for name in ("default", "gentle", "in-rbi-draft-2026"):
            assert (await api.send_text("PUT", "/v1/policy", profile_document(name))).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [(b"\xff\xfe", 400, "not-text"), (b'name = "a\0b"', 400, "not-text"), (b"#" * 70_000, 413, "too-large")],
    ids=["UTF-16", "NUL", "too large"],
)
@pytest.mark.parametrize("path", ["/v1/policy/check", "/v1/policy/dry-run"])
async def test_what_is_no_text_is_refused(api: Api, path: str, content: bytes, status: int, kind: str) -> None:
    assert problem(await api.post_raw(path, content)) == (status, kind)


@pytest.mark.parametrize("query", [{"page_size": 0}, {"page_size": 5001}, {"page_size": "all"}], ids=str)
async def test_a_page_of_a_dry_run_has_a_size(api: Api, query: dict[str, Any]) -> None:
    assert problem(await api.send_text("POST", "/v1/policy/dry-run", LEASED, **query)) == (422, "invalid-query")
