"""`paylatch config`, and what the shell completes."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lock_protocol.messages import LenderId
from paylatch.cli import app
from tests.installation import make_production_keys, write_settings

PAYLATCH = Path(sys.executable).with_name("paylatch")


def paylatch(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a bridge in production, and all that they name."""
    make_production_keys(tmp_path / "keys", LenderId("acme"), now=int(time.time()))
    return write_settings(tmp_path)


def test_settings_are_shown_with_their_sources(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_HTTP__PORT", "8081")
    shown = json.loads(paylatch("config", "show", "--config", str(config), "--json").stdout)
    assert shown["http.port"] == {"value": 8081, "from": "environment PAYLATCH_HTTP__PORT"}
    assert shown["http.host"] == {"value": "127.0.0.1", "from": "default"}
    assert shown["keys"]["from"] == f"file {config}"


def test_settings_are_shown_in_columns_for_people(config: Path) -> None:
    heading, *rows = paylatch("config", "show", "--config", str(config)).stdout.splitlines()
    assert heading.split() == ["OPTION", "VALUE", "FROM"]
    assert ["http.host", "127.0.0.1", "default"] in [row.split() for row in rows]
    assert ["development", "false", "default"] in [row.split() for row in rows]


def test_the_brokers_password_is_not_shown(config: Path) -> None:
    for command in ("show", "check"):
        answer = paylatch("config", command, "--config", str(config))
        assert "secret\n" not in answer.stdout.replace("bridge.secret", "")


def test_a_bridge_that_could_start_exits_with_0(config: Path) -> None:
    checked = paylatch("config", "check", "--config", str(config))
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert all(line.startswith("ok ") for line in checked.stdout.splitlines())


def test_a_bridge_that_could_not_exits_with_1_and_tells_everything(config: Path) -> None:
    (config.parent / "bridge.secret").chmod(0o644)
    shutil.rmtree(config.parent / "keys")
    checked = paylatch("config", "check", "--config", str(config), "--json")
    assert checked.exit_code == 1
    wrong = {one["about"] for one in json.loads(checked.stdout) if one["severity"] == "error"}
    assert wrong == {"safety", "keys"}


def test_the_brokers_configuration_is_looked_at_when_it_is_named(config: Path) -> None:
    conf = config.parent / "mosquitto.conf"
    conf.write_text("listener 1883 0.0.0.0\nallow_anonymous true\n", encoding="utf-8")
    checked = paylatch("config", "check", "--config", str(config), "--broker-conf", str(conf))
    assert checked.exit_code == 1
    assert "lets everybody in" in checked.stdout


def test_options_that_mean_nothing_are_told_with_everything_else_that_is_wrong(config: Path) -> None:
    (config.parent / "bridge.secret").chmod(0o644)
    shutil.rmtree(config.parent / "keys")
    text = config.read_text(encoding="utf-8")
    text = text.replace("[http]\nport = ", "[http]\nhost = 7\nprot = ").replace("phones_tls = true", "phones_tls = 'x'")
    config.write_text(f"polcy = 1\n{text}\nphones_cafile = 'missing.pem'\nwindow = 0\n", encoding="utf-8")
    checked = paylatch("config", "check", "--config", str(config), "--json")
    assert (checked.exit_code, checked.stderr) == (2, "")
    wrong = [one["about"] for one in json.loads(checked.stdout) if one["severity"] == "error"]
    options = ["http.host", "http.prot", "broker.window", "broker.phones_tls", "polcy"]
    assert wrong == [*options, "safety", "keys"]


def test_nothing_is_said_of_what_depends_on_an_option_that_means_nothing(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("sqlite:///", "sqlite:").replace("[broker]", "[brokr]"), encoding="utf-8")
    checked = paylatch("config", "check", "--config", str(config), "--online", "--json")
    assert checked.exit_code == 2
    found = {(one["severity"], one["about"]) for one in json.loads(checked.stdout)}
    assert found == {
        *(("error", option) for option in ("database", "broker", "brokr")),
        *(("ok", about) for about in ("keys", "keys of acme")),
    }


@pytest.mark.parametrize("command", ["show", "check"])
def test_settings_that_cannot_be_read_are_a_usage_error(config: Path, command: str) -> None:
    config.write_text("polcy =\n", encoding="utf-8")
    refused = paylatch("config", command, "--config", str(config))
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Invalid value (at line 1, column 8)" in refused.stderr


def test_a_flag_of_the_bridge_is_a_setting(config: Path) -> None:
    refused = paylatch("bridge", "run", "--config", str(config), "--http-host", "192.0.2.1")
    assert refused.exit_code == 2
    assert "192.0.2.1 is not loopback" in refused.stderr


# --- completion ----------------------------------------------------------------------------------------------------


def completed(variables: dict[str, str]) -> str:
    environment = {**os.environ, **variables}
    return subprocess.run([PAYLATCH], env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shells_script_names_the_command(shell: str) -> None:
    script = paylatch("completion", shell)
    assert script.exit_code == 0
    assert f"_PAYLATCH_COMPLETE=complete_{shell}" in script.stdout


def test_bash_completes_what_its_script_asks_for(tmp_path: Path) -> None:
    (tmp_path / "paylatch.bash").write_text(paylatch("completion", "bash").stdout, encoding="utf-8")
    typed = (
        "source ./paylatch.bash; COMP_WORDS=(paylatch key re); COMP_CWORD=2; _paylatch_completion $0; echo $COMPREPLY"
    )
    bash = shutil.which("bash")
    assert bash is not None
    answer = subprocess.run([bash, "-c", typed, PAYLATCH], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["revoke"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_others_get_commands_with_their_help(shell: str) -> None:
    asked = {"_TYPER_COMPLETE_ARGS": "paylatch config ", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    answer = completed({"_PAYLATCH_COMPLETE": f"complete_{shell}", **asked})
    assert "show" in answer
    assert "Look whether a bridge could start" in answer


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("fleet run pay", ["payday"]),
        ("fleet show flaky", ["flaky-network"]),
        ("policy profiles gen", ["gentle"]),
        ("bridge run --policy in-", ["in-rbi-draft-2026"]),
        ("fleet run ./my-", []),
    ],
)
def test_what_has_names_is_completed_by_them(typed: str, names: list[str]) -> None:
    asked = {"COMP_WORDS": f"paylatch {typed}", "COMP_CWORD": str(len(typed.split()))}
    assert completed({"_PAYLATCH_COMPLETE": "complete_bash", **asked}).split() == names
