"""The real broker and the real databases that every test may share."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import pytest
from sqlalchemy import Engine

from broker_bridge.adapters.mqtt.passwords import SALT_BYTES, hash_password, write_password_file
from broker_bridge.adapters.store.engine import database_url, engines
from broker_bridge.adapters.store.migrate import upgrade
from paylatch.broker_config import write_instance
from paylatch.broker_process import MosquittoProcess
from paylatch.ports import LOOPBACK, free_ports
from paylatch.postgres_process import PostgresProcess

SERVICES = ("bridge", "auditor")


def new_secret() -> str:
    return secrets.token_urlsafe(24)


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
        self.process.reload()

    def add_services(self, *names: str) -> None:
        """Give each service (a lender, say) a password; the broker knows it when this returns."""
        self.services |= {name: new_secret() for name in names}
        write_password_file(self.process.files.services_passwords, hashed(self.services))
        self.process.reload()

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


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresProcess) -> str:
    """The name of a database that has all tables and nothing in them, to be copied."""
    name = "template"
    with writing_engine(postgres.create(name)) as engine, engine.begin() as connection:
        upgrade(connection)
    return name


@contextmanager
def writing_engine(url: str) -> Iterator[Engine]:
    """The engine with which the store writes."""
    _, engine = engines(database_url(url))
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _database(request: pytest.FixtureRequest, directory: Path, template: str) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{directory / 'paylatch.db'}"
        return
    server: PostgresProcess = request.getfixturevalue("postgres")
    name = f"test_{secrets.token_hex(8)}"
    url = server.create(name, template=template)
    try:
        yield url
    finally:
        server.drop(name)


@pytest.fixture(params=DATABASES)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    with _database(request, tmp_path, "template0") as url:
        yield url


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that nobody has used; which tables it has already is nobody's business."""
    template = "template0" if request.param == "sqlite" else request.getfixturevalue("postgres_template")
    with _database(request, tmp_path, template) as url:
        yield url
