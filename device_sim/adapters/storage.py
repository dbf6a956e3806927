"""Storage that survives a power cycle: in the fleet's memory, or in files that survive the fleet too."""

import os
from pathlib import Path

from device_sim.phone.memory import CorruptMemoryError, Memory, from_bytes, to_bytes
from device_sim.phone.storage import StorageError
from lock_protocol.imei import Imei


class MemoryStorage:
    """Memories kept in one dictionary: durable as far as the simulated phones can tell."""

    def __init__(self) -> None:
        self._memories: dict[Imei, Memory] = {}

    def load(self, imei: Imei) -> Memory | None:
        """Return what was last saved, or None."""
        return self._memories.get(imei)

    def save(self, imei: Imei, memory: Memory) -> None:
        """Keep `memory`."""
        self._memories[imei] = memory

    def wipe(self, imei: Imei) -> None:
        """Forget what was saved."""
        self._memories.pop(imei, None)


class FileStorage:
    """One file per phone, replaced as a whole: written beside, synced, renamed, and the directory synced.

    Args:
        directory: made if missing, for its owner alone.

    Raises:
        OSError: the directory cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory

    def load(self, imei: Imei) -> Memory | None:
        """Return what was last saved, or None.

        Raises:
            StorageError: the file cannot be read, or `save` has not written it.
        """
        path = self._path(imei)
        try:
            return from_bytes(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, CorruptMemoryError) as error:
            raise StorageError(f"cannot read {path}: {error}") from error

    def save(self, imei: Imei, memory: Memory) -> None:
        """Keep `memory` through anything that happens after this returns.

        Raises:
            StorageError: it is not kept, and what was saved before still is.
        """
        path = self._path(imei)
        beside = path.with_suffix(".new")
        try:
            _write_synced(beside, to_bytes(memory))
            beside.replace(path)
            self._sync_directory()
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error

    def wipe(self, imei: Imei) -> None:
        """Forget what was saved.

        Raises:
            StorageError: the file cannot be removed.
        """
        path = self._path(imei)
        try:
            path.unlink(missing_ok=True)
            self._sync_directory()
        except OSError as error:
            raise StorageError(f"cannot remove {path}: {error}") from error

    def _path(self, imei: Imei) -> Path:
        return self._directory / f"{imei}.memory"

    def _sync_directory(self) -> None:
        # A rename is durable only when the directory that records it is.
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
