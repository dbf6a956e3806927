"""How many files a process may have open: each phone is a connection of the fleet's, and one of the broker's."""

import resource

from paylatch.bench.options import BenchError

_BESIDE_PHONES = 200


def raise_open_files(phones: int) -> None:
    """Let this process and its children have a connection for each phone open.

    Raises:
        BenchError: the system's hard limit is below that.
    """
    wanted = phones + _BESIDE_PHONES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchError(
            f"{phones} phones need {wanted} open files in one process, and the hard limit is {hard} (ulimit -Hn): "
            f"raise it, or take at most {hard - _BESIDE_PHONES} phones"
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
