"""Commands as processes of their own, which never outlive the one that runs them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from paylatch.local.errors import LocalRunError
from paylatch.local.guard import Guard

OURS = "paylatch"
"""What is run unless another module is named."""
_STOP_S = 10.0
_START_S = 30.0
_POLL_S = 0.02
_LOG_TAIL_CHARACTERS = 2000


class ChildProcess:
    """One command that runs until it is stopped.

    Args:
        process: the running command.
        name: what it is to people.
        log: where its output goes.
    """

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log
        self._guard = Guard(process.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait_until(self, ready: Callable[[], Awaitable[bool]], within_s: float = _START_S) -> None:
        """Wait until the process is ready for others.

        Args:
            ready: tells whether it is.
            within_s: how long this is waited for.

        Raises:
            LocalRunError: it ended first, or took too long.
        """
        try:
            async with asyncio.timeout(within_s):
                while not await ready():
                    self._require_running()
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise LocalRunError(f"the {self._name} was not ready within {within_s:g} s{_tail_of(self._log)}") from None

    async def watch(self) -> None:
        """Wait for its end, which must not come by itself.

        Raises:
            LocalRunError: it has come.
        """
        await self._process.wait()
        self._require_running()

    async def stop(self) -> None:
        """Have it end in good order; kill it if it does not."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        finally:
            self._guard.dismiss()

    def _require_running(self) -> None:
        if self._process.returncode is not None:
            raise LocalRunError(f"the {self._name} ended with code {self._process.returncode}{_tail_of(self._log)}")


@asynccontextmanager
async def running(name: str, arguments: Sequence[str], log: Path, *, module: str = OURS) -> AsyncIterator[ChildProcess]:
    """Run a module with these arguments as a process of its own, and stop it in the end.

    Args:
        name: what it is to people.
        arguments: after the module's name.
        log: where its output goes.
        module: what is run.
    """
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *_command(module),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for whoever runs it, who then stops it in good order
        )
    child = ChildProcess(process, name, log)
    try:
        yield child
    finally:
        await child.stop()


@asynccontextmanager
async def watched(processes: Iterable[ChildProcess]) -> AsyncIterator[None]:
    """End what is done inside as soon as one of these processes ends by itself."""
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(process.watch(), name="watch") for process in processes]
        yield
        for task in watching:
            task.cancel()


async def output_of(arguments: Sequence[str], log: Path, *, module: str = OURS) -> str:
    """Run a module with these arguments to its end and return what it wrote to standard output.

    Where this is cancelled, it is stopped.

    Args:
        arguments: after the module's name.
        log: where what it says goes.
        module: what is run.

    Raises:
        LocalRunError: it failed.
    """
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *_command(module),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            env=_environment(),
        )
        child = ChildProcess(process, module, log)
        try:
            output, _ = await process.communicate()
        finally:
            await child.stop()
    if process.returncode:
        raise LocalRunError(f"`{module} {' '.join(arguments)}` ended with code {process.returncode}{_tail_of(log)}")
    return output.decode()


def _command(module: str) -> tuple[str, ...]:
    return sys.executable, "-m", module


def _tail_of(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    return f"; its log ends:\n{text[-_LOG_TAIL_CHARACTERS:].rstrip()}"


def _environment() -> dict[str, str]:
    """Return the environment without settings of the bridge: the run's file says all."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PAYLATCH_")}
