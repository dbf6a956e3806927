"""The lenders' client, without a bridge: its pauses, its ids, and the addresses and keys that it takes."""

import subprocess
import sys

import pytest

from paylatch.client import (
    NotFoundError,
    Patience,
    UnavailableError,
    UnprovenError,
    connect,
    connect_mqtt,
    new_decision_id,
)
from paylatch.client.errors import Problem


def test_ids_are_in_the_order_of_time_and_never_the_same() -> None:
    made = [new_decision_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert [one[:16] for one in made] == sorted(one[:16] for one in made)
    assert all(one.startswith("dec_") and len(one) == 32 for one in made)


def test_pauses_grow_and_are_never_longer_than_the_longest() -> None:
    patience = Patience(first_pause_s=1, longest_pause_s=8)
    for attempt, most in enumerate((1, 2, 4, 8, 8, 8)):
        assert all(most / 2 <= patience.pause_s(attempt) <= most for _ in range(100))
    assert patience.pause_s(10**9) <= 8


async def test_what_cannot_be_is_asked_once_and_what_is_away_until_it_is_there() -> None:
    asked = []

    async def away_twice() -> str:
        asked.append("")
        if len(asked) < 3:
            raise UnavailableError("away")
        return "there"

    async def never() -> str:
        asked.append("")
        raise NotFoundError(Problem(type="x", title="x", status=404, detail="x"))

    quick = Patience(total_s=5, first_pause_s=0.001)
    assert await quick.insist(away_twice) == "there"
    with pytest.raises(NotFoundError):
        await quick.insist(never)
    assert len(asked) == 4


async def test_who_waits_is_told_why_before_each_further_try_and_not_when_there_is_none() -> None:
    answers: list[Exception | None] = [UnavailableError("one"), UnavailableError("two"), None]
    told: list[str] = []

    async def ask() -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    await Patience(total_s=5, first_pause_s=0.001).insist(ask, lambda error: told.append(str(error)))
    assert told == ["one", "two"]
    for last in (UnavailableError("later", retry_after_s=60), UnprovenError("a wrong certificate")):
        answers.append(last)
        with pytest.raises(type(last)):
            await Patience(total_s=5).insist(ask, lambda error: told.append(str(error)))
    assert told == ["one", "two"]


async def test_a_bridge_that_asks_for_a_longer_pause_than_there_is_patience_is_not_asked_again() -> None:
    asked = []

    async def later() -> str:
        asked.append("")
        raise UnavailableError("later", retry_after_s=60)

    with pytest.raises(UnavailableError):
        await Patience(total_s=1).insist(later)
    assert len(asked) == 1


async def test_those_whom_a_bridge_asks_for_the_same_pause_do_not_come_back_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def pass_at_once(pause_s: float) -> None:
        pauses.append(pause_s)

    async def busy_once() -> None:
        if len(pauses) % 2 == 0:
            raise UnavailableError("busy", retry_after_s=1)
        pauses.append(0)

    monkeypatch.setattr("paylatch.client.patience.asyncio.sleep", pass_at_once)
    for _ in range(20):
        await Patience(first_pause_s=0.1).insist(busy_once)
    waited = pauses[::2]
    assert len(set(waited)) == 20
    assert all(1 < pause_s <= 1.1 for pause_s in waited)


@pytest.mark.parametrize(
    "url", ["", "bridge", "ftp://bridge", "http://", "127.0.0.1:8080", "http://bridge:port", "http://bridge:65536"]
)
async def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of a bridge"):
        async with connect(url, "pl_key"):
            pass


@pytest.mark.parametrize(("host", "port"), [("", 1884), ("broker..example", 1884), ("broker", 0), ("broker", 65536)])
async def test_what_is_no_brokers_address_is_refused_at_once(host: str, port: int) -> None:
    with pytest.raises(ValueError, match="is no address of a broker"):
        async with connect_mqtt(host, port, lender="acme", password="secret"):
            pass


@pytest.mark.parametrize("key", ["", "pl_clé", "pl_1\npl_2"])
async def test_what_is_no_key_is_refused_at_once(key: str) -> None:
    with pytest.raises(ValueError, match="API key"):
        async with connect("http://bridge", key):
            pass


def test_the_client_needs_nothing_of_the_bridge_nor_of_simulated_phones() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import paylatch.client, sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert {name.partition(".")[0] for name in told}.isdisjoint(
        {"broker_bridge", "device_sim", "fastapi", "sqlalchemy"}
    )
    assert {name for name in told if name.startswith("paylatch.") and not name.startswith("paylatch.client")} == set()
