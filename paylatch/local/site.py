"""A site: a broker, a bridge in development mode and its lender on this machine, made ready first and run then."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from broker_bridge.adapters.mqtt.passwords import new_credential
from broker_bridge.adapters.signing.keys import init_development_keys
from lock_protocol.messages import LenderId
from paylatch.client import Bridge
from paylatch.local.broker_config import BRIDGE, settings_section, write_instance
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.files import Files
from paylatch.local.lender import connected
from paylatch.local.ports import LOOPBACK, free_ports
from paylatch.local.processes import ChildProcess, output_of, running
from paylatch.local.secret_file import write_secret

LENDER = LenderId("demo-lender")
AUDITOR = "auditor"
"""Reads what the broker keeps for each phone."""
_PAY_HOST = "pay.example"
_SERVICES = (BRIDGE, AUDITOR, LENDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where everybody listens."""

    phones: int
    services: int
    http: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccess:
    """What somebody needs to come in by the broker's inner listener as one of the services."""

    port: int
    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything is, and listens. Nothing of it has to run, and there is no phone yet."""

    files: Files
    ports: Ports
    database: str = field(repr=False)
    """The URL of the bridge's."""
    api_key: str = field(repr=False)
    """The lender's."""
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Each service's at the broker. The bridge finds its own in a file, so a site can be run again without them."""

    @property
    def url(self) -> str:
        """The bridge's address."""
        return f"http://{LOOPBACK}:{self.ports.http}"

    def access(self, service: str) -> ServiceAccess:
        """Return how a service comes in."""
        return ServiceAccess(port=self.ports.services, username=service, secret=self.passwords[service])


async def new_site(files: Files, database: str) -> Site:
    """Make keys, the broker's files, the bridge's settings and the lender, in an empty directory and an empty database.

    Raises:
        LocalRunError: the lender could not be added.
    """
    ports = Ports(**dict(zip(("phones", "services", "http"), free_ports(3), strict=True)))
    init_development_keys(files.keys, LENDER, now=int(time.time()), hosts=(_PAY_HOST,))
    credentials = {name: new_credential() for name in _SERVICES}
    passwords = {name: password for name, (password, _) in credentials.items()}
    hashed = {name: entry for name, (_, entry) in credentials.items()}
    write_instance(files.broker.directory, phones_port=ports.phones, services_port=ports.services, services=hashed)
    write_secret(files.bridge_secret, passwords[BRIDGE])
    write_secret(files.bridge_settings, _settings(files, database, ports))
    key = await output_of(["lender", "add", LENDER, "--config", str(files.bridge_settings)], files.log("lender"))
    return Site(files=files, ports=ports, database=database, api_key=key.strip(), passwords=passwords)


@asynccontextmanager
async def broker_running(site: Site) -> AsyncIterator[MosquittoProcess]:
    """Give the site's broker.

    Raises:
        BrokerError: it did not start.
    """
    async with AsyncExitStack() as stack:
        broker = MosquittoProcess(site.files.broker.directory, site.ports.phones, site.ports.services)
        await asyncio.to_thread(stack.enter_context, broker)
        yield broker


@asynccontextmanager
async def bridge_running(site: Site) -> AsyncIterator[tuple[ChildProcess, Bridge]]:
    """Give the site's bridge, ready for lenders: its process, and the bridge as the lender has it.

    Raises:
        LocalRunError: it did not start; the message says why, with the end of its log.
    """
    arguments = ["bridge", "run", "--config", str(site.files.bridge_settings)]
    async with (
        running("bridge", arguments, site.files.log("bridge")) as process,
        connected(site.url, site.api_key) as bridge,
    ):
        await process.wait_until(bridge.is_ready)
        yield process, bridge


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
