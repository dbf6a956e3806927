"""Keys, a real broker, the bridge and the fleet, each a process of its own, set up in an empty directory."""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from broker_bridge.adapters.mqtt.passwords import new_credential
from broker_bridge.adapters.signing.keys import init_development_keys
from device_sim.fleet.control_client import FleetControl
from device_sim.identities import create_fleet
from lock_protocol.messages import LenderId, Root
from lock_protocol.topics import Topics
from lock_protocol.trust import pinned_root
from paylatch.client import Bridge
from paylatch.facts import Borrower
from paylatch.local.broker_config import BrokerFiles, settings_section, write_instance
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.errors import LocalRunError, LocalRunUsageError
from paylatch.local.lender import connected, enrol_fleet
from paylatch.local.phones import BrokerAddress, Knocking, RunningPhones, phones_running
from paylatch.local.ports import LOOPBACK, free_ports
from paylatch.local.processes import ChildProcess, output_of, running
from paylatch.local.secret_file import write_secret
from paylatch.steps import Announcer

LENDER = LenderId("demo-lender")
_PAY_HOST = "pay.example"

# A fleet that connects needs some 6 ms a phone, and may have to share the machine.
_FLEET_STARTS_IN_S = 60.0
_PHONE_CONNECTS_IN_S = 0.03

# After the broker's death a phone tries again after a random part of this at most; the default is for fleets that
# nobody watches.
_RECONNECT_BACKOFF_S = 2.0

_SERVICES = ("bridge", "auditor", LENDER)

# What the operating systems leave for the path of a UNIX domain socket.
_LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Files:
    """Where everything of one run is."""

    directory: Path

    @property
    def keys(self) -> Path:
        """The development root, the online keys, the delegation."""
        return self.directory / "keys"

    @property
    def broker(self) -> BrokerFiles:
        """The broker's own directory."""
        return BrokerFiles(self.directory / "broker")

    @property
    def bridge_settings(self) -> Path:
        """What the bridge is told; its database's password may be in it."""
        return self.directory / "bridge.toml"

    @property
    def bridge_secret(self) -> Path:
        """The bridge's password at the broker."""
        return self.directory / "bridge.secret"

    @property
    def bridge_database(self) -> Path:
        """The truth, unless it is elsewhere."""
        return self.directory / "bridge.db"

    @property
    def imports(self) -> Path:
        """Where the bridge keeps files of decisions until their rows are done."""
        return self.directory / "imports"

    @property
    def fleet_phones(self) -> Path:
        """The phones, with their device keys and passwords."""
        return self.directory / "fleet.jsonl"

    @property
    def fleet_control(self) -> Path:
        """The socket by which the fleet is directed."""
        return self.directory / "fleet.sock"

    def log(self, name: str) -> Path:
        """Return where a process's output goes."""
        return self.directory / f"{name}.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccess:
    """What somebody needs to come in by the broker's inner listener as one of the services."""

    port: int
    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that runs, and who may speak with it."""

    broker: MosquittoProcess
    bridge: Bridge
    """As the lender has it."""
    fleet: FleetControl
    root: Root
    topics: Topics
    url: str
    """The bridge's address."""
    api_key: str = field(repr=False)
    """The lender's."""
    lender_access: ServiceAccess
    bridge_access: ServiceAccess
    """The bridge's own credentials: what the intruder has stolen."""
    auditor_access: ServiceAccess
    processes: Sequence[ChildProcess]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where everybody listens."""

    phones: int
    services: int
    http: int


@asynccontextmanager
async def directory_of(keep: Path | None) -> AsyncIterator[Files]:
    """Give the directory of a run: the one to keep, or one that is gone in the end.

    Raises:
        LocalRunUsageError: the directory to keep is in use, or its path is too long.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="paylatch-local-") as temporary:
            yield Files(Path(temporary))
        return
    yield _kept(keep)


def _kept(directory: Path) -> Files:
    files = Files(directory.resolve())
    if len(os.fsencode(files.fleet_control)) > _LONGEST_SOCKET_PATH:
        raise LocalRunUsageError(f"{files.directory}: too long a path for a socket; choose a shorter one")
    files.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(files.directory.iterdir()):
        raise LocalRunUsageError(f"{files.directory}: is not empty; each run needs a directory of its own")
    return files


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A broker, a bridge in development mode and its lender, without any phone yet."""

    broker: MosquittoProcess
    bridge: Bridge
    """As the lender has it."""
    process: ChildProcess
    """The bridge's."""
    ports: Ports
    services: Mapping[str, str] = field(repr=False)
    """Each service's password at the broker."""
    api_key: str = field(repr=False)
    """The lender's."""

    @property
    def url(self) -> str:
        """The bridge's address."""
        return f"http://{LOOPBACK}:{self.ports.http}"


@asynccontextmanager
async def site(
    files: Files, database: str, view: Announcer, *, before: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[Site]:
    """Give a broker and a bridge that are ready for lenders.

    Args:
        files: where everything of the run is.
        database: the URL of the bridge's, which is empty.
        view: shows what happens.
        before: what is done once there are keys and a lender, before the bridge runs.

    Raises:
        LocalRunError: something did not start; the message says what, with the end of its log.
    """
    ports = Ports(**dict(zip(("phones", "services", "http"), free_ports(3), strict=True)))
    api_key, services = await prepare(files, database, ports, _SERVICES)
    if before is not None:
        await before()
    async with AsyncExitStack() as stack:
        view.step("starting Mosquitto and the bridge")
        broker = await _broker(stack, files, ports)
        arguments = ["bridge", "run", "--config", str(files.bridge_settings)]
        process = await stack.enter_async_context(running("bridge", arguments, files.log("bridge")))
        bridge = await stack.enter_async_context(connected(f"http://{LOOPBACK}:{ports.http}", api_key))
        await process.wait_until(bridge.is_ready)
        yield Site(broker=broker, bridge=bridge, process=process, ports=ports, services=services, api_key=api_key)


@asynccontextmanager
async def built(files: Files, database: str, borrowers: Sequence[Borrower], view: Announcer) -> AsyncIterator[Stage]:
    """Set the stage: when this gives it, every phone is enrolled, connected and confirmed.

    Args:
        files: where everything of the run is.
        database: the URL of the bridge's, which is empty.
        borrowers: whose phones.
        view: shows what happens.

    Raises:
        LocalRunError: something did not start; the message says what, with the end of its log.
    """
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(site(files, database, view))
        view.step(f"enrolling {len(borrowers)} phones")
        with create_fleet(files.fleet_phones) as file:
            first, *_ = await enrol_fleet(there.bridge, borrowers, file)
        view.step(f"connecting {len(borrowers)} phones")
        topics = Topics(first.mqtt.topic_prefix)
        phones = await _phones(stack, files, there.ports, topics, len(borrowers))
        yield Stage(
            broker=there.broker,
            bridge=there.bridge,
            fleet=phones.control,
            root=pinned_root(first.root),
            topics=topics,
            url=there.url,
            api_key=there.api_key,
            lender_access=_access(there, LENDER),
            bridge_access=_access(there, "bridge"),
            auditor_access=_access(there, "auditor"),
            processes=(there.process, *phones.processes),
        )


async def prepare(files: Files, database: str, ports: Ports, services: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Make keys, settings and the lender; return the lender's API key, and the password of each service."""
    init_development_keys(files.keys, LENDER, now=int(time.time()), hosts=(_PAY_HOST,))
    credentials = {name: new_credential() for name in services}
    passwords = {name: password for name, (password, _) in credentials.items()}
    hashed = {name: entry for name, (_, entry) in credentials.items()}
    write_instance(files.broker.directory, phones_port=ports.phones, services_port=ports.services, services=hashed)
    write_secret(files.bridge_secret, passwords["bridge"])
    write_secret(files.bridge_settings, _settings(files, database, ports))
    key = await output_of(["lender", "add", LENDER, "--config", str(files.bridge_settings)], files.log("lender"))
    return key.strip(), passwords


def _settings(files: Files, database: str, ports: Ports) -> str:
    """Return the bridge's settings file. A JSON string is a TOML string as well."""
    quoted = json.dumps
    broker = settings_section(files.broker, files.bridge_secret, phones_port=ports.phones, services_port=ports.services)
    return f"""\
development = true
database = {quoted(database)}
policy = "replay"
keys = {quoted(str(files.keys))}

[http]
host = "{LOOPBACK}"
port = {ports.http}

{broker}
[imports]
directory = {quoted(str(files.imports))}
"""


async def _broker(stack: AsyncExitStack, files: Files, ports: Ports) -> MosquittoProcess:
    broker = MosquittoProcess(files.broker.directory, ports.phones, ports.services)
    await asyncio.to_thread(stack.enter_context, broker)
    return broker


async def _phones(stack: AsyncExitStack, files: Files, ports: Ports, topics: Topics, count: int) -> RunningPhones:
    """Start the fleet and wait until each phone's own hello has been answered."""
    broker = BrokerAddress(host=LOOPBACK, port=ports.phones, prefix=topics.prefix)
    knocking = Knocking(backoff_cap_s=_RECONNECT_BACKOFF_S)
    phones = await stack.enter_async_context(phones_running(files.fleet_phones, files.directory, broker, knocking))
    patience = _FLEET_STARTS_IN_S + count * _PHONE_CONNECTS_IN_S
    silent = await phones.control.await_settled(patience)
    if silent:
        raise LocalRunError(f"{len(silent)} phones were not confirmed within {patience:g} s, {silent[0]} the first")
    return phones


def _access(there: Site, name: str) -> ServiceAccess:
    return ServiceAccess(port=there.ports.services, username=name, secret=there.services[name])
