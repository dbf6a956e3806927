"""Terminals in which a document's commands are typed as they stand there."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import PATIENCE_S

_KEPT = ("PATH", "PYTHONPATH")
"""What a terminal knows of the one that the tests run in: where programs are, and these packages."""


@dataclass
class Terminals:
    """Terminals that are open in one directory, with a home of their own."""

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    async def open(self, command: str) -> asyncio.subprocess.Process:
        """Start a command; what it starts belongs to its process group."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return await asyncio.create_subprocess_exec(
            *("sh", "-ec", command),
            cwd=self.directory,
            env={"HOME": str(self.directory), **kept, **self.variables},
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def run(self, command: str) -> str:
        """Run a command to its end and return what it said."""
        process = await self.open(command)
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await process.communicate()
        assert process.returncode == 0, command
        return output.decode()

    @asynccontextmanager
    async def running(self, command: str) -> AsyncIterator[asyncio.StreamReader]:
        """Run a command as long as this lasts, and give what it says."""
        process = await self.open(command)
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself, which is for its reader to find
                os.killpg(process.pid, signal.SIGTERM)
            await process.communicate()


async def said(output: asyncio.StreamReader, *texts: str) -> None:
    """Return when each of these texts has been in a line, in whatever order."""
    missing = set(texts)
    async with asyncio.timeout(PATIENCE_S):
        while missing:
            line = (await output.readline()).decode()
            assert line, f"it ended without saying {missing}"
            missing -= {text for text in missing if text in line}
