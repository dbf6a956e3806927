"""`paylatch phone`: what the support desk asks about a phone."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from paylatch.commands.asking import Access, ask, asks_bridge
from paylatch.commands.decide import show_decided
from paylatch.commands.options import JsonOption, imei_named
from paylatch.commands.show import show_json, show_table
from paylatch.commands.words import arrears, holds, moment, pending, sentence

if TYPE_CHECKING:
    from rich.table import Table

    from paylatch.client import Bridge, Command, Decided, Event, Phone

app = typer.Typer(help="Phones: what they are, and what they should be.", no_args_is_help=True, rich_markup_mode=None)

ImeiArgument = Annotated[str, typer.Argument(metavar="IMEI", help="15 digits.", show_default=False)]
_COLOURS = {"unlocked": "green", "notice": "green", "released": "green", "reminder": "yellow", "restricted": "yellow"}


@app.command(epilog="Example: paylatch phone show 001017000000003 --key-file acme.key")
@asks_bridge
def show(imei: ImeiArgument, *, access: Access, as_json: JsonOption = False) -> None:
    """Say what a phone is, what it should be, why, and what it waits for."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    name = imei_named(imei)
    phone, command = ask(access, lambda bridge: _phone(bridge, name))
    if as_json:
        show_json({**to_json(phone), "command": to_json(command)})
    else:
        _show(phone, command)


@app.command("list", epilog="Example: paylatch phone list --limit 50 --key-file acme.key")
@asks_bridge
def list_all(
    *,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="How many.", show_default="all")] = None,
    access: Access,
    as_json: JsonOption = False,
) -> None:
    """List phones by IMEI."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    phones = ask(access, lambda bridge: _phones(bridge, limit))
    if as_json:
        show_json([to_json(phone) for phone in phones])
    else:
        show_table(("IMEI", "LOAN", "STATUS", "IS", "SHOULD BE", "HELD BACK", "ARREARS"), list(map(_row, phones)))


@app.command(epilog="\b\nExample: paylatch phone timeline 001017000000003 --limit 20 \\\n  --key-file acme.key")
@asks_bridge
def timeline(
    imei: ImeiArgument,
    *,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many, from the newest.")] = 50,
    access: Access,
    as_json: JsonOption = False,
) -> None:
    """Tell what has happened to a phone, the newest first: decisions, changes, its own words."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    name = imei_named(imei)
    events = ask(access, lambda bridge: _events(bridge, name, limit))
    if as_json:
        show_json([to_json(event) for event in events])
    else:
        show_table(("AT", "EVENT", "DETAIL"), [(moment(one.at), one.event, one.detail) for one in events])


@app.command(epilog="Example: paylatch phone resend 001017000000003 --key-file acme.key")
@asks_bridge
def resend(imei: ImeiArgument, *, access: Access, as_json: JsonOption = False) -> None:
    """Have what a phone should be signed anew and sent again."""
    from paylatch.client import Resend, new_decision_id  # noqa: PLC0415 - see the package's docstring

    name = imei_named(imei)

    async def again(bridge: "Bridge") -> "Decided":
        return await bridge.decide(Resend(decision_id=new_decision_id(), imei=name, occurred_at=datetime.now(UTC)))

    show_decided(ask(access, again), as_json=as_json)


async def _phone(bridge: "Bridge", imei: str) -> "tuple[Phone, Command]":
    phone = await bridge.phone(imei)
    return phone, await bridge.command(phone.desired.command_id)


async def _phones(bridge: "Bridge", limit: int | None) -> "list[Phone]":
    phones: list[Phone] = []
    async for phone in bridge.phones():
        if len(phones) == limit:
            break
        phones.append(phone)
    return phones


async def _events(bridge: "Bridge", imei: str, limit: int) -> "list[Event]":
    events: list[Event] = []
    async for event in bridge.timeline(imei, page_size=min(limit, 500)):
        if len(events) == limit:
            break
        events.append(event)
    return events


def _row(phone: "Phone") -> tuple[str, ...]:
    said = "-" if phone.reported is None else phone.reported.level.name.lower()
    held = "-" if phone.held is None else phone.held.level.name.lower()
    return phone.imei, phone.loan_id, phone.status, said, phone.desired.level.name.lower(), held, arrears(phone)


def _show(phone: "Phone", command: "Command") -> None:
    from rich.console import Console  # noqa: PLC0415 - see the package's docstring
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    colour = _COLOURS.get(phone.desired.level.name.lower(), "red")
    console = Console(highlight=False)
    console.print(
        Panel(
            Text(sentence(phone, command), style="bold"),
            title=f"{phone.imei}  {phone.loan_id}",
            title_align="left",
            border_style=colour,
        )
    )
    console.print(_details(phone, command))


def _details(phone: "Phone", command: "Command") -> "Table":
    from rich.table import Table  # noqa: PLC0415 - see the package's docstring

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    desired, said = phone.desired, phone.reported
    if said is not None:
        condition = f"{said.condition.name.lower()}, version {said.epoch}.{said.version}, said {moment(said.at)}"
        table.add_row("is", said.level.name.lower(), condition)
    version = f"version {desired.epoch}.{desired.version}, {moment(desired.issued_at)}, {desired.command_id}"
    table.add_row("should be", desired.level.name.lower(), version)
    table.add_row("by arrears", phone.loan.wanted_level.name.lower(), arrears(phone))
    table.add_row("pending", command.status, pending(command))
    for one in phone.held.missing if phone.held else ():
        table.add_row("waits for", one.condition, f"{one.detail}; earliest {moment(one.earliest)}")
    for line in holds(phone):
        table.add_row("holds", "", line)
    if desired.lease is not None:
        lease = desired.lease
        table.add_row("by itself", lease.then.name.lower(), f"{moment(lease.until)}, if nothing newer reaches it")
    if said is not None and said.signals:
        table.add_row("noticed", "", ", ".join(said.signals))
    table.add_row(
        "status", phone.status, f"time zone {phone.time_zone or 'unknown'}; consent {', '.join(phone.evidence)}"
    )
    return table
