"""A spool of one's own: a directory that no other bridge uses, with a name that goes where its files go."""

import asyncio
import fcntl
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile

from broker_bridge.directories import nearest_existing
from broker_bridge.domain.imports import SpoolId

WAIT_S = 20.0
"""How long a bridge that ends may take to let go of it: longer than its last requests may."""
_ASK_AGAIN_S = 0.1
_NAME = ".spool"
_BYTES = 16
_WRITTEN = re.compile(rf"[0-9a-f]{{{2 * _BYTES}}}")


class SpoolInUseError(Exception):
    """Another bridge has this directory, and does not end."""


class SpoolUnusableError(Exception):
    """Nobody can use this directory."""


@asynccontextmanager
async def own_spool(
    directory: Path, on_wait: Callable[[], object], *, within_s: float = WAIT_S
) -> AsyncIterator[SpoolId]:
    """Have a directory for oneself while inside; give its name, which is made once and kept in it.

    Args:
        directory: made if it is not there, for its owner alone.
        on_wait: called when another bridge has it, once.
        within_s: how long that is waited for.

    Raises:
        SpoolInUseError: it has not let go of it by then.
        SpoolUnusableError: the directory cannot be used.
        OSError: it cannot be locked, or its name not be read or written.
    """
    descriptor = await asyncio.to_thread(_open, directory)
    try:
        await _lock(descriptor, directory, on_wait, within_s)
        yield await asyncio.to_thread(_name_in, descriptor)
    finally:
        os.close(descriptor)


def is_in_use(directory: Path) -> bool:
    """Tell whether another bridge has a directory just now; nothing is made or changed.

    Raises:
        SpoolUnusableError: the directory cannot be used, or not be made.
    """
    with _usable(directory):
        if not (directory / _NAME).exists():
            with TemporaryFile(dir=nearest_existing(directory)):
                return False
        descriptor = _open(directory)
        try:
            return not _locked(descriptor)
        finally:
            os.close(descriptor)


def _open(directory: Path) -> int:
    with _usable(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(directory / _NAME, os.O_RDWR | os.O_CREAT, 0o600)


@contextmanager
def _usable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpoolUnusableError(
            f"{directory}: {error.strerror}; it must be a directory in which the bridge can make files"
        ) from error


async def _lock(descriptor: int, directory: Path, on_wait: Callable[[], object], within_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    for tries in count():
        if _locked(descriptor):
            return
        if asyncio.get_running_loop().time() >= deadline:
            raise SpoolInUseError(f"{directory} is in use by another bridge; give each bridge its own")
        if not tries:
            on_wait()
        await asyncio.sleep(_ASK_AGAIN_S)


def _locked(descriptor: int) -> bool:
    """Take the lock unless another bridge has it: the kernel's own, gone with its process however that ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name_in(descriptor: int) -> SpoolId:
    name = os.pread(descriptor, 2 * _BYTES, 0).decode("ascii", "replace")
    # A file that was not on the disk when the power went may have its length and hold zeros.
    if not _WRITTEN.fullmatch(name):
        name = secrets.token_hex(_BYTES)
        os.pwrite(descriptor, name.encode(), 0)
        os.fsync(descriptor)
    return SpoolId(name)
