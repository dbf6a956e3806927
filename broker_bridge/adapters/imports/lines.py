"""Lines of a file of text, each of bounded length: UTF-8, with a byte-order mark at the start or without."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from broker_bridge.app.ports.imports import UnreadableFileError
from lock_protocol.compiling import quick

MAX_LINE_BYTES = 16_384
"""A decision takes some hundred bytes."""
MAX_EMPTY_LINES = 100
"""In a row. A file is read with a pause after every few lines that are not empty; one of nothing else has hundreds of
millions, and payments would wait for the whole of it."""
_OTHER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)  # that of UTF-32-LE begins like UTF-16's


@quick
@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not empty, without its end."""

    number: int
    """In the file, from 1."""
    content: bytes
    is_whole: bool = True
    """Whether it was short enough to be kept."""


def lines_of(file: BinaryIO) -> Iterator[Line]:
    """Yield the lines of a file that are not empty. They end with LF or CRLF.

    Raises:
        UnreadableFileError: it is UTF-16 or UTF-32, or has too many empty lines in a row.
    """
    empty = 0
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
        content = _without_mark(line) if number == 1 else line
        if not content.endswith(b"\n") and len(line) == MAX_LINE_BYTES:
            _skip_rest(file)
            empty = 0
            yield Line(number, b"", is_whole=False)
        elif stripped := content.removesuffix(b"\n").removesuffix(b"\r"):
            empty = 0
            yield Line(number, stripped)
        elif (empty := empty + 1) > MAX_EMPTY_LINES:
            raise UnreadableFileError(f"line {number}: more than {MAX_EMPTY_LINES} empty lines in a row")


def _without_mark(first: bytes) -> bytes:
    if first.startswith(_OTHER_MARKS) or b"\0" in first:
        raise UnreadableFileError("the file is UTF-16 or UTF-32; save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')")
    return first.removeprefix(codecs.BOM_UTF8)


def _skip_rest(file: BinaryIO) -> None:
    while (more := file.readline(MAX_LINE_BYTES)) and not more.endswith(b"\n"):
        pass
