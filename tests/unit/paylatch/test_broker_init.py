"""`paylatch broker init`: all files of a broker, for whom they are for, and nothing that was there lost."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broker_bridge.check import Severity, check_broker_conf
from broker_bridge.settings import Settings
from paylatch.cli import app
from paylatch.local import broker_config

ROOT = Path(__file__).parents[3]


def broker_init(directory: Path, secret: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ("broker", "init", "--directory", str(directory), "--secret", str(secret), *more))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "broker"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "bridge.secret"


def test_every_file_is_made_for_its_owner_alone(directory: Path, secret: Path) -> None:
    assert broker_init(directory, secret).exit_code == 0
    made = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    names = ("mosquitto.conf", "phones.acl", "phones.passwd", "services.acl", "services.passwd")
    assert made == dict.fromkeys(names, 0o600)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert secret.stat().st_mode & 0o777 == 0o600
    assert [one.severity for one in check_broker_conf(directory / "mosquitto.conf")] == [Severity.OK]


def test_the_secret_is_shown_nowhere_and_only_its_hash_is_the_brokers(directory: Path, secret: Path) -> None:
    made = broker_init(directory, secret)
    password = secret.read_text(encoding="ascii")
    assert len(password) == 32
    assert password not in made.output
    (line,) = (directory / "services.passwd").read_text(encoding="ascii").splitlines()
    assert line.startswith("bridge:$7$1$")
    assert password not in line


def test_it_prints_a_table_of_settings_and_how_the_broker_is_started(directory: Path, secret: Path) -> None:
    made = broker_init(directory, secret, "--phones-port", "21001", "--services-port", "21002")
    broker = Settings(**tomllib.loads(made.stdout)).broker
    assert (broker.port, broker.phones_port, broker.password_file) == (21002, 21001, secret)
    assert broker.phones_passwords.is_file()
    assert broker.pid_file == directory / "mosquitto.pid"
    assert f"cd {directory} && " in made.stderr
    listeners = re.findall(r"^listener (.*)$", (directory / "mosquitto.conf").read_text(encoding="utf-8"), re.MULTILINE)
    assert listeners == ["21001 127.0.0.1", "21002 127.0.0.1"]


def test_a_program_is_told_where_the_files_are(directory: Path, secret: Path) -> None:
    told = json.loads(broker_init(directory, secret, "--json").stdout)
    assert told == {"directory": str(directory), "conf": f"{directory}/mosquitto.conf", "secret": str(secret)}


def test_the_readme_shows_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    (options,) = re.findall(r"paylatch broker init (.*)$", readme, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(app, ("broker", "init", *options.split())).stdout
    assert tomllib.loads(settings)["broker"] == tomllib.loads(printed)["broker"]


def test_a_directory_in_use_is_left_alone(directory: Path, secret: Path) -> None:
    directory.mkdir()
    (directory / "phones.passwd").write_text("mine", encoding="ascii")
    refused = broker_init(directory, secret)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "is not empty" in refused.stderr
    assert [path.read_text(encoding="ascii") for path in directory.iterdir()] == ["mine"]
    assert not secret.exists()


def test_a_secret_that_is_there_is_left_alone(directory: Path, secret: Path) -> None:
    secret.write_text("mine", encoding="ascii")
    refused = broker_init(directory, secret)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "is not overwritten" in refused.stderr
    assert secret.read_text(encoding="ascii") == "mine"
    assert not directory.exists()


def test_a_directory_that_cannot_be_made_leaves_no_secret(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "file").touch()
    refused = broker_init(tmp_path / "file" / "broker", secret)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert not secret.exists()


def test_root_is_told_when_the_brokers_account_is_not_there(
    directory: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(broker_config, "BROKER_ACCOUNT", "nobody-of-this-name")
    refused = broker_init(directory, secret)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "'nobody-of-this-name', which does not exist" in refused.stderr
    assert not secret.exists()
