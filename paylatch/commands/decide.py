"""`paylatch decide`: tell a bridge what happened to a loan."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paylatch.commands.asking import Access, ask, asks_bridge
from paylatch.commands.files import text_of
from paylatch.commands.options import JsonOption, imei_named
from paylatch.commands.outcome import FAILED, PARTLY, USAGE, fail
from paylatch.commands.show import show_json
from paylatch.commands.words import decided_text

if TYPE_CHECKING:
    from paylatch.client import Bridge, Decided, Outcome

EXAMPLE = """\b
Example: paylatch decide payment_overdue --imei 001017000000003 \\
  --days-overdue 90 --key-file acme.key"""

Body = Mapping[str, Any]


class Type(StrEnum):
    """The types of decisions, and `-` for what standard input says."""

    PAYMENT_DUE = "payment_due"
    PAYMENT_OVERDUE = "payment_overdue"
    PAYMENT_RECEIVED = "payment_received"
    LOAN_SETTLED = "loan_settled"
    GRACE_GRANTED = "grace_granted"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_CLOSED = "dispute_closed"
    LOST_OR_STOLEN = "lost_or_stolen"
    RECOVERED = "recovered"
    RESEND = "resend"
    STDIN = "-"


def _option(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text, show_default=False)


@asks_bridge
def decide(
    kind: Annotated[
        Type | None,
        typer.Argument(metavar="TYPE", help="What has happened; '-' is for standard input.", show_default=False),
    ] = None,
    *,
    imei: Annotated[str | None, _option("--imei", "IMEI", "The phone.")] = None,
    decision_id: Annotated[
        str | None, _option("--decision-id", "ID", "Your name for it; without one, a new one is made and shown.")
    ] = None,
    occurred_at: Annotated[
        str | None, _option("--occurred-at", "TIME", "When it happened, as 2026-11-23T12:00:00Z; without it, now.")
    ] = None,
    days_overdue: Annotated[int | None, _option("--days-overdue", "N", "How late the payment is.")] = None,
    due_at: Annotated[str | None, _option("--due-at", "TIME", "When the payment falls due.")] = None,
    amount_due: Annotated[int | None, _option("--amount-due", "N", "In minor units: cents, paise.")] = None,
    amount: Annotated[int | None, _option("--amount", "N", "What was paid, in minor units.")] = None,
    currency: Annotated[str | None, _option("--currency", "CODE", "ISO 4217, like INR.")] = None,
    pay_url: Annotated[str | None, _option("--pay-url", "URL", "Where to pay.")] = None,
    cures: Annotated[
        bool | None, typer.Option("--cures/--partial", help="Whether nothing is overdue any more.", show_default=False)
    ] = None,
    is_reversed: Annotated[bool, typer.Option("--reversed", help="The payment has bounced.")] = False,
    reverses: Annotated[str | None, _option("--reverses", "ID", "The decision_id of the payment that bounced.")] = None,
    until: Annotated[str | None, _option("--until", "TIME", "When grace or dispute ends by itself.")] = None,
    level: Annotated[str | None, _option("--level", "LEVEL", "At most this level while there is grace.")] = None,
    file: Annotated[
        Path | None, _option("--file", "FILE", "JSON of one decision, or of a list; '-' is standard input.")
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Wait until the phone has done it.", show_default="no"),
    ] = None,
    access: Access,
    as_json: JsonOption = False,
) -> None:
    """Report a decision, or a file of them. To report the same again, keep its id and its time: it is done once.

    Exits with 3 if some of a list were refused.
    """
    said = {
        "imei": imei,
        "decision_id": decision_id,
        "occurred_at": occurred_at,
        "days_overdue": days_overdue,
        "due_at": due_at,
        "amount_due": amount_due,
        "amount": amount,
        "currency": currency,
        "pay_url": pay_url,
        "cures": cures,
        "reversed": is_reversed or None,
        "reverses": reverses,
        "until": until,
        "level": level,
    }
    given = {name: value for name, value in said.items() if value is not None}
    source = Path("-") if kind is Type.STDIN else file
    if source is not None:
        _decide_file(access, _read(source, kind, given), wait, as_json=as_json)
    else:
        _decide_one(access, _body(kind, given), wait, as_json=as_json)


def _decide_one(access: Access, body: Body, wait: float | None, *, as_json: bool) -> None:
    typer.echo(f"decision_id {body['decision_id']}, occurred_at {body['occurred_at']}", err=True)
    ask(access, lambda bridge: _report(bridge, body, wait, as_json=as_json))


def _decide_file(access: Access, content: Any, wait: float | None, *, as_json: bool) -> None:
    if isinstance(content, dict):
        ask(access, lambda bridge: _report(bridge, content, wait, as_json=as_json))
        return
    if wait is not None:
        fail("--wait is for one decision; `paylatch import` waits for many", USAGE)
    outcomes = ask(access, lambda bridge: bridge.decide_all(content))
    _show_all(outcomes, content, as_json=as_json)


async def _report(bridge: "Bridge", body: Body, wait: float | None, *, as_json: bool) -> None:
    """Report a decision and show the answer before anything is waited for: it holds however the waiting ends."""
    decided = await bridge.decide(body)
    show_decided(decided, as_json=as_json)
    if wait is not None and decided.command_id is not None:
        command = await bridge.finished(decided.command_id, wait)
        typer.echo(f"{command.command_id} {command.status} {command.detail}".rstrip(), err=True)
        if command.status not in ("succeeded", "superseded"):
            raise typer.Exit(FAILED)


def show_decided(decided: "Decided", *, as_json: bool) -> None:
    """Show what became of a decision."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    if as_json:
        show_json(to_json(decided))
    else:
        typer.echo(decided_text(decided))


def _show_all(outcomes: "list[Outcome]", bodies: list[Body], *, as_json: bool) -> None:
    from paylatch.client import Decided, to_json  # noqa: PLC0415 - see the package's docstring

    refused = 0
    shown = []
    for body, one in zip(bodies, outcomes, strict=True):
        if isinstance(one, Decided):
            shown.append(to_json(one) if as_json else decided_text(one))
            continue
        refused += 1
        name = body.get("decision_id")
        problem = None if one.problem is None else to_json(one.problem)
        shown.append({"decision_id": name, "problem": problem} if as_json else f"{name}: refused: {one}")
    if as_json:
        show_json(shown)
    else:
        typer.echo("\n".join(map(str, shown)))
    if refused:
        fail(f"{refused} of {len(outcomes)} were refused", PARTLY if refused < len(outcomes) else FAILED)


def _body(kind: Type | None, given: Body) -> Body:
    from paylatch.client import new_decision_id  # noqa: PLC0415 - see the package's docstring

    if kind is None:
        fail("which decision? name its TYPE, or a --file; `paylatch decide --help` lists the types", USAGE)
    if "imei" not in given:
        fail("about which phone? name it with --imei", USAGE)
    imei_named(given["imei"])
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"type": kind.value, "decision_id": new_decision_id(), "occurred_at": now, **given}


def _read(source: Path, kind: Type | None, given: Body) -> Any:
    from broker_bridge.adapters.lender_api.strict_json import NotJsonError, parse_json  # noqa: PLC0415 - as above

    if given or kind not in (None, Type.STDIN):
        fail("the file says everything about its decisions: no TYPE and no options beside it", USAGE)
    try:
        content = parse_json(text_of(source).encode())
    except NotJsonError as error:
        fail(f"{source}: is not JSON: {error}; `paylatch import` takes CSV and NDJSON", USAGE)
    many = content if isinstance(content, list) else [content]
    if not many or not all(isinstance(one, dict) for one in many):
        fail(f"{source}: expected a JSON object, or a list of them", USAGE)
    return content
