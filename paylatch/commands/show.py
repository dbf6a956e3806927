"""Data on standard output: JSON for programs, columns for people."""

import json
from collections.abc import Sequence

import typer


def show_json(value: object) -> None:
    """Write a value as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write rows in columns that are as wide as they have to be, whatever the terminal: they may be piped."""
    lines = [[str(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
