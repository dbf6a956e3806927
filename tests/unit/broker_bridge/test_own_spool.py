"""A directory of files belongs to one bridge at a time, and its name goes where the files go."""

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from broker_bridge.adapters.imports.own_spool import SpoolInUseError, own_spool
from tests.conftest import PATIENCE_S


def nothing() -> None:
    """Nobody is told."""


async def test_the_name_is_made_once_and_goes_where_the_files_go(tmp_path: Path) -> None:
    here, there = tmp_path / "made" / "here", tmp_path / "there"
    async with own_spool(here, nothing) as first:
        pass
    here.rename(there)
    async with own_spool(there, nothing) as moved, own_spool(here, nothing) as other:
        assert moved == first
        assert other != first
    assert here.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("left", [b"", b"0123", bytes(32), b"\xff" * 32, b"0123456789abcdeg" * 2], ids=repr)
async def test_a_name_that_was_not_written_to_its_end_is_made_anew(tmp_path: Path, left: bytes) -> None:
    (tmp_path / ".spool").write_bytes(left)
    async with own_spool(tmp_path, nothing) as name:
        assert len(bytes.fromhex(name)) == 16
    async with own_spool(tmp_path, nothing) as again:
        assert again == name


async def test_a_second_bridge_waits_and_then_gives_up(tmp_path: Path) -> None:
    told: list[None] = []
    async with own_spool(tmp_path, nothing):
        with pytest.raises(SpoolInUseError, match="give each bridge its own"):
            async with own_spool(tmp_path, lambda: told.append(None), within_s=0.3):
                pytest.fail("two have it")
    assert len(told) == 1


async def test_a_second_bridge_goes_on_once_the_first_one_has_ended(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def second() -> str:
        async with own_spool(tmp_path, begun.set) as name:
            return name

    async with asyncio.timeout(PATIENCE_S):
        async with own_spool(tmp_path, nothing) as name:
            waiting = asyncio.create_task(second())
            await begun.wait()
        assert await waiting == name


async def test_a_bridge_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    holder = f"""\
        import asyncio, pathlib
        from broker_bridge.adapters.imports.own_spool import own_spool
        async def main():
            async with own_spool(pathlib.Path({str(tmp_path)!r}), lambda: None):
                print("held", flush=True)
                await asyncio.Event().wait()
        asyncio.run(main())
        """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(holder)], stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"held\n"
        with pytest.raises(SpoolInUseError):
            async with own_spool(tmp_path, nothing, within_s=0):
                pytest.fail("two have it")
        process.kill()
        await asyncio.to_thread(process.wait)
    async with own_spool(tmp_path, nothing, within_s=0):
        pass
