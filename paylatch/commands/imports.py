"""`paylatch import`: a file of decisions, sent, waited for and told of.

The idempotency key is made of the file's bytes, so whatever was killed on the way, the client or the bridge: the same
command again goes on with the same import.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from hashlib import file_digest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, TypeVar

import typer

from paylatch.commands.asking import Access, ask, asks_bridge
from paylatch.commands.options import JsonOption
from paylatch.commands.outcome import FAILED, PARTLY, USAGE, fail
from paylatch.commands.show import show_json

if TYPE_CHECKING:
    from rich.progress import Progress

    from paylatch.client import Bridge, Import, Imports
    from paylatch.client.imports import Format

T = TypeVar("T")

EXAMPLE = "\b\nExample: paylatch import decisions.csv --key-file acme.key \\\n  --failed failed.csv"
_POLL_S = 0.2
_ABANDONED_S = 60.0
"""How long a bridge may go on receiving what a client was sending that is dead."""


@asks_bridge
def import_file(
    file: Annotated[
        Path, typer.Argument(help="CSV or NDJSON; '-' is standard input.", metavar="FILE", show_default=False)
    ],
    *,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Names this import.", show_default="made of the file's SHA-256"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge every row and write nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the end; without it, leave once the file is sent.")] = True,
    failed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the results of refused rows here (.ndjson, else CSV).", show_default=False
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the results of all rows here (.ndjson, else CSV).", show_default=False
        ),
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long the bridge may be away meanwhile.")
    ] = 60.0,
    access: Access,
    as_json: JsonOption = False,
) -> None:
    """Import a file of decisions, and tell what became of its rows. Run it again to go on after an interruption.

    Exits with 3 if rows were refused, with 1 if the file could not be read as a whole.
    """
    with ExitStack() as stack:
        content = _opened(stack, file)
        progress = stack.enter_context(_progress())
        name = idempotency_key or _name_of(content, dry_run=dry_run)

        async def whole_import(bridge: "Bridge") -> "Import":
            work = _Import(bridge.imports, progress, patience)
            one = await work.send(content, name, dry_run=dry_run)
            if wait:
                one = await work.wait_for(one)
                await work.save(one, results, outcome=None)
                await work.save(one, failed, outcome="refused")
            return one

        one = ask(access, whole_import, patience_s=patience)
    _tell(one, as_json=as_json)


class _Import:
    """One import, as its sender sees it."""

    def __init__(self, imports: "Imports", progress: "Progress", patience_s: float) -> None:
        self._imports = imports
        self._progress = progress
        self._patience_s = patience_s
        self._noted = False

    async def send(self, content: IO[bytes], name: str, *, dry_run: bool) -> "Import":
        """Send the file, from its beginning again when the bridge was away or told to come later.

        One that this bridge has had already costs its way, and nothing else.
        """
        file_format, size = _format_of(content), content.seek(0, 2)
        bar = self._progress.add_task("sending", total=size)

        async def send_all() -> "Import":
            content.seek(0)
            self._progress.reset(bar, total=size)
            return await self._imports.upload(
                content, file_format, name, dry_run=dry_run, sent=lambda count: self._progress.advance(bar, count)
            )

        return await self._insist(lambda: _once_free(send_all))

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        from paylatch.client import Patience  # noqa: PLC0415 - see the package's docstring

        return await Patience(total_s=self._patience_s).insist(ask, self._note)

    def _note(self, error: Exception) -> None:
        """Say once what keeps this waiting, above the bars and where there are none."""
        if not self._noted:
            text = f"{error}; trying again for {self._patience_s:g} s"
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
            self._noted = True

    async def wait_for(self, one: "Import") -> "Import":
        """Wait for its end."""
        bar = self._progress.add_task("rows", total=None)
        done = await self._imports.finished(
            one.import_id, seen=lambda now: self._progress.update(bar, total=now.rows or None, completed=now.done)
        )
        self._progress.update(bar, total=done.rows or 1, completed=done.done if done.rows else 1)
        return done

    async def save(self, one: "Import", path: Path | None, *, outcome: str | None) -> None:
        """Write the results of its rows, or of those with this outcome, to a file."""
        if path is None:
            return

        async def save_all() -> None:
            with path.open("wb") as file:
                async for piece in self._imports.results(one.import_id, _format_for(path), outcome=outcome):
                    file.write(piece)

        await self._insist(save_all)


async def _once_free(send: Callable[[], "Awaitable[Import]"]) -> "Import":
    """Send as soon as the bridge no longer receives what a client that is dead by now was sending under this name."""
    from paylatch.client import ConflictError  # noqa: PLC0415 - see the package's docstring
    from paylatch.client.imports import UPLOAD_RUNNING  # noqa: PLC0415

    deadline = time.monotonic() + _ABANDONED_S
    while True:
        try:
            return await send()
        except ConflictError as error:
            if error.problem.kind != UPLOAD_RUNNING or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_POLL_S)


def _opened(stack: ExitStack, path: Path) -> IO[bytes]:
    """Return a file that can be read twice: once for its name, once to be sent."""
    try:
        if path != Path("-"):
            return stack.enter_context(path.open("rb"))
        copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        shutil.copyfileobj(sys.stdin.buffer, copy)
    except OSError as error:
        fail(error, USAGE)
    return copy


def _name_of(content: IO[bytes], *, dry_run: bool) -> str:
    content.seek(0)
    digest = file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants less than IO, and names it otherwise
    return f"sha256-{digest}" + ("-dry-run" if dry_run else "")


def _format_of(content: IO[bytes]) -> "Format":
    """Tell the two formats apart: no header row begins with a brace."""
    content.seek(0)
    first = content.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    return "ndjson" if first.startswith(b"{") else "csv"


def _format_for(path: Path) -> "Format":
    return "ndjson" if path.suffix in (".ndjson", ".jsonl") else "csv"


def _progress() -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - see the package's docstring
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def _tell(one: "Import", *, as_json: bool) -> None:
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    if as_json:
        show_json(to_json(one))
    else:
        for line in _summary(one):
            typer.echo(line)
    if one.problem is not None:
        fail(one.problem.detail, FAILED)
    if one.refused:
        raise typer.Exit(PARTLY)


def _summary(one: "Import") -> Iterator[str]:
    yield f"{one.import_id}  {one.state}" + ("  (dry run: nothing was written)" if one.dry_run else "")
    counts = {
        "rows": one.rows,
        "applied": one.applied,
        "unchanged": one.unchanged,
        "held": one.held,
        "repeated": one.repeated,
        "refused": one.refused,
    }
    yield from (f"{name:10}{count:>9}" for name, count in counts.items())
