"""The phones of a run as processes of their own: as many as they need, directed as one."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from device_sim.fleet.control_client import FleetControl
from device_sim.fleet.control_messages import PhoneDump
from device_sim.fleet.link import Obstacle
from device_sim.fleet.process import allow_files
from device_sim.fleet.shards import ShardedControl, shards_for, split
from device_sim.identities import ToldBroker, read_fleet, split_fleet
from lock_protocol.topics import DEFAULT_PREFIX
from paylatch.local.errors import LocalRunError
from paylatch.local.ports import LOOPBACK
from paylatch.local.processes import ChildProcess, running

_ALL_FILES = 1_048_576
# A fleet that connects needs some 6 ms a phone, and may have to share the machine.
_STARTS_IN_S = 60.0
_PHONE_CONNECTS_IN_S = 0.03
_LOOK_AGAIN_S = 2.0
_LOGINS_COUNT_AFTER_S = 10.0
"""A broker that was told of new phones' passwords has read them by then: who is refused after that will always be."""
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where phones connect."""

    host: str = LOOPBACK
    port: int = 1883
    prefix: str = DEFAULT_PREFIX
    tls: bool = False
    cafile: Path | None = None
    """Whose certificates count by TLS; None for the system's."""

    def flags(self) -> list[str]:
        """Return it as flags of a fleet's process."""
        flags = ["--host", self.host, "--port", str(self.port), "--prefix", self.prefix]
        if self.tls:
            flags += ["--tls"] if self.cafile is None else ["--tls", "--cafile", str(self.cafile)]
        return flags


def address_told(told: ToldBroker, directory: Path) -> BrokerAddress:
    """Return where phones connect that were told so; the CA that they were given is put into a directory."""
    address = BrokerAddress(host=told.host, port=told.port, prefix=told.topic_prefix, tls=told.tls)
    if told.ca is None:
        return address
    cafile = directory / "ca.pem"
    cafile.write_text(told.ca, encoding="ascii")
    return replace(address, cafile=cafile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knocking:
    """How hard the phones may knock at the broker, all of them together."""

    connects_per_s: float = 1000.0
    backoff_cap_s: float = 2.0
    """The longest wait between one phone's attempts."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPhones:
    """A fleet that is running."""

    control: ShardedControl
    processes: Sequence[ChildProcess]
    began_s: float
    """When the first of them was started, by `time.monotonic`: no phone has tried to connect before."""


def patience_for(phones: int) -> float:
    """Return how long so many phones may take until they are connected, and again until they are confirmed, seconds."""
    return _STARTS_IN_S + phones * _PHONE_CONNECTS_IN_S


async def connect_all(fleet: FleetControl, patience_s: float) -> None:
    """Wait until all phones are connected, unless the first that is not cannot be until somebody mends something.

    Raises:
        LocalRunError: some were not in time, or never will be; the message says why the first of them was not.
    """
    began_s = time.monotonic()
    left_s = patience_s
    while lacking := await fleet.await_connected(min(left_s, _LOOK_AGAIN_S)):
        (first,) = await fleet.dump(lacking[:1])
        waited_s = time.monotonic() - began_s
        left_s = max(patience_s - waited_s, 0)
        if not left_s or _is_shut_out(first, began_s):
            why = first.last_failure.why if first.last_failure else "no attempt has ended yet"
            told = f"{len(lacking)} phones were not connected after {waited_s:.0f} s, {first.imei} the first"
            raise LocalRunError(f"{told}: {why}")


def _is_shut_out(phone: PhoneDump, since_s: float) -> bool:
    """Return whether trying again will not help a phone that has tried since then (by `time.monotonic`)."""
    failure = phone.last_failure
    if phone.connected or failure is None:
        return False
    match failure.obstacle:
        case Obstacle.NAME | Obstacle.CERTIFICATE:
            return True
        case Obstacle.LOGIN:
            return failure.at_ns / _NS_PER_S > since_s + _LOGINS_COUNT_AFTER_S
        case Obstacle.OTHER:
            return False
    assert_never(failure.obstacle)


async def confirm_all(fleet: FleetControl, patience_s: float) -> None:
    """Wait until each phone's own hello has been answered, on a connection that it may still have to make.

    Raises:
        LocalRunError: some had no answer in time.
    """
    if lacking := await fleet.await_settled(patience_s):
        raise LocalRunError(f"{len(lacking)} phones were not confirmed within {patience_s:g} s, {lacking[0]} the first")


@asynccontextmanager
async def phones_running(
    fleet_file: Path, directory: Path, broker: BrokerAddress, knocking: Knocking, *, shards: int | None = None
) -> AsyncIterator[RunningPhones]:
    """Run the phones of a fleet's file; when this gives them, they are about to connect.

    The first process is directed by `fleet.sock` in the directory, the others by `fleet-2.sock` and so on.

    Args:
        fleet_file: as `device_sim.identities` describes it.
        directory: for sockets, logs and, with several processes, each one's phones.
        broker: where they connect.
        knocking: how fast.
        shards: how many processes, of which none is left without a phone; None for as many as are needed.

    Raises:
        FleetFileError: the file is not as it must be.
        TooFewFilesError: this system lets no process open enough files.
        LocalRunError: a process did not start.
    """
    imeis = [phone.imei for phone in read_fleet(fleet_file)]
    needed = shards or shards_for(len(imeis), cores=os.cpu_count() or 1, files=allow_files(_ALL_FILES))
    count = max(min(needed, len(imeis)), 1)
    parts = split(imeis, count)
    names = ["fleet", *(f"fleet-{number}" for number in range(2, count + 1))]
    files = [fleet_file] if count == 1 else [directory / f"{name}.part.jsonl" for name in names]
    if count > 1:
        split_fleet(fleet_file, zip(files, map(len, parts), strict=True))
    sockets = [directory / f"{name}.sock" for name in names]
    pace = [
        *("--connects-per-s", str(knocking.connects_per_s / count)),
        *("--backoff-cap-s", str(knocking.backoff_cap_s)),
    ]
    async with AsyncExitStack() as stack:
        processes, began_s = [], time.monotonic()
        for number, (name, file, socket) in enumerate(zip(names, files, sockets, strict=True)):
            flags = ["--phones", str(file), "--control", str(socket), "--seed", str(knocking.seed + number)]
            log = directory / f"{name}.log"
            child = running(name, [*flags, *broker.flags(), *pace], log, module="device_sim")
            processes.append(await stack.enter_async_context(child))
        for process, socket in zip(processes, sockets, strict=True):
            await process.wait_until(_listening_on(socket))
        control = ShardedControl(dict(zip(sockets, parts, strict=True)))
        yield RunningPhones(control=control, processes=processes, began_s=began_s)


def _listening_on(socket: Path) -> Callable[[], Awaitable[bool]]:
    async def listens() -> bool:
        # That its file is there does not mean that anybody listens yet.
        try:
            _, writer = await asyncio.open_unix_connection(str(socket))
        except OSError:
            return False
        writer.close()
        return True

    return listens
