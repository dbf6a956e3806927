"""What became of the rows of an import, as it is streamed: NDJSON, or CSV that a spreadsheet may open."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Sequence

from broker_bridge.app.ports.imports import Imports
from broker_bridge.domain.imports import ImportId, Outcome, RowResult

_RESULTS_PAGE = 1000
_COLUMNS = ("row", "decision_id", "imei", "status", "effect", "level", "held", "command_id", "repeated")
_PROBLEM_COLUMNS = ("type", "detail")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def pages_of(
    imports: Imports, import_id: ImportId, outcome: Outcome | None
) -> AsyncIterator[Sequence[RowResult]]:
    """Yield the results of an import in the file's order, page by page; of one outcome, if one is named."""
    after = 0
    while page := await imports.results(import_id, after, _RESULTS_PAGE, outcome):
        yield page
        after = page[-1].row


async def as_ndjson(pages: AsyncIterator[Sequence[RowResult]]) -> AsyncIterator[bytes]:
    """Yield results as lines of JSON."""
    async for page in pages:
        yield "".join(f"{json.dumps({'row': one.row, **json.loads(one.answer)})}\n" for one in page).encode()


async def as_csv(pages: AsyncIterator[Sequence[RowResult]]) -> AsyncIterator[bytes]:
    """Yield results as CSV, a header first."""
    yield _csv([(*_COLUMNS, *(f"problem_{name}" for name in _PROBLEM_COLUMNS))])
    async for page in pages:
        yield _csv(_csv_row(one) for one in page)


def _csv_row(result: RowResult) -> list[str]:
    answer = {"row": result.row, **json.loads(result.answer)}
    problem = answer.get("problem", {})
    cells = [*(answer.get(name) for name in _COLUMNS), *(problem.get(name) for name in _PROBLEM_COLUMNS)]
    return [_cell(cell) for cell in cells]


def _cell(value: object) -> str:
    """Return a cell's text: nothing for nothing, JSON for what is no text, and never a formula for a spreadsheet."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    # A refused row may name itself by half a character, which JSON can write and UTF-8 cannot.
    return text.getvalue().encode("utf-8", "backslashreplace")
