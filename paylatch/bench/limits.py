"""How many files a process may have open: each phone is a connection of the fleet's, and one of the broker's."""

import resource

from paylatch.bench.options import BenchError

BESIDE_PHONES = 200
"""What a process has open beside its phones' connections."""


def raise_open_files(phones: int) -> None:
    """Let this process and its children have a connection for each phone open.

    Raises:
        BenchError: the system's hard limit is below that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft_limit_for(phones, soft, hard)
    if wanted != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def soft_limit_for(phones: int, soft: int, hard: int) -> int:
    """Return the soft limit that so many phones need, at least the present one.

    Raises:
        BenchError: the hard limit is below that.
    """
    wanted = phones + BESIDE_PHONES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchError(
            f"{phones} phones need {wanted} open files in one process, and the hard limit is {hard} (ulimit -Hn): "
            f"raise it, or take at most {hard - BESIDE_PHONES} phones"
        )
    return wanted
