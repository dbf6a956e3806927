"""The composition root: a fleet of simulated phones as one process."""

import argparse
import asyncio
import gc
import math
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from device_sim.adapters.mqtt import MqttDialler
from device_sim.adapters.storage import FileStorage, MemoryStorage
from device_sim.adapters.tls import CafileError, proof_of_broker
from device_sim.fleet.alarms import Alarms
from device_sim.fleet.connections import Connections, Pace
from device_sim.fleet.control import ControlSocketError, control_channel, control_socket
from device_sim.fleet.counters import Counters
from device_sim.fleet.fleet import Fleet
from device_sim.fleet.process import RESERVED_FILES, allow_files
from device_sim.fleet.shards import TooFewFilesError
from device_sim.fleet.simulated_phone import SimulatedPhone, Surroundings
from device_sim.fleet.watches import Watches
from device_sim.identities import FleetFileError, read_fleet
from lock_protocol.topics import DEFAULT_PREFIX, InvalidTopicError, Topics

_GC_THRESHOLDS = (5_000, 100, 20)

_EXAMPLES = """\
examples:
  python -m device_sim --phones fleet.jsonl --control fleet.sock
  python -m device_sim --phones fleet.jsonl --control fleet.sock --port 21883 --storage memories/
  echo '{"op": "dump"}' | nc -U fleet.sock

The file has one phone a line, as device_sim/identities.py describes; device_sim/fleet/control_messages.py lists what
can be asked. `ready phones=N` on stdout says that the control socket listens; the phones connect from then on.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """Everything that one fleet process is told."""

    phones_file: Path
    """JSON lines, as `device_sim.identities` describes them."""
    control_path: Path
    host: str = "127.0.0.1"
    port: int = 1883
    topic_prefix: str = DEFAULT_PREFIX
    tls: ssl.SSLContext | None = None
    pace: Pace = field(default_factory=Pace)
    storage_directory: Path | None = None
    """Where the phones' memories are kept; None keeps them in this process, through simulated power cycles only."""


async def run(settings: FleetSettings) -> None:
    """Run a fleet until SIGTERM, SIGINT or `stop`.

    Raises:
        FleetFileError, InvalidTopicError: settings that cannot be.
        TooFewFilesError: more phones than this process may have connections.
        ControlSocketError: the control socket cannot be made.
        OSError: the phones' file or the storage directory.
    """
    counters = Counters()  # before there are phones: it knows what memory the process has without any
    logins = read_fleet(settings.phones_file)
    _require_files(len(logins) + RESERVED_FILES)
    dialler = MqttDialler(
        host=settings.host, port=settings.port, topics=Topics(settings.topic_prefix), tls=settings.tls
    )
    directory = settings.storage_directory
    around = Surroundings(
        storage=MemoryStorage() if directory is None else FileStorage(directory),
        alarms=Alarms(lambda imei: fleet.phones[imei].ring()),
        counters=counters,
        watches=Watches(),
    )
    # Outside of the group, whose errors come in groups.
    with control_socket(settings.control_path) as listener:
        async with asyncio.TaskGroup() as tasks:
            phones = [SimulatedPhone(login, around) for login in logins]
            fleet = Fleet(phones, Connections(dialler, settings.pace, tasks), around)
            await _serve(fleet, listener, tasks)


def _require_files(wanted: int) -> None:
    """Refuse to begin what cannot end well: above the limit connections fail one by one, for ever.

    Raises:
        TooFewFilesError: the system does not let one process have so many.
    """
    if (allowed := allow_files(wanted)) < wanted:
        raise TooFewFilesError(
            f"{wanted} open files are needed and {allowed} allowed; raise the limit (ulimit -n), or run the phones in "
            "several processes, as `paylatch fleet run` does"
        )


async def _serve(fleet: Fleet, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
    """Run the fleet until it is to stop, and leave nothing running."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, fleet.stopping.set)
    ringing = tasks.create_task(fleet.around.alarms.run(), name="alarms")
    async with control_channel(fleet, listener, tasks):
        fleet.start()
        _say(f"ready phones={len(fleet.phones)}")
        await fleet.stopping.wait()
    await fleet.stop()
    ringing.cancel()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a fleet as the command line says; return the exit code."""
    # Thousands of connections are hundreds of thousands of objects that live long: looking through all of them as
    # often as by default costs a fifth of the processor while the fleet connects. The first number is small, as phones
    # stand still meanwhile: at 50,000 that was a tenth of a second, and looked as if the bridge had taken it.
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        settings = _settings(_parser().parse_args(argv))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except (CafileError, ControlSocketError, FleetFileError, InvalidTopicError, TooFewFilesError, OSError) as error:
        sys.stderr.write(f"device_sim: {_told(error)}\n")
        return 1
    return 0


def _told(error: Exception) -> str:
    """Return an error in words; a file's without the number that the system has for it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m device_sim",
        description="Simulate phones bought on instalments: thousands in one process, over real MQTT connections.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--phones", type=Path, required=True, metavar="FILE", help="JSON lines, one phone each")
    parser.add_argument("--control", type=Path, required=True, metavar="SOCKET", help="where to listen for requests")
    parser.add_argument("--host", default="127.0.0.1", help="the broker (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=1883, help="its listener for phones (default: %(default)s)")
    parser.add_argument("--tls", action="store_true", help="connect by TLS; of certificates all but the dates counts")
    parser.add_argument("--cafile", type=Path, metavar="FILE", help="whose certificates count (default: the system's)")
    parser.add_argument("--prefix", default=DEFAULT_PREFIX, help="topic prefix (default: %(default)s)")
    parser.add_argument("--storage", type=Path, metavar="DIR", help="keep the phones' memories here")
    parser.add_argument("--connects-per-s", type=_above_zero, default=1000.0, metavar="N", help="default: %(default)g")
    parser.add_argument("--backoff-cap-s", type=_above_zero, default=30.0, metavar="N", help="default: %(default)g")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the connects' jitter; default 0")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if port not in range(1, 2**16):
        raise argparse.ArgumentTypeError("expected 1 to 65535")
    return port


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("expected a number above 0")
    return number


def _settings(options: argparse.Namespace) -> FleetSettings:
    return FleetSettings(
        phones_file=options.phones,
        control_path=options.control,
        host=options.host,
        port=options.port,
        tls=proof_of_broker(options.cafile) if options.tls or options.cafile else None,
        topic_prefix=options.prefix,
        pace=Pace(connects_per_s=options.connects_per_s, backoff_cap_s=options.backoff_cap_s, seed=options.seed),
        storage_directory=options.storage,
    )
