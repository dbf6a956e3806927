"""How commands ask a bridge: where it is, with which key, and how they end when it says no or nothing."""

import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from paylatch.commands.outcome import FAILED, NOT_ALLOWED, USAGE, fail, finish

if TYPE_CHECKING:
    from paylatch.client import Bridge

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8080"
KEY_VARIABLE = "PAYLATCH_KEY"
_PATIENCE_S = 5.0
"""Somebody waits, and can run the command again."""

UrlOption = Annotated[str, typer.Option("--url", metavar="URL", envvar="PAYLATCH_URL", help="Where the bridge is.")]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        envvar="PAYLATCH_KEY_FILE",
        help=f"Holds the API key; without it, {KEY_VARIABLE} does.",
        show_default=False,
    ),
]


def ask(
    url: str, key_file: Path | None, question: "Callable[[Bridge], Awaitable[T]]", *, patience_s: float = _PATIENCE_S
) -> T:
    """Return what a bridge answers, or end and say why there is no answer.

    `patience_s` is how long it may be away meanwhile.
    """
    from paylatch.client import PaylatchError  # noqa: PLC0415 - see the package's docstring

    return finish(
        _answered(url, api_key(key_file), question, patience_s), (PaylatchError, TimeoutError, OSError), usage=()
    )


def api_key(key_file: Path | None) -> str:
    """Return the API key, or end because there is none."""
    if key_file is not None:
        try:
            return key_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            fail(error, USAGE)
        except UnicodeDecodeError as error:
            fail(f"{key_file}: {error}", USAGE)
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        fail(f"no API key: name its file with --key-file, or put it into {KEY_VARIABLE}", USAGE)
    return key


async def _answered(url: str, key: str, question: "Callable[[Bridge], Awaitable[T]]", patience_s: float) -> T:
    from paylatch.client import NotAllowedError, Patience, UnavailableError, connect  # noqa: PLC0415 - as above

    try:
        async with connect(url, key, patience=Patience(total_s=patience_s)) as bridge:
            return await question(bridge)
    except ValueError as error:
        fail(error, USAGE)
    except NotAllowedError as error:
        unknown = error.problem.status == HTTPStatus.UNAUTHORIZED
        fail(f"the bridge at {url} does not take this for a valid API key" if unknown else error, NOT_ALLOWED)
    except UnavailableError as error:
        advice = "" if error.problem else "; is a bridge running there? --url or PAYLATCH_URL names another address"
        fail(f"{error}{advice}", FAILED)
