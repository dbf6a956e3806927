"""What the system says about a process: its processor time and its memory. Linux only, by /proc."""

import os
from pathlib import Path

from paylatch.bench.options import BenchError

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_USER_TIME, _SYSTEM_TIME = 11, 12
"""Fields of /proc/PID/stat, counted from behind the command's name."""


def require_proc() -> None:
    """Refuse a system that does not say.

    Raises:
        BenchError: there is no /proc.
    """
    if not Path("/proc/self/stat").exists():
        raise BenchError("the benchmark reads processor time and memory from /proc, which only Linux has")


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
