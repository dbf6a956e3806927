"""`paylatch histories`: the repayment histories, as what a lender would send."""

import csv
import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from paylatch import resources
from paylatch.commands.outcome import FAILED, USAGE, fail

if TYPE_CHECKING:
    from paylatch.facts import Fact

EXAMPLE = "Example: paylatch histories decisions --phones 500 --out decisions.csv"
COLUMNS = ("decision_id", "imei", "type", "occurred_at", "days_overdue", "cures", "amount_due", "currency")

app = typer.Typer(help="Real repayment histories, to try things with.", no_args_is_help=True, rich_markup_mode=None)


@app.command(epilog=EXAMPLE)
def decisions(
    file: Annotated[
        Path, typer.Argument(help="Repayment histories, .csv or .csv.gz.", metavar="FILE", show_default="those shipped")
    ] = resources.HISTORIES,
    *,
    phones: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many accounts, from the first.", show_default="all")
    ] = None,
    months: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many months, from the first.", show_default="all")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="Where to; .ndjson for NDJSON, else CSV. '-' is standard output.")
    ] = Path("-"),
) -> None:
    """Write the decisions that a lender with these accounts would have reported, one a row, for `paylatch import`."""
    from paylatch.facts import facts_of  # noqa: PLC0415 - see the package's docstring
    from paylatch.histories import HistoryError, read_histories  # noqa: PLC0415

    try:
        accounts = list(read_histories(file, limit=phones))
        facts = list(facts_of(accounts, months or len(accounts[0].months)))
    except (HistoryError, ValueError, OSError) as error:
        fail(error, USAGE)
    try:
        with _opened(out) as target:
            _write(facts, target, as_json=out.suffix in (".ndjson", ".jsonl"))
    except OSError as error:
        fail(error, FAILED)
    typer.echo(f"{len(facts)} decisions of {len(accounts)} accounts", err=True)


def _opened(out: Path) -> "nullcontext[IO[str]] | IO[str]":
    return (
        nullcontext(typer.get_text_stream("stdout"))
        if out == Path("-")
        else out.open("w", encoding="utf-8", newline="")
    )


def _write(facts: Sequence["Fact"], target: IO[str], *, as_json: bool) -> None:
    bodies = (fact.body() for fact in facts)
    if as_json:
        target.writelines(f"{json.dumps(body)}\n" for body in bodies)
        return
    table = csv.writer(target, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_cells(body.get(name) for name in COLUMNS) for body in bodies)


def _cells(values: Iterable[object]) -> list[object]:
    """Return cells: empty for what is absent, and booleans as JSON writes them."""
    return [str(value).lower() if isinstance(value, bool) else value for value in values]
