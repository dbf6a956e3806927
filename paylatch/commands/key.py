"""`paylatch key`: the API keys with which lenders come to a bridge."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from paylatch.commands.options import ConfigOption, JsonOption, LenderArgument, lender_named, settings_from
from paylatch.commands.outcome import FAILED, USAGE, fail, finish
from paylatch.commands.show import show_json, show_table

if TYPE_CHECKING:
    from broker_bridge.domain.access import Scope

_CREATE_EXAMPLE = """\b
Example: umask 077; paylatch key create acme --name crm --scope support \\
  --config bridge.toml > crm.key"""

app = typer.Typer(help="The API keys of lenders.", no_args_is_help=True, rich_markup_mode=None)


@app.command("create", epilog=_CREATE_EXAMPLE)
def create(
    lender: LenderArgument,
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="Which system holds it.", show_default=False)],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE",
            help="decisions:write, phones:read, phones:write, support, approve or admin; may be repeated.",
            show_default=False,
        ),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key. It is printed this once; only its hash is stored."""
    from broker_bridge.adapters.lender_api.answers import api_key_answer  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.app.ports.signing import UnknownLenderError  # noqa: PLC0415
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415
    from broker_bridge.tenants import create_key  # noqa: PLC0415

    owner, called, scopes = lender_named(lender), _name(name), [_scope(one) for one in scope]
    work = create_key(settings_from(config), owner, called, scopes)
    key, secret = finish(work, (UnknownLenderError, StoreUnavailableError, OSError), usage=())
    if as_json:
        show_json(api_key_answer(key) | {"key": secret})
    else:
        typer.echo(secret)
    typer.echo(
        f"this is {key.key_id} of {lender}, for {', '.join(sorted(key.scopes))}; it is shown this once: "
        "keep it where nobody else can read it",
        err=True,
    )


@app.command("list", epilog="Example: paylatch key list acme --config bridge.toml")
def list_all(lender: LenderArgument, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List a lender's API keys, the oldest first, revoked ones too. None of them is shown itself."""
    from broker_bridge.adapters.lender_api.answers import api_key_answer  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.app.ports.signing import UnknownLenderError  # noqa: PLC0415
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415
    from broker_bridge.tenants import keys_of  # noqa: PLC0415

    work = keys_of(settings_from(config), lender_named(lender))
    found = finish(work, (UnknownLenderError, StoreUnavailableError, OSError), usage=())
    keys: list[Mapping[str, object]] = [api_key_answer(key) for key in found]
    if as_json:
        show_json(keys)
        return
    columns = ("key_id", "name", "scopes", "created_at", "last_used_at", "revoked_at")
    rows = [[_cell(key[column]) for column in columns] for key in keys]
    show_table(("KEY", "NAME", "SCOPES", "CREATED", "LAST USED", "REVOKED"), rows)


@app.command("revoke", epilog="\b\nExample: paylatch key revoke acme key_6b86b273ff34fce1 \\\n  --config bridge.toml")
def revoke(
    lender: LenderArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, key_…; never the key.", show_default=False)],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke an API key: a second later a running bridge refuses it. Takes even the lender's last admin key."""
    from broker_bridge.adapters.lender_api.answers import api_key_answer  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.app.ports.store import StoreUnavailableError  # noqa: PLC0415
    from broker_bridge.domain.access import KeyId  # noqa: PLC0415
    from broker_bridge.tenants import revoke_key  # noqa: PLC0415

    work = revoke_key(settings_from(config), lender_named(lender), KeyId(key))
    revoked = finish(work, (StoreUnavailableError, OSError), usage=())
    if revoked is None:
        fail(f"{lender} has no such key; `paylatch key list {lender}` shows their ids", FAILED)
    if as_json:
        show_json(api_key_answer(revoked))
    typer.echo(f"{revoked.key_id} ({revoked.name}) of {lender} is revoked", err=True)


def _cell(value: object) -> object:
    return ",".join(value) if isinstance(value, list) else value or "-"


def _scope(text: str) -> "Scope":
    from broker_bridge.domain.access import parse_scope  # noqa: PLC0415 - see the package's docstring

    try:
        return parse_scope(text)
    except ValueError as error:
        fail(f"--scope {text!r}: {error}", USAGE)


def _name(text: str) -> str:
    from broker_bridge.domain.access import key_name  # noqa: PLC0415 - see the package's docstring

    try:
        return key_name(text)
    except ValueError as error:
        fail(f"--name: {error}", USAGE)
