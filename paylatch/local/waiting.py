"""Waiting for what a child process is to bring about, and for no longer than it lives."""

import subprocess
import time
from collections.abc import Callable


def wait_until(process: subprocess.Popen[bytes], done: Callable[[], bool], *, deadline_s: float, poll_s: float) -> str:
    """Wait until something is done, and return what was in its way: nothing, or how the wait has ended instead.

    Args:
        process: the child that is to do it.
        done: tells whether it has.
        deadline_s: how long that may take, in seconds.
        poll_s: how often to ask, in seconds.
    """
    deadline = time.monotonic() + deadline_s
    while not done():
        try:
            return f"exited with code {process.wait(poll_s)} before it could"
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                return f"did not, within {deadline_s:g} s,"
    return ""
