"""A fleet in several processes, directed as one; and one that connects by TLS."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_sim.fleet.control_client import FleetControlError
from device_sim.fleet.journal import DOWN, UP
from device_sim.fleet.shards import ShardedControl
from device_sim.identities import FleetLine, new_device_seed, simulated_imei, split_fleet, write_fleet
from lock_protocol.levels import Level
from paylatch.local.errors import LocalRunError
from paylatch.local.phones import BrokerAddress, Knocking, RunningPhones, connect_all, phones_running
from tests.broker.fleet_rig import TOPICS, StandIn, stand_in
from tests.broker.tls_rig import TlsBroker, tls_broker
from tests.certificates import DAY
from tests.conftest import PATIENCE_S, RealBroker
from tests.loopback.lender import Lender

IMEIS = [simulated_imei(number) for number in range(9)]
NO_END_S = 3600.0


def write_phones(path: Path, broker: RealBroker, lender: Lender) -> Path:
    broker.add_phones(*IMEIS)
    root = lender.authority.envelope
    lines = (
        FleetLine(imei=imei, device_seed=new_device_seed(), password=broker.phones[imei], root=root) for imei in IMEIS
    )
    write_fleet(path, lines)
    return path


@dataclass
class Rig:
    bridge: StandIn
    phones: RunningPhones

    @property
    def fleet(self) -> ShardedControl:
        return self.phones.control


@pytest.fixture
async def rig(own_broker: RealBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    """Nine phones in two processes, all locked and settled."""
    lender, address = Lender(), BrokerAddress(port=own_broker.phones_port, prefix=TOPICS.prefix)
    file = write_phones(tmp_path / "all.jsonl", own_broker, lender)
    async with (
        stand_in(own_broker, lender) as bridge,
        phones_running(file, tmp_path, address, Knocking(), shards=2) as phones,
    ):
        await bridge.order(IMEIS, Level.LOCKED)
        assert await phones.control.await_levels(dict.fromkeys(IMEIS, Level.LOCKED), PATIENCE_S) == []
        assert await phones.control.await_settled(PATIENCE_S) == []
        yield Rig(bridge, phones)


async def test_several_processes_are_asked_as_one(rig: Rig) -> None:
    assert len(rig.phones.processes) == 2
    assert [phone.imei for phone in await rig.fleet.dump()] == IMEIS
    assert [phone.imei for phone in await rig.fleet.dump([IMEIS[8], IMEIS[0]])] == [IMEIS[8], IMEIS[0]]
    assert set(await rig.fleet.transitions([IMEIS[0], IMEIS[8]])) == {IMEIS[0], IMEIS[8]}
    assert await rig.fleet.dump([]) == []
    assert await rig.fleet.transitions([]) == {}
    counters = await rig.fleet.counters()
    assert (counters.online, counters.locks, counters.connects) == (9, 9, 9)
    assert counters.rss_bytes > 2 * 10**7


async def test_a_phone_that_is_not_theirs_is_refused_by_name(rig: Rig) -> None:
    with pytest.raises(FleetControlError, match=simulated_imei(77)):
        await rig.fleet.dump([IMEIS[0], simulated_imei(77)])


async def test_each_request_goes_to_those_whose_phones_it_is_about(rig: Rig) -> None:
    away = [IMEIS[0], IMEIS[8]]
    await rig.fleet.cut(away)
    assert (await rig.fleet.counters()).online == 7
    await rig.fleet.tamper(IMEIS[4], Level.NOTICE)
    await rig.fleet.reconnect(away)
    assert await rig.fleet.await_connected(PATIENCE_S) == []
    (mismatch,) = await rig.fleet.await_levels(dict.fromkeys(IMEIS, Level.LOCKED), 0)
    assert (mismatch.imei, mismatch.level) == (IMEIS[4], Level.NOTICE)


async def test_what_happens_is_told_once_and_in_the_order_of_time(rig: Rig) -> None:
    assert await rig.fleet.news() == []
    await rig.fleet.cut([IMEIS[8]])
    await rig.fleet.reconnect([IMEIS[8]])
    assert await rig.fleet.await_connected(PATIENCE_S) == []
    await rig.bridge.order([IMEIS[0]], Level.UNLOCKED)
    assert await rig.fleet.await_levels({IMEIS[0]: Level.UNLOCKED}, PATIENCE_S) == []
    told = [(entry.imei, entry.what, entry.version) for entry in await rig.fleet.news()]
    assert told == [(IMEIS[8], DOWN, 1), (IMEIS[8], UP, 1), (IMEIS[0], "unlocked", 2)]
    assert await rig.fleet.news() == []
    await rig.fleet.cut([IMEIS[0], IMEIS[8]])
    asked_together = await asyncio.gather(*(rig.fleet.news() for _ in range(5)))
    assert sorted(len(told) for told in asked_together) == [0, 0, 0, 0, 2]
    assert rig.fleet.missed == 0


async def test_refusals_of_all_of_them_are_waited_for_together(rig: Rig) -> None:
    for imei in (IMEIS[0], IMEIS[8]):
        await rig.bridge.publish(imei, b"unlock")
    assert await rig.fleet.await_refusals(2, PATIENCE_S) == 2
    assert await rig.fleet.await_refusals(3, 0) == 2
    assert (await rig.fleet.counters()).refusals == {"Malformed": 2}


def test_more_phones_than_files_are_refused_at_once(own_broker: RealBroker, tmp_path: Path) -> None:
    file = write_phones(tmp_path / "all.jsonl", own_broker, Lender())
    command = f"ulimit -n 100 && exec {sys.executable} -m device_sim --phones {file} --control {tmp_path}/fleet.sock"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "137 open files are needed and 100 allowed; raise the limit (ulimit -n)" in done.stderr


# --- TLS ---


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[TlsBroker]:
    """A broker whose phones come by TLS."""
    with tls_broker(tmp_path / "secured", services_too=False) as running:
        yield running


def by_tls(secured: TlsBroker, *, cafile: Path | None) -> BrokerAddress:
    return BrokerAddress(port=secured.broker.phones_port, prefix=TOPICS.prefix, tls=True, cafile=cafile)


DATES: dict[str, tuple[timedelta, timedelta]] = {
    "valid": (-DAY, DAY),
    "expired": (-2 * DAY, -DAY),
    "not valid yet": (DAY, 2 * DAY),
}


@pytest.mark.parametrize("dates", DATES)
async def test_phones_connect_by_tls_whatever_the_dates_of_a_certificate(
    secured: TlsBroker, tmp_path: Path, dates: str
) -> None:
    """As docs/protocol.md asks of an agent."""
    begins, ends = DATES[dates]
    secured.authority.issue(secured.certfile, begins=begins, ends=ends)
    secured.broker.reload()
    lender = Lender()
    file = write_phones(tmp_path / "all.jsonl", secured.broker, lender)
    address = by_tls(secured, cafile=secured.authority.cafile)
    async with (
        stand_in(secured.broker, lender) as bridge,
        phones_running(file, tmp_path, address, Knocking()) as phones,
    ):
        await bridge.order(IMEIS, Level.LOCKED)
        assert await phones.control.await_levels(dict.fromkeys(IMEIS, Level.LOCKED), PATIENCE_S) == []


NO_GOOD: dict[str, tuple[dict[str, Any], bool, str]] = {
    "unknown CA": ({}, False, "is signed by an unknown CA"),
    "another host": ({"name": "DNS:broker.example"}, True, "is not for this host"),
    "another host, and expired": ({"name": "IP:192.0.2.1", "begins": -2 * DAY, "ends": -DAY}, True, "is not for this"),
}
"""What a certificate is issued with, whether phones know its CA, and what is wrong with it."""


@pytest.mark.parametrize(("certificate", "is_known", "fault"), NO_GOOD.values(), ids=NO_GOOD)
async def test_a_certificate_that_is_no_good_is_refused_at_once(
    secured: TlsBroker, tmp_path: Path, *, certificate: dict[str, Any], is_known: bool, fault: str
) -> None:
    file = write_phones(tmp_path / "all.jsonl", secured.broker, Lender())
    secured.authority.issue(secured.certfile, **certificate)
    secured.broker.reload()
    address = by_tls(secured, cafile=secured.authority.cafile if is_known else None)
    async with phones_running(file, tmp_path, address, Knocking()) as phones:
        with pytest.raises(LocalRunError, match=f"{IMEIS[0]} the first: .* certificate {fault}"):
            await asyncio.wait_for(connect_all(phones.control, NO_END_S), PATIENCE_S)


# --- phones that never will be connected ---


async def test_a_password_that_the_broker_does_not_take_is_told_without_waiting_for_long(
    own_broker: RealBroker, tmp_path: Path
) -> None:
    file = write_phones(tmp_path / "all.jsonl", own_broker, Lender())
    own_broker.add_phones(*IMEIS)  # with other passwords
    address = BrokerAddress(port=own_broker.phones_port, prefix=TOPICS.prefix)
    async with phones_running(file, tmp_path, address, Knocking()) as phones:
        with pytest.raises(LocalRunError, match=f"9 phones .*, {IMEIS[0]} the first: .* Not authorized"):
            await asyncio.wait_for(connect_all(phones.control, NO_END_S), PATIENCE_S)


async def test_a_password_that_the_broker_takes_in_a_while_is_waited_for(
    own_broker: RealBroker, tmp_path: Path
) -> None:
    file = write_phones(tmp_path / "all.jsonl", own_broker, Lender())
    right = own_broker.process.files.phones_passwords.read_bytes()
    own_broker.add_phones(*IMEIS)
    address = BrokerAddress(port=own_broker.phones_port, prefix=TOPICS.prefix)
    async with phones_running(file, tmp_path, address, Knocking()) as phones:
        with pytest.raises(LocalRunError, match="Not authorized"):
            await connect_all(phones.control, 1)
        connecting = asyncio.create_task(connect_all(phones.control, PATIENCE_S))
        own_broker.process.files.phones_passwords.write_bytes(right)
        own_broker.reload()
        await connecting


async def test_time_runs_from_before_any_phone_could_connect(own_broker: RealBroker, tmp_path: Path) -> None:
    file = write_phones(tmp_path / "all.jsonl", own_broker, Lender())
    address = BrokerAddress(port=own_broker.phones_port, prefix=TOPICS.prefix)
    async with phones_running(file, tmp_path, address, Knocking(), shards=2) as phones:
        began = time.time() - (time.monotonic() - phones.began_s)
        assert began < (tmp_path / "fleet.sock").stat().st_mtime


async def test_no_process_is_without_a_phone(own_broker: RealBroker, tmp_path: Path) -> None:
    file = write_phones(tmp_path / "all.jsonl", own_broker, Lender())
    split_fleet(file, [(tmp_path / "two.jsonl", 2)])
    address = BrokerAddress(port=own_broker.phones_port, prefix=TOPICS.prefix)
    async with phones_running(tmp_path / "two.jsonl", tmp_path, address, Knocking(), shards=5) as phones:
        assert len(phones.processes) == 2


async def test_a_broker_whose_name_has_no_address_is_told_at_once(own_broker: RealBroker, tmp_path: Path) -> None:
    file = write_phones(tmp_path / "all.jsonl", own_broker, Lender())
    # Nobody has to be asked for this one, which no resolver could know.
    async with phones_running(file, tmp_path, BrokerAddress(host="broker..example"), Knocking()) as phones:
        with pytest.raises(LocalRunError, match=f"{IMEIS[0]} the first: .* no address is known for 'broker..example'"):
            await asyncio.wait_for(connect_all(phones.control, NO_END_S), PATIENCE_S)
