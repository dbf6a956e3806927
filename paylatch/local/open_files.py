"""How many files a run's processes may have open: each phone is a connection, hence a file of the broker's."""

from device_sim.fleet.process import RESERVED_FILES, allow_files
from paylatch.local.errors import LocalRunUsageError


def require_files(phones: int) -> None:
    """Let this process, and what it starts from now on, have a connection for each of so many phones open.

    To be called before the broker is started, which has one process for all connections: above its limit it takes no
    more of them, and says so to nobody.

    Raises:
        LocalRunUsageError: the system allows fewer.
    """
    wanted = phones + RESERVED_FILES
    if (allowed := allow_files(wanted)) < wanted:
        raise LocalRunUsageError(
            f"{phones} phones need {wanted} open files in one process, and {allowed} are allowed: raise the hard limit "
            f"(ulimit -Hn), or take at most {max(allowed - RESERVED_FILES, 0)} phones"
        )
