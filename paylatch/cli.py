"""The command line: what a person runs.

Data goes to standard output, messages to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a part of a
bulk failed, 4 not allowed, 99 a load test's threshold was not reached, 130 interrupted. Each command imports what it
needs when it runs, so that `--help` is quick.
"""

import errno
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from paylatch.commands import (
    bench,
    bridge,
    broker,
    completion,
    config,
    decide,
    demo,
    fleet,
    histories,
    imports,
    key,
    keys,
    lender,
    lender_mqtt,
    lookup,
    phone,
    policy,
    quickstart,
)
from paylatch.commands.outcome import FAILED, INTERRUPTED

app = typer.Typer(
    name="paylatch",
    help="Lock phones in arrears, open them on payment, and prove both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.add_typer(broker.app, name="broker")
app.add_typer(bridge.app, name="bridge")
app.add_typer(fleet.app, name="fleet")
app.add_typer(keys.app, name="keys")
lender.app.command("mqtt-password", epilog=lender_mqtt.EXAMPLE)(lender_mqtt.mqtt_password)
app.add_typer(lender.app, name="lender")
app.add_typer(key.app, name="key")
app.add_typer(config.app, name="config")
app.command("bench", epilog=bench.EXAMPLE)(bench.bench)
app.command("quickstart", epilog=quickstart.EXAMPLE)(quickstart.quickstart)
app.command("decide", epilog=decide.EXAMPLE)(decide.decide)
app.add_typer(phone.app, name="phone")
app.add_typer(lookup.decision_app, name="decision")
app.add_typer(lookup.command_app, name="command")
app.add_typer(policy.app, name="policy")
app.add_typer(histories.app, name="histories")
app.command("import", epilog=imports.EXAMPLE)(imports.import_file)
app.add_typer(completion.app)


def main() -> NoReturn:
    """Run the command line and exit."""
    completion.answer_shells()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        # Nothing that a command writes to can be told from its output: wherever there is no room, that is the fault.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.stderr.write(f"paylatch: {error.filename or 'output'}: {error.strerror}\n")
        sys.exit(FAILED)
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
