"""`paylatch bench`: the load test that a lender's engineers run themselves."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from paylatch.commands.files import prepare, write_all
from paylatch.commands.options import EmptyDatabaseOption, KeepOption
from paylatch.commands.outcome import FAILED, finish

EXAMPLE = "\b\nExample: paylatch bench --phones 10000 --decisions 50000 \\\n  --json figures.json"


def bench(
    *,
    phones: Annotated[int, typer.Option(min=1, metavar="N", help="How many are connected.")] = 2_000,
    decisions: Annotated[int, typer.Option(min=1, metavar="K", help="How many round trips are measured.")] = 10_000,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Write the figures here.", show_default=False)
    ] = None,
    shards: Annotated[int, typer.Option(min=1, metavar="N", help="Over how many processes the phones are spread.")] = 1,
    database: EmptyDatabaseOption = None,
    keep: KeepOption = None,
) -> None:
    """Measure whole round trips, unlock latency and memory on a real broker, and what this machine could do at best.

    Exits with 0 only if an audit of every phone finds nothing lost.
    """
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415 - see the package's docstring
    from device_sim.fleet.control_client import FleetControlError  # noqa: PLC0415
    from paylatch.bench.options import BenchError, Options  # noqa: PLC0415
    from paylatch.bench.run import run  # noqa: PLC0415
    from paylatch.bench.summary import summary_of  # noqa: PLC0415
    from paylatch.client import PaylatchError  # noqa: PLC0415
    from paylatch.local.errors import LocalRunError, LocalRunUsageError  # noqa: PLC0415
    from paylatch.steps import choose_steps  # noqa: PLC0415

    failures = (BenchError, LocalRunError, FleetControlError, PaylatchError, StoreUnavailableError, OSError)
    options = Options(phones=phones, decisions=decisions, shards=min(shards, phones), database=database, keep=keep)
    with ExitStack() as stack:
        json_file = prepare(stack, json_path)
        with choose_steps() as steps:
            result = finish(run(options, steps), failures, usage=(LocalRunUsageError,))
            steps.figures("Paylatch benchmark", summary_of(result), good=not result.lost)
        write_all([(json_file, lambda file: file.write(json.dumps(result.to_json(), indent=2) + "\n"))])
    for fault in result.faults:
        typer.echo(f"lost: {fault}", err=True)
    if result.lost:
        raise typer.Exit(FAILED)
