"""`paylatch fleet`: load tests that lenders and engineers run themselves."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer

from paylatch.commands.asking import Access, asks_bridge
from paylatch.commands.files import prepare, require_distinct, write_all
from paylatch.commands.fleet_options import (
    CountOption,
    CsvFileOption,
    DurationOption,
    FirstOption,
    FleetOption,
    HostOption,
    JitterOption,
    JsonFileOption,
    LocalOption,
    NewFleetOption,
    PhonesCafileOption,
    PhonesOption,
    PortOption,
    PrefixOption,
    QuietOption,
    RampOption,
    RateOption,
    ReportOption,
    ScenarioArgument,
    SeedOption,
    ShardsOption,
    ThresholdOption,
    TlsOption,
)
from paylatch.commands.options import JsonOption, KeepOption, given
from paylatch.commands.outcome import FAILED, INTERRUPTED, TOO_SLOW, USAGE, fail, finish
from paylatch.commands.show import show_json, show_table

if TYPE_CHECKING:
    from paylatch.fleet.options import Options
    from paylatch.fleet.result import Result
    from paylatch.fleet.scenario import Scenario

app = typer.Typer(help="Load tests with simulated phones.", no_args_is_help=True, rich_markup_mode=None)

_RUN_EXAMPLES = """\
Example: paylatch fleet run payday --local

\b
  paylatch fleet run payday --local --phones 15000 --rate 500 \\
    --threshold 'unlock_ms.p99<250' --report payday.html

\b
  paylatch fleet run soak --fleet fleet.jsonl --url https://bridge.example \\
    --key-file acme.key --duration 8h

Exits with 0 if every phone was right and every threshold reached, 1 if a phone was not right at the end, 99 if a
threshold was not reached. docs/fleet.md tells how scenarios are written and reports are read.
"""
_ENROL_EXAMPLE = "\b\nExample: paylatch fleet enrol --phones 1000 --out fleet.jsonl \\\n  --key-file acme.key"

_NOT_LOCAL = ("fleet", "first", "url", "key_file", "cafile", "host", "port", "prefix", "tls", "phones_cafile")


@app.command("scenarios", epilog="Example: paylatch fleet scenarios")
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
@asks_bridge
def enrol(
    *,
    out: NewFleetOption,
    phones: CountOption = 500,
    first: FirstOption = 0,
    access: Access,
) -> None:
    """Enrol new simulated phones with a bridge, for runs to come. Their IMEIs are those of no real phone."""
    from device_sim.identities import create_fleet  # noqa: PLC0415 - see the package's docstring
    from paylatch.client import NotAllowedError, PaylatchError  # noqa: PLC0415
    from paylatch.fleet.options import FleetUsageError  # noqa: PLC0415
    from paylatch.fleet.sources import enrol as enrol_phones  # noqa: PLC0415
    from paylatch.fleet.view import PlainView  # noqa: PLC0415
    from paylatch.local.lender import connected  # noqa: PLC0415

    key, tls = access.api_key(), access.tls()
    try:
        file = create_fleet(out)
    except OSError as error:
        fail(error, USAGE)

    async def enrol_all() -> str:
        with file:
            async with connected(access.url, key, tls) as bridge:
                address = await enrol_phones(bridge, phones, first, file, PlainView())
        return f"{address.host}:{address.port}{' by TLS' if address.tls else ''}"

    try:
        where = finish(enrol_all(), (PaylatchError, OSError), usage=(FleetUsageError,), not_allowed=(NotAllowedError,))
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
@asks_bridge
def run(
    context: typer.Context,
    scenario: ScenarioArgument,
    *,
    local: LocalOption = False,
    access: Access,
    fleet: FleetOption = None,
    first: FirstOption = 0,
    host: HostOption = None,
    port: PortOption = None,
    prefix: PrefixOption = None,
    tls: TlsOption = None,
    phones_cafile: PhonesCafileOption = None,
    phones: PhonesOption = None,
    rate: RateOption = None,
    duration: DurationOption = None,
    ramp: RampOption = None,
    jitter: JitterOption = None,
    seed: SeedOption = None,
    threshold: ThresholdOption = None,
    shards: ShardsOption = None,
    report: ReportOption = None,
    json_path: JsonFileOption = None,
    csv_path: CsvFileOption = None,
    keep: KeepOption = None,
    quiet: QuietOption = False,
) -> None:
    """Play a scenario to phones, measure, and audit every phone at the end."""
    from paylatch.fleet.options import BridgeAccess, Options  # noqa: PLC0415 - see the package's docstring

    _require_meaning(context)
    numbers = {
        "phones": phones,
        "rate": rate,
        "duration": duration,
        "ramp": ramp,
        "jitter": jitter,
        "seed": seed,
    }
    by_tls = True if phones_cafile else tls
    broker = {"host": host, "port": port, "prefix": prefix, "tls": by_tls, "cafile": phones_cafile}
    options = Options(
        name=scenario,
        scenario=_scenario(scenario, given(numbers), threshold or []),
        bridge=None if local else BridgeAccess(url=access.url, api_key=access.api_key(), tls=access.tls()),
        fleet_file=fleet,
        first=first,
        broker=given(broker),
        shards=shards,
        keep=keep,
    )
    _end(_written(options, report, json_path, csv_path, quiet=quiet))


def _written(
    options: "Options", report: Path | None, json_path: Path | None, csv_path: Path | None, *, quiet: bool
) -> "Result":
    """Play, and write what was found to the files that were asked for."""
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
    return result


def _require_meaning(context: typer.Context) -> None:
    """End if a flag means nothing beside another one; what the environment says is for other commands too."""
    named = {name for name in context.params if _is_given(context, name)}
    if "local" in named and (idle := [name for name in _NOT_LOCAL if name in named]):
        flags = ", ".join(_flag(name) for name in idle)
        fail(f"--local has a broker, a bridge and phones of its own: it goes without {flags}", USAGE)
    if "phones_cafile" in named and context.params["tls"] is False:
        fail("--phones-cafile says whose certificates count: it goes without --no-tls", USAGE)
    if {"fleet", "first"} <= named:
        fail("--first numbers phones that are newly enrolled: it goes without --fleet", USAGE)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _scenario(name: str, flags: Mapping[str, Any], thresholds: list[str]) -> "Scenario":
    from paylatch.fleet.reading import ScenarioError, changed, read_scenario  # noqa: PLC0415 - see the package's docstring

    try:
        return changed(read_scenario(name), flags, thresholds)
    except ScenarioError as error:
        fail(error, USAGE)


def _played(options: "Options", *, quiet: bool) -> "Result":
    from device_sim.fleet.control_client import FleetControlError  # noqa: PLC0415 - see the package's docstring
    from device_sim.fleet.shards import TooFewFilesError  # noqa: PLC0415
    from device_sim.identities import FleetFileError  # noqa: PLC0415
    from paylatch.client import NotAllowedError, PaylatchError  # noqa: PLC0415
    from paylatch.fleet.options import FleetUsageError  # noqa: PLC0415
    from paylatch.fleet.reading import ScenarioError  # noqa: PLC0415
    from paylatch.fleet.run import run as play  # noqa: PLC0415
    from paylatch.fleet.view import choose_view  # noqa: PLC0415
    from paylatch.local.errors import LocalRunError, LocalRunUsageError  # noqa: PLC0415

    failures = (LocalRunError, PaylatchError, FleetControlError, OSError)
    usage = (FleetUsageError, LocalRunUsageError, ScenarioError, FleetFileError, TooFewFilesError)
    with choose_view(quiet=quiet) as view:
        return finish(play(options, view), failures, usage=usage, not_allowed=(NotAllowedError,))


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
    if result.interrupted and not result.findings:
        raise typer.Exit(INTERRUPTED)
    if not result.is_right:
        raise typer.Exit(FAILED)
    if not result.is_fast:
        raise typer.Exit(TOO_SLOW)
