"""`paylatch keys`: the keys that phones trust."""

import time
from pathlib import Path
from typing import Annotated

import typer

from paylatch.commands.options import JsonOption, lender_named
from paylatch.commands.outcome import FAILED, fail
from paylatch.commands.show import show_json

app = typer.Typer(help="The keys that phones trust.", no_args_is_help=True, rich_markup_mode=None)


@app.command("init", epilog="Example: paylatch keys init --directory keys --lender acme")
def init(
    *,
    directory: Annotated[Path, typer.Option(metavar="DIR", help="Where the keys are made.")],
    lender: Annotated[str, typer.Option(metavar="NAME", help="Whose online keys: 3 to 32 of a-z, 0-9 and '-'.")],
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host that payment links may name; up to 4.", show_default="pay.example"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a development root (1 of 1), and a lender's online keys with their delegation. Never for production."""
    from broker_bridge.adapters.signing.keys import KeyFileError, init_development_keys  # noqa: PLC0415 - see the package's docstring

    try:
        init_development_keys(directory, lender_named(lender), now=int(time.time()), hosts=host or ["pay.example"])
    except (KeyFileError, OSError, ValueError) as error:
        fail(error, FAILED)
    if as_json:
        show_json({"lender": lender, "directory": str(directory)})
    typer.echo(f"made development keys for {lender} in {directory}; never use them in production", err=True)
