"""The main job, end to end: real histories, a real broker, the bridge and the fleet as processes of their own."""

import csv
import difflib
import re
import socket
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path, PurePath

import pytest

from device_sim.fleet.control_client import FleetControl
from device_sim.identities import simulated_imei
from lock_protocol.levels import Level
from paylatch import resources
from paylatch.local.broker_config import render
from paylatch.local.ports import LOOPBACK
from paylatch.local.postgres_process import PostgresProcess
from paylatch.oracle import required_levels
from tests.system.demo import FinishedDemo, is_closed, run_demo, running_demo

PHONES, MONTHS = 40, 2


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory of a path that a socket may have; pytest's own are too deep."""
    with tempfile.TemporaryDirectory(prefix="paylatch-test-") as directory:
        yield Path(directory) / "kept"


@pytest.fixture(scope="module")
def demo() -> Iterator[FinishedDemo]:
    """One demo for all tests that only look at it."""
    with tempfile.TemporaryDirectory(prefix="paylatch-test-") as directory:
        yield run_demo(Path(directory), "--quiet", "--phones", str(PHONES), "--months", str(MONTHS))


def test_it_succeeds_and_has_nothing_to_say(demo: FinishedDemo) -> None:
    assert (demo.code, demo.found, demo.said) == (0, "", "")


def test_its_figures_have_the_agreed_keys(demo: FinishedDemo) -> None:
    assert list(demo.figures) == [
        "phones",
        "decisions",
        "locked",
        "unlocked_by_payment",
        "released",
        "resets",
        "relocked_after_reset",
        "opened_after_offline_payment",
        "hostile_sent",
        "hostile_refused",
        "hostile_applied",
        "broker_restarts",
        "unlock_ms",
        "reconnect_open_ms",
        "wall_s",
        "violations",
    ]


def test_it_locks_and_opens_whom_the_histories_say(demo: FinishedDemo) -> None:
    levels = list(required_levels(resources.HISTORIES, PHONES, MONTHS))
    locked = {row for row, _, _, level in levels if level == "locked"}
    opened = [row for (row, _, _, before), (same, _, _, now) in pairwise(levels) if row == same and before != now]
    assert demo.figures["phones"] == PHONES
    assert demo.figures["locked"] == len(locked) > 0
    assert demo.figures["unlocked_by_payment"] == len([row for row in opened if row in locked]) > 0


def test_reset_phones_lock_again_and_offline_payers_open(demo: FinishedDemo) -> None:
    figures = demo.figures
    assert figures["resets"] == figures["relocked_after_reset"]
    assert isinstance(figures["resets"], int)
    assert figures["resets"] > 0
    assert isinstance(figures["opened_after_offline_payment"], int)
    assert figures["opened_after_offline_payment"] > 0
    assert figures["broker_restarts"] == 2


def test_the_intruder_gets_nowhere(demo: FinishedDemo) -> None:
    refused = demo.figures["hostile_refused"]
    assert isinstance(refused, dict)
    assert len(refused) >= 8
    assert sum(refused.values()) == demo.figures["hostile_sent"]
    assert demo.figures["hostile_applied"] == 0


def test_openings_are_measured(demo: FinishedDemo) -> None:
    for key in ("unlock_ms", "reconnect_open_ms"):
        measured = demo.figures[key]
        assert isinstance(measured, dict)
        assert 0 < measured["p50"] <= measured["p99"] <= measured["max"]


def test_the_audit_has_all_four_words_on_every_phone_every_month(demo: FinishedDemo) -> None:
    with (demo.directory / "audit.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["account", "imei", "month", "required", "applied", "reported", "retained"]
    expected = sorted(
        (account, month, level) for _, account, month, level in required_levels(resources.HISTORIES, 40, 2)
    )
    assert sorted((row["account"], row["month"], row["required"]) for row in rows) == expected
    assert all(row["required"] == row["applied"] == row["reported"] == row["retained"] for row in rows)
    assert all(row["imei"].startswith("00") for row in rows)


def test_the_broker_runs_the_committed_configuration_with_other_ports_and_paths(demo: FinishedDemo) -> None:
    committed = resources.MOSQUITTO_CONF.read_text(encoding="utf-8")
    used = (demo.directory / "kept/broker/mosquitto.conf").read_text(encoding="utf-8")
    phones_port, services_port = map(int, re.findall(r"^listener (\d+)", used, re.MULTILINE))
    assert used == render(committed, phones_port=phones_port, services_port=services_port, directory=PurePath())
    changed = {
        line[2:].split()[0] for line in difflib.ndiff(committed.split("\n"), used.split("\n")) if line[0] in "+-"
    }
    assert changed == {"listener", "password_file", "acl_file", "pid_file", "persistence_location"}


async def test_a_tampered_phone_is_found_and_named(short_path: Path) -> None:
    rooted = simulated_imei(7)
    with running_demo(short_path, "--phones", "10", "--months", "1") as demo:
        demo.wait_for("2005-04: ")
        # The replay policy never asks for a notice at a month's end, so this level is wrong whatever happens.
        await FleetControl(short_path / "fleet.sock").tamper(rooted, Level.NOTICE)
        code, found, _ = demo.finish()
    assert code == 1
    assert f"violation: {rooted} in 2005-04: required unlocked, but applied notice" in found


def test_a_killed_demo_leaves_no_process_behind(short_path: Path) -> None:
    with running_demo(short_path, "--phones", "10", "--months", "6") as demo:
        demo.wait_for("2005-04: ")
        connections = demo.connect_to_its_processes()
        demo.process.kill()
        assert {name: is_closed(connection) for name, connection in connections.items()} == dict.fromkeys(
            connections, True
        )


def test_an_interrupted_demo_cleans_up(short_path: Path) -> None:
    with running_demo(short_path, "--phones", "10", "--months", "6") as demo:
        demo.wait_for("2005-04: ")
        connections = demo.connect_to_its_processes()
        demo.interrupt()
        code, found, said = demo.finish()
        assert all(is_closed(connection) for connection in connections.values())
    assert code == 130
    assert found == ""
    assert "Traceback" not in said
    assert not (short_path / "fleet.sock").exists()


def test_it_plays_on_an_empty_postgresql_and_on_no_other(postgres: PostgresProcess) -> None:
    arguments = ("--quiet", "--phones", "20", "--months", "1", "--database", postgres.create("demo"))
    with tempfile.TemporaryDirectory(prefix="paylatch-test-") as directory:
        played = run_demo(Path(directory), *arguments)
        assert (played.code, played.found, played.said) == (0, "", "")
        assert played.figures["violations"] == []
        assert not (played.directory / "kept" / "bridge.db").exists()
    with tempfile.TemporaryDirectory(prefix="paylatch-test-") as directory:
        refused = run_demo(Path(directory), *arguments)
    assert (refused.code, refused.found) == (2, "")
    assert "holds tables already" in refused.said


def test_it_brings_a_postgresql_of_its_own_when_asked() -> None:
    with tempfile.TemporaryDirectory(prefix="paylatch-test-") as directory:
        played = run_demo(Path(directory), "--quiet", "--phones", "10", "--months", "1", "--database", "postgresql")
        settings = (played.directory / "kept" / "bridge.toml").read_text(encoding="utf-8")
    assert (played.code, played.found, played.said) == (0, "", "")
    port = re.search(r'^database = "postgresql://.*:(\d+)/paylatch"$', settings, re.MULTILINE)
    assert port is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, int(port[1])))
