"""One run of the demo, from an empty directory to its figures."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import IO

from paylatch.demo.audit import COLUMNS, write_rows
from paylatch.demo.options import DemoUsageError, Options
from paylatch.demo.plan import plan_months
from paylatch.demo.result import Result
from paylatch.demo.stage import Stage, built, directory_of
from paylatch.demo.story import Story
from paylatch.demo.tally import Tally
from paylatch.demo.view import View
from paylatch.facts import borrower_of
from paylatch.histories import Account, read_histories
from paylatch.oracle import required_levels


async def run(options: Options, view: View, audit: IO[str] | None = None) -> Result:
    """Play the main job and return what it has shown.

    Args:
        options: of what size.
        view: shows what happens; it has been entered.
        audit: where to write a line for every phone and month.

    Raises:
        DemoUsageError, HistoryError: it cannot be played with these options.
        DemoError, BrokerError: something did not start, or ended by itself.
    """
    started = time.monotonic()
    accounts = _accounts(options)
    borrowers = [borrower_of(account, row) for row, account in enumerate(accounts, start=1)]
    dice = Random(options.seed)  # noqa: S311 - chooses who is reset; nobody may gain by foreseeing it
    months = plan_months(accounts, options.months, dice)
    required = _required(options)
    tally = Tally(phones=len(borrowers))
    if audit is not None:
        audit.write(",".join(COLUMNS) + "\n")
    async with directory_of(options) as files, built(files, borrowers, view) as stage, _watched(stage):
        story = Story(stage, borrowers, dice, tally, view)
        for month in months:
            rows = await story.play(month, required[month.name])
            if audit is not None:
                write_rows(audit, rows)
        view.step("stopping everything")
    return tally.result(time.monotonic() - started)


def _accounts(options: Options) -> list[Account]:
    accounts = list(read_histories(options.histories, limit=options.phones))
    if len(accounts) < options.phones:
        raise DemoUsageError(f"{options.histories} has {len(accounts)} accounts; {options.phones} phones asked for")
    if len(accounts[0].months) < options.months:
        raise DemoUsageError(f"{options.histories} has {len(accounts[0].months)} months; {options.months} asked for")
    return accounts


def _required(options: Options) -> dict[str, list[str]]:
    """Return the oracle's levels of each month, in the histories' order."""
    required: defaultdict[str, list[str]] = defaultdict(list)
    for _, _, month, level in required_levels(options.histories, options.phones, options.months):
        required[month].append(level)
    return required


@asynccontextmanager
async def _watched(stage: Stage) -> AsyncIterator[None]:
    """End what is done inside as soon as one of the stage's processes ends by itself."""
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(process.watch(), name="watch") for process in stage.processes]
        yield
        for task in watching:
            task.cancel()
