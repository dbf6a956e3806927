"""A quickstart as a child process, for tests that ask its bridge."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_quickstart(directory: Path) -> Iterator[dict[str, str]]:
    """Run a quickstart in `directory`; gives the variables by which its bridge is reached."""
    command = [sys.executable, "-m", "paylatch", "quickstart", "--directory", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "the phone is unlocked" in line:
                break
        yield dict(re.findall(r"^export (PAYLATCH_\w+)=(.*)$", (directory / "env").read_text(), re.MULTILINE))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
