"""Having the broker read its files again: a signal to the process whose id it has written down."""

import os
import signal
from pathlib import Path

_NO_SIGNAL = 0
"""Sent to a process it does nothing, but is refused like any other."""


class BrokerNotOursError(Exception):
    """The broker belongs to another account; that one and root may signal it, and nobody else."""

    def __init__(self, process: int) -> None:
        """Take the broker's process id."""
        super().__init__(
            f"the broker (process {process}) belongs to another account and was not told; the file is written: "
            f"run as that account, or have it say kill -HUP {process}"
        )
        self.process = process


def reload_broker(pid_file: Path) -> bool:
    """Have the broker read its files again; False when none runs, which reads them when it starts.

    Raises:
        BrokerNotOursError: it may not be signalled.
        OSError: its process id cannot be read.
    """
    return _signal_broker(pid_file, signal.SIGHUP)


def refuse_foreign_broker(pid_file: Path) -> None:
    """Refuse a broker that `reload_broker` could not tell. One that does not run may be anybody's.

    Raises:
        BrokerNotOursError: it may not be signalled.
        OSError: its process id cannot be read.
    """
    _signal_broker(pid_file, _NO_SIGNAL)


def _signal_broker(pid_file: Path, number: int) -> bool:
    try:
        process = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return False  # no broker, or one that is just writing its number
    if process <= 0:
        return False  # no process has such a number: a signal to it goes to many, and to -1 to all
    try:
        os.kill(process, number)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError as error:
        raise BrokerNotOursError(process) from error
    return True
