"""`paylatch decision show` and `paylatch command show`."""

from typing import Annotated

import typer

from paylatch.commands.asking import Access, ask, asks_bridge
from paylatch.commands.decide import show_decided
from paylatch.commands.options import JsonOption
from paylatch.commands.show import show_json, show_table
from paylatch.commands.words import moment

decision_app = typer.Typer(help="Decisions that were reported.", no_args_is_help=True, rich_markup_mode=None)
command_app = typer.Typer(help="Changes on their way to phones.", no_args_is_help=True, rich_markup_mode=None)


@decision_app.command("show", epilog="Example: paylatch decision show 2026-01-0001 --key-file acme.key")
@asks_bridge
def show_decision(
    decision_id: Annotated[str, typer.Argument(metavar="ID", help="Your name for it.", show_default=False)],
    *,
    access: Access,
    as_json: JsonOption = False,
) -> None:
    """Show what became of a decision when it was reported."""
    show_decided(ask(access, lambda bridge: bridge.decision(decision_id)), as_json=as_json)


@command_app.command("show", epilog="Example: paylatch command show cmd_1 --key-file acme.key")
@asks_bridge
def show_command(
    command_id: Annotated[str, typer.Argument(metavar="ID", help="Like cmd_….", show_default=False)],
    *,
    access: Access,
    as_json: JsonOption = False,
) -> None:
    """Show where a change is on its way to its phone."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    command = ask(access, lambda bridge: bridge.command(command_id))
    if as_json:
        show_json(to_json(command))
        return
    level = command.level.name.lower()
    rows = [
        ("phone", command.imei),
        ("status", f"{command.status} {command.detail}".rstrip()),
        ("level", f"{level}, {command.reason}, version {command.epoch}.{command.version}"),
        ("decision", command.decision_id or "-"),
        ("created", moment(command.created_at)),
        ("sent", moment(command.sent_at)),
        ("finished", moment(command.finished_at)),
    ]
    show_table(("COMMAND", command.command_id), rows)
