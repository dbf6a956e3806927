"""A stage: a site that runs, with phones that its lender has enrolled and that are connected and confirmed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from device_sim.fleet.control_client import FleetControl
from device_sim.identities import create_fleet
from lock_protocol.messages import Root
from lock_protocol.topics import Topics
from lock_protocol.trust import pinned_root
from paylatch.client import Bridge
from paylatch.facts import Borrower
from paylatch.local.broker_config import BRIDGE
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.files import Files
from paylatch.local.lender import enrol_fleet
from paylatch.local.open_files import require_files
from paylatch.local.phones import (
    BrokerAddress,
    Knocking,
    RunningPhones,
    confirm_all,
    connect_all,
    patience_for,
    phones_running,
)
from paylatch.local.ports import LOOPBACK
from paylatch.local.processes import ChildProcess
from paylatch.local.site import AUDITOR, LENDER, ServiceAccess, Site, bridge_running, broker_running, new_site
from paylatch.steps import Announcer

# After the broker's death a phone tries again after a random part of this at most; the default is for fleets that
# nobody watches.
_RECONNECT_BACKOFF_S = 2.0


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


@asynccontextmanager
async def built(files: Files, database: str, borrowers: Sequence[Borrower], view: Announcer) -> AsyncIterator[Stage]:
    """Set the stage: when this gives it, every phone is enrolled, connected and confirmed.

    Args:
        files: where everything of the run is.
        database: the URL of the bridge's, which is empty.
        borrowers: whose phones.
        view: shows what happens.

    Raises:
        LocalRunUsageError: the system does not allow so many connections.
        LocalRunError: something did not start; the message says what, with the end of its log.
    """
    require_files(len(borrowers))
    site = await new_site(files, database)
    phones_text = "one phone" if len(borrowers) == 1 else f"{len(borrowers)} phones"
    view.step("starting Mosquitto and the bridge")
    async with broker_running(site) as broker, bridge_running(site) as (process, bridge), AsyncExitStack() as stack:
        view.step(f"enrolling {phones_text}")
        with create_fleet(files.fleet_phones) as file:
            first, *_ = await enrol_fleet(bridge, borrowers, file)
        view.step(f"connecting {phones_text}")
        topics = Topics(first.mqtt.topic_prefix)
        phones = await _phones(stack, site, topics, len(borrowers))
        yield Stage(
            broker=broker,
            bridge=bridge,
            fleet=phones.control,
            root=pinned_root(first.root),
            topics=topics,
            url=site.url,
            api_key=site.api_key,
            lender_access=site.access(LENDER),
            bridge_access=site.access(BRIDGE),
            auditor_access=site.access(AUDITOR),
            processes=(process, *phones.processes),
        )


async def _phones(stack: AsyncExitStack, site: Site, topics: Topics, count: int) -> RunningPhones:
    """Start the fleet and wait until all phones are connected, and each one's own hello has been answered."""
    files, broker = site.files, BrokerAddress(host=LOOPBACK, port=site.ports.phones, prefix=topics.prefix)
    knocking = Knocking(backoff_cap_s=_RECONNECT_BACKOFF_S)
    phones = await stack.enter_async_context(phones_running(files.fleet_phones, files.directory, broker, knocking))
    patience = patience_for(count)
    await connect_all(phones.control, patience)
    await confirm_all(phones.control, patience)
    return phones
