"""The command line: what a person runs.

Data goes to standard output, messages to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
Each command imports what it needs when it runs, so that `--help` is quick.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from paylatch import resources

if TYPE_CHECKING:
    from broker_bridge.settings import Settings
    from lock_protocol.messages import LenderId

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143

T = TypeVar("T")

app = typer.Typer(
    name="paylatch",
    help="Lock phones in arrears, open them on payment, and prove both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bridge_app = typer.Typer(help="The bridge between lenders and phones.", no_args_is_help=True, rich_markup_mode=None)
fleet_app = typer.Typer(help="Simulated phones.", no_args_is_help=True, rich_markup_mode=None)
keys_app = typer.Typer(help="The keys that phones trust.", no_args_is_help=True, rich_markup_mode=None)
lender_app = typer.Typer(help="The lenders that may use a bridge.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bridge_app, name="bridge")
app.add_typer(fleet_app, name="fleet")
app.add_typer(keys_app, name="keys")
app.add_typer(lender_app, name="lender")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The bridge's settings, in TOML.", show_default=False)
]


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - the signature that Typer calls
    if wanted:
        typer.echo(f"paylatch {version('paylatch')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Lock phones in arrears, open them on payment, and prove both."""


@app.command(
    epilog="Example: paylatch demo --phones 100 --months 2 --json figures.json --audit audit.csv",
)
def demo(
    *,
    phones: Annotated[int, typer.Option(min=1, metavar="N", help="How many phones.")] = 500,
    months: Annotated[int, typer.Option(min=1, metavar="N", help="How many months.")] = 6,
    histories: Annotated[
        Path, typer.Option(metavar="FILE", help="Repayment histories, .csv or .csv.gz.", show_default="those shipped")
    ] = resources.HISTORIES,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Write the figures here.", show_default=False)
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write each phone's levels in each month here.", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show violations and errors only.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses who is reset or offline, and when.")] = 0,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An empty database for the bridge, postgresql://user@host:port/name (its password may be in "
            "PGPASSWORD), or just `postgresql` for a server of the demo's own.",
            show_default="a SQLite file",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep all files of the run here (new or empty).", show_default=False),
    ] = None,
) -> None:
    """Play real repayment histories to simulated phones on a real broker, and audit every phone every month.

    Exits with 0 only if every phone was, at the end of every month, what its history requires.
    """
    from broker_bridge.app.ports import StoreUnavailableError  # noqa: PLC0415 - see the module's docstring
    from device_sim.fleet.control_client import FleetControlError  # noqa: PLC0415
    from paylatch.broker_process import BrokerError  # noqa: PLC0415
    from paylatch.demo.options import DemoError, DemoUsageError, Options  # noqa: PLC0415
    from paylatch.demo.run import run  # noqa: PLC0415
    from paylatch.demo.view import choose_view  # noqa: PLC0415
    from paylatch.histories import HistoryError  # noqa: PLC0415
    from paylatch.postgres_process import PostgresError  # noqa: PLC0415

    failures = (DemoError, BrokerError, PostgresError, StoreUnavailableError, FleetControlError, OSError)
    options = Options(phones=phones, months=months, histories=histories, seed=seed, database=database, keep=keep)
    with ExitStack() as stack:
        view = choose_view(quiet=quiet)
        audit_file = _create(stack, audit)
        json_file = _create(stack, json_path)
        with view:
            result = _finish(run(options, view, audit_file), failures, usage=(DemoUsageError, HistoryError))
            view.summary(result)
        if json_file is not None:
            json_file.write(json.dumps(result.to_json(), indent=2) + "\n")
    if result.violations:
        raise typer.Exit(FAILED)


@bridge_app.command("run", epilog="Example: paylatch bridge run --config bridge.toml")
def bridge_run(*, config: ConfigOption = None) -> None:
    """Run the bridge until it is told to stop (SIGTERM, Ctrl-C). Logs go to standard error, one JSON object a line.

    What the file does not say comes from the environment: PAYLATCH_HTTP__PORT=8081 is `port` under `[http]`.
    """
    from broker_bridge.adapters.signing.keys import KeyFileError  # noqa: PLC0415 - see the module's docstring
    from broker_bridge.app.ports import StoreUnavailableError  # noqa: PLC0415
    from broker_bridge.app.resign import DelegationBehindError  # noqa: PLC0415
    from broker_bridge.main import run  # noqa: PLC0415
    from broker_bridge.settings import SettingsError  # noqa: PLC0415

    settings = _settings(config)
    expected = (KeyFileError, DelegationBehindError, StoreUnavailableError, OSError)
    _finish(run(settings), expected, usage=(SettingsError,))


@fleet_app.command(
    "run",
    add_help_option=False,  # the fleet's own parser knows its options, and shows them
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def fleet_run(context: typer.Context) -> None:
    """Run a fleet of simulated phones; `paylatch fleet run --help` lists its options."""
    from device_sim.main import main as run_fleet  # noqa: PLC0415 - see the module's docstring

    raise typer.Exit(run_fleet(context.args))


@keys_app.command("init", epilog="Example: paylatch keys init --directory keys --lender acme")
def keys_init(
    *,
    directory: Annotated[Path, typer.Option(metavar="DIR", help="Where the keys are made.")],
    lender: Annotated[str, typer.Option(metavar="NAME", help="Whose online keys: 3 to 32 of a-z, 0-9 and '-'.")],
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host that payment links may name; up to 4.", show_default="pay.example"),
    ] = None,
) -> None:
    """Make a development root (1 of 1), and a lender's online keys with their delegation. Never for production."""
    from broker_bridge.adapters.signing.keys import KeyFileError, init_development_keys  # noqa: PLC0415 - as above

    try:
        init_development_keys(directory, _lender(lender), now=int(time.time()), hosts=host or ["pay.example"])
    except (KeyFileError, OSError, ValueError) as error:
        _fail(error, FAILED)
    typer.echo(f"made development keys for {lender} in {directory}; never use them in production", err=True)


@lender_app.command("add", epilog="Example: paylatch lender add acme --config bridge.toml > acme.key")
def lender_add(
    name: Annotated[str, typer.Argument(help="3 to 32 of a-z, 0-9 and '-'.", metavar="NAME", show_default=False)],
    *,
    config: ConfigOption = None,
) -> None:
    """Let a lender use the bridge. Its API key is printed this once; only its hash is stored."""
    from broker_bridge.app.ports import StoreUnavailableError  # noqa: PLC0415 - see the module's docstring
    from broker_bridge.main import add_lender  # noqa: PLC0415
    from broker_bridge.settings import SettingsError  # noqa: PLC0415

    lender = _lender(name)
    settings = _settings(config)
    key = _finish(add_lender(settings, lender), (StoreUnavailableError, OSError), usage=(SettingsError,))
    typer.echo(key)
    typer.echo(f"this is the API key of {name}; it is shown this once", err=True)


def _settings(config: Path | None) -> "Settings":
    from broker_bridge.settings import SettingsError, load  # noqa: PLC0415 - see the module's docstring

    try:
        return load(config)
    except SettingsError as error:
        _fail(error, USAGE)


def _lender(name: str) -> "LenderId":
    from lock_protocol.messages import LENDER, LenderId  # noqa: PLC0415 - see the module's docstring

    if not LENDER.fullmatch(name):
        _fail(ValueError(f"lender {name!r}: expected 3 to 32 of a-z, 0-9 and '-'"), USAGE)
    return LenderId(name)


def _create(stack: ExitStack, path: Path | None) -> IO[str] | None:
    """Open a file to write before the work begins: a path that cannot be written should not cost an hour."""
    if path is None:
        return None
    try:
        return stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    except OSError as error:
        _fail(error, USAGE)


def _finish(
    work: Coroutine[Any, Any, T],
    failures: tuple[type[Exception], ...],
    *,
    usage: tuple[type[Exception], ...],
) -> T:
    """Run `work` and return its result; end with a message and no traceback for the errors that may be expected.

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
        first = _first_of(error, (*usage, *failures))
        if first is None:
            raise
        _fail(first, USAGE if isinstance(first, usage) else FAILED)


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


def _fail(error: Exception, code: int) -> NoReturn:
    """Say what is wrong, and end."""
    typer.echo(f"paylatch: {error}", err=True)
    raise typer.Exit(code)
