"""Simulated IMEIs, and the fleet's file."""

import base64
import json
import stat
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from device_sim.identities import (
    MAX_PHONES,
    FleetFileError,
    FleetLine,
    ToldBroker,
    new_device_seed,
    read_fleet,
    simulated_imei,
    split_fleet,
    told_broker,
    write_fleet,
)
from lock_protocol.imei import parse_imei
from lock_protocol.keys import SigningKey
from tests.loopback.lender import RootAuthority


def test_simulated_imeis_are_valid_distinct_and_no_real_handsets() -> None:
    imeis = [simulated_imei(number) for number in range(2000)]
    assert len(set(imeis)) == 2000
    assert all(imei.startswith("00") and parse_imei(imei) == imei for imei in imeis)


@pytest.mark.parametrize("number", [-1, MAX_PHONES])
def test_there_are_so_many_simulated_phones_and_no_more(number: int) -> None:
    with pytest.raises(ValueError, match="numbered 0 to 999999"):
        simulated_imei(number)


def test_what_is_written_is_read(tmp_path: Path, authority: RootAuthority) -> None:
    path, seed = tmp_path / "fleet.jsonl", new_device_seed()
    first = FleetLine(imei=simulated_imei(0), device_seed=seed, password="p", root=authority.envelope)
    write_fleet(path, [first])
    (phone,) = read_fleet(path)
    assert (phone.imei, phone.password) == (simulated_imei(0), "p")
    assert phone.identity.key.public == SigningKey.from_seed(seed).public
    assert (phone.identity.root, phone.identity.hardware_floor) == (authority.root, False)


TOLD = ToldBroker(host="broker.example", port=8883, topic_prefix="paylatch/v1", tls=True, ca="PEM")


def lines(authority: RootAuthority, *told: ToldBroker | None) -> list[FleetLine]:
    return [
        FleetLine(
            imei=simulated_imei(number),
            device_seed=new_device_seed(),
            password="p",
            root=authority.envelope,
            broker=broker,
        )
        for number, broker in enumerate(told)
    ]


@pytest.mark.parametrize("told", [TOLD, replace(TOLD, tls=False, ca=None), None])
def test_where_phones_were_told_to_connect_is_read(
    tmp_path: Path, authority: RootAuthority, told: ToldBroker | None
) -> None:
    path = tmp_path / "fleet.jsonl"
    write_fleet(path, lines(authority, told, told))
    assert len(read_fleet(path)) == 2
    assert told_broker(path) == told


def test_phones_of_different_brokers_do_not_go_together(tmp_path: Path, authority: RootAuthority) -> None:
    path = tmp_path / "fleet.jsonl"
    write_fleet(path, lines(authority, TOLD, replace(TOLD, port=1883)))
    with pytest.raises(FleetFileError, match="different brokers"):
        told_broker(path)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    path.touch(mode=0o644)
    write_fleet(path, [])
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"imei": "490154203237518"}, "may be a real handset's"),
        ({"imei": "001017000000012"}, "check digit"),
        ({"device_seed": "00"}, "32 bytes"),
        ({"root": "!"}, "not base64"),
        ({"root": ""}, "not one msgpack value"),
        ({"hardware_floor": 1}, "hardware_floor must be a bool"),
        ({"level": 9}, "exactly the fields"),
        ({"broker": None}, "broker must be a dict"),
        ({"broker": {"host": "broker.example"}}, "exactly the fields host, port"),
        ({"broker": asdict(TOLD) | {"ca": 1}}, r"ca must be a str \| None"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, authority: RootAuthority, change: dict[str, Any], fault: str) -> None:
    line = {
        "imei": simulated_imei(0),
        "device_seed": "ab" * 32,
        "password": "p",
        "root": base64.b64encode(authority.envelope).decode(),
        "hardware_floor": False,
    }
    path = tmp_path / "fleet.jsonl"
    path.write_text(json.dumps(line | change) + "\n", encoding="utf-8")
    with pytest.raises(FleetFileError, match=f"line 1: .*{fault}"):
        read_fleet(path)


def test_an_imei_is_there_once(tmp_path: Path, authority: RootAuthority) -> None:
    path = tmp_path / "fleet.jsonl"
    line = FleetLine(imei=simulated_imei(0), device_seed=new_device_seed(), password="p", root=authority.envelope)
    write_fleet(path, [line, line])
    with pytest.raises(FleetFileError, match=r"line 2: .*there before"):
        read_fleet(path)


def test_a_fleets_file_can_be_split_into_private_ones(tmp_path: Path, authority: RootAuthority) -> None:
    path, parts = tmp_path / "fleet.jsonl", [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    seed, root = new_device_seed(), authority.envelope
    write_fleet(path, [FleetLine(imei=simulated_imei(n), device_seed=seed, password="p", root=root) for n in range(5)])
    split_fleet(path, zip(parts, (3, 2), strict=True))
    assert [phone.imei for part in parts for phone in read_fleet(part)] == [phone.imei for phone in read_fleet(path)]
    assert {stat.S_IMODE(part.stat().st_mode) for part in parts} == {0o600}
