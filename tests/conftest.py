"""The real broker and the real databases that every test may share."""

import gc
import secrets
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Self

import aiomqtt
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from broker_bridge.adapters.mqtt.passwords import SALT_BYTES, hash_password, write_password_file
from broker_bridge.adapters.mqtt.reloading import reload_broker
from broker_bridge.adapters.store.engine import database_url, engines
from broker_bridge.adapters.store.migrate import upgrade
from broker_bridge.adapters.store.tables import metadata
from broker_bridge.app.secret import new_secret
from paylatch.local.broker_config import write_instance
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.ports import LOOPBACK, free_ports
from paylatch.local.postgres_process import PostgresProcess

SERVICES = ("bridge", "auditor")
_DURATION = {"system": 5, "http": 4, "broker": 3, "loopback": 2, "store": 1}
"""Directories by how long one of their files may take, in no unit."""
PATIENCE_S = 90.0
"""How long a test waits for what has to come: far longer than that takes on a machine that has nothing else to do."""


def pytest_configure() -> None:
    """Listen to SIGINT. What a script runs in the background ignores it, and so would the commands under test."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: workers that take a file each are done together if the last files are short."""
    items.sort(key=lambda item: _DURATION.get(item.path.parent.name, 0), reverse=True)


def pytest_collection_finish() -> None:
    """Leave alone what is there before the first test: walking over it is most of each garbage collection."""
    gc.collect()
    gc.freeze()


def hashed(passwords: dict[str, str]) -> dict[str, str]:
    return {username: hash_password(secret, secrets.token_bytes(SALT_BYTES)) for username, secret in passwords.items()}


@dataclass(slots=True)
class RealBroker:
    """A Mosquitto that runs the committed configuration, and the passwords it knows."""

    process: MosquittoProcess
    services: dict[str, str]
    """Password of each user on the services' listener."""
    phones: dict[str, str] = field(default_factory=dict)
    """Password of each user on the phones' listener."""

    @property
    def phones_port(self) -> int:
        return self.process.phones_port

    @property
    def services_port(self) -> int:
        return self.process.services_port

    def add_phones(self, *imeis: str) -> None:
        """Give each phone a password; the broker knows it when this returns."""
        self.phones |= {imei: new_secret() for imei in imeis}
        write_password_file(self.process.files.phones_passwords, hashed(self.phones))
        self.reload()

    def add_services(self, *names: str) -> None:
        """Give each service (a lender, say) a password; the broker knows it when this returns."""
        self.services |= {name: new_secret() for name in names}
        write_password_file(self.process.files.services_passwords, hashed(self.services))
        self.reload()

    def reload(self) -> None:
        """Make the broker read its password and ACL files again; it has when this returns."""
        log = self.process.files.log
        seen = log.stat().st_size
        assert reload_broker(self.process.files.pid)
        deadline = time.monotonic() + PATIENCE_S
        # The broker has one thread and says this before it reads: whoever connects after the line is served after it.
        while b"Reloading config." not in log.read_bytes()[seen:]:
            assert time.monotonic() < deadline, "the broker does not say that it reads its files again"
            time.sleep(0.01)

    def phone(self, imei: str, *, client_id: str | None = None) -> aiomqtt.Client:
        """Return a connection as this phone, not yet entered."""
        return self._client(self.phones_port, imei, self.phones[imei], client_id or imei)

    def service(self, name: str, *, client_id: str | None = None) -> aiomqtt.Client:
        """Return a connection as this service, not yet entered."""
        return self._client(self.services_port, name, self.services[name], client_id)

    @staticmethod
    def _client(port: int, username: str, password: str, client_id: str | None) -> aiomqtt.Client:
        return aiomqtt.Client(
            LOOPBACK,
            port,
            username=username,
            password=password,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
        )


def new_broker(directory: Path) -> RealBroker:
    """Write a broker's files; it runs while `.process` is entered as a context manager."""
    phones_port, services_port = free_ports(2)
    services = {name: new_secret() for name in SERVICES}
    write_instance(directory, phones_port=phones_port, services_port=services_port, services=hashed(services))
    return RealBroker(MosquittoProcess(directory, phones_port, services_port), services)


@pytest.fixture(scope="session")
def broker() -> Iterator[RealBroker]:
    """One broker for the whole run. Retained states stay, so a test takes IMEIs of its own."""
    with tempfile.TemporaryDirectory(prefix="paylatch-broker-") as directory:
        running = new_broker(Path(directory))
        with running.process:
            yield running


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[RealBroker]:
    """A broker for one test alone, which may kill it."""
    running = new_broker(tmp_path / "broker")
    with running.process:
        yield running


DATABASES = ("sqlite", "postgresql")
"""Every database that the bridge runs on: what is said of one has to be true of the other."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresProcess]:
    """One PostgreSQL for the whole run; a test takes a database of its own."""
    with PostgresProcess() as running:
        yield running


@pytest.fixture
def own_postgres() -> Iterator[PostgresProcess]:
    """A PostgreSQL for one test alone, which may kill it."""
    with PostgresProcess() as running:
        yield running


@contextmanager
def writing_engine(url: str) -> Iterator[Engine]:
    """The engine with which the store writes."""
    _, engine = engines(database_url(url))
    try:
        yield engine
    finally:
        engine.dispose()


@cache
def _migrated() -> bytes:
    """An SQLite file with all tables and nothing in them: making one takes a hundred times as long as copying it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "paylatch.db"
        with writing_engine(f"sqlite:///{path}") as engine, engine.begin() as connection:
            upgrade(connection)
        return path.read_bytes()


def new_sqlite(path: Path) -> str:
    """Make an SQLite database with all tables and nothing in them; return its URL."""
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"


_WIPE = ";".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))  # noqa: S608 - our own names


class WipedDatabase:
    """A PostgreSQL database that tests have one after the other: making one takes ten times as long as wiping it.

    A context manager, for the one connection that wipes it: making that takes ten times as long as what it does.
    """

    def __init__(self, server: PostgresProcess) -> None:
        self._server = server
        self._names = (f"shared_{number}" for number in count())
        self._connection = ExitStack()

    def __enter__(self) -> Self:
        self._make()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def wipe(self) -> None:
        """Make it as if nobody had used it; a new one where a test has taken its tables apart."""
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(_WIPE)
        except SQLAlchemyError:
            self._connection.close()
            self._make()

    def _make(self) -> None:
        self.url = self._server.create(next(self._names))
        self._engine = self._connection.enter_context(writing_engine(self.url))
        with self._engine.begin() as connection:
            upgrade(connection)


@pytest.fixture(scope="session")
def wiped_database(postgres: PostgresProcess) -> Iterator[WipedDatabase]:
    """The database on PostgreSQL for whoever needs all tables and nothing in them."""
    with WipedDatabase(postgres) as shared:
        yield shared


@pytest.fixture(params=DATABASES)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'paylatch.db'}"
        return
    server: PostgresProcess = request.getfixturevalue("postgres")
    # It goes with the server: dropping it would first write out whatever all other tests have changed.
    yield server.create(f"empty_{secrets.token_hex(8)}")


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that holds nothing; which tables it has already is nobody's business."""
    if request.param == "sqlite":
        yield new_sqlite(tmp_path / "paylatch.db")
        return
    shared: WipedDatabase = request.getfixturevalue("wiped_database")
    yield shared.url
    shared.wipe()
