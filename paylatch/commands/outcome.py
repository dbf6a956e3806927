"""How a command ends: its exit code, and one line instead of a traceback for what may be expected."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer

FAILED, USAGE, PARTLY, NOT_ALLOWED, TOO_SLOW, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 99, 130, 143
"""Exit codes besides 0 for done; `PARTLY` is for a bulk of which a part failed, `TOO_SLOW` for a threshold."""

T = TypeVar("T")


def finish(
    work: Coroutine[Any, Any, T],
    failures: tuple[type[Exception], ...],
    *,
    usage: tuple[type[Exception], ...],
    not_allowed: tuple[type[Exception], ...] = (),
) -> T:
    """Run `work` and return its result; end with a message and no traceback for the errors that may be expected.

    Of which kind an error is says the exit code; what is of several kinds is taken for the last one of these.

    The loop is asyncio's own. uvloop 0.22 is no faster here, and one time in seventy it closes its watch over a socket
    whose broker was killed without telling the MQTT client, which is then deaf until its keep-alive runs out.
    """
    try:
        return asyncio.run(_cancelled_by_sigterm(work))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except asyncio.CancelledError:
        raise typer.Exit(TERMINATED) from None
    except Exception as error:
        first = _first_of(error, (*not_allowed, *usage, *failures))
        if first is None:
            raise
        code = NOT_ALLOWED if isinstance(first, not_allowed) else USAGE if isinstance(first, usage) else FAILED
        fail(first, code)


def fail(error: Exception | str, code: int) -> NoReturn:
    """Say what is wrong, and end."""
    typer.echo(f"paylatch: {_told(error)}", err=True)
    raise typer.Exit(code)


def _told(error: Exception | str) -> str:
    """Return an error in words; a file's without the number that the system has for it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, and clean up on SIGTERM as on Ctrl-C."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _first_of(error: Exception, expected: tuple[type[Exception], ...]) -> Exception | None:
    """Return the first error in a group of them when all in it are expected; None when any is not."""
    if not isinstance(error, ExceptionGroup):
        return error if isinstance(error, expected) else None
    leaves = [_first_of(each, expected) for each in error.exceptions]
    return None if None in leaves else leaves[0]
