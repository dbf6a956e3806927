"""The demo as a child process, for tests that follow or disturb it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from paylatch.local.ports import LOOPBACK

COMMAND = (sys.executable, "-m", "paylatch", "demo")


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """A demo that is under way and keeps its files in `directory`."""

    process: subprocess.Popen[str]
    directory: Path

    @property
    def progress(self) -> IO[str]:
        assert self.process.stderr is not None
        return self.process.stderr

    def wait_for(self, text: str) -> None:
        """Read what it says until a line holds `text`."""
        said = []
        for line in self.progress:
            if text in line:
                return
            said.append(line)
        raise AssertionError(f"the demo ended without saying {text!r}; it said:\n{''.join(said)}")

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code, what it found, and the rest of what it said."""
        found, said = self.process.communicate()
        return self.process.returncode, found, said

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def connect_to_its_processes(self) -> dict[str, socket.socket]:
        """Return a connection to each process that it has started."""
        broker = re.findall(r"^listener (\d+)", (self.directory / "broker/mosquitto.conf").read_text(), re.MULTILINE)
        bridge = re.findall(r"^port = (\d+)", (self.directory / "bridge.toml").read_text(), re.MULTILINE)
        fleet = socket.socket(socket.AF_UNIX)
        fleet.connect(str(self.directory / "fleet.sock"))
        return {
            "broker": socket.create_connection((LOOPBACK, int(broker[0]))),
            "bridge": socket.create_connection((LOOPBACK, int(bridge[0]))),
            "fleet": fleet,
        }


@contextmanager
def running_demo(directory: Path, *arguments: str) -> Iterator[RunningDemo]:
    """Start a demo that keeps its files in `directory`; it is gone in the end."""
    with subprocess.Popen(
        [*COMMAND, "--keep", str(directory), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield RunningDemo(process, directory)
        finally:
            process.kill()


def is_closed(connection: socket.socket) -> bool:
    """Wait until the other end is gone; it says nothing by itself."""
    connection.settimeout(30)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class FinishedDemo:
    """A demo that has come to its end."""

    code: int
    found: str
    said: str
    directory: Path

    @property
    def figures(self) -> dict[str, object]:
        figures: dict[str, object] = json.loads((self.directory / "figures.json").read_text(encoding="utf-8"))
        return figures


def run_demo(directory: Path, *arguments: str) -> FinishedDemo:
    """Run a demo to its end; its figures, audit and files are in `directory`."""
    done = subprocess.run(
        [
            *COMMAND,
            "--keep",
            str(directory / "kept"),
            "--json",
            str(directory / "figures.json"),
            "--audit",
            str(directory / "audit.csv"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    return FinishedDemo(done.returncode, done.stdout, done.stderr, directory)
