"""`paylatch lender`: the lenders that may use a bridge."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from paylatch.commands.options import ConfigOption, JsonOption, LenderArgument, lender_named, settings_from
from paylatch.commands.outcome import finish
from paylatch.commands.show import show_json, show_table

if TYPE_CHECKING:
    from broker_bridge.app.records import LenderSummary

app = typer.Typer(help="The lenders that may use a bridge.", no_args_is_help=True, rich_markup_mode=None)


@app.command("add", epilog="\b\nExample: umask 077; paylatch lender add acme \\\n  --config bridge.toml > acme.key")
def add(name: LenderArgument, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let a lender use the bridge. Its first API key is printed this once; only its hash is stored.

    The key has the scope `admin`: with it the lender makes keys that may do less.
    """
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.settings import SettingsError  # noqa: PLC0415
    from broker_bridge.tenants import LenderExistsError, add_lender  # noqa: PLC0415

    lender = lender_named(name)
    settings = settings_from(config)
    failures = (LenderExistsError, StoreUnavailableError, OSError)
    key = finish(add_lender(settings, lender), failures, usage=(SettingsError,))
    if as_json:
        show_json({"lender": lender, "key": key})
    else:
        typer.echo(key)
    typer.echo(f"this is the API key of {name}; it is shown this once: keep it where nobody else can read it", err=True)


@app.command("list", epilog="Example: paylatch lender list --config bridge.toml")
def list_all(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the lenders, what they have, and whether the bridge can sign for them, until when."""
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.tenants import lenders  # noqa: PLC0415

    settings = settings_from(config)
    found = finish(lenders(settings), (StoreUnavailableError, OSError), usage=())
    shown = [_summary(one, settings.keys) for one in found]
    if as_json:
        show_json(shown)
    else:
        columns = ("lender", "created_at", "phones", "keys", "signing", "until")
        rows = [["-" if one[column] is None else one[column] for column in columns] for one in shown]
        show_table(("LENDER", "CREATED", "PHONES", "KEYS", "SIGNING", "UNTIL"), rows)
    for one in shown:
        if one["problem"]:
            typer.echo(f"paylatch: {one['lender']}: {one['problem']}", err=True)


def _summary(lender: "LenderSummary", keys: Path) -> dict[str, Any]:
    """Return a lender as it is shown, with whether its signing keys can be used."""
    from broker_bridge.adapters.lender_api.answers import time_text  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.adapters.signing.keys import KeyFileError, usable_delegation  # noqa: PLC0415

    signing, until, problem = "missing", None, None
    try:
        delegation = usable_delegation(keys, lender.lender)
        if delegation is not None:
            signing = "ready" if time.time() < delegation.expires_at else "expired"
            until = time_text(delegation.expires_at)
    except KeyFileError as error:
        signing, problem = "unusable", str(error)
    return {
        "lender": lender.lender,
        "created_at": time_text(lender.created_at),
        "phones": lender.phones,
        "keys": lender.keys,
        "signing": signing,
        "until": until,
        "problem": problem,
    }
