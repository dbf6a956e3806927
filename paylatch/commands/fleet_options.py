"""The options of `paylatch fleet`."""

from pathlib import Path
from typing import Annotated

import typer

from paylatch.commands.names import scenario_names

_AS_THE_BRIDGE_SAYS = "as the bridge says"
_THE_SCENARIOS = "the scenario's"

ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="One that is shipped, or the path of a .toml file.",
        show_default=False,
        autocompletion=scenario_names,
    ),
]
LocalOption = Annotated[bool, typer.Option("--local", help="Start a broker and a bridge for this run, on loopback.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show the outcome only.")]

# Which phones.
NewFleetOption = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="Where the fleet's file is written; it holds secrets.")
]
CountOption = Annotated[int, typer.Option("--phones", min=1, metavar="N", help="How many phones.")]
FleetOption = Annotated[
    Path | None,
    typer.Option(
        "--fleet",
        exists=True,
        dir_okay=False,
        readable=True,
        metavar="FILE",
        help="Phones that `paylatch fleet enrol` has enrolled.",
        show_default="enrols new ones",
    ),
]
FirstOption = Annotated[
    int, typer.Option("--first", min=0, metavar="N", help="The number of the first phone to be enrolled.")
]
ShardsOption = Annotated[
    int | None,
    typer.Option("--shards", min=1, metavar="N", help="Processes that hold phones.", show_default="as many as needed"),
]

# Where the phones connect.
HostOption = Annotated[
    str | None, typer.Option("--host", metavar="HOST", help="The broker.", show_default=_AS_THE_BRIDGE_SAYS)
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port", min=1, max=65535, metavar="PORT", help="Its listener for phones.", show_default=_AS_THE_BRIDGE_SAYS
    ),
]
PrefixOption = Annotated[
    str | None, typer.Option("--prefix", metavar="TOPIC", help="The topics' prefix.", show_default=_AS_THE_BRIDGE_SAYS)
]
TlsOption = Annotated[
    bool | None,
    typer.Option(
        "--tls/--no-tls", help="Connect phones by TLS; certificates are checked.", show_default=_AS_THE_BRIDGE_SAYS
    ),
]
PhonesCafileOption = Annotated[
    Path | None,
    typer.Option(
        "--phones-cafile",
        exists=True,
        dir_okay=False,
        readable=True,
        metavar="FILE",
        help="The CA of the broker's certificate, PEM.",
        show_default="as the bridge says, or the system's",
    ),
]

# What is other than the scenario says.
PhonesOption = Annotated[
    int | None, typer.Option("--phones", min=1, metavar="N", help="How many phones.", show_default=_THE_SCENARIOS)
]
RateOption = Annotated[
    float | None, typer.Option("--rate", metavar="N", help="Arrivals a second.", show_default=_THE_SCENARIOS)
]
DurationOption = Annotated[
    str | None,
    typer.Option("--duration", metavar="TIME", help="Of the steps that repeat: 90s, 8h.", show_default=_THE_SCENARIOS),
]
RampOption = Annotated[
    str | None, typer.Option("--ramp", metavar="TIME", help="How long the rate rises.", show_default=_THE_SCENARIOS)
]
JitterOption = Annotated[
    float | None,
    typer.Option("--jitter", metavar="N", help="0 for even arrivals, up to 1.", show_default=_THE_SCENARIOS),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Chooses phones and times.", show_default=_THE_SCENARIOS)
]
ThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="LIMIT",
        help="Like 'unlock_ms.p99<250': beside the scenario's, or in place of that over the same; repeatable.",
        show_default=False,
    ),
]

# What is written.
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML report here.", show_default=False)
]
JsonFileOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here.", show_default=False)
]
CsvFileOption = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write the course of the run here.", show_default=False)
]
