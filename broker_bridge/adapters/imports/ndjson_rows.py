"""NDJSON (a JSON object a line, UTF-8) to values, each line as strict as a body of the HTTP interface."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import BinaryIO

from broker_bridge.adapters.imports.lines import MAX_LINE_BYTES, Line, lines_of
from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.adapters.lender_api.strict_json import NotJsonError, parse_json
from broker_bridge.app.ports.imports import FileRow


def ndjson_rows(file: BinaryIO) -> Iterator[FileRow]:
    """Yield the values of the lines that are not empty.

    Raises:
        UnreadableFileError: the file is no UTF-8.
    """
    for number, line in enumerate(lines_of(file), start=1):
        try:
            yield FileRow(number, _value(line))
        except NotJsonError as error:
            problem = ProblemError(HTTPStatus.BAD_REQUEST, "not-json", f"line {line.number} is not JSON: {error}")
            yield FileRow(number, None, problem)


def _value(line: Line) -> object:
    if not line.is_whole:
        raise NotJsonError(f"it is longer than {MAX_LINE_BYTES} bytes")
    return parse_json(line.content)
