"""A real PostgreSQL as a child process, under the eyes of whoever needs one."""

import os
import pwd
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import LiteralString, Self

import psycopg
from psycopg import sql

from paylatch.local.errors import LocalRunError
from paylatch.local.guard import Guard
from paylatch.local.ports import LOOPBACK, free_ports
from paylatch.local.waiting import wait_until

ACCOUNT = "postgres"
"""The account that the server runs as when root starts it, since it refuses to run as root."""
USER = "paylatch"
"""The server's one user."""

# Where distributions put the programs although nobody's PATH has them; Debian has a directory for each version.
_HOMEBREW = tuple(f"{prefix}/opt/postgresql@15/bin" for prefix in ("/opt/homebrew", "/usr/local"))
_MORE_PATHS = ("/usr/local/pgsql/bin", "/usr/libexec/postgresql15", *_HOMEBREW)
_DEBIANS = Path("/usr/lib/postgresql")
_DEADLINE_S = 30.0
_POLL_S = 0.02
_LOG_TAIL_CHARACTERS = 2000
_AT_ONCE = signal.SIGQUIT
"""Ends the server without having it write out what is about to be removed, but with its shared memory given back."""

# Small, and as durable as in production: what is left out is what only a large or a replicated server needs.
_OPTIONS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "on",
    "synchronous_commit": "on",
}


class PostgresError(LocalRunError):
    """PostgreSQL is not installed, did not start, or did not do what it was told in time."""


def find_program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, of the newest version that is installed.

    Raises:
        PostgresError: there is none.
    """
    versions = sorted(_DEBIANS.glob("*/bin"), key=lambda path: [int(part) for part in path.parent.name.split(".")])
    places = [*map(str, reversed(versions)), os.environ.get("PATH", os.defpath), *_MORE_PATHS]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise PostgresError(f"{name} is not installed; `make setup` installs PostgreSQL, or use your package manager")
    return found


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom the server runs as; without numbers, as whoever runs us."""

    uid: int | None = None
    gid: int | None = None
    groups: Sequence[int] | None = None

    def give(self, path: str | Path) -> None:
        """Make the account the owner of a file."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def _account() -> _Account:
    if os.geteuid() != 0:
        return _Account()
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise PostgresError(
            f"PostgreSQL does not run as root, and there is no account {ACCOUNT!r}; create it, or run as another user"
        ) from None
    return _Account(entry.pw_uid, entry.pw_gid, ())


class PostgresProcess:
    """One private server with files and a port of its own, from `start` to `kill`, as often as wanted.

    A context manager: entering makes its files and starts it, leaving ends it and removes them. It also ends when
    this process dies without leaving. Not safe for threads; every call blocks until done.
    """

    def __init__(self) -> None:
        (self._port,) = free_ports(1)
        self._password = secrets.token_urlsafe(24)
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self._family = -1

    def __enter__(self) -> Self:
        self._files = tempfile.TemporaryDirectory(prefix="paylatch-postgres-")
        try:
            self._initialise()
            self.start()
        except BaseException:
            self._files.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process is not None:
                self._end(self._process, _AT_ONCE)
        finally:
            self._files.cleanup()

    def url(self, database: str) -> str:
        """Return a database's URL, as the bridge's settings take it."""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; return its URL."""
        self._administer("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", database)
        return self.url(database)

    def start(self) -> None:
        """Start the server and wait until it answers; after a `kill` it recovers first.

        Raises:
            PostgresError: it is running already, exited (its log is in the message), or took too long.
        """
        if self._process is not None:
            raise PostgresError(f"PostgreSQL is already running, as process {self._process.pid}")
        options = [f"-c{name}={value}" for name, value in {**_OPTIONS, "port": str(self._port)}.items()]
        self._family, inherited = os.pipe()
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C goes to whoever runs us, who then stops the server in good order.
            self._process = subprocess.Popen(
                [find_program("postgres"), "-D", str(self._data), *options],
                cwd=self._data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(inherited,),
                start_new_session=True,
                user=self._account.uid,
                group=self._account.gid,
                extra_groups=self._account.groups,
            )
        os.close(inherited)
        self._guard = Guard(self._process.pid, _AT_ONCE)
        try:
            self._wait_until(self._process, self._answers, "answer")
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the server by SIGKILL: what it has not made durable is lost."""
        self._end(self._running(), signal.SIGKILL)

    @property
    def _data(self) -> Path:
        return Path(self._files.name) / "data"

    @property
    def _log(self) -> Path:
        return Path(self._files.name) / "log"

    def _initialise(self) -> None:
        secret = Path(self._files.name) / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password, encoding="ascii")
        for path in (self._files.name, secret):
            self._account.give(path)
        made = subprocess.run(
            [
                *(find_program("initdb"), "-D", str(self._data), "--no-sync", f"--username={USER}"),
                *(f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"),
            ],
            cwd=self._files.name,
            capture_output=True,
            check=False,
            user=self._account.uid,
            group=self._account.gid,
            extra_groups=self._account.groups,
        )
        secret.unlink()
        if made.returncode:
            raise PostgresError(f"initdb failed: {made.stderr.decode(errors='replace').strip()}")

    def _administer(self, statement: LiteralString, database: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(database)))

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise PostgresError("PostgreSQL is not running")
        return self._process

    def _end(self, process: subprocess.Popen[bytes], how: signal.Signals) -> None:
        process.send_signal(how)
        # The guard first: once the server is reaped, its number may become another process's.
        if self._guard is not None:
            self._guard.dismiss()
        try:
            process.wait(_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = self._guard = None
        # Its children inherited the pipe's other end and notice its death one by one; until the last of them is gone
        # no server starts over the same files.
        select.select([self._family], [], [], _DEADLINE_S)
        os.close(self._family)

    def _wait_until(self, process: subprocess.Popen[bytes], done: Callable[[], bool], what: str) -> None:
        if hindrance := wait_until(process, done, deadline_s=_DEADLINE_S, poll_s=_POLL_S):
            raise PostgresError(f"PostgreSQL {hindrance} {what}{self._log_tail()}")

    def _log_tail(self) -> str:
        return f"; its log ends:\n{self._log.read_text(encoding='utf-8', errors='replace')[-_LOG_TAIL_CHARACTERS:]}"
