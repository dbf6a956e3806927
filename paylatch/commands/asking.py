"""How commands ask a bridge: where it is, with which key, and how they end when it says no or nothing."""

import inspect
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from paylatch.commands.files import text_of
from paylatch.commands.outcome import FAILED, NOT_ALLOWED, USAGE, fail, finish

if TYPE_CHECKING:
    import ssl

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
CafileOption = Annotated[
    Path | None,
    typer.Option(
        "--cafile",
        metavar="FILE",
        envvar="PAYLATCH_CAFILE",
        help="The CA of the bridge's certificate, PEM, if it is a private one.",
        show_default="public CAs and the system's",
    ),
]


@dataclass(frozen=True, slots=True)
class Access:
    """How a command comes to a bridge."""

    url: str
    key_file: Path | None
    cafile: Path | None

    def api_key(self) -> str:
        """Return the API key, or end because there is none."""
        if self.key_file is not None:
            return text_of(self.key_file).strip()
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            fail(f"no API key: name its file with --key-file, or put it into {KEY_VARIABLE}", USAGE)
        return key

    def tls(self) -> "ssl.SSLContext | None":
        """Return by which CA the bridge is known, None if by one that is known anyway; or end because that is none."""
        import ssl  # noqa: PLC0415 - see the package's docstring

        if self.cafile is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.cafile)
        except ssl.SSLError:
            fail(f"{self.cafile}: holds no certificate in PEM form", USAGE)
        except OSError as error:
            fail(f"{self.cafile}: {error.strerror}", USAGE)


_OPTIONS = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, annotation, default in (
        ("url", UrlOption, DEFAULT_URL),
        ("key_file", KeyFileOption, None),
        ("cafile", CafileOption, None),
    )
)


def asks_bridge(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of which its parameter `access` is made, in that one's place."""

    @wraps(command)
    def with_options(*, url: str, key_file: Path | None, cafile: Path | None, **others: Any) -> None:
        command(access=Access(url, key_file, cafile), **others)

    signature = inspect.signature(command)
    own = ([one] if one.name != "access" else _OPTIONS for one in signature.parameters.values())
    parameters = list(chain.from_iterable(own))
    # What Typer makes a command's options of.
    with_options.__dict__["__signature__"] = signature.replace(parameters=parameters)
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options


def ask(access: Access, question: "Callable[[Bridge], Awaitable[T]]", *, patience_s: float = _PATIENCE_S) -> T:
    """Return what a bridge answers, or end and say why there is no answer.

    `patience_s` is how long it may be away meanwhile.
    """
    from paylatch.client import PaylatchError  # noqa: PLC0415 - see the package's docstring

    return finish(_answered(access, question, patience_s), (PaylatchError, TimeoutError, OSError), usage=())


async def _answered(access: Access, question: "Callable[[Bridge], Awaitable[T]]", patience_s: float) -> T:
    from paylatch.client import (  # noqa: PLC0415 - as above
        NotAllowedError,
        Patience,
        UnavailableError,
        UnprovenError,
        connect,
    )

    key, tls, patience = access.api_key(), access.tls(), Patience(total_s=patience_s)
    try:
        async with connect(access.url, key, tls=tls, patience=patience) as bridge:
            return await question(bridge)
    except ValueError as error:
        fail(error, USAGE)
    except NotAllowedError as error:
        unknown = error.problem.status == HTTPStatus.UNAUTHORIZED
        fail(f"the bridge at {access.url} does not take this for a valid API key" if unknown else error, NOT_ALLOWED)
    except UnprovenError as error:
        fail(f"{error}; --cafile or PAYLATCH_CAFILE names its CA where that is a private one", FAILED)
    except UnavailableError as error:
        advice = "" if error.problem else "; is a bridge running there? --url or PAYLATCH_URL names another address"
        fail(f"{error}{advice}", FAILED)
