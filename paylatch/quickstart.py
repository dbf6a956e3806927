"""A broker, a bridge and one simulated phone in one terminal, for whoever wants to connect to them from another."""

import asyncio
import shlex
import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from device_sim.fleet.control_client import FleetControl
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.facts import Borrower
from paylatch.local.files import Files, directory_of
from paylatch.local.ports import LOOPBACK
from paylatch.local.processes import watched
from paylatch.local.secret_file import write_secret
from paylatch.local.site import ServiceAccess
from paylatch.local.stage import Stage, built
from paylatch.steps import PlainSteps

PHONE = Borrower(account=1, imei=simulated_imei(0))
ENVIRONMENT = "env"
"""The file that a shell reads to know where everything is."""
_LOOK_AGAIN_S = 0.1
_MEANING = {
    Level.UNLOCKED: "is unlocked and works as it should",
    Level.NOTICE: "shows a notice, once",
    Level.REMINDER: "shows a reminder, a full-screen message that comes back",
    Level.RESTRICTED: "is restricted and leaves calls, the payment app, support and connectivity settings",
    Level.LOCKED: "is locked and leaves emergency calls, incoming calls, alerts, the payment app and support",
    Level.RELEASED: "is released for good: the agent has removed itself",
}


class Say(Protocol):
    """Shows a line to whoever runs it."""

    def __call__(self, line: str, /) -> None:
        """Show it."""


async def run(directory: Path, say: Say) -> None:
    """Set everything up in an empty directory, tell how it is reached, and then what the phone becomes.

    It ends when it is cancelled, and everything with it.

    Raises:
        LocalRunUsageError: the directory is in use.
        LocalRunError: something did not start, or ended by itself.
    """
    async with (
        directory_of(directory) as files,
        built(files, f"sqlite:///{files.bridge_database}", [PHONE], PlainSteps()) as stage,
        watched(stage.processes),
    ):
        _hand_out(files, stage)
        for line in _welcome(directory):
            say(line)
        await _follow(stage.fleet, PHONE.imei, say)


def _hand_out(files: Files, stage: Stage) -> None:
    """Write what a lender's programs need."""
    key, secret = files.directory / "lender.key", files.directory / "lender.secret"
    write_secret(key, stage.api_key)
    write_secret(secret, stage.lender_access.secret)
    # Curl reads headers from a file (-H @FILE), and the clients of Mosquitto their options: no secret is on a command
    # line, where every user of the machine could read it.
    write_secret(files.directory / "lender.header", f"Authorization: Bearer {stage.api_key}\n")
    for client in ("mosquitto_pub", "mosquitto_sub"):
        write_secret(files.directory / client, _mosquitto_options(stage.lender_access))
    (files.directory / ENVIRONMENT).write_text(
        f"export PATH={shlex.quote(sysconfig.get_path('scripts'))}:$PATH\n"
        + _exports(
            PAYLATCH_URL=stage.url,
            PAYLATCH_KEY_FILE=str(key),
            QUICKSTART=str(files.directory),
            QUICKSTART_IMEI=PHONE.imei,
            QUICKSTART_MQTT_PORT=str(stage.lender_access.port),
            QUICKSTART_LENDER=stage.lender_access.username,
        ),
        encoding="utf-8",
    )


def _mosquitto_options(access: ServiceAccess) -> str:
    options = (
        f"-h {LOOPBACK}",
        f"-p {access.port}",
        "-V mqttv5",
        "-q 1",
        f"-u {access.username}",
        f"-P {access.secret}",
    )
    return "".join(f"{option}\n" for option in options)


def _exports(**variables: str) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _welcome(directory: Path) -> Iterator[str]:
    yield ""
    yield "A broker, a bridge in development mode and one simulated phone are running."
    yield "In another terminal:"
    yield ""
    yield f"    . {shlex.quote(str(directory / ENVIRONMENT))}"
    yield f"    paylatch phone show {PHONE.imei}"
    yield f"    paylatch decide payment_overdue --imei {PHONE.imei} --days-overdue 90"
    yield f"    paylatch decide payment_received --imei {PHONE.imei} --cures"
    yield ""
    yield "docs/integrate.md goes on from here."
    yield "What the phone becomes is told below; Ctrl-C ends everything."
    yield ""


async def _follow(fleet: FleetControl, imei: Imei, say: Say) -> None:
    told = -1
    while True:
        (phone,) = await fleet.dump([imei])
        if phone.version != told:
            told = phone.version
            say(f"{datetime.now(UTC):%H:%M:%S} UTC  the phone {_MEANING[phone.level]}")
        await asyncio.sleep(_LOOK_AGAIN_S)
