"""The installers look at the version of what is there, and tell what is too old. Nothing is installed here."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_DEPLOY = Path(__file__).parents[2] / "deploy"


def put_program(path: Path, says: str = "") -> None:
    """Put a program there that says this, whatever it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="ascii")
    path.chmod(0o755)


def install(script: str, *path: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.pathsep.join([*map(str, path), "/usr/bin", "/bin"])}
    return subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=False)


def mosquitto(directory: Path, version: str) -> subprocess.CompletedProcess[str]:
    put_program(directory / "mosquitto", f"mosquitto version {version}")
    for beside in ("mosquitto_pub", "mosquitto_sub", "openssl"):
        put_program(directory / beside)
    return install((_DEPLOY / "install-mosquitto.sh").read_text(encoding="utf-8"), directory)


def postgres(directory: Path, *versions: str) -> subprocess.CompletedProcess[str]:
    for version in versions:
        major = version.rpartition(".")[0]
        put_program(directory / major / "bin" / "postgres", f"postgres (PostgreSQL) {version} (Debian)")
        put_program(directory / major / "bin" / "initdb")
    script = (_DEPLOY / "install-postgres.sh").read_text(encoding="utf-8")
    return install(script.replace("/usr/lib/postgresql", str(directory)))


@pytest.mark.parametrize("version", ["2.0.11", "2.1.0", "10.0.1"])
def test_a_broker_that_is_new_enough_is_left_as_it_is(tmp_path: Path, version: str) -> None:
    done = mosquitto(tmp_path, version)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_only_tests_need_is_told_and_the_demo_goes_on_without_it(tmp_path: Path) -> None:
    put_program(tmp_path / "mosquitto", "mosquitto version 2.0.11")
    put_program(tmp_path / "id", "1000")
    (tmp_path / "sed").symlink_to(shutil.which("sed") or "")
    environment = {"PATH": str(tmp_path)}  # neither clients nor openssl, nor anything to install them with
    script = (_DEPLOY / "install-mosquitto.sh").read_text(encoding="utf-8")
    done = subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "apt-get install mosquitto mosquitto-clients openssl" in done.stderr


@pytest.mark.parametrize("version", ["1.6.9", "unknown"])
def test_a_broker_that_is_too_old_is_told(tmp_path: Path, version: str) -> None:
    refused = mosquitto(tmp_path, version)
    assert refused.returncode == 1
    assert f"{tmp_path}/mosquitto is version {version}; it has to be 2.0 or later" in refused.stderr
    assert "apt-get install mosquitto" in refused.stderr


@pytest.mark.parametrize("versions", [("15.20",), ("9.6.24", "13.4", "16.1")])
def test_the_newest_postgresql_counts(tmp_path: Path, versions: tuple[str, ...]) -> None:
    done = postgres(tmp_path, *versions)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_postgresql_that_is_too_old_is_told(tmp_path: Path) -> None:
    refused = postgres(tmp_path, "9.6.24", "13.4")
    assert refused.returncode == 1
    assert f"{tmp_path}/13/bin/postgres is version 13.4; it has to be 15 or later" in refused.stderr
    assert "apt-get install postgresql" in refused.stderr
