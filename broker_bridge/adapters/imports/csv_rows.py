"""CSV (RFC 4180, UTF-8) to the JSON objects that its rows stand for, read strictly.

No field of a decision holds a line break, so a row is a line. That keeps a quote that is never closed from swallowing
the rest of the file.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import BinaryIO

from broker_bridge.adapters.imports.columns import check_header, readers
from broker_bridge.adapters.imports.lines import MAX_LINE_BYTES, Line, lines_of
from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.app.ports.imports import FileRow, UnreadableFileError

_SHORTENED_NUMBER = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]+", re.ASCII | re.IGNORECASE)


def csv_rows(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the rows below the header.

    Raises:
        UnreadableFileError: there is no header, or it names what it should not, or some line cannot be told apart.
    """
    lines = lines_of(file)
    first = next(lines, None)
    if first is None:
        raise UnreadableFileError("the file is empty; expected a header row")
    header = _cells(first)
    check_header(header)
    for number, line in enumerate(lines, start=1):
        yield _row(number, line, header)


def _row(number: int, line: Line, header: Sequence[str]) -> FileRow:
    value = None
    try:
        value = _object(header, _cells(line))
        _refuse_shortened(value.get("imei"))
    except ProblemError as error:
        return FileRow(number, value, error)
    return FileRow(number, value)


def _cells(line: Line) -> list[str]:
    if not line.is_whole:
        raise _malformed(f"line {line.number} is longer than {MAX_LINE_BYTES} bytes")
    try:
        text = line.content.decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"line {line.number} is not UTF-8: {error}") from error
    if "\r" in text:
        raise UnreadableFileError(
            f"line {line.number}: a carriage return that no line feed follows; end lines with LF or CRLF"
        )
    try:
        return next(csv.reader((text,), strict=True))
    except csv.Error as error:
        raise UnreadableFileError(
            f"line {line.number}: a quote that is not closed in its line, or stands where none can: {error}"
        ) from error


def _object(header: Sequence[str], cells: Sequence[str]) -> dict[str, object]:
    if len(cells) != len(header):
        raise _malformed(f"{len(cells)} cells; the header has {len(header)}")
    read = readers()
    return {name: read[name](cell) for name, cell in zip(header, cells, strict=True) if cell}


def _refuse_shortened(imei: object) -> None:
    if isinstance(imei, str) and _SHORTENED_NUMBER.fullmatch(imei):
        raise _malformed(
            f"imei: {imei[:32]} is what a spreadsheet makes of a long number, and its last digits are lost; "
            "format that column as text, fill it anew, and export again"
        )


def _malformed(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "malformed-row", detail)
