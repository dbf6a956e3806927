"""A spool of one's own: a directory that no other bridge uses, with a name that goes where its files go."""

import asyncio
import fcntl
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from broker_bridge.domain.imports import SpoolId

WAIT_S = 20.0
"""How long a bridge that ends may take to let go of it: longer than its last requests may."""
_ASK_AGAIN_S = 0.1
_NAME = ".spool"
_BYTES = 16
_WRITTEN = re.compile(rf"[0-9a-f]{{{2 * _BYTES}}}")


class SpoolInUseError(Exception):
    """Another bridge has this directory, and does not end."""


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
        OSError: the directory cannot be used.
    """
    descriptor = await asyncio.to_thread(_open, directory)
    try:
        await _lock(descriptor, directory, on_wait, within_s)
        yield await asyncio.to_thread(_name_in, descriptor)
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(directory / _NAME, os.O_RDWR | os.O_CREAT, 0o600)


async def _lock(descriptor: int, directory: Path, on_wait: Callable[[], object], within_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    for tries in count():
        try:
            # The kernel's own, so that it is gone with its process however that ends.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if asyncio.get_running_loop().time() >= deadline:
                raise SpoolInUseError(f"{directory} is in use by another bridge; give each bridge its own") from None
            if not tries:
                on_wait()
            await asyncio.sleep(_ASK_AGAIN_S)
        else:
            return


def _name_in(descriptor: int) -> SpoolId:
    name = os.pread(descriptor, 2 * _BYTES, 0).decode("ascii", "replace")
    # A file that was not on the disk when the power went may have its length and hold zeros.
    if not _WRITTEN.fullmatch(name):
        name = secrets.token_hex(_BYTES)
        os.pwrite(descriptor, name.encode(), 0)
        os.fsync(descriptor)
    return SpoolId(name)
