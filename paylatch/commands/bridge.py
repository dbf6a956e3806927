"""`paylatch bridge`: the bridge itself."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from paylatch.commands.names import profile_names
from paylatch.commands.options import ConfigOption, as_flag, given, settings_from
from paylatch.commands.outcome import FAILED, finish

app = typer.Typer(help="The bridge between lenders and phones.", no_args_is_help=True, rich_markup_mode=None)


@app.command("run", epilog="Example: paylatch bridge run --config bridge.toml --http-port 8081")
def run(
    *,
    config: ConfigOption = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where everything is kept; a password in it is no flag.", show_default=False),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The keys that it signs with.", show_default=False)
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The profile for lenders that have set no policy.",
            show_default=False,
            autocompletion=profile_names,
        ),
    ] = None,
    http_host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Where it serves HTTP.", show_default=False)
    ] = None,
    http_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Its port for HTTP.", show_default=False)
    ] = None,
    broker_host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Where the broker is.", show_default=False)
    ] = None,
    broker_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Its listener for services.", show_default=False)
    ] = None,
    development: Annotated[
        bool | None,
        typer.Option(
            "--development/--no-development", help="Loopback only, and a root of one key will do.", show_default=False
        ),
    ] = None,
) -> None:
    """Run the bridge until it is told to stop (SIGTERM, Ctrl-C). Logs go to standard error, one JSON object a line.

    Options here stand above the environment (PAYLATCH_HTTP__PORT=8081 is `port` under `[http]`), and that above the
    file. `paylatch config show` tells what a bridge would run with, `paylatch config check` whether it could.
    """
    flags = {
        "database": database and as_flag(database),
        "keys": keys,
        "policy": policy,
        "development": development,
        "http": {"host": http_host, "port": http_port},
        "broker": {"host": broker_host, "port": broker_port},
    }
    from broker_bridge.adapters.signing.keys import KeyFileError  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415
    from broker_bridge.app.resign import DelegationBehindError  # noqa: PLC0415
    from broker_bridge.domain.policy import PolicyError  # noqa: PLC0415
    from broker_bridge.main import run as run_bridge  # noqa: PLC0415
    from broker_bridge.settings import SettingsError  # noqa: PLC0415

    settings = settings_from(config, given(flags))
    expected = (KeyFileError, DelegationBehindError, PolicyError, StoreUnavailableError, OSError)
    finish(run_bridge(settings), expected, usage=(SettingsError,))


@app.command("confirm-clock", epilog="Example: paylatch bridge confirm-clock --config bridge.toml")
def confirm_clock(
    *,
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Say that this machine's clock is right, where a bridge cannot know and so locks nothing.

    It is for after a rest of more than a week, a restored database, or a machine that slept; bridges that run heed it
    at once. After a bridge has signed with a clock that was ahead, install delegations of a higher epoch and say this
    before any bridge starts with them.
    """
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.confirmed_clock import confirm_clock as confirm  # noqa: PLC0415
    from broker_bridge.confirmed_clock import last_time  # noqa: PLC0415
    from broker_bridge.settings import SettingsError  # noqa: PLC0415

    settings, expected = settings_from(config), (StoreUnavailableError, OSError)
    before, now = finish(last_time(settings), expected, usage=(SettingsError,)), int(time.time())
    typer.echo(f"this machine's clock says {_shown(now)}; {_told(before, now)}", err=True)
    if not yes and not typer.confirm("Phones keep for good what they are told of the time. Is it right?", err=True):
        raise typer.Exit(FAILED)
    finish(confirm(settings, now), expected, usage=())


def _told(before: int, now: int) -> str:
    if not before:
        return "no bridge has signed anything with this database"
    days = abs(now - before) // 86_400
    return f"a bridge last signed with {_shown(before)}, {days} days {'before' if before <= now else 'after'} that"


def _shown(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
