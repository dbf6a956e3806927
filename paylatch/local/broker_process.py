"""A real Mosquitto as a child process, under the eyes of whoever needs one."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from paylatch.local.broker_config import BrokerFiles
from paylatch.local.errors import LocalRunError
from paylatch.local.guard import Guard
from paylatch.local.ports import LOOPBACK
from paylatch.local.waiting import wait_until

# Where distributions put the broker although a user's PATH may leave it out.
_MORE_PATHS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_DEADLINE_S = 60.0
"""A broker with a million states needs some seconds to save them, and as many to read them."""
_POLL_S = 0.01
_LOG_TAIL_CHARACTERS = 2000


class BrokerError(LocalRunError):
    """The broker is not installed, did not start, or did not do what it was told in time."""


def find_mosquitto() -> str:
    """Return the path of the broker's binary.

    Raises:
        BrokerError: there is none.
    """
    found = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_MORE_PATHS)))
    if found is None:
        raise BrokerError("mosquitto is not installed; `make setup` installs it, or use your package manager")
    return found


def mosquitto_version() -> str:
    """Return what the broker calls its version, like 2.0.11.

    Raises:
        BrokerError: it is not installed.
    """
    told = subprocess.run([find_mosquitto(), "-h"], capture_output=True, text=True, check=False).stdout
    return told.partition("\n")[0].removeprefix("mosquitto version ")


class MosquittoProcess:
    """One broker, from `start` to `kill` or `terminate`, as often as wanted, over the same files.

    A context manager: entering starts it, leaving ends it. It also ends when this process dies without leaving.
    Not safe for threads; every call blocks until done, so wrap it in `asyncio.to_thread` where that matters.

    Args:
        directory: as written by `broker_config.write_instance`, with the same ports.
        phones_port: the phones' listener on loopback.
        services_port: the services' listener on loopback.
    """

    def __init__(self, directory: Path, phones_port: int, services_port: int) -> None:
        self.files = BrokerFiles(directory)
        self.phones_port = phones_port
        self.services_port = services_port
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.terminate()

    @property
    def pid(self) -> int:
        """The running broker's process id.

        Raises:
            BrokerError: it is not running.
        """
        return self._running().pid

    def start(self) -> None:
        """Start the broker and wait until both listeners accept.

        Raises:
            BrokerError: it is running already, is not installed, exited (its log is in the message), or took too long.
        """
        if self._process is not None:
            raise BrokerError(f"the broker is already running, as process {self._process.pid}")
        with self.files.log.open("ab") as log:
            # A session of its own: Ctrl-C goes to whoever runs us, who then ends the broker in good order.
            self._process = subprocess.Popen(
                [find_mosquitto(), "-c", self.files.conf.name],
                cwd=self.files.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._guard = Guard(self._process.pid)
        try:
            self._wait_for_listeners(self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the broker by SIGKILL: what it had not saved is lost."""
        process = self._running()
        process.kill()
        self._reap(process)

    def terminate(self) -> None:
        """End the broker by SIGTERM: it saves first. One that does not end in time is killed."""
        process = self._running()
        process.terminate()
        try:
            process.wait(_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
        self._reap(process)

    def save(self) -> None:
        """Make the broker save its state to `files.database` now; done when this returns.

        Raises:
            BrokerError: no new file appeared in time.
        """
        process = self._running()
        before = _identity(self.files.database)
        process.send_signal(signal.SIGUSR1)
        # The broker writes beside and renames, so another file under the name is a complete one.
        self._wait_until(process, lambda: _identity(self.files.database) != before, "save its state")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokerError("the broker is not running")
        return self._process

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        # The guard first: once the broker is reaped, its number may become another process's.
        if self._guard is not None:
            self._guard.dismiss()
        process.wait()
        self._process = self._guard = None

    def _wait_for_listeners(self, process: subprocess.Popen[bytes]) -> None:
        for port in (self.phones_port, self.services_port):
            self._wait_until(process, partial(_accepts, port), f"listen on port {port}")

    def _wait_until(self, process: subprocess.Popen[bytes], done: Callable[[], bool], what: str) -> None:
        if hindrance := wait_until(process, done, deadline_s=_DEADLINE_S, poll_s=_POLL_S):
            raise BrokerError(f"the broker {hindrance} {what}{self._log_tail()}")

    def _log_tail(self) -> str:
        return f"; its log ends:\n{self.files.log.read_text(errors='replace')[-_LOG_TAIL_CHARACTERS:]}"


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is replaced; None when there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
