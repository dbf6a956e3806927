"""`paylatch quickstart`: everything that a lender's engineer needs to try things with, in one terminal."""

from pathlib import Path
from typing import Annotated

import typer

from paylatch.commands.outcome import finish

EXAMPLE = "Example: paylatch quickstart"


def quickstart(
    *,
    directory: Annotated[
        Path, typer.Option(metavar="DIR", help="Where everything is kept (new or empty).", show_default=True)
    ] = Path("quickstart"),
) -> None:
    """Run a broker, a bridge in development mode and one simulated phone, until Ctrl-C. Loopback only.

    Another terminal reads DIR/env and can then lock and open the phone: docs/integrate.md.
    """
    from device_sim.fleet.control_client import FleetControlError  # noqa: PLC0415 - see the package's docstring
    from paylatch.client import PaylatchError  # noqa: PLC0415
    from paylatch.local.errors import LocalRunError, LocalRunUsageError  # noqa: PLC0415
    from paylatch.quickstart import run  # noqa: PLC0415

    failures = (LocalRunError, PaylatchError, FleetControlError, OSError)
    finish(run(directory, typer.echo), failures, usage=(LocalRunUsageError,))
