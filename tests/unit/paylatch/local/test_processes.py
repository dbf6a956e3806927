"""Child processes that end with whoever waits for them."""

import asyncio
import os
from pathlib import Path

import pytest

from paylatch.local.processes import output_of


async def test_a_command_ends_when_nobody_waits_for_its_output_any_more(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    os.mkfifo(told)
    sleep = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    waiting = asyncio.create_task(output_of(["-n", "1", "-r", "1", sleep], tmp_path / "log", module="timeit"))
    pid = int(await asyncio.to_thread(told.read_text))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
