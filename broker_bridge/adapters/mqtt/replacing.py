"""Replacing a file of the broker's in one step: whoever reads it meanwhile has the old one or the new one, whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step, durably, with mode 0600 and (for root) the directory's owner."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write what `path` holds afterwards, as `replace_file` does it; after an error, what it held."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # what a crash left behind
    # O_EXCL: as root in a directory that belongs to another account, never write through a link planted there.
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        try:
            _give_to_directory_owner(descriptor, path.parent)
            yield file
            file.flush()
            os.fsync(descriptor)
        except BaseException:
            beside.unlink()
            raise
    beside.replace(path)
    _sync_directory(path.parent)


def _give_to_directory_owner(descriptor: int, directory: Path) -> None:
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(directory: Path) -> None:
    """Make a rename durable: until then a power cut may bring the old file back."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
