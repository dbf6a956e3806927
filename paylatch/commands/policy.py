"""`paylatch policy`: a lender's rules as a TOML document."""

from typing import TYPE_CHECKING, Annotated

import typer

from paylatch.commands.asking import Access, ask, asks_bridge
from paylatch.commands.files import FileArgument, text_of
from paylatch.commands.names import profile_names
from paylatch.commands.options import JsonOption
from paylatch.commands.outcome import FAILED, USAGE, fail
from paylatch.commands.show import show_json, show_table
from paylatch.commands.words import moment

if TYPE_CHECKING:
    from paylatch.client import Bridge, DryRunPage, PolicyCheck, PolicyVersion, WouldChange

app = typer.Typer(
    help="The rules: which arrears lead to which level, and when.", no_args_is_help=True, rich_markup_mode=None
)


@app.command(epilog="Example: paylatch policy check policy.toml --offline")
@asks_bridge
def check(
    file: FileArgument,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no bridge: what it, its root and your delegation allow stays open.")
    ] = False,
    access: Access,
    as_json: JsonOption = False,
) -> None:
    """Tell whether a document could be put in force, and if not, what is wrong in which line. Exits with 1 if not."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    document = text_of(file)
    checked = _read(document) if offline else ask(access, lambda bridge: bridge.check_policy(document))
    if as_json:
        show_json(to_json(checked))
    elif checked.valid:
        typer.echo(f"{checked.name}: could be put in force")
    for fault in () if as_json else checked.faults:
        typer.echo(f"{file}: {fault}", err=True)
    if not checked.valid:
        raise typer.Exit(FAILED)


@app.command(epilog="Example: paylatch policy show --key-file acme.key > policy.toml")
@asks_bridge
def show(
    *,
    version: Annotated[int | None, typer.Option(min=1, metavar="N", help="Which.", show_default="in force")] = None,
    access: Access,
    as_json: JsonOption = False,
) -> None:
    """Show the document that is in force, or another version."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    policy = ask(access, lambda bridge: bridge.policy(version))
    if as_json:
        show_json(to_json(policy))
        return
    typer.echo(policy.document, nl=not policy.document.endswith("\n"))
    whose = (
        f"version {policy.version}, set {moment(policy.set_at)} by {policy.set_by}" if policy.own else "the bridge's"
    )
    typer.echo(f"this is {whose}", err=True)


@app.command(epilog="Example: paylatch policy versions --key-file acme.key")
@asks_bridge
def versions(*, access: Access, as_json: JsonOption = False) -> None:
    """List all versions, the newest, which is in force, first."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    found = ask(access, _versions)
    if as_json:
        show_json([to_json(one) for one in found])
    else:
        show_table(("VERSION", "SET", "BY"), [(one.version, moment(one.set_at), one.set_by or "-") for one in found])


@app.command("set", epilog="Example: paylatch policy set policy.toml --key-file acme.key")
@asks_bridge
def set_policy(file: FileArgument, *, access: Access, as_json: JsonOption = False) -> None:
    """Put a document in force: all phones are judged by it within moments. See first what `dry-run` says."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    document = text_of(file)
    policy = ask(access, lambda bridge: bridge.set_policy(document))
    if as_json:
        show_json(to_json(policy))
    else:
        typer.echo(f"version {policy.version} is in force")


@app.command("dry-run", epilog="Example: paylatch policy dry-run policy.toml --key-file acme.key")
@asks_bridge
def dry_run(file: FileArgument, *, access: Access, as_json: JsonOption = False) -> None:
    """Tell which phones would change if a document came into force now. Nothing is changed."""
    from paylatch.client import to_json  # noqa: PLC0415 - see the package's docstring

    document = text_of(file)
    pages = ask(access, lambda bridge: _dry_run(bridge, document))
    judged, changes = sum(page.judged for page in pages), [one for page in pages for one in page.would_change]
    if as_json:
        show_json({"judged": judged, "would_change": [to_json(one) for one in changes]})
        return
    if changes:
        show_table(("IMEI", "IS", "BECOMES", "BY ARREARS", "HELD BACK", "CHANGES"), list(map(_row, changes)))
    typer.echo(f"{len(changes)} of {judged} phones would change", err=True)


@app.command(epilog="Example: paylatch policy profiles gentle > policy.toml")
def profiles(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Show this one's document.", show_default="list them", autocompletion=profile_names
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the policies that ship, or show the document of one, to begin with."""
    from broker_bridge.adapters.policies import profiles as shipped  # noqa: PLC0415 - see the package's docstring

    try:
        shown = shipped.profile_names() if name is None else shipped.profile_document(name)
    except shipped.UnknownProfileError as error:
        fail(error, USAGE)
    if as_json:
        show_json(shown if name is None else {"name": name, "document": shown})
    else:
        typer.echo(shown if isinstance(shown, str) else "\n".join(shown), nl=name is None)


def _read(document: str) -> "PolicyCheck":
    """Check a document here, as far as that can be done without a bridge."""
    from broker_bridge.adapters.policies.reading import read_policy  # noqa: PLC0415 - see the package's docstring
    from broker_bridge.domain.policy import PolicyError  # noqa: PLC0415
    from paylatch.client import PolicyCheck  # noqa: PLC0415

    try:
        policy = read_policy(document)
    except PolicyError as error:
        return PolicyCheck(valid=False, name=None, faults=tuple(str(error).splitlines()))
    return PolicyCheck(valid=True, name=policy.name, faults=())


async def _versions(bridge: "Bridge") -> "list[PolicyVersion]":
    return [one async for one in bridge.policy_versions()]


async def _dry_run(bridge: "Bridge", document: str) -> "list[DryRunPage]":
    from rich.console import Console  # noqa: PLC0415 - see the package's docstring
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} phones judged"), TimeElapsedColumn())
    pages = []
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("judging", total=None)
        async for page in bridge.dry_run_policy(document):
            pages.append(page)
            progress.advance(bar, page.judged)
    return pages


def _row(one: "WouldChange") -> tuple[str, ...]:
    held = "-" if one.held is None else one.held.level.name.lower()
    levels = (one.level.name.lower(), one.becomes.name.lower(), one.wanted_level.name.lower())
    return (one.imei, *levels, held, ", ".join(one.changes))
