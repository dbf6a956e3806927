"""`paylatch fleet`: load tests that lenders and engineers run themselves."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from paylatch.commands.asking import DEFAULT_URL, KeyFileOption, UrlOption, api_key
from paylatch.commands.files import prepare, require_distinct, write_all
from paylatch.commands.options import JsonOption
from paylatch.commands.outcome import FAILED, TOO_SLOW, USAGE, fail, finish
from paylatch.commands.show import show_json, show_table

if TYPE_CHECKING:
    from paylatch.fleet.options import Options
    from paylatch.fleet.result import Result
    from paylatch.fleet.scenario import Scenario

app = typer.Typer(help="Load tests with simulated phones.", no_args_is_help=True, rich_markup_mode=None)

_RUN_EXAMPLES = """\
Example: paylatch fleet run payday --local\n
  paylatch fleet run payday --local --phones 15000 --rate 500 --threshold 'unlock_ms.p99<250' --report payday.html\n
  paylatch fleet run soak --fleet fleet.jsonl --url https://bridge.example --key-file acme.key
  --duration 8h\n
\n
Exits with 0 if every phone was right and every threshold reached, 1 if a phone was not right at the end, 99 if a
threshold was not reached. docs/fleet.md tells how scenarios are written and reports are read.
"""
_ENROL_EXAMPLE = "Example: paylatch fleet enrol --phones 1000 --out fleet.jsonl --key-file acme.key"

_NOT_LOCAL = ("fleet", "first", "url", "key_file", "host", "port", "prefix", "tls", "cafile")

ScenarioArgument = Annotated[
    str,
    typer.Argument(metavar="SCENARIO", help="One that is shipped, or the path of a .toml file.", show_default=False),
]


@app.command("scenarios")
def scenarios(*, as_json: JsonOption = False) -> None:
    """List the scenarios that come with Paylatch."""
    from paylatch.fleet.reading import read_scenario, shipped  # noqa: PLC0415 - see the package's docstring

    known = {name: read_scenario(name).about for name in shipped()}
    if as_json:
        show_json([{"name": name, "about": about} for name, about in known.items()])
    else:
        show_table(("name", "about"), list(known.items()))


@app.command("show", epilog="Example: paylatch fleet show payday > my-payday.toml")
def show(scenario: ScenarioArgument) -> None:
    """Print a scenario, as a file to begin one's own with."""
    from paylatch.fleet.reading import ScenarioError, text_of  # noqa: PLC0415 - see the package's docstring

    try:
        typer.echo(text_of(scenario), nl=False)
    except ScenarioError as error:
        fail(error, USAGE)


@app.command("enrol", epilog=_ENROL_EXAMPLE)
def enrol(
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the fleet's file is written; it holds secrets.")],
    phones: Annotated[int, typer.Option(min=1, metavar="N", help="How many phones.")] = 500,
    first: Annotated[int, typer.Option(min=0, metavar="N", help="The number of the first simulated phone.")] = 0,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
) -> None:
    """Enrol new simulated phones with a bridge, for runs to come. Their IMEIs are those of no real phone."""
    from device_sim.identities import create_fleet  # noqa: PLC0415 - see the package's docstring
    from paylatch.client import PaylatchError  # noqa: PLC0415
    from paylatch.fleet.options import FleetUsageError  # noqa: PLC0415
    from paylatch.fleet.sources import enrol as enrol_phones  # noqa: PLC0415
    from paylatch.fleet.view import PlainView  # noqa: PLC0415
    from paylatch.local.lender import connected  # noqa: PLC0415

    key = api_key(key_file)
    try:
        file = create_fleet(out)
    except OSError as error:
        fail(error, USAGE)

    async def enrol_all() -> str:
        with file:
            async with connected(url, key) as bridge:
                address = await enrol_phones(bridge, phones, first, file, PlainView())
        return f"{address.host}:{address.port}{' by TLS' if address.tls else ''}"

    try:
        where = finish(enrol_all(), (PaylatchError, OSError), usage=(FleetUsageError,))
    except typer.Exit:
        _keep_enrolled(out)
        raise
    typer.echo(f"enrolled {phones} phones in {out}; they connect to {where}", err=True)


def _keep_enrolled(out: Path) -> None:
    """Say what was enrolled before something failed; a file without a phone goes."""
    from device_sim.identities import read_fleet  # noqa: PLC0415 - see the package's docstring

    if there := len(read_fleet(out)):
        typer.echo(f"enrolled {there} phones before that; {out} has them, and nobody else has their keys", err=True)
    else:
        out.unlink()


@app.command("run", epilog=_RUN_EXAMPLES)
def run(
    context: typer.Context,
    scenario: ScenarioArgument,
    *,
    local: Annotated[
        bool, typer.Option("--local", help="Start a broker and a bridge for this run, on loopback.")
    ] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    fleet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Phones that `paylatch fleet enrol` has enrolled.", show_default="enrols new ones"
        ),
    ] = None,
    first: Annotated[int, typer.Option(min=0, metavar="N", help="The number of the first phone to be enrolled.")] = 0,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="The broker.", show_default="as the bridge says")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, metavar="PORT", help="Its listener for phones.", show_default="as the bridge says"
        ),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="The topics' prefix.", show_default="as the bridge says")
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option(
            "--tls/--no-tls", help="Connect phones by TLS; certificates are checked.", show_default="as the bridge says"
        ),
    ] = None,
    cafile: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            readable=True,
            metavar="FILE",
            help="Whose certificates count, by TLS.",
            show_default="as the bridge says, or the system's",
        ),
    ] = None,
    phones: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many phones.", show_default="the scenario's")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="N", help="Arrivals a second.", show_default="the scenario's")
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Of the steps that repeat: 90s, 8h.", show_default="the scenario's"),
    ] = None,
    ramp: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long the rate rises.", show_default="the scenario's")
    ] = None,
    jitter: Annotated[
        float | None, typer.Option(metavar="N", help="0 for even arrivals, up to 1.", show_default="the scenario's")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Chooses phones and times.", show_default="the scenario's")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT",
            help="Like 'unlock_ms.p99<250': beside the scenario's, or in place of that over the same; repeatable.",
            show_default=False,
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes that hold phones.", show_default="as many as needed"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an HTML report here.", show_default=False)
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here.", show_default=False)
    ] = None,
    csv_path: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write the course of the run here.", show_default=False),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep all files of the run here (new or empty).", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the outcome only.")] = False,
) -> None:
    """Play a scenario to phones, measure, and audit every phone at the end."""
    from paylatch.fleet.options import BridgeAccess, Options  # noqa: PLC0415 - see the package's docstring

    _require_meaning(context)
    flags = {
        "phones": phones,
        "rate": rate,
        "duration": duration,
        "ramp": ramp,
        "jitter": jitter,
        "seed": seed,
    }
    broker = {"host": host, "port": port, "prefix": prefix, "tls": True if cafile else tls, "cafile": cafile}
    options = Options(
        name=scenario,
        scenario=_scenario(scenario, flags, threshold or []),
        bridge=None if local else BridgeAccess(url=url, api_key=api_key(key_file)),
        fleet_file=fleet,
        first=first,
        broker={name: value for name, value in broker.items() if value is not None},
        shards=shards,
        keep=keep,
    )
    writers: Sequence[tuple[Path | None, Callable[[Result, IO[str]], object]]] = (
        (report, _write_report),
        (json_path, _write_json),
        (csv_path, _write_csv),
    )
    require_distinct(report, json_path, csv_path)
    with ExitStack() as stack:
        files = [(prepare(stack, path), write) for path, write in writers]
        result = _played(options, quiet=quiet)
        _tell(result)
        write_all([(file, partial(write, result)) for file, write in files])
    _end(result)


def _require_meaning(context: typer.Context) -> None:
    """End if a flag means nothing beside another one; what the environment says is for other commands too."""
    given = {name for name in context.params if _is_given(context, name)}
    if "local" in given and (idle := [name for name in _NOT_LOCAL if name in given]):
        flags = ", ".join(_flag(name) for name in idle)
        fail(f"--local has a broker, a bridge and phones of its own: it goes without {flags}", USAGE)
    if "cafile" in given and context.params["tls"] is False:
        fail("--cafile says whose certificates count: it goes without --no-tls", USAGE)
    if {"fleet", "first"} <= given:
        fail("--first numbers phones that are newly enrolled: it goes without --fleet", USAGE)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _scenario(name: str, flags: Mapping[str, Any], thresholds: list[str]) -> "Scenario":
    from paylatch.fleet.reading import ScenarioError, changed, read_scenario  # noqa: PLC0415 - see the package's docstring

    try:
        return changed(
            read_scenario(name), {key: value for key, value in flags.items() if value is not None}, thresholds
        )
    except ScenarioError as error:
        fail(error, USAGE)


def _played(options: "Options", *, quiet: bool) -> "Result":
    from device_sim.fleet.control_client import FleetControlError  # noqa: PLC0415 - see the package's docstring
    from device_sim.fleet.shards import TooFewFilesError  # noqa: PLC0415
    from device_sim.identities import FleetFileError  # noqa: PLC0415
    from paylatch.client import PaylatchError  # noqa: PLC0415
    from paylatch.fleet.options import FleetUsageError  # noqa: PLC0415
    from paylatch.fleet.reading import ScenarioError  # noqa: PLC0415
    from paylatch.fleet.run import run as play  # noqa: PLC0415
    from paylatch.fleet.view import choose_view  # noqa: PLC0415
    from paylatch.local.errors import LocalRunError, LocalRunUsageError  # noqa: PLC0415

    failures = (LocalRunError, PaylatchError, FleetControlError, OSError)
    usage = (FleetUsageError, LocalRunUsageError, ScenarioError, FleetFileError, TooFewFilesError)
    with choose_view(quiet=quiet) as view:
        return finish(play(options, view), failures, usage=usage)


def _write_report(result: "Result", file: IO[str]) -> None:
    from paylatch.fleet.report.page import page  # noqa: PLC0415 - see the package's docstring

    file.write(page(result))


def _write_json(result: "Result", file: IO[str]) -> None:
    file.write(json.dumps(result.to_json(), indent=2) + "\n")


def _write_csv(result: "Result", file: IO[str]) -> None:
    result.write_csv(file)


def _tell(result: "Result") -> None:
    """Show what was found."""
    from paylatch.fleet.summary import summary_of  # noqa: PLC0415 - see the package's docstring

    for line in summary_of(result):
        typer.echo(line)


def _end(result: "Result") -> None:
    """End with the exit code that says what was found."""
    if not result.is_right:
        raise typer.Exit(FAILED)
    if not result.is_fast:
        raise typer.Exit(TOO_SLOW)
