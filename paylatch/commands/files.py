"""Files that are read, where `-` is standard input, and files that are written."""

from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated

import typer

from paylatch.commands.outcome import USAGE, fail

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="'-' is standard input.", show_default=False, allow_dash=True)
]


def text_of(path: Path) -> str:
    """Return a file's text, or end because it cannot be read."""
    try:
        if path == Path("-"):
            return typer.get_text_stream("stdin", encoding="utf-8").read()
        return path.read_text(encoding="utf-8")
    except OSError as error:
        fail(error, USAGE)
    except UnicodeDecodeError as error:
        fail(f"{path}: {error}", USAGE)


def create(stack: ExitStack, path: Path | None) -> IO[str] | None:
    """Open a file to write before the work begins: a path that cannot be written should not cost an hour."""
    if path is None:
        return None
    try:
        return stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    except OSError as error:
        fail(error, USAGE)
