"""Options and arguments that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paylatch.commands.outcome import USAGE, fail

if TYPE_CHECKING:
    from broker_bridge.setting_sources import Values
    from broker_bridge.settings import Settings
    from lock_protocol.imei import Imei
    from lock_protocol.messages import LenderId

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The bridge's settings, in TOML.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON.")]
EmptyDatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="An empty database for the bridge, postgresql://user@host:port/name (its password may be in PGPASSWORD), "
        "or just `postgresql` for a server of the run's own.",
        show_default="a SQLite file",
    ),
]
KeepOption = Annotated[
    Path | None,
    typer.Option("--keep", metavar="DIR", help="Keep all files of the run here (new or empty).", show_default=False),
]
LenderArgument = Annotated[
    str, typer.Argument(help="3 to 32 of a-z, 0-9 and '-'.", metavar="LENDER", show_default=False)
]


def settings_from(config: Path | None, flags: "Values | None" = None) -> "Settings":
    """Return the bridge's settings, or end with what is wrong with them."""
    from broker_bridge.safety import load  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.settings import NOTHING, SettingsError  # noqa: PLC0415 - the same

    try:
        return load(config, flags or NOTHING)
    except SettingsError as error:
        fail(error, USAGE)


def given(flags: "Values") -> "Values":
    """Return the flags that somebody has given."""
    found = {name: given(value) if isinstance(value, dict) else value for name, value in flags.items()}
    return {name: value for name, value in found.items() if value is not None}


def as_flag(database: str) -> str:
    """Return a database's URL, or end because there is a password in it."""
    from broker_bridge.settings import without_password  # noqa: PLC0415 - see the package's docstring

    if without_password(database) != database:
        fail("--database: everybody on this machine sees a flag's password; use PAYLATCH_DATABASE or the file", USAGE)
    return database


def lender_named(name: str) -> "LenderId":
    """Return a lender's name as one, or end with what it has to look like."""
    from lock_protocol.messages import LENDER, LenderId  # noqa: PLC0415 - see the package's docstring

    if not LENDER.fullmatch(name):
        fail(f"lender {name!r}: expected 3 to 32 of a-z, 0-9 and '-'", USAGE)
    return LenderId(name)


def imei_named(text: str) -> "Imei":
    """Return an IMEI as one, or end with what it has to look like."""
    from lock_protocol.imei import InvalidImeiError, parse_imei  # noqa: PLC0415 - see the package's docstring

    try:
        return parse_imei(text)
    except InvalidImeiError as error:
        fail(error, USAGE)
