"""`paylatch demo`: the main job, played and judged."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from paylatch import resources
from paylatch.commands.files import create, prepare, require_distinct, write_all
from paylatch.commands.options import EmptyDatabaseOption, KeepOption
from paylatch.commands.outcome import FAILED, finish

EXAMPLE = "\b\nExample: paylatch demo --phones 100 --months 2 --json figures.json \\\n  --audit audit.csv"


def demo(
    *,
    phones: Annotated[int, typer.Option(min=1, metavar="N", help="How many phones.")] = 500,
    months: Annotated[int, typer.Option(min=1, metavar="N", help="How many months.")] = 6,
    histories: Annotated[
        Path, typer.Option(metavar="FILE", help="Repayment histories, .csv or .csv.gz.", show_default="those shipped")
    ] = resources.HISTORIES,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Write the figures here.", show_default=False)
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write each phone's levels in each month here.", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show violations and errors only.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses who is reset or offline, and when.")] = 0,
    database: EmptyDatabaseOption = None,
    keep: KeepOption = None,
) -> None:
    """Play real repayment histories to simulated phones on a real broker, and audit every phone every month.

    Exits with 0 only if every phone was, at the end of every month, what its history requires.
    """
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415 - see the package's docstring
    from device_sim.fleet.control_client import FleetControlError  # noqa: PLC0415
    from paylatch.client import PaylatchError  # noqa: PLC0415
    from paylatch.demo.options import DemoError, DemoUsageError, Options  # noqa: PLC0415
    from paylatch.demo.run import run  # noqa: PLC0415
    from paylatch.demo.view import choose_view  # noqa: PLC0415
    from paylatch.histories import HistoryError  # noqa: PLC0415
    from paylatch.local.errors import LocalRunError, LocalRunUsageError  # noqa: PLC0415

    failures = (DemoError, LocalRunError, PaylatchError, StoreUnavailableError, FleetControlError, OSError)
    options = Options(phones=phones, months=months, histories=histories, seed=seed, database=database, keep=keep)
    require_distinct(audit, json_path)
    with ExitStack() as stack:
        view = choose_view(quiet=quiet)
        audit_file = create(stack, audit)
        json_file = prepare(stack, json_path)
        with view:
            usage = (DemoUsageError, LocalRunUsageError, HistoryError)
            result = finish(run(options, view, audit_file), failures, usage=usage)
            view.summary(result)
        write_all([(json_file, lambda file: file.write(json.dumps(result.to_json(), indent=2) + "\n"))])
    if result.violations:
        raise typer.Exit(FAILED)
