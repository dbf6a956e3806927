"""The command line: help, exit codes, and what goes where."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from paylatch.cli import app


def paylatch(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    "command",
    [
        ("demo",),
        ("broker", "init"),
        ("bridge", "run"),
        ("keys", "init"),
        ("lender", "add"),
        ("lender", "list"),
        ("lender", "mqtt-password"),
        ("key", "create"),
        ("key", "list"),
        ("key", "revoke"),
        ("config", "show"),
        ("config", "check"),
        ("import",),
        ("histories", "decisions"),
        ("completion",),
        ("quickstart",),
        ("decide",),
        ("phone", "show"),
        ("phone", "list"),
        ("phone", "timeline"),
        ("phone", "resend"),
        ("decision", "show"),
        ("command", "show"),
        ("fleet", "scenarios"),
        ("fleet", "enrol"),
        ("fleet", "run"),
        ("fleet", "show"),
        ("policy", "check"),
        ("policy", "show"),
        ("policy", "set"),
        ("policy", "dry-run"),
        ("policy", "versions"),
        ("policy", "profiles"),
    ],
)
def test_every_command_shows_an_example(command: tuple[str, ...]) -> None:
    shown = paylatch(*command, "--help")
    assert shown.exit_code == 0
    example = shown.stdout.partition("Example: ")[2]
    assert f"paylatch {' '.join(command)}" in example
    *continued, _ = example.partition("\n\n")[0].splitlines()
    assert all(line.endswith("\\") for line in continued), "it can be pasted into a shell"


def test_the_version_is_told() -> None:
    shown = paylatch("--version")
    assert (shown.exit_code, shown.stdout.split()[0]) == (0, "paylatch")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("demo", "--phones", "0"),
        ("demo", "--months", "many"),
        ("demo", "--quiet", "--months", "7"),
        ("demo", "--quiet", "--phones", "20001"),
        ("demo", "--quiet", "--database", "paylatch.db"),
        ("demo", "--quiet", "--histories", __file__),
        ("demo", "--quiet", "--json", "/nowhere/figures.json"),
        ("bridge", "run", "--config", "/nowhere/bridge.toml"),
        ("keys", "init", "--directory", "/nowhere", "--lender", "No Lender"),
        ("broker", "init", "--directory", "/nowhere"),
        ("broker", "init", "--directory", "/nowhere", "--secret", "/nowhere/secret", "--phones-port", "0"),
        ("broker", "init", "--directory", "/nowhere", "--secret", "/nowhere/secret", "--phones-port", "1884"),
        ("lender", "add", "x"),
        ("lender", "mqtt-password", "x", "--passwords", "/nowhere/services.passwd"),
        ("lender", "mqtt-password", "acme"),
        ("bridge", "run", "--database", "postgresql://bridge:secret@db/paylatch"),
        ("bridge", "run", "--http-port", "0"),
        ("config", "show", "--config", "/nowhere/bridge.toml"),
        ("config", "check", "--config", "/nowhere/bridge.toml"),
        ("completion", "csh"),
    ],
)
def test_what_cannot_be_is_a_usage_error_and_says_why(arguments: tuple[str, ...]) -> None:
    refused = paylatch(*arguments)
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_directory_to_keep_must_be_new(tmp_path: Path) -> None:
    kept = tmp_path / "k"
    kept.mkdir()
    (kept / "something").touch()
    refused = paylatch("demo", "--quiet", "--phones", "1", "--keep", str(kept))
    assert refused.exit_code == 2
    assert "not empty" in refused.stderr or "too long" in refused.stderr


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    arguments = ("keys", "init", "--directory", str(tmp_path / "keys"), "--lender", "acme")
    made = paylatch(*arguments)
    assert (made.exit_code, made.stdout) == (0, "")
    modes = {stat.S_IMODE(key.stat().st_mode) for key in (tmp_path / "keys").rglob("*.key")}
    assert modes == {0o600}
    again = paylatch(*arguments)
    assert again.exit_code == 1
    assert "never overwritten" in again.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is full")
@pytest.mark.parametrize("arguments", [("policy", "profiles", "default"), ("fleet", "scenarios", "--json")])
def test_output_that_has_no_room_is_told_in_a_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "paylatch", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "paylatch: output: No space left on device\n")
