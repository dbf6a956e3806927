"""The composition root: puts the adapters into the use cases and runs them until told to stop."""

import asyncio
import gc
import logging
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from random import Random

import structlog

from broker_bridge.adapters.http.access import Access
from broker_bridge.adapters.http.api import create_api
from broker_bridge.adapters.http.gateway import Gateway, PhonesBroker
from broker_bridge.adapters.http.server import Server
from broker_bridge.adapters.imports.desk import import_worker
from broker_bridge.adapters.imports.own_spool import SpoolInUseError, SpoolUnusableError, own_spool
from broker_bridge.adapters.imports.spool import DirectorySpool
from broker_bridge.adapters.lender_api.decision_desk import DecisionDesk
from broker_bridge.adapters.metrics.live import Parts
from broker_bridge.adapters.metrics.metrics import Metrics
from broker_bridge.adapters.mqtt.client import BrokerAddress
from broker_bridge.adapters.mqtt.credentials import PasswordFile
from broker_bridge.adapters.mqtt.intake import REFUSALS, Intake
from broker_bridge.adapters.mqtt.lenders_link import LendersLink
from broker_bridge.adapters.mqtt.link import Link
from broker_bridge.adapters.policies.profiles import profile, profile_document
from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.adapters.signing.keys import FileSigner
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.confirm import Judge
from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import Listener
from broker_bridge.app.import_worker import ImportWorker
from broker_bridge.app.key_conflicts import KeyConflicts
from broker_bridge.app.outbox import Outbox
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.policies import Policies, refuse_unusable_policies
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.resign import refuse_older_delegations, sign_all_again
from broker_bridge.app.results import Results
from broker_bridge.app.retention import Retention
from broker_bridge.app.schedule import Scheduler
from broker_bridge.app.session import PhonesSession
from broker_bridge.app.set_policy import PolicyDesk
from broker_bridge.app.sign import Queue, SigningClock
from broker_bridge.app.standby import Standby
from broker_bridge.app.timekeeping import Timekeeper
from broker_bridge.broker_files import broker_password, broker_tls, phones_ca
from broker_bridge.domain.policy import DAY_S
from broker_bridge.listening import listening_socket
from broker_bridge.settings import BrokerSettings, ImportSettings, Settings, SettingsError
from lock_protocol.topics import Topics

LANE_LIMIT = 4_000
"""States in memory a lane. More wait in the database: as many are read at a time, which holds up everything else."""
_CLIENT_ID = "mqtt_client_id"
_GC_THRESHOLDS = (10_000, 20, 20)


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Return the wall clock, whole seconds UTC."""
        return int(time.time())

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()


async def run(settings: Settings) -> None:
    """Run the bridge until SIGTERM or SIGINT.

    Raises:
        SettingsError, KeyFileError, DelegationBehindError, PolicyError, StoreUnavailableError: it cannot start; the
            message says why.
    """
    log = _structured_log()
    signer = FileSigner(settings.keys, development=settings.development)
    policies = Policies(profile(settings.policy), read_policy)
    async with SqlStore(settings.database) as store, _spool(settings.imports, log) as spool:
        core = _core(settings, store, signer, policies, log)
        await _refuse_what_cannot_run(core, development=settings.development)
        await sign_all_again(store.commits, store.signed, signer, core.reconsider.queue, log)
        outside = _interfaces(settings, core, spool, await _broker_address(settings.broker, store))
        _watch(core, outside)
        if settings.development:
            log.warning(
                "development_mode", policy=policies.default.name, note="for this machine alone, never for real phones"
            )
        _spare_what_stays()
        with listening_socket(settings.http) as listening:
            api = create_api(outside.gateway, outside.access, version("paylatch"), show_metrics=settings.http.metrics)
            await _run_until_told_to_stop(Server(api), listening, **_services(settings, core, outside))
        await core.standby.retire()
        await outside.access.write_uses()
        log.info("stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Core:
    """What decides, delivers and hears, on one database."""

    store: SqlStore
    signer: FileSigner
    reconsider: Reconsider
    deliverer: Deliverer
    listener: Listener
    standby: Standby
    metrics: Metrics
    topics: Topics
    clock: Clock
    log: Log


def _core(settings: Settings, store: SqlStore, signer: FileSigner, policies: Policies, log: Log) -> _Core:
    """Make the core, and have the store tell it of what is committed from now on."""
    topics, clock = Topics(settings.topic_prefix), SystemClock()
    queue = Queue(signer, SigningClock(clock), clock)
    judge = Judge(queue, clock, PhonesLog(log, clock))
    deliverer = Deliverer(
        store=store.commits,
        states=store.outgoing,
        canaries=store.canaries,
        outbox=Outbox(window=settings.broker.window, lane_limit=LANE_LIMIT),
        topics=topics,
        judge=judge,
        clock=clock,
        log=log,
        new_token=new_token,
    )
    metrics = Metrics(clock)
    store.commits.on_committed(deliverer.publish)
    store.commits.on_commit(metrics.meters.committed)
    store.commits.on_doubt(deliverer.look_again)
    store.on_asked(metrics.meters.asked)
    return _Core(
        store=store,
        signer=signer,
        reconsider=Reconsider(policies, queue, clock),
        deliverer=deliverer,
        listener=Listener(store.commits, deliverer, judge),
        standby=Standby(
            heartbeats=store.heartbeats,
            clock=clock,
            log=log,
            new_token=new_token,
            on_taking_over=metrics.meters.unlock_clock.forget,
        ),
        metrics=metrics,
        topics=topics,
        clock=clock,
        log=log,
    )


def new_token() -> str:
    """Return a text that nobody can guess, and that no other bridge has drawn."""
    return secrets.token_hex(16)


async def _refuse_what_cannot_run(core: _Core, *, development: bool) -> None:
    """Hold the keys and the stored policies against what the database says of phones.

    Raises:
        KeyFileError, DelegationBehindError, PolicyError, StoreUnavailableError: it cannot start.
    """
    store, signer = core.store, core.signer
    signer.load_at_start_only(await store.lenders.with_phones())
    await refuse_unusable_policies(store.lenders, read_policy, development=development)
    await refuse_older_delegations(store.signed, signer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interfaces:
    """What the core is reached by, and reaches others by."""

    link: Link
    credentials: PasswordFile
    imports: ImportWorker
    gateway: Gateway
    access: Access
    lenders: LendersLink
    intake: Intake
    results: Results


def _interfaces(settings: Settings, core: _Core, spool: DirectorySpool, address: BrokerAddress) -> _Interfaces:
    """Make the interfaces, and have the store tell lenders of what becomes of their decisions."""
    store, topics, log = core.store, core.topics, core.log
    link = Link(address, topics, random=Random(), log=log)  # noqa: S311 - jitter
    credentials = PasswordFile(settings.broker.phones_passwords, settings.broker.pid_file, store.credentials, log)
    imports = import_worker(
        store=store.commits,
        imports=store.imports,
        spool=spool,
        reconsider=core.reconsider,
        meters=core.metrics.meters,
        log=log,
        keep_s=settings.imports.results_days * DAY_S,
    )
    desk = DecisionDesk(store=store.commits, reconsider=core.reconsider, meters=core.metrics.meters)
    gateway = _gateway(settings, core, desk, link, credentials, imports)
    results = Results(topics, log)
    intake = Intake(topics, store.commands, partial(desk.decide, way="mqtt"), results, core.clock, log)
    store.commits.on_step(intake.tell)
    return _Interfaces(
        link=link,
        credentials=credentials,
        imports=imports,
        gateway=gateway,
        access=Access(store.keys, core.clock, log),
        lenders=LendersLink(address, topics, random=Random(), log=log),  # noqa: S311 - jitter
        intake=intake,
        results=results,
    )


def _gateway(
    settings: Settings,
    core: _Core,
    desk: DecisionDesk,
    link: Link,
    credentials: PasswordFile,
    imports: ImportWorker,
) -> Gateway:
    store = core.store
    return Gateway(
        store=store.commits,
        phones=store.phones,
        commands=store.commands,
        decisions=store.decisions,
        lenders=store.lenders,
        keys=store.keys,
        ping=store.ping,
        reconsider=core.reconsider,
        desk=desk,
        key_conflicts=KeyConflicts(core.log),
        policies=PolicyDesk(
            store=store.commits,
            versions=store.policies,
            lenders=store.lenders,
            phones=store.phones,
            reconsider=core.reconsider,
            signer=core.signer,
            root=core.signer.root,
            default_document=profile_document(settings.policy),
            development=settings.development,
        ),
        clock=core.clock,
        credentials=credentials,
        link=link,
        standby=core.standby,
        broker=PhonesBroker(
            host=settings.broker.phones_host,
            port=settings.broker.phones_port,
            tls=settings.broker.phones_tls,
            ca=phones_ca(settings.broker),
            topic_prefix=settings.topic_prefix,
            root_envelope=core.signer.root_to_pin,
        ),
        metrics=core.metrics,
        uploads=imports.uploads,
        imports=store.imports,
        import_waits_for=imports.waits_for,
    )


def _watch(core: _Core, outside: _Interfaces) -> None:
    """Have the metrics tell how all parts are doing."""
    parts = Parts(
        store=core.store,
        deliverer=core.deliverer,
        listener=core.listener,
        link=outside.link,
        lenders=outside.lenders,
        standby=core.standby,
        intake=outside.intake,
        intake_refuses=REFUSALS,
        results=outside.results,
        key_conflicts=outside.gateway.key_conflicts,
    )
    core.metrics.watch(parts, version("paylatch"))


def _services(settings: Settings, core: _Core, outside: _Interfaces) -> dict[str, Coroutine[None, None, None]]:
    """Return what runs beside the HTTP server, by the names of its tasks."""
    store = core.store
    retention = Retention(
        store.finished_commands,
        core.clock,
        core.log,
        keep_s=settings.retention.commands_days * DAY_S,
        keep_superseded_s=settings.retention.superseded_days * DAY_S,
    )
    phones = PhonesSession(store.canaries, core.deliverer, core.listener, core.signer.roots, core.standby.beat)
    may_connect = core.standby.require_broker
    lenders = partial(outside.lenders.run, may_connect, outside.intake.receive, outside.results.session)
    return {
        "broker": core.standby.run(partial(outside.link.run, may_connect, phones.run), lenders),
        "credentials": outside.credentials.run(),
        "retention": retention.run(),
        "intake": outside.intake.run(),
        "time": Timekeeper(store.commits, core.reconsider.queue.signing_clock, core.log).run(),
        "schedule": Scheduler(store.commits, store.schedule, core.reconsider, core.log).run(),
        "access": outside.access.run(),
        "imports": outside.imports.run(),
    }


def _spare_what_stays() -> None:
    """Have the garbage collector look at what comes from now on, and less often.

    What has been loaded up to here stays as long as the process; all of it was looked through again and again, for a
    tenth of a second each time, in which no payment went on.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


async def _broker_address(settings: BrokerSettings, store: SqlStore) -> BrokerAddress:
    password = broker_password(settings)
    # Drawn once and kept: whoever shares the database shares the fence, and nobody else can guess it.
    client_id = await store.facts.one(_CLIENT_ID, f"paylatch-{secrets.token_hex(8)}")
    return BrokerAddress(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=password,
        client_id=client_id,
        tls=broker_tls(settings),
    )


@asynccontextmanager
async def _spool(settings: ImportSettings, log: Log) -> AsyncIterator[DirectorySpool]:
    async with AsyncExitStack() as stack:
        own = own_spool(settings.directory, lambda: log.warning("spool_in_use", directory=str(settings.directory)))
        try:
            spool_id = await stack.enter_async_context(own)
        except (SpoolInUseError, SpoolUnusableError, OSError) as error:
            raise SettingsError(f"imports.directory: {error}") from error
        yield DirectorySpool(
            directory=settings.directory,
            spool_id=spool_id,
            max_bytes=settings.max_bytes,
            max_rows=settings.max_rows,
            idle_s=settings.idle_s,
            upload_s=settings.upload_s,
        )


async def _run_until_told_to_stop(
    server: Server, listening: socket.socket, **services: Coroutine[None, None, None]
) -> None:
    """Run services until SIGTERM or SIGINT, or until one of them fails.

    The HTTP server stops first and finishes the requests it has; what they need goes on until they are answered.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(service, name=name) for name, service in services.items()]
        serving = tasks.create_task(server.serve([listening]), name="http")
        await stop.wait()
        server.stop()
        await serving
        for task in running:
            task.cancel()


def _structured_log() -> Log:
    """Return a logger that writes one JSON object a line to standard error."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger()
    return log
