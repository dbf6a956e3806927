"""`paylatch lender mqtt-password`: a new password, shown once, and nobody else's line touched."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broker_bridge.adapters.mqtt.passwords import hash_password
from paylatch.cli import app

HASH = hash_password("a secret made by a machine", bytes(12))
BEFORE = f"# the services\nbridge:{HASH}\nold:$6$salt$hash\nacme:{HASH}\n".encode()


def mqtt_password(lender: str, passwords: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ("lender", "mqtt-password", lender, "--passwords", str(passwords), *more))


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    path = tmp_path / "services.passwd"
    path.write_bytes(BEFORE)
    return path


def test_the_password_is_data_and_its_hash_is_what_is_kept(passwords: Path) -> None:
    made = mqtt_password("umbrella", passwords)
    assert made.exit_code == 0
    (secret,) = made.stdout.split()
    assert secret not in made.stderr
    assert secret.encode() not in passwords.read_bytes()
    assert "shown this once" in made.stderr
    assert "SIGHUP" in made.stderr


def test_a_program_is_told_whose_password_it_is(passwords: Path) -> None:
    told = json.loads(mqtt_password("umbrella", passwords, "--json").stdout)
    assert set(told) == {"lender", "password"}
    assert told["lender"] == "umbrella"


def test_every_other_line_stays_as_it_stands(passwords: Path) -> None:
    assert mqtt_password("umbrella", passwords).exit_code == 0
    lines = passwords.read_bytes().splitlines(keepends=True)
    assert b"".join(lines[:-1]) == BEFORE
    assert lines[-1].startswith(b"umbrella:$7$1$")


def test_a_new_password_takes_the_place_of_the_old_one(passwords: Path) -> None:
    assert mqtt_password("acme", passwords).exit_code == 0
    mine = [line for line in passwords.read_text().splitlines() if line.startswith("acme:")]
    assert len(mine) == 1
    assert mine != [f"acme:{HASH}"]
    assert passwords.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("service", ["bridge", "auditor"])
def test_no_lender_takes_a_services_name(passwords: Path, service: str) -> None:
    refused = mqtt_password(service, passwords)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "name of a service" in refused.stderr
    assert passwords.read_bytes() == BEFORE


@pytest.mark.parametrize("line", [b"no colon", b"name:plain text", b"\xff\xfe"])
def test_a_file_with_a_line_that_mosquitto_would_not_take_is_left_alone(passwords: Path, line: bytes) -> None:
    passwords.write_bytes(BEFORE + line + b"\n")
    refused = mqtt_password("acme", passwords)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "line 5" in refused.stderr
    assert passwords.read_bytes() == BEFORE + line + b"\n"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    refused = mqtt_password("acme", tmp_path / "services.passwd")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_does_not_run_will_read_the_file_when_it_starts(passwords: Path, tmp_path: Path) -> None:
    made = mqtt_password("acme", passwords, "--pid-file", str(tmp_path / "no.pid"))
    assert (made.exit_code, len(made.stdout.split())) == (0, 1)
    assert "was not told" in made.stderr


def test_a_broker_of_another_account_is_told_of_when_the_password_is(
    passwords: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(_: int, __: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", kill)
    pid_file = tmp_path / "mosquitto.pid"
    pid_file.write_text("4711\n", encoding="ascii")
    made = mqtt_password("acme", passwords, "--pid-file", str(pid_file))
    assert (made.exit_code, len(made.stdout.split())) == (1, 1)
    told, failed = made.stderr.splitlines()
    assert "shown this once" in told
    assert "process 4711" in failed
    assert "the file is written" in failed
    assert "kill -HUP 4711" in failed
