"""The files of one run, all in a directory of its own."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from paylatch.local.broker_config import BrokerFiles
from paylatch.local.errors import LocalRunUsageError

# What the operating systems leave for the path of a UNIX domain socket.
_LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Files:
    """Where everything of one run is."""

    directory: Path

    @property
    def keys(self) -> Path:
        """The development root, the online keys, the delegation."""
        return self.directory / "keys"

    @property
    def broker(self) -> BrokerFiles:
        """The broker's own directory."""
        return BrokerFiles(self.directory / "broker")

    @property
    def bridge_settings(self) -> Path:
        """What the bridge is told; its database's password may be in it."""
        return self.directory / "bridge.toml"

    @property
    def bridge_secret(self) -> Path:
        """The bridge's password at the broker."""
        return self.directory / "bridge.secret"

    @property
    def bridge_database(self) -> Path:
        """The truth, unless it is elsewhere."""
        return self.directory / "bridge.db"

    @property
    def imports(self) -> Path:
        """Where the bridge keeps files of decisions until their rows are done."""
        return self.directory / "imports"

    @property
    def fleet_phones(self) -> Path:
        """The phones, with their device keys and passwords."""
        return self.directory / "fleet.jsonl"

    @property
    def fleet_control(self) -> Path:
        """The socket by which the fleet is directed."""
        return self.directory / "fleet.sock"

    def log(self, name: str) -> Path:
        """Return where a process's output goes."""
        return self.directory / f"{name}.log"


@asynccontextmanager
async def directory_of(keep: Path | None) -> AsyncIterator[Files]:
    """Give the directory of a run: the one to keep, or one that is gone in the end.

    Raises:
        LocalRunUsageError: the directory to keep is in use, or its path is too long.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="paylatch-local-") as temporary:
            yield Files(Path(temporary))
        return
    yield _kept(keep)


def _kept(directory: Path) -> Files:
    files = Files(directory.resolve())
    if len(os.fsencode(files.fleet_control)) > _LONGEST_SOCKET_PATH:
        raise LocalRunUsageError(f"{files.directory}: too long a path for a socket; choose a shorter one")
    files.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(files.directory.iterdir()):
        raise LocalRunUsageError(f"{files.directory}: is not empty; each run needs a directory of its own")
    return files
