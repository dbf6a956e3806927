"""The benchmark, small: what it measures is the machine's matter, what it must find and tell is ours."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from paylatch.bench.gauges import cpu_s
from paylatch.local.waiting import wait_until
from tests.conftest import PATIENCE_S

COMMAND = (sys.executable, "-m", "paylatch", "bench")
PERCENTILES = {"p50", "p99", "max"}


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("bench") / "figures.json"
    done = subprocess.run(
        [*COMMAND, "--phones", "30", "--decisions", "120", "--shards", "2", "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in (
        "measuring the ceiling",
        "enrolling 30 phones",
        "connecting the phones",
        "importing 120 decisions",
        "auditing every phone",
    ):
        assert line in done.stderr
    assert "round trips" in done.stdout
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def test_a_small_run_loses_nothing_and_makes_every_round_trip(figures: dict[str, Any]) -> None:
    assert (figures["phones"], figures["decisions"], figures["lost"], figures["superseded"]) == (30, 120, 0, 0)
    assert figures["faults"] == []


@pytest.mark.parametrize(
    "key",
    [
        "round_trips_per_s",
        "ceiling_per_s",
        "ratio",
        "cpu_ratio",
        "connect_per_s",
        "rss_per_phone_bytes",
        "bridge_rss_mb",
        "state_bytes",
    ],
)
def test_what_is_promised_is_measured(figures: dict[str, Any], key: str) -> None:
    assert figures[key] > 0


def test_every_stage_and_process_is_timed(figures: dict[str, Any]) -> None:
    stages = figures["stages_us"]
    assert set(stages) == {
        "read_and_parse",
        "decide_and_sign",
        "commit",
        "publish",
        "phone",
        "hear_and_commit",
        "total",
    }
    assert min(stages.values()) > 0
    assert set(figures["cpu_us"]) == {"bridge", "broker", "fleet", "client"}


def test_payments_are_timed_on_an_idle_bridge_and_while_locks_are_queued(figures: dict[str, Any]) -> None:
    unlock = figures["unlock_ms"]
    assert (unlock["payments_idle"], unlock["locks"]) == (3, 81)
    assert 1 <= unlock["payments_during_locks"] <= 3
    for when in ("idle", "during_locks"):
        assert set(unlock[when]) == PERCENTILES
        assert 0 < unlock[when]["p50"] <= unlock[when]["p99"] <= unlock[when]["max"]


def test_a_file_that_cannot_be_written_costs_no_run() -> None:
    done = subprocess.run([*COMMAND, "--json", "/nowhere/figures.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (said,) = done.stderr.splitlines()  # nothing of what is measured
    assert "/nowhere/figures.json: No such file or directory" in said


@pytest.mark.parametrize("after_cpu_s", [0.0, 2.0], ids=["while phones connect", "on its trips"])
def test_a_ceiling_that_is_terminated_leaves_no_process(after_cpu_s: float, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "paylatch.bench.ceiling", "--phones", "20", "--trips", "100000000"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as ceiling:
        children = Path(f"/proc/{ceiling.pid}/task/{ceiling.pid}/children")
        # The broker, its guard and the phones.
        assert not wait_until(
            ceiling, lambda: len(children.read_text().split()) == 3, deadline_s=PATIENCE_S, poll_s=0.02
        )
        assert not wait_until(ceiling, lambda: cpu_s(ceiling.pid) >= after_cpu_s, deadline_s=PATIENCE_S, poll_s=0.02)
        ours = children.read_text().split()
        ceiling.terminate()
        assert ceiling.wait(PATIENCE_S) == 128 + signal.SIGTERM
    # What was just being started when the signal came nobody has waited for: it ends with its standard input.
    deadline = time.monotonic() + PATIENCE_S
    while left := [pid for pid in ours if Path("/proc", pid).exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []
