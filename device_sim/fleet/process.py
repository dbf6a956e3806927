"""What one process has, and may have: memory, and open files."""

import os
import resource
import sys
from pathlib import Path

RESERVED_FILES = 128
"""What a process needs beside its phones' connections."""
_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Return how much of this process's memory is resident; where the system does not tell, the most that ever was."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def allow_files(wanted: int) -> int:
    """Raise the limit of open files to this many, as far as the system lets us; return what it is then.

    The limit never goes down. Children inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return wanted if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
