"""Files that are read, where `-` is standard input, and files that are written."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated, Self

import typer

from paylatch.commands.outcome import FAILED, USAGE, fail

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


class NewFile:
    """A file that takes its place when it is whole: what was there before stays until then.

    Args:
        path: where; a device is written as it is.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        replaces = path.is_file() or not path.exists()
        self._place = path.resolve() if replaces else None
        self._part = path if self._place is None else self._place.with_name(f".{path.name}.{os.getpid()}.part")
        self._file = self._part.open("w", encoding="utf-8", newline="")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What could not be written before cannot be written now: that has been told, or the run itself has failed.
        with suppress(OSError):
            self._file.close()
        if self._place is not None:
            self._part.unlink(missing_ok=True)

    def write(self, write: Callable[[IO[str]], object]) -> None:
        """Have it written, once, and put it in its place.

        Raises:
            OSError: there is no room, or what was there cannot be replaced.
        """
        with self._file:
            write(self._file)
        if self._place is not None:
            self._part.replace(self._place)


def create(stack: ExitStack, path: Path | None) -> IO[str] | None:
    """Open a file to write as the work goes on, before it begins."""
    if path is None:
        return None
    try:
        return stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    except OSError as error:
        fail(error, USAGE)


def prepare(stack: ExitStack, path: Path | None) -> NewFile | None:
    """Begin a file before the work begins: a path that cannot be written should not cost an hour."""
    if path is None:
        return None
    try:
        return stack.enter_context(NewFile(path))
    except OSError as error:
        fail(OSError(error.errno, error.strerror, str(path)), USAGE)


def require_distinct(*paths: Path | None) -> None:
    """End if two of these are one file."""
    named = [path.resolve() for path in paths if path is not None]
    for path in named:
        if named.count(path) > 1:
            fail(f"{path} cannot be two files", USAGE)


def write_all(files: Sequence[tuple[NewFile | None, Callable[[IO[str]], object]]]) -> None:
    """Write all that are asked for, and end if one of them could not be."""
    faults = []
    for file, write in files:
        if file is not None:
            try:
                file.write(write)
            except OSError as error:
                faults.append(f"{file.path} was not written: {error.strerror}")
    if faults:
        fail("; ".join(faults), FAILED)
