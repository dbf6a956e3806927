"""Bad input: a clear error, nothing lost, nothing applied."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from broker_bridge.adapters.http import reading
from broker_bridge.adapters.http.reading import MAX_BODY_BYTES
from broker_bridge.adapters.lender_api.decisions import MAX_LIST
from broker_bridge.adapters.lender_api.strict_json import parse_json
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


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (overdue(occurred_at="yesterday"), 'occurred_at: must be text like "2026-11-23T12:00:00Z"'),
        (overdue(imei="001017000000012"), "imei: IMEI 001017000000012 has check digit 2, expected 1"),
    ],
)
async def test_what_does_not_fit_is_told_in_words_of_our_own(api: Api, decision: Any, said: str) -> None:
    assert (await api.post("/v1/decisions", decision)).json()["detail"] == said


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


async def test_a_repeated_key_among_very_many_is_found_at_once(api: Api) -> None:
    keys = ",".join(f'"{number:x}":1' for number in range(20_000))
    body = f'{{{keys},"{19_999:x}":1}}'.encode()
    response = await api.post_raw("/v1/decisions", body)
    assert problem(response) == (400, "not-json")
    assert "stands there twice" in response.json()["detail"]


@pytest.mark.parametrize("piece", [b"0,", b"[],", b"{},", b"[[[[]]]],"])
async def test_a_body_that_would_take_long_to_read_is_not_read(api: Api, piece: bytes) -> None:
    response = await api.post_raw("/v1/decisions", b"[" + piece * 25_000 + b"0]")
    assert problem(response) == (400, "not-json")
    assert "more than 25000 commas, brackets and braces; send it in parts" in response.json()["detail"]


def test_the_longest_list_of_decisions_is_read() -> None:
    longest = overdue("x" * 64, amount_due=10**12, currency="INR", pay_url="https://pay.example/1?of=1,2,3,4,5,6,7,8,9")
    assert len(parse_json(json.dumps([longest] * MAX_LIST).encode())) == MAX_LIST


async def test_very_many_fields_are_not_looked_at_one_by_one(api: Api) -> None:
    decision = {"type": "loan_settled", **{f"{number}": 1 for number in range(9_000)}}
    detail = "9001 fields, where there are no others than decision_id, imei, occurred_at, type"
    assert (await api.decide(decision)).json()["detail"] == detail


async def test_an_answer_tells_no_more_faults_than_somebody_reads(api: Api) -> None:
    many, very_many = ({f"{number:x}": 1 for number in range(count)} for count in (20, 20_000))
    long_names = {f"{number}" * 10_000: 1 for number in range(9)}
    for extra in (many, very_many, long_names):
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


async def test_a_body_that_dribbles_is_not_waited_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BODY_S", 0.05)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.Event().wait()

    response = await api.http.post("/v1/decisions", content=chunks(), headers=api.headers)
    assert problem(response) == (408, "too-slow")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x"])
async def test_a_gzip_bomb_is_refused_unopened(api: Api, encoding: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    for path in ("/v1/decisions", "/v1/phones", "/v1/keys"):
        response = await api.http.post(path, content=bomb, headers=api.headers | {"Content-Encoding": encoding})
        assert problem(response) == (415, "unsupported-media-type")
        assert "content-encoding" in response.json()["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",  # what curl says with -d alone
        "text/plain",
        "text/json",
        "application/xml",
        "application/json-patch+json",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "",
        "json",
    ],
)
async def test_a_body_that_says_it_is_something_else_is_refused(api: Api, content_type: str) -> None:
    body = json.dumps(overdue()).encode()
    response = await api.http.post("/v1/decisions", content=body, headers=api.headers | {"Content-Type": content_type})
    assert problem(response) == (415, "unsupported-media-type")
    await assert_nothing_applied(api)


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
async def test_json_may_say_so_or_say_nothing(api: Api, content_type: str | None) -> None:
    said = {} if content_type is None else {"Content-Type": content_type}
    body = json.dumps(overdue()).encode()
    response = await api.http.post("/v1/decisions", content=body, headers=api.headers | said)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        "-1",
        "0",
        "9" * 30,
        "-999999999999999",
        "1e309",
        "0' OR '1'='1",
        "00101700000001",
        "\x00",
        "\uff10" * 15,
        f"{IMEI}\n",
    ],
    ids=repr,
)
async def test_a_page_token_that_was_never_handed_out_is_refused(api: Api, token: str) -> None:
    for path in ("/v1/phones", "/v1/keys"):
        response = await api.get(path, page_token=token)
        assert problem(response) == (422, "invalid-query")
        assert "page_token" in response.json()["detail"]


@pytest.mark.parametrize("size", ["-1", "0", "501", "9" * 30, "1e309", "1.5", "NaN", "true", ""])
async def test_a_page_size_beyond_the_cap_or_below_one_is_refused(api: Api, size: str) -> None:
    for path in ("/v1/phones", "/v1/keys"):
        assert problem(await api.get(path, page_size=size)) == (422, "invalid-query")


@pytest.mark.parametrize("key", ["x" * 256, "pl_" + "x" * 253, "pl_" + "x" * 60_000], ids=["256", "pl_", "60,000"])
async def test_a_key_of_256_characters_and_more_is_no_key(api: Api, key: str) -> None:
    assert problem(await api.of(key).get("/v1/phones")) == (401, "unauthorized")


async def test_a_decision_id_of_256_characters_is_refused(api: Api) -> None:
    assert problem(await api.decide(overdue("x" * 256))) == (422, "invalid-body")
    await assert_nothing_applied(api)


async def test_a_payment_that_comes_before_the_overdue_figure_it_covers_keeps_the_phone_open(api: Api) -> None:
    assert (await api.decide(payment())).json()["level"] == "unlocked"
    late = (await api.decide(overdue())).json()
    assert (late["effect"], late["level"]) == ("covered", "unlocked")


async def test_an_overdue_figure_after_the_loan_was_settled_locks_nothing(api: Api) -> None:
    settled = {"decision_id": "s", "type": "loan_settled", "imei": IMEI, "occurred_at": "2023-01-01T00:00:00Z"}
    await api.decide(settled)
    late = (await api.decide(overdue(occurred_at="2023-02-01T00:00:00Z"))).json()
    assert (late["effect"], late["level"]) == ("already_settled", "released")


async def test_a_nul_is_nowhere_more_than_a_character_that_nothing_has(api: Api) -> None:
    assert problem(await api.get("/v1/commands/cmd_%00")) == (404, "unknown-command")
    assert problem(await api.get("/v1/phones/%00")) == (422, "invalid-imei")
    assert problem(await api.get("/v1/phones", page_token="0\0")) == (422, "invalid-query")
    assert problem(await api.enrol(SECOND, consent="contract\0")) == (422, "invalid-body")
    assert problem(await api.decide(overdue("d\0"))) == (422, "invalid-body")
