"""`paylatch broker`: a broker for the bridge."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from paylatch.commands.options import JsonOption
from paylatch.commands.outcome import FAILED, USAGE, fail
from paylatch.commands.show import show_json

app = typer.Typer(help="A broker for the bridge.", no_args_is_help=True, rich_markup_mode=None)


@app.command("init", epilog="Example: paylatch broker init --directory broker --secret bridge.secret")
def init(
    *,
    directory: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the broker's files are made (new or empty).", show_default=False)
    ],
    secret: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the bridge's password is put (new).", show_default=False)
    ],
    phones_port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="The listener for phones.")] = 1883,
    services_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="The listener for the bridge and lenders.")
    ] = 1884,
    as_json: JsonOption = False,
) -> None:
    """Make all files of a Mosquitto that serves a bridge on this machine: configuration, passwords, ACLs.

    Nothing that is there is overwritten. Prints the table [broker] for the bridge's settings. Both listeners are on
    loopback; the configuration says how phones are let in from outside.
    """
    from paylatch.local.broker_config import (  # noqa: PLC0415 - see the package's docstring
        BrokerFilesExistError,
        init_broker,
        settings_section,
    )

    if phones_port == services_port:
        fail(f"--phones-port and --services-port: {phones_port} cannot be both", USAGE)
    try:
        files = init_broker(directory, secret, phones_port=phones_port, services_port=services_port)
    except (BrokerFilesExistError, LookupError, OSError) as error:
        fail(error, FAILED)
    if as_json:
        show_json({"directory": str(directory), "conf": str(files.conf), "secret": str(secret)})
    else:
        typer.echo(settings_section(files, secret, phones_port=phones_port, services_port=services_port), nl=False)
    typer.echo(f"made the broker's files in {directory}, and the bridge's password in {secret}", err=True)
    typer.echo(f"next, in a terminal of its own: {_start(files.conf)}", err=True)
    typer.echo(
        "then put the table [broker] into the bridge's settings, and `paylatch config check` looks at them", err=True
    )


def _start(conf: Path) -> str:
    """Return the command that starts the broker: from its directory, to which the names in its files are relative."""
    from paylatch.local.broker_process import BrokerError, find_mosquitto  # noqa: PLC0415 - see the package's docstring

    try:
        mosquitto = find_mosquitto()
    except BrokerError:
        mosquitto = "mosquitto"  # whoever starts it is told that it is not here
    return f"cd {shlex.quote(str(conf.parent))} && {shlex.quote(mosquitto)} -c {conf.name}"
