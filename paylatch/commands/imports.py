"""`paylatch import`: a file of decisions, sent, waited for and told of.

The idempotency key is made of the file's bytes, so whatever was killed on the way, the client or the bridge: the same
command again goes on with the same import.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from hashlib import file_digest
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from paylatch.commands.options import JsonOption
from paylatch.commands.outcome import FAILED, NOT_ALLOWED, PARTLY, USAGE, fail
from paylatch.commands.show import show_json

if TYPE_CHECKING:
    from rich.progress import Progress

    from paylatch.commands.imports_http import ImportsApi

EXAMPLE = "Example: paylatch import decisions.csv --key-file acme.key --failed failed.csv"
OUTCOMES = ("applied", "unchanged", "held", "repeated", "refused")
UNREACHABLE, UPLOAD_RUNNING = "unreachable", "upload-running"
"""Kinds of `BridgeError` that pass."""
_POLL_S = 0.2
_PATIENCE_S = 60.0
"""How long a bridge may be away while this waits for it, or go on receiving what a client was sending that is dead."""

T = TypeVar("T")


def import_file(
    file: Annotated[
        Path, typer.Argument(help="CSV or NDJSON; '-' is standard input.", metavar="FILE", show_default=False)
    ],
    *,
    url: Annotated[
        str, typer.Option(metavar="URL", envvar="PAYLATCH_URL", help="Where the bridge is.")
    ] = "http://127.0.0.1:8080",
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="PAYLATCH_KEY_FILE",
            help="Holds the API key; without it, PAYLATCH_KEY does.",
            show_default=False,
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Names this import.", show_default="made of the file's SHA-256"),
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
    as_json: JsonOption = False,
) -> None:
    """Import a file of decisions, and tell what became of its rows. Run it again to go on after an interruption.

    Exits with 3 if rows were refused, with 1 if the file could not be read as a whole.
    """
    from paylatch.commands.imports_http import BridgeError, ImportsApi  # noqa: PLC0415 - see the package's docstring

    with ExitStack() as stack:
        content = _opened(stack, file)
        api = ImportsApi.at(url, _api_key(key_file))
        stack.callback(api.http.close)
        work = _Import(api, stack.enter_context(_progress()))
        name = idempotency_key or _name_of(content, dry_run=dry_run)
        try:
            one = work.send(content, name, dry_run=dry_run)
            if wait:
                one = work.wait_for(one)
                work.save(one, results, refused_only=False)
                work.save(one, failed, refused_only=True)
        except BridgeError as error:
            fail(error, NOT_ALLOWED if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) else FAILED)
        except OSError as error:
            fail(error, FAILED)
    _tell(one, as_json=as_json)


class _Import:
    """One import, as its sender sees it."""

    def __init__(self, api: "ImportsApi", progress: "Progress") -> None:
        self._api = api
        self._progress = progress

    def send(self, content: IO[bytes], name: str, *, dry_run: bool) -> dict[str, Any]:
        """Send the file. One that this bridge has had already costs its way, and nothing else."""
        media_type, size = _media_type(content), content.seek(0, 2)
        bar = self._progress.add_task("sending", total=size)

        def upload() -> dict[str, Any]:
            content.seek(0)
            self._progress.reset(bar, total=size)
            return self._api.upload(
                content, media_type, name, dry_run=dry_run, sent=lambda count: self._progress.advance(bar, count)
            )

        return _patiently(upload, passes=UPLOAD_RUNNING)

    def wait_for(self, one: dict[str, Any]) -> dict[str, Any]:
        """Wait for its end."""
        bar = self._progress.add_task("rows", total=None)
        while one["state"] not in ("done", "failed"):
            self._progress.update(bar, total=one["rows"] or None, completed=one["done"])
            time.sleep(_POLL_S)
            one = _patiently(partial(self._api.status, one["import_id"]), passes=UNREACHABLE)
        self._progress.update(bar, total=one["rows"] or 1, completed=one["done"] if one["rows"] else 1)
        return one

    def save(self, one: dict[str, Any], path: Path | None, *, refused_only: bool) -> None:
        """Write results to a file."""
        if path is None:
            return
        kind = "ndjson" if path.suffix in (".ndjson", ".jsonl") else "csv"
        with path.open("wb") as file:
            for piece in self._api.results(one["import_id"], kind, refused_only=refused_only):
                file.write(piece)


def _patiently(ask: Callable[[], T], passes: str) -> T:
    """Ask until there is an answer, for a while and as long as what is in the way is of the kind that passes."""
    from paylatch.commands.imports_http import BridgeError  # noqa: PLC0415 - see the package's docstring

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask()
        except BridgeError as error:
            if error.kind != passes or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


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


def _api_key(key_file: Path | None) -> str:
    if key_file is not None:
        try:
            return key_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            fail(error, USAGE)
    key = os.environ.get("PAYLATCH_KEY", "").strip()
    if not key:
        fail("no API key: name its file with --key-file, or put it into PAYLATCH_KEY", USAGE)
    return key


def _name_of(content: IO[bytes], *, dry_run: bool) -> str:
    content.seek(0)
    digest = file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants less than IO, and names it otherwise
    return f"sha256-{digest}" + ("-dry-run" if dry_run else "")


def _media_type(content: IO[bytes]) -> str:
    """Tell the two formats apart: no header row begins with a brace."""
    content.seek(0)
    first = content.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    return "application/x-ndjson" if first.startswith(b"{") else "text/csv"


def _progress() -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - see the package's docstring
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def _tell(one: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(one)
    else:
        for line in _summary(one):
            typer.echo(line)
    if one["state"] == "failed":
        fail(one["problem"]["detail"], FAILED)
    if one["refused"]:
        raise typer.Exit(PARTLY)


def _summary(one: dict[str, Any]) -> Iterator[str]:
    yield f"{one['import_id']}  {one['state']}" + ("  (dry run: nothing was written)" if one["dry_run"] else "")
    yield f"{'rows':10}{one['rows']:>9}"
    for outcome in OUTCOMES:
        yield f"{outcome:10}{one[outcome]:>9}"
