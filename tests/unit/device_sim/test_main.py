"""`python -m device_sim` with what cannot be: one line that says what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

OVERLONG = "a" * 120
"""More than a socket's path may have."""


def complaint_of(directory: Path, *flags: str) -> tuple[int, str]:
    """Return the exit code of a fleet without a phone, and what it complains of."""
    (directory / "none.jsonl").write_bytes(b"")
    (directory / "binary.jsonl").write_bytes(b"\xff\xfe\n")
    command = [sys.executable, "-m", "device_sim", "--phones", "none.jsonl", "--control", "fleet.sock", *flags]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--cafile", "missing.pem"), "missing.pem: No such file or directory"),
        (("--cafile", "binary.jsonl"), "binary.jsonl: holds no certificate in PEM form"),
        (("--phones", "missing.jsonl"), "missing.jsonl: No such file or directory"),
        (("--phones", "binary.jsonl"), "binary.jsonl, line 1: 'utf-8' codec can't decode byte 0xff"),
        (("--storage", "none.jsonl"), "none.jsonl: File exists"),
        (("--control", "missing/fleet.sock"), "missing/fleet.sock: no socket can be made there: No such file"),
        (("--control", "none.jsonl"), "none.jsonl: no socket can be made there: Address already in use"),
        (("--control", OVERLONG), f"{OVERLONG}: no socket can be made there: AF_UNIX path too long"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(tmp_path: Path, flags: tuple[str, str], told: str) -> None:
    code, complaint = complaint_of(tmp_path, *flags)
    assert (code, complaint.count("\n")) == (1, 1)
    assert complaint.startswith(f"device_sim: {told}")


@pytest.mark.parametrize(
    "flags", [("--port", "0"), ("--port", "65536"), ("--connects-per-s", "0"), ("--backoff-cap-s", "inf")]
)
def test_numbers_that_mean_nothing_are_wrong_usage(tmp_path: Path, flags: tuple[str, str]) -> None:
    code, complaint = complaint_of(tmp_path, *flags)
    assert code == 2
    assert f"argument {flags[0]}: expected" in complaint
