"""`paylatch lender mqtt-password`: what a lender connects to the broker with."""

from pathlib import Path
from typing import Annotated

import typer

from paylatch.commands.options import JsonOption, LenderArgument, lender_named
from paylatch.commands.outcome import FAILED, fail
from paylatch.commands.show import show_json

EXAMPLE = """\b
Example: umask 077; paylatch lender mqtt-password acme \\
  --passwords broker/services.passwd --pid-file broker/mosquitto.pid > acme.secret"""


def mqtt_password(
    lender: LenderArgument,
    *,
    passwords: Annotated[
        Path, typer.Option(metavar="FILE", help="The broker's password file for services.", show_default=False)
    ],
    pid_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The broker's process id, to have it reload the file.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a lender connect to the broker. Its new password is printed this once; only its hash is stored.

    The username is the lender's name. A password that it had before is worth nothing once the broker has reloaded.
    """
    from broker_bridge.adapters.mqtt.passwords import (  # noqa: PLC0415 - see the package's docstring
        PasswordEntryError,
        new_credential,
        put_lender_password,
    )
    from broker_bridge.adapters.mqtt.reloading import BrokerNotOursError, reload_broker  # noqa: PLC0415 - the same

    name, (secret, credential) = lender_named(lender), new_credential()
    try:
        put_lender_password(passwords, name, credential)
    except (PasswordEntryError, OSError) as error:
        fail(error, FAILED)
    if as_json:
        show_json({"lender": name, "password": secret})
    else:
        typer.echo(secret)
    typer.echo(
        f"this is the broker password of {lender}; it is shown this once: keep it where nobody else can read it",
        err=True,
    )
    try:
        reloaded = pid_file is not None and reload_broker(pid_file)
    except (BrokerNotOursError, OSError) as error:
        fail(error, FAILED)
    if not reloaded:
        typer.echo("the broker was not told: it knows the password once it reloads its files (SIGHUP)", err=True)
