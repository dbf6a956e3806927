"""Every run on this machine has its broker able to take all its phones, or does not begin."""

import subprocess
import sys

import pytest

RUNS = {
    "demo": ("demo", "--phones", "500"),
    "fleet": ("fleet", "run", "payday", "--local", "--phones", "500"),
    "bench": ("bench", "--phones", "500"),
}


@pytest.mark.parametrize("run", RUNS)
def test_a_run_with_more_phones_than_the_hard_limit_allows_does_not_begin(run: str) -> None:
    done = below(f"ulimit -n 400 && exec {sys.executable} -m paylatch {' '.join(RUNS[run])}")
    assert done.returncode == 2
    assert "500 phones need 628 open files in one process, and 400 are allowed" in done.stderr
    assert "at most 272 phones" in done.stderr


def test_a_soft_limit_is_raised_before_anything_is_started() -> None:
    asked = "import resource; from paylatch.local.open_files import require_files; require_files(500)"
    told = f"{asked}; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    done = below(f'ulimit -Sn 200 && ulimit -Hn 1000 && exec {sys.executable} -c "{told}"')
    assert (done.returncode, done.stdout) == (0, "628\n"), done.stderr


def below(command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a shell of its own, whose limits are nobody else's."""
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
