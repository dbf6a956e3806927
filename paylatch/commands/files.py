"""Files that are read: `-` is standard input."""

from pathlib import Path
from typing import Annotated

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
