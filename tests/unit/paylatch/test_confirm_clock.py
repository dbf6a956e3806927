"""`paylatch bridge confirm-clock`: a person's word for the clock, which bridges then go on from."""

import asyncio
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broker_bridge.adapters.store.store import SqlStore
from paylatch.cli import app
from tests.installation import write_settings

DAY = 86_400


def confirm(directory: Path, *options: str, answer: str = "") -> Result:
    arguments = ["bridge", "confirm-clock", "--config", str(write_settings(directory)), *options]
    return CliRunner().invoke(app, arguments, input=answer)


def last_time(directory: Path, put: int | None = None) -> int:
    """Until when a bridge has run; or let it be another time."""

    async def ask() -> int:
        async with SqlStore(f"sqlite:///{directory / 'paylatch.db'}") as store:
            if put is not None:
                await store.facts.put_last_signed_at(put)
            return await store.facts.last_signed_at()

    return asyncio.run(ask())


@pytest.mark.parametrize(("days", "told"), [(-86, "86 days before that"), (3650, "days after that")])
def test_it_says_what_is_known_and_asks(tmp_path: Path, days: int, told: str) -> None:
    then = last_time(tmp_path, int(time.time()) + days * DAY)
    refused = confirm(tmp_path, answer="n\n")
    assert (refused.exit_code, last_time(tmp_path)) == (1, then)
    assert told in refused.stderr
    assert "Is it right?" in refused.stderr
    before = int(time.time())
    assert confirm(tmp_path, answer="y\n").exit_code == 0
    assert before <= last_time(tmp_path) <= time.time()


def test_a_database_in_which_nothing_was_signed_is_no_error(tmp_path: Path) -> None:
    assert last_time(tmp_path) == 0
    done = confirm(tmp_path, "--yes")
    assert done.exit_code == 0
    assert "no bridge has signed anything" in done.stderr
    assert last_time(tmp_path) > 0


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    done = confirm(tmp_path, "--yes")
    assert done.exit_code == 2
    assert "no bridge of this version has run with it" in done.stderr
    assert not (tmp_path / "paylatch.db").exists()
