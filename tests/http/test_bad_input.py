"""Bad input: a clear error, nothing lost, nothing applied."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from broker_bridge.adapters.http.bodies import MAX_BODY_BYTES
from tests.http.conftest import IMEI, SECOND, Api, overdue, payment, problem

IMEIS = {
    "bad Luhn digit": "001017000000012",
    "all zeros": "0" * 15,
    "14 digits": "00101700000001",
    "16 digits": "0010170000000110",
    "full-width digits": "００１０１７００００００011",  # noqa: RUF001 - that is the point
    "trailing newline": f"{IMEI}\n",
    "dashes": "00-101700-000001-1",
    "JSON number": 1_017_000_000_011,
    "missing": None,
    "a list": [IMEI],
}


async def assert_nothing_applied(api: Api) -> None:
    phone = (await api.get(f"/v1/phones/{IMEI}")).json()
    assert (phone["desired"]["version"], phone["loan"]["days_overdue"]) == (1, 0)


@pytest.mark.parametrize("imei", IMEIS.values(), ids=IMEIS)
async def test_an_imei_that_is_none_is_refused_in_bodies(api: Api, imei: object) -> None:
    for response in (await api.decide(overdue(imei=imei)), await api.enrol(imei=imei)):
        assert problem(response) == (422, "invalid-body")
        assert "imei" in response.json()["detail"]


@pytest.mark.parametrize("imei", ["001017000000012", "0" * 15, "00101700000001", "0010170000000110", f"{IMEI}%0A", "x"])
async def test_an_imei_that_is_none_is_refused_in_paths(api: Api, imei: str) -> None:
    assert problem(await api.get(f"/v1/phones/{imei}")) == (422, "invalid-imei")


@pytest.mark.parametrize(
    "decision",
    [
        overdue(level=9),
        overdue(lender="other-lender"),
        overdue(days_overdue=None),
        overdue(days_overdue=0),
        overdue(days_overdue=-1),
        overdue(days_overdue=90.0),
        overdue(days_overdue=90.5),
        overdue(days_overdue="90"),
        overdue(days_overdue=True),
        overdue(days_overdue=10**30),
        overdue(amount_due=-1),
        overdue(amount_due=1.5),
        overdue(amount_due=10**12 + 1),
        overdue(currency="eur"),
        overdue(currency="EURO"),
        overdue(pay_url="http://pay.example/1"),
        overdue(pay_url="javascript:alert(1)"),
        overdue(pay_url="https://pay.example@evil.example/"),
        overdue(pay_url="https://pay.example/" + "x" * 200),
        overdue(cures=True),
        payment(days_overdue=3),
        payment(cures="true"),
        payment(cures=None),
        payment(amount=-5),
        overdue(type="payment_late"),
        overdue(type=None),
        overdue(type=["payment_overdue"]),
        overdue(type="\ud800"),
        overdue(name=""),
        overdue(name="x" * 65),
        overdue(name="x" * 256),
        overdue(name="with space"),
        overdue(name="line\n"),
        overdue(name=7),
        overdue(occurred_at="2023-01-01T00:00:00"),
        overdue(occurred_at="2023-01-01"),
        overdue(occurred_at="yesterday"),
        overdue(occurred_at=1_767_225_600),
        overdue(occurred_at="1969-12-31T23:59:59Z"),
        overdue(occurred_at="0001-01-01T00:00:00+23:59"),
        overdue(occurred_at="9999-12-31T23:59:59-23:59"),
        {**overdue(), "\ud800": 1},
        {},
        "payment_overdue",
        7,
        None,
    ],
    ids=lambda value: json.dumps(value)[:90],
)
async def test_a_decision_that_does_not_fit_is_refused(api: Api, decision: Any) -> None:
    assert problem(await api.post("/v1/decisions", decision)) == (422, "invalid-body")
    await assert_nothing_applied(api)


@pytest.mark.parametrize("consent", ["", "x" * 257, "\ud800", None, 7])
async def test_a_consent_that_is_none_is_refused(api: Api, consent: object) -> None:
    assert problem(await api.enrol(SECOND, consent=consent)) == (422, "invalid-body")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"\xc3\x28",
        b'{"a": 1} trailing',
        b'{"decision_id": "a", "decision_id": "b"}',
        b'[{"a": {"b": 1, "b": 2}}]',
        b'{"amount_due": NaN}',
        b'{"amount_due": -Infinity}',
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'{"days_overdue": ' + b"9" * 10_000 + b"}",
        b"\x1f\x8b\x08\x00" + b"\x00" * 100,
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_a_body_that_is_no_json_is_refused(api: Api, body: bytes) -> None:
    assert problem(await api.post_raw("/v1/decisions", body)) == (400, "not-json")
    await assert_nothing_applied(api)


@pytest.mark.timeout(20)
async def test_a_repeated_key_among_very_many_is_found_at_once(api: Api) -> None:
    keys = ",".join(f'"{number:x}":1' for number in range(150_000))
    body = f'{{{keys},"{149_999:x}":1}}'.encode()
    assert problem(await api.post_raw("/v1/decisions", body)) == (400, "not-json")


async def test_an_answer_tells_no_more_faults_than_somebody_reads(api: Api) -> None:
    unknown = {f"{number:x}": 1 for number in range(100_000)}
    long_names = {f"{number}" * 10_000: 1 for number in range(9)}
    for extra in (unknown, long_names):
        for response in (await api.decide(overdue(**extra)), await api.enrol(SECOND, **extra)):
            assert problem(response) == (422, "invalid-body")
            assert len(response.content) < 5000
    twice = b'{"%b": 1, "%b": 2}' % (b"k" * 900_000, b"k" * 900_000)
    assert len((await api.post_raw("/v1/decisions", twice)).content) < 5000


@pytest.mark.parametrize("amount", ["1e309", "1E3", "1.0", "-0.0"])
async def test_an_amount_is_a_whole_number_written_as_one(api: Api, amount: str) -> None:
    body = json.dumps(overdue(amount_due=12345)).replace("12345", amount).encode()
    assert problem(await api.post_raw("/v1/decisions", body)) == (422, "invalid-body")
    await assert_nothing_applied(api)


async def test_a_body_may_be_as_large_as_it_says_and_not_larger(api: Api) -> None:
    assert problem(await api.post_raw("/v1/decisions", b" " * MAX_BODY_BYTES)) == (400, "not-json")
    assert problem(await api.post_raw("/v1/decisions", b" " * (MAX_BODY_BYTES + 1))) == (413, "too-large")


async def test_a_body_without_end_is_not_read_to_its_end(api: Api) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 65_536
            yield b" " * 65_536

    response = await api.http.post("/v1/decisions", content=chunks(), headers=api.headers)
    assert problem(response) == (413, "too-large")
    assert sent < 2 * MAX_BODY_BYTES


async def test_a_nul_is_nowhere_more_than_a_character_that_nothing_has(api: Api) -> None:
    assert problem(await api.get("/v1/commands/cmd_%00")) == (404, "unknown-command")
    assert problem(await api.get("/v1/phones/%00")) == (422, "invalid-imei")
    assert [one["imei"] for one in (await api.get("/v1/phones", page_token="0\0")).json()["phones"]] == [IMEI]
    assert (await api.get("/v1/phones", page_token=f"{IMEI}\0")).json()["phones"] == []
    assert problem(await api.enrol(SECOND, consent="contract\0")) == (422, "invalid-body")
    assert problem(await api.decide(overdue("d\0"))) == (422, "invalid-body")
