"""The commands that ask a bridge, on one that quickstart runs."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from broker_bridge.adapters.policies.profiles import profile_document
from device_sim.fleet.control_client import FleetControl
from lock_protocol.imei import Imei
from paylatch.cli import app
from tests.system.quickstart import running_quickstart

IMEI = "001017000000003"
UNKNOWN = "001017000000011"


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a quickstart that runs."""
    directory = tmp_path_factory.mktemp("quick") / "start"
    with running_quickstart(directory):
        yield directory


@pytest.fixture(autouse=True)
def _environment(quickstart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in re.findall(r"^export (PAYLATCH_\w+)=(.*)$", (quickstart / "env").read_text(), re.MULTILINE):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "120")


def run(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
    done = CliRunner().invoke(app, arguments, input=stdin)
    assert done.exit_code == code, done.output
    return done


def json_of(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def overdue(days: int) -> Any:
    return json_of("decide", "payment_overdue", "--imei", IMEI, "--days-overdue", str(days), "--wait", "30")


def pay() -> Any:
    return json_of("decide", "payment_received", "--imei", IMEI, "--cures", "--wait", "30")


@pytest.fixture
def _good_standing() -> Iterator[None]:
    """Nothing is overdue, disputed or lost, and the policy waits for nothing: other tests leave what they like."""
    run("policy", "set", "-", stdin=profile_document("replay"))
    run("decide", "recovered", "--imei", IMEI)
    pay()
    yield
    run("policy", "set", "-", stdin=profile_document("replay"))


@pytest.mark.usefixtures("_good_standing")
def test_a_decision_locks_and_another_opens_and_the_phone_is_told_of_in_a_sentence() -> None:
    assert overdue(90)["level"] == "locked"
    shown = " ".join(run("phone", "show", IMEI).stdout.split())
    assert "Locked, as it should be, because it is 90 days overdue." in shown
    assert pay()["level"] == "unlocked"
    assert "Unlocked, as it should be, because nothing is overdue any more." in run("phone", "show", IMEI).stdout


def test_what_was_decided_is_told_although_its_phone_is_not_there_to_do_it(quickstart: Path) -> None:
    fleet = FleetControl(quickstart / "fleet.sock")
    asyncio.run(fleet.cut([Imei(IMEI)]))
    try:
        waited = run("decide", "resend", "--imei", IMEI, "--wait", "0", "--json", code=1)
    finally:
        asyncio.run(fleet.reconnect([Imei(IMEI)]))
    assert json.loads(waited.stdout)["effect"] == "resent"
    assert " is still " in waited.stderr


def test_an_id_is_made_and_told_so_that_the_same_can_be_sent_again() -> None:
    first = run("decide", "resend", "--imei", IMEI)
    found = re.search(r"decision_id (dec_[0-9a-f]{28}), occurred_at (\S+)", first.stderr)
    assert found
    again = run("decide", "resend", "--imei", IMEI, "--decision-id", found[1], "--occurred-at", found[2])
    assert f"{found[1]}: repeated, and done once" in again.stdout
    assert json_of("decision", "show", found[1])["repeated"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ("payment_due", "--due-at", "2099-01-01T00:00:00Z", "--amount-due", "5", "--currency", "INR"),
        ("payment_overdue", "--days-overdue", "1", "--pay-url", "https://pay.example/1"),
        ("payment_received", "--partial", "--amount", "5", "--currency", "INR"),
        ("payment_received", "--reversed", "--days-overdue", "0", "--reverses", "p1"),
        ("grace_granted", "--until", "2020-01-01T00:00:00Z", "--level", "notice"),
        ("dispute_opened", "--until", "2020-01-01T00:00:00Z"),
        ("dispute_closed",),
        ("lost_or_stolen",),
        ("recovered",),
        ("resend",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_type_can_be_reported(arguments: tuple[str, ...]) -> None:
    answer = json_of("decide", *arguments, "--imei", IMEI)
    assert answer["type"] == arguments[0]


def test_decisions_come_from_a_file_or_from_standard_input(tmp_path: Path) -> None:
    one = {"decision_id": "f1", "imei": IMEI, "type": "resend", "occurred_at": "2026-01-01T00:00:00Z"}
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps([one, one | {"decision_id": "f2"}]))
    assert [answer["decision_id"] for answer in json_of("decide", "--file", str(file))] == ["f1", "f2"]
    assert "f1: repeated" in run("decide", "-", stdin=json.dumps(one)).stdout
    partly = run("decide", "-", "--json", stdin=json.dumps([one, one | {"decision_id": "f3", "imei": UNKNOWN}]), code=3)
    _, refused = json.loads(partly.stdout)
    assert refused["problem"]["type"] == "urn:paylatch:problem:unknown-phone"
    assert "1 of 2 were refused" in partly.stderr
    run("decide", "-", stdin=json.dumps([one | {"type": "levitate"}]), code=1)


def test_what_is_listed_is_what_there_is() -> None:
    assert [phone["imei"] for phone in json_of("phone", "list", "--limit", "1")] == [IMEI]
    assert IMEI in run("phone", "list").stdout
    events = json_of("phone", "timeline", IMEI, "--limit", "3")
    assert len(events) == 3
    assert "enrolled" in run("phone", "timeline", IMEI, "--limit", "500").stdout


def test_a_command_is_shown_and_a_phone_is_sent_its_state_again() -> None:
    command = json_of("phone", "resend", IMEI)["command_id"]
    assert json_of("command", "show", command)["imei"] == IMEI
    assert run("command", "show", command).stdout.split()[:2] == ["COMMAND", command]


@pytest.mark.usefixtures("_good_standing")
def test_a_policy_is_checked_tried_set_and_shown_and_says_what_a_lock_waits_for(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(run("policy", "profiles", "default").stdout, encoding="utf-8")
    assert policy.read_text(encoding="utf-8") == profile_document("default")
    assert json_of("policy", "profiles") == ["default", "gentle", "in-rbi-draft-2026", "replay"]
    for where in ((), ("--offline",)):
        assert json_of("policy", "check", str(policy), *where) == {"valid": True, "name": "default", "faults": []}
        refused = run("policy", "check", "-", *where, stdin="ladder = 7\n", code=1)
        assert "-: line 1: ladder" in refused.stderr
    assert "of 1 phones would change" in run("policy", "dry-run", str(policy)).stderr
    assert json_of("policy", "dry-run", str(policy))["judged"] == 1
    version = json_of("policy", "set", str(policy))["version"]
    assert run("policy", "set", str(policy)).stdout == f"version {version} is in force\n"
    assert run("policy", "show").stdout == profile_document("default")
    assert json_of("policy", "show", "--version", "1")["own"] is True
    assert [one["version"] for one in json_of("policy", "versions")] == [*range(version, 0, -1)]

    run("decide", "payment_overdue", "--imei", IMEI, "--days-overdue", "95")
    shown = " ".join(run("phone", "show", IMEI).stdout.replace("│", " ").split())
    assert "because it is 95 days overdue" in shown
    assert "; locked is held back: " in shown
    assert "waits for notice_" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("phone", "show", "123"), 2, "15 ASCII digits"),
        (("phone", "show", UNKNOWN), 1, f"no phone {UNKNOWN} of yours"),
        (("phone", "list", "--url", "http://127.0.0.1:1"), 1, "http://127.0.0.1:1 does not answer: "),
        (("phone", "list", "--url", "bridge"), 2, "is no address of a bridge"),
        (("phone", "list", "--key-file", "/nowhere"), 2, "paylatch: /nowhere: No such file or directory"),
        (("decide",), 2, "which decision?"),
        (("decide", "resend"), 2, "--imei"),
        (("decide", "resend", "--imei", "123"), 2, "15 ASCII digits"),
        (("decide", "levitate", "--imei", IMEI), 2, "levitate"),
        (("decide", "payment_overdue", "--imei", IMEI), 1, "days_overdue: Field required"),
        (("decide", "resend", "--file", "/nowhere"), 2, "no TYPE and no options"),
        (("decide", "--file", "/nowhere"), 2, "/nowhere"),
        (("policy", "check", "/nowhere"), 2, "paylatch: /nowhere: No such file or directory"),
        (("policy", "profiles", "harsh"), 2, "'harsh' is none of default"),
        (("command", "show", "cmd_1"), 1, "no command cmd_1 of yours"),
    ],
)
def test_what_goes_wrong_is_told_in_a_line_and_by_the_exit_code(
    arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = run(*arguments, code=code)
    assert told in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("stdin", ["{", "[]", "7", '["x"]', '{"type": "resend", "type": "recovered"}', '{"a": NaN}'])
def test_what_is_no_decision_is_a_usage_error(stdin: str) -> None:
    run("decide", "-", stdin=stdin, code=2)


def test_a_key_that_nobody_knows_is_not_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.write_text("pl_wrong\n")
    assert "does not take this for a valid API key" in run("phone", "list", "--key-file", str(wrong), code=4).stderr
    monkeypatch.delenv("PAYLATCH_KEY_FILE")
    assert "PAYLATCH_KEY" in run("phone", "list", code=2).stderr
    monkeypatch.setenv("PAYLATCH_KEY", "pl_wrong")
    run("phone", "list", code=4)


def test_quickstart_begins_in_an_empty_directory_only(quickstart: Path) -> None:
    assert "is not empty" in run("quickstart", "--directory", str(quickstart), code=2).stderr
