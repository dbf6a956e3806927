"""Where a run's bridge and phones come from: of its own, or those that are there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from device_sim.fleet.control_client import FleetControl
from device_sim.identities import (
    MAX_PHONES,
    ToldBroker,
    create_fleet,
    read_fleet,
    simulated_imei,
    split_fleet,
    told_broker,
    write_fleet,
)
from paylatch.client import Bridge, ConflictError
from paylatch.facts import Borrower
from paylatch.fleet.cast import Broker, Deadline, StepError
from paylatch.fleet.options import BridgeAccess, FleetUsageError, Options
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.enrolment import enrol_in
from paylatch.local.files import Files
from paylatch.local.lender import broker_told, connected, enrol_fleet
from paylatch.local.open_files import require_files
from paylatch.local.phones import BrokerAddress, address_told
from paylatch.local.processes import ChildProcess
from paylatch.local.site import LENDER, bridge_running, broker_running, new_site
from paylatch.steps import Announcer

_ASK_AGAIN_S = 0.2
_LOST_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A bridge, and the phones that are enrolled with it."""

    bridge: Bridge
    fleet_file: Path
    address: BrokerAddress
    broker: Broker
    processes: tuple[ChildProcess, ...] = ()
    """What must not end by itself."""


@dataclass(frozen=True, slots=True)
class OwnBroker:
    """A broker that the run has started itself."""

    process: MosquittoProcess

    async def strike(self, down_s: float, *, keep: bool, within_s: float, fleet: FleetControl) -> None:
        """End it by SIGKILL, and start it again after a while."""
        del within_s, fleet
        await asyncio.to_thread(self.process.kill)
        await asyncio.sleep(down_s)
        if not keep:
            self.process.files.database.unlink(missing_ok=True)
        await asyncio.to_thread(self.process.start)


@dataclass(frozen=True, slots=True)
class OperatorsBroker:
    """A broker that only its operator can kill, who is asked to."""

    view: Announcer

    async def strike(self, down_s: float, *, keep: bool, within_s: float, fleet: FleetControl) -> None:
        """Wait until most phones have lost their connections, and then until the first is back.

        Raises:
            StepError: nobody has killed it in time, or started it again.
        """
        del down_s
        self.view.step(f"kill the broker now, and start it again{'' if keep else ' with nothing of what it had saved'}")
        before = (await fleet.counters()).online
        killing = Deadline(within_s)
        while (lowest := (await fleet.counters()).online) > int(before * _LOST_SHARE):
            await _ask_again(killing, f"the broker was not killed within {within_s:g} s; --local kills its own")
        starting = Deadline(within_s)
        while (online := (await fleet.counters()).online) <= lowest:
            lowest = min(lowest, online)
            await _ask_again(starting, f"no phone was back within {within_s:g} s of the broker's death")


async def _ask_again(deadline: Deadline, too_late: str) -> None:
    if not deadline.left_s:
        raise StepError(too_late)
    await asyncio.sleep(min(_ASK_AGAIN_S, deadline.left_s))


@asynccontextmanager
async def source(options: Options, files: Files, view: Announcer) -> AsyncIterator[Source]:
    """Give what the options say.

    Args:
        options: of the run.
        files: where everything of the run is.
        view: shows what is done.

    Raises:
        FleetUsageError, LocalRunUsageError: phones or files do not suffice, or phones are enrolled already.
        LocalRunError, PaylatchError, FleetFileError: something did not start, or is not as it must be.
    """
    if options.bridge is None:
        async with _own(options, files, view) as own:
            yield own
    else:
        async with _there(options, options.bridge, files, view) as there:
            yield there


@asynccontextmanager
async def _own(options: Options, files: Files, view: Announcer) -> AsyncIterator[Source]:
    phones = options.scenario.phones
    require_files(phones)
    database = f"sqlite:///{files.bridge_database}"
    site = await new_site(files, database)
    view.step(f"enrolling {phones} phones")
    lines = await enrol_in(database, files.keys, LENDER, [simulated_imei(number) for number in range(phones)])
    write_fleet(files.fleet_phones, lines)
    view.step("starting Mosquitto and the bridge")
    async with broker_running(site) as broker, bridge_running(site) as (process, bridge):
        yield Source(
            bridge=bridge,
            fleet_file=files.fleet_phones,
            address=BrokerAddress(port=site.ports.phones),
            broker=OwnBroker(broker),
            processes=(process,),
        )


@asynccontextmanager
async def _there(options: Options, access: BridgeAccess, files: Files, view: Announcer) -> AsyncIterator[Source]:
    phones = options.scenario.phones
    async with connected(access.url, access.api_key, access.tls) as bridge:
        if options.fleet_file is None:
            with create_fleet(files.fleet_phones) as new:
                told: ToldBroker | None = await enrol(bridge, phones, options.first, new, view)
            file = files.fleet_phones
        else:
            file = await _some_of(options.fleet_file, phones, files)
            told = await asyncio.to_thread(told_broker, file)
        # Files of before do not say where their phones connect.
        address = BrokerAddress() if told is None else address_told(told, files.directory)
        yield Source(
            bridge=bridge,
            fleet_file=file,
            address=replace(address, **options.broker),
            broker=OperatorsBroker(view),
        )


async def enrol(bridge: Bridge, phones: int, first: int, file: IO[str], view: Announcer) -> ToldBroker:
    """Enrol new phones and write them to the fleet's file; return where the bridge says that phones connect.

    Raises:
        FleetUsageError: there are no such phones, or they are enrolled already.
    """
    if first + phones > MAX_PHONES:
        raise FleetUsageError(f"simulated phones are numbered 0 to {MAX_PHONES - 1}; {phones} from {first} on are more")
    borrowers = [Borrower(account=n + 1, imei=simulated_imei(n)) for n in range(first, first + phones)]
    view.step(f"enrolling {phones} phones")
    try:
        first_one, *_ = await enrol_fleet(bridge, borrowers, file)
    except ConflictError as error:
        raise FleetUsageError(
            f"{error}; use the fleet's file of then (--fleet), or number the new phones from another one on (--first)"
        ) from error
    return broker_told(first_one.mqtt)


async def _some_of(fleet_file: Path, phones: int, files: Files) -> Path:
    """Return the file of a fleet, or one of its first phones if it has more."""
    there = len(await asyncio.to_thread(read_fleet, fleet_file))
    if there < phones:
        raise FleetUsageError(f"{fleet_file} has {there} phones; {phones} asked for")
    if there == phones:
        return fleet_file
    await asyncio.to_thread(split_fleet, fleet_file, [(files.fleet_phones, phones)])
    return files.fleet_phones
