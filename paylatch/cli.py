"""The command line: what a person runs.

Data goes to standard output, messages to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a part of a
bulk failed, 4 not allowed, 99 a load test's threshold was not reached, 130 interrupted. Each command imports what it
needs when it runs, so that `--help` is quick.
"""

import json
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from paylatch import resources
from paylatch.commands import (
    bench,
    broker,
    completion,
    decide,
    fleet,
    imports,
    key,
    lender,
    lender_mqtt,
    lookup,
    phone,
    policy,
    quickstart,
)
from paylatch.commands import config as config_commands
from paylatch.commands import histories as histories_commands
from paylatch.commands.files import create, prepare, require_distinct, write_all
from paylatch.commands.options import ConfigOption, JsonOption, KeepOption, as_flag, given, lender_named, settings_from
from paylatch.commands.outcome import FAILED, INTERRUPTED, fail, finish
from paylatch.commands.show import show_json

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
keys_app = typer.Typer(help="The keys that phones trust.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(broker.app, name="broker")
app.add_typer(bridge_app, name="bridge")
app.add_typer(fleet.app, name="fleet")
app.add_typer(keys_app, name="keys")
lender.app.command("mqtt-password", epilog=lender_mqtt.EXAMPLE)(lender_mqtt.mqtt_password)
app.add_typer(lender.app, name="lender")
app.add_typer(key.app, name="key")
app.add_typer(config_commands.app, name="config")
app.command("bench", epilog=bench.EXAMPLE)(bench.bench)
app.command("quickstart", epilog=quickstart.EXAMPLE)(quickstart.quickstart)
app.command("decide", epilog=decide.EXAMPLE)(decide.decide)
app.add_typer(phone.app, name="phone")
app.add_typer(lookup.decision_app, name="decision")
app.add_typer(lookup.command_app, name="command")
app.add_typer(policy.app, name="policy")
app.add_typer(histories_commands.app, name="histories")
app.command("import", epilog=imports.EXAMPLE)(imports.import_file)
app.add_typer(completion.app)


def main() -> NoReturn:
    """Run the command line and exit."""
    completion.answer_shells()
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
    epilog="\b\nExample: paylatch demo --phones 100 --months 2 --json figures.json \\\n  --audit audit.csv",
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
    keep: KeepOption = None,
) -> None:
    """Play real repayment histories to simulated phones on a real broker, and audit every phone every month.

    Exits with 0 only if every phone was, at the end of every month, what its history requires.
    """
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415 - see the module's docstring
    from device_sim.fleet.control_client import FleetControlError  # noqa: PLC0415
    from paylatch.client import PaylatchError  # noqa: PLC0415
    from paylatch.demo.options import DemoError, DemoUsageError, Options  # noqa: PLC0415
    from paylatch.demo.run import run  # noqa: PLC0415
    from paylatch.demo.view import choose_view  # noqa: PLC0415
    from paylatch.histories import HistoryError  # noqa: PLC0415
    from paylatch.local.errors import LocalRunError, LocalRunUsageError  # noqa: PLC0415

    failures = (DemoError, LocalRunError, PaylatchError, StoreUnavailableError, FleetControlError, OSError)
    options = Options(phones=phones, months=months, histories=histories, seed=seed, database=database, keep=keep)
    require_distinct(audit, json_path)
    with ExitStack() as stack:
        view = choose_view(quiet=quiet)
        audit_file = create(stack, audit)
        json_file = prepare(stack, json_path)
        with view:
            usage = (DemoUsageError, LocalRunUsageError, HistoryError)
            result = finish(run(options, view, audit_file), failures, usage=usage)
            view.summary(result)
        write_all([(json_file, lambda file: file.write(json.dumps(result.to_json(), indent=2) + "\n"))])
    if result.violations:
        raise typer.Exit(FAILED)


@bridge_app.command("run", epilog="Example: paylatch bridge run --config bridge.toml --http-port 8081")
def bridge_run(
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
        typer.Option(metavar="NAME", help="The profile for lenders that have set no policy.", show_default=False),
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
    from broker_bridge.adapters.signing.keys import KeyFileError  # noqa: PLC0415 - see the module's docstring
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415
    from broker_bridge.app.resign import DelegationBehindError  # noqa: PLC0415
    from broker_bridge.domain.policy import PolicyError  # noqa: PLC0415
    from broker_bridge.main import run  # noqa: PLC0415
    from broker_bridge.settings import SettingsError  # noqa: PLC0415

    settings = settings_from(config, given(flags))
    expected = (KeyFileError, DelegationBehindError, PolicyError, StoreUnavailableError, OSError)
    finish(run(settings), expected, usage=(SettingsError,))


@keys_app.command("init", epilog="Example: paylatch keys init --directory keys --lender acme")
def keys_init(
    *,
    directory: Annotated[Path, typer.Option(metavar="DIR", help="Where the keys are made.")],
    lender: Annotated[str, typer.Option(metavar="NAME", help="Whose online keys: 3 to 32 of a-z, 0-9 and '-'.")],
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host that payment links may name; up to 4.", show_default="pay.example"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a development root (1 of 1), and a lender's online keys with their delegation. Never for production."""
    from broker_bridge.adapters.signing.keys import KeyFileError, init_development_keys  # noqa: PLC0415 - as above

    try:
        init_development_keys(directory, lender_named(lender), now=int(time.time()), hosts=host or ["pay.example"])
    except (KeyFileError, OSError, ValueError) as error:
        fail(error, FAILED)
    if as_json:
        show_json({"lender": lender, "directory": str(directory)})
    typer.echo(f"made development keys for {lender} in {directory}; never use them in production", err=True)
