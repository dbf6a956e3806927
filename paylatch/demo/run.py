"""One run of the demo, from an empty directory to its figures."""

import time
from collections import defaultdict
from random import Random
from typing import IO

from paylatch.demo.audit import COLUMNS, write_rows
from paylatch.demo.options import DemoUsageError, Options
from paylatch.demo.plan import plan_months
from paylatch.demo.result import Result
from paylatch.demo.story import Story
from paylatch.demo.tally import Tally
from paylatch.demo.view import View
from paylatch.facts import borrower_of
from paylatch.histories import Account, read_histories
from paylatch.local.database import database_of
from paylatch.local.files import directory_of
from paylatch.local.processes import watched
from paylatch.local.stage import built
from paylatch.oracle import required_levels


async def run(options: Options, view: View, audit: IO[str] | None = None) -> Result:
    """Play the main job and return what it has shown.

    Args:
        options: of what size.
        view: shows what happens; it has been entered.
        audit: where to write a line for every phone and month.

    Raises:
        DemoUsageError, HistoryError: it cannot be played with these options.
        LocalRunError, StoreUnavailableError: something did not start, or ended by itself.
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
    async with (
        directory_of(options.keep) as files,
        database_of(options.database, files.bridge_database) as database,
        built(files, database, borrowers, view) as stage,
        watched(stage.processes),
    ):
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
