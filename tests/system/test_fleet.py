"""Load tests as people run them: each shipped scenario, small, on a real broker and bridge that are there already."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from device_sim.identities import read_fleet
from paylatch.cli import app
from paylatch.fleet.reading import shipped
from tests.system.quickstart import running_quickstart

PHONES = 24
SMALL = ("--phones", str(PHONES), "--rate", "40", "--ramp", "500ms", "--duration", "3s", "--quiet")
# How fast it is depends on what else runs here: what is tested is that everything is right.
LENIENT = [
    *(f"--threshold={metric}<60000" for metric in ("unlock_ms.p50", "unlock_ms.p99", "back_ms.p99", "reset_ms.p99")),
    "--threshold=skipped_share<1",  # so few phones are soon all busy
]
THERE = [name for name in shipped() if name != "reconnect-storm"]
"""Those that need no broker of their own to kill."""


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The flags with which the bridge of a quickstart is reached."""
    with running_quickstart(tmp_path_factory.mktemp("quick") / "start") as known:
        yield ["--url", known["PAYLATCH_URL"], "--key-file", known["PAYLATCH_KEY_FILE"]]


def paylatch(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, ["fleet", *arguments])
    assert done.exit_code == code, done.output
    return done


def limits_of(name: str) -> list[str]:
    """The lenient thresholds over what this scenario measures."""
    shown = paylatch("show", name).stdout
    return [limit for limit in LENIENT if limit.partition("=")[2].partition("<")[0] in shown]


@pytest.mark.parametrize("name", THERE)
def test_a_shipped_scenario_is_played_and_every_phone_is_right(name: str, bridge: list[str], tmp_path: Path) -> None:
    first = str(100 * (1 + THERE.index(name)))
    files = ("--json", str(tmp_path / "run.json"), "--csv", str(tmp_path / "run.csv"))
    done = paylatch("run", name, *SMALL, *bridge, "--first", first, *limits_of(name), *files)
    assert "every phone is as the decisions require" in done.stdout
    run = json.loads((tmp_path / "run.json").read_text())
    assert (run["figures"]["phones"], run["figures"]["lost"], run["figures"]["unproven"]) == (PHONES, 0, 0)
    assert run["figures"]["decisions"] > 0
    assert run["findings"] == []
    assert all(one["reached"] for one in run["thresholds"])
    heading, *lines = (tmp_path / "run.csv").read_text().splitlines()
    assert heading.startswith("at_s,connected,due,decisions,transitions")
    assert len(lines) == len(run["samples"]) > 0
    _did_what_it_is_for(name, run)


def _did_what_it_is_for(name: str, run: dict[str, Any]) -> None:
    figures, trends = run["figures"], run["trends"]
    match name:
        case "payday" | "replay" | "midnight-batch":
            assert trends["unlock_ms"]["count"] > 0
            assert trends["lock_ms"]["count"] > 0
        case "reset-wave":
            assert figures["resets"] == trends["reset_ms"]["count"] == PHONES // 2 + round(PHONES / 10)
        case "flaky-network":
            # Each phone that was cut off came back; the first connections are counted too.
            assert figures["connects"] == figures["cuts"] + PHONES
            assert trends["back_ms"]["count"] > 0
        case "soak":
            assert figures["connects"] > PHONES


def test_the_broker_is_killed_and_every_phone_is_right_again(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    done = paylatch("run", "reconnect-storm", "--local", *SMALL, "--report", str(report))
    assert "right_again_s < 60" in done.stdout
    shown = report.read_text()
    assert "✓ Every phone was right, and every threshold reached" in shown
    assert "outages" in shown


def test_phones_enrolled_once_serve_many_runs_and_a_threshold_sets_the_exit_code(
    bridge: list[str], tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.jsonl"
    paylatch("enrol", "--phones", "6", "--first", "900", "--out", str(fleet), *bridge)
    again = ["--fleet", str(fleet), *bridge]
    own = tmp_path / "mine.toml"
    own.write_text(
        'about = "Mine"\n[[step]]\ndo = "decide"\n'
        'decisions = [{ type = "payment_overdue", days_overdue = 90, expect = "locked" }]\n[[step]]\ndo = "settle"\n'
    )
    small = ("--phones", "5", "--rate", "50", "--quiet")
    paylatch("run", str(own), *small, *again, "--threshold", "lock_ms.count==5")
    # The second time nothing has to change, so that nothing is measured: which is not reaching a limit.
    done = paylatch("run", str(own), *small, *again, "--threshold", "lock_ms.p99<60000", code=99)
    assert "FAIL lock_ms.p99 < 60000  (not measured)" in done.stdout


def test_what_the_decisions_do_not_lead_to_is_found(bridge: list[str], tmp_path: Path) -> None:
    own = tmp_path / "wrong.toml"
    own.write_text(
        'about = "Expects what the policy does not do"\naudit_within = "1s"\n'
        '[[step]]\ndo = "decide"\npace = "at-once"\n'
        'decisions = [{ type = "payment_overdue", days_overdue = 30, expect = "locked" }]\n'
        '[[step]]\ndo = "settle"\nwithin = "1s"\n'
    )
    done = paylatch("run", str(own), "--phones", "2", "--first", "950", *bridge, code=1)
    assert "FAIL stopped: 2 of 2 phones were not right within 1 s" in done.stdout
    assert "has to be locked, shows restricted, and has told the bridge restricted" in done.stdout


def test_a_fleets_file_is_never_overwritten_and_has_whoever_was_enrolled(bridge: list[str], tmp_path: Path) -> None:
    fleet, more, none = (tmp_path / name for name in ("fleet.jsonl", "more.jsonl", "none.jsonl"))
    paylatch("enrol", "--phones", "1", "--first", "973", "--out", str(fleet), *bridge)
    before = fleet.read_bytes()
    done = paylatch("enrol", "--phones", "1", "--first", "990", "--out", str(fleet), *bridge, code=2)
    assert "File exists" in done.stderr
    assert fleet.read_bytes() == before
    done = paylatch("enrol", "--phones", "5", "--first", "970", "--out", str(more), *bridge, code=2)
    enrolled = len(read_fleet(more))
    assert f"enrolled {enrolled} phones before that" in done.stderr
    paylatch("enrol", "--phones", "1", "--first", "973", "--out", str(none), *bridge, code=2)
    assert not none.exists()
    unwritable = tmp_path / "nowhere" / "fleet.jsonl"
    paylatch("enrol", "--phones", "1", "--first", "991", "--out", str(unwritable), *bridge, code=2)
    # It was not enrolled, so that it can be now.
    paylatch("enrol", "--phones", "1", "--first", "991", "--out", str(none), *bridge)


def test_a_key_that_nobody_knows_is_not_allowed(bridge: list[str], tmp_path: Path) -> None:
    wrong, fleet = tmp_path / "wrong.key", tmp_path / "fleet.jsonl"
    wrong.write_text("pl_wrong\n")
    foreign = [*bridge[:3], str(wrong)]
    paylatch("enrol", "--phones", "1", "--first", "992", "--out", str(fleet), *bridge)
    refused = [
        paylatch("enrol", "--phones", "1", "--first", "993", "--out", str(tmp_path / "none.jsonl"), *foreign, code=4),
        paylatch("run", "payday", "--phones", "1", "--fleet", str(fleet), "--quiet", *foreign, code=4),
    ]
    for one in refused:
        assert "the API key is missing, unknown or revoked" in one.stderr


def test_phones_that_are_enrolled_already_are_not_taken_over(bridge: list[str]) -> None:
    done = paylatch("run", "payday", "--phones", "1", "--quiet", *bridge, code=2)
    assert "--first" in done.stderr
    assert "--fleet" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("payda", "--local"), "no scenario 'payda'; there are flaky-network,"),
        (("payday", "--local", "--rate", "0"), "--rate: Input should be greater than 0"),
        (("payday", "--local", "--threshold", "speed<1"), "--threshold: 'speed' is not measured"),
        (("payday", "--local", "--host", "broker"), "phones of its own: it goes without --host"),
        (("payday", "--local", "--first", "0", "--key-file", "k"), "it goes without --first, --key-file"),
        (("payday", "--local", "--url", "http://bridge"), "it goes without --url"),
        (("payday", "--local", "--cafile", "ca.pem"), "it goes without --cafile"),
        (("payday", "--fleet", "/nowhere/fleet.jsonl"), "'/nowhere/fleet.jsonl' does not exist"),
        (("payday", "--fleet", __file__, "--first", "3"), "--first numbers phones that are newly enrolled"),
        (("payday", "--port", "65536"), "Invalid value for '--port'"),
        (("payday", "--phones-cafile", "/nowhere/ca.pem"), "'/nowhere/ca.pem' does not exist"),
        (("payday", "--phones-cafile", __file__, "--no-tls"), "it goes without --no-tls"),
        (
            ("payday", "--local", "--json", "/nowhere/run", "--csv", "/nowhere/../nowhere/run"),
            "/nowhere/run cannot be two files",
        ),
        (("payday", "--local", "--report", "/nowhere/report.html"), "/nowhere/report.html: No such file"),
        (("payday", "--local", "--phones", "2000000"), "--phones: Input should be less than or equal to 1000000"),
        (("replay", "--local", "--phones", "20001"), "20001 phones, but"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_starts(arguments: tuple[str, ...], fault: str) -> None:
    assert fault in paylatch("run", *arguments, code=2).stderr


@pytest.mark.parametrize("by", ["one", "list"])
def test_a_run_that_had_no_phones_for_its_arrivals_has_not_reached_what_it_must(
    by: str, bridge: list[str], tmp_path: Path
) -> None:
    scenario, figures = tmp_path / "busy.toml", tmp_path / "run.json"
    scenario.write_text(
        'about = "Nobody to lock twice"\n[thresholds]\nskipped_share = "< 0.05"\n'
        f'[[step]]\ndo = "decide"\nwho = "open"\nrepeat = true\nby = "{by}"\nlist_of = 10\n'
        'decisions = [{ type = "payment_overdue", days_overdue = 90, expect = "locked" }]\n'
    )
    few = ("--phones", "4", "--rate", "20", "--duration", "2s", "--first", "2000" if by == "one" else "2100")
    done = paylatch("run", str(scenario), *few, "--quiet", *bridge, "--json", str(figures), code=99)
    assert "FAIL skipped_share < 0.05  (0.9)" in done.stdout
    counted = json.loads(figures.read_text())["figures"]
    assert (counted["skipped"], counted["decisions"]) == (36, 4)


@pytest.mark.parametrize("scenario", ["soak", "replay"])
def test_ctrl_c_ends_a_run_with_its_audit_and_its_files(scenario: str, bridge: list[str], tmp_path: Path) -> None:
    figures, report = tmp_path / "run.json", tmp_path / "run.html"
    command = [sys.executable, "-m", "paylatch", "fleet", "run", scenario, *bridge, "--phones", "20", "--rate", "10"]
    command += ["--first", "3000" if scenario == "soak" else "3100", "--json", str(figures), "--report", str(report)]
    if scenario == "soak":
        command += ["--duration", "1h"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        assert any("transitions/s" in line for line in run.stderr), "it began"
        run.send_signal(signal.SIGINT)
        said, complained = run.communicate(timeout=120)
    assert run.returncode == 130, complained
    assert "FAIL stopped: interrupted" in said
    assert "every phone is as the decisions require" in said
    found = json.loads(figures.read_text())
    assert (found["stopped_by"], found["figures"]["lost"], found["figures"]["unproven"]) == ("interrupted", 0, 0)
    assert "It did not come to its end; every phone was right in the end" in report.read_text()


def test_all_scenarios_are_listed_and_shown() -> None:
    listed = json.loads(paylatch("scenarios", "--json").stdout)
    assert [one["name"] for one in listed] == shipped()
    assert paylatch("scenarios").stdout.splitlines()[0].split() == ["name", "about"]
    assert paylatch("show", "payday").stdout.startswith("# ")
