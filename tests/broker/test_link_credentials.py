"""Phones' credentials on a real broker: rewritten, reloaded, and in force when the bridge says so."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from broker_bridge.adapters.mqtt.credentials import PasswordFile
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.credentials import CredentialsError
from broker_bridge.app.ports.queries import Credentials
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.secret import new_secret
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from tests.bridge_rig import ACME, CREDENTIAL, KeptLog, Office
from tests.conftest import PATIENCE_S, RealBroker, hashed

IMEIS = [simulated_imei(number) for number in range(20)]


@asynccontextmanager
async def writing(
    path: Path, pid_file: Path | None, credentials: Credentials, log: KeptLog | None = None
) -> AsyncIterator[PasswordFile]:
    file = PasswordFile(path, pid_file, credentials, log or KeptLog())
    task = asyncio.create_task(file.run())
    try:
        yield file
        assert not task.done(), "it ended by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with SqlStore(f"sqlite:///{tmp_path / 'paylatch.db'}") as opened:
        await opened.lenders.add(ACME, b"k" * 32, at=1)
        yield opened


async def enrol(store: SqlStore, *imeis: Imei) -> dict[str, str]:
    """Enrol phones and return their passwords."""
    office, secrets = Office(), {str(imei): new_secret() for imei in imeis}
    entries = hashed(secrets)
    await asyncio.gather(*(store.commits.commit(office.enrol(imei, credential=entries[imei])) for imei in imeis))
    return secrets


async def test_a_phone_connects_with_the_credential_that_was_just_published(
    own_broker: RealBroker, store: SqlStore
) -> None:
    files = own_broker.process.files
    async with writing(files.phones_passwords, files.pid, store.credentials) as file:
        own_broker.phones |= await enrol(store, IMEIS[0])
        await file.publish()
        async with own_broker.phone(IMEIS[0]) as phone:
            await phone.publish(f"paylatch/v1/phones/{IMEIS[0]}/hello", b"here", qos=1)


async def test_a_credential_that_was_replaced_is_worth_nothing(own_broker: RealBroker, store: SqlStore) -> None:
    files = own_broker.process.files
    async with writing(files.phones_passwords, files.pid, store.credentials) as file:
        own_broker.phones |= await enrol(store, IMEIS[0])
        await enrol(store, IMEIS[0])
        await file.publish()
        with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
            await own_broker.phone(IMEIS[0]).__aenter__()


async def test_many_changes_share_a_few_writes(tmp_path: Path, store: SqlStore) -> None:
    path, reads = tmp_path / "phones.passwd", 0

    class Counted:
        async def page(self, after: str, limit: int) -> Sequence[tuple[Imei, str]]:
            nonlocal reads
            reads += not after
            return await store.credentials.page(after, limit)

    async with writing(path, None, Counted()) as file:
        await enrol(store, *IMEIS)
        await asyncio.gather(*(file.publish() for _ in range(100)))
    assert len(path.read_text().splitlines()) == len(IMEIS)
    assert reads <= 3


async def test_the_file_is_written_page_by_page(
    tmp_path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker_bridge.adapters.mqtt.credentials.PAGE", 3)
    path = tmp_path / "phones.passwd"
    async with writing(path, None, store.credentials) as file:
        await enrol(store, *IMEIS)
        await file.publish()
    assert [line.partition(":")[0] for line in path.read_text().splitlines()] == sorted(IMEIS)


async def test_the_broker_is_left_alone_between_two_files_the_longer_the_more_lines_it_reads(
    tmp_path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest_s = 0.2
    monkeypatch.setattr("broker_bridge.adapters.mqtt.credentials.REST_S_PER_LINE", rest_s / len(IMEIS))
    told_at: list[float] = []

    def reload_broker(_: Path) -> bool:
        told_at.append(time.monotonic())
        return True

    monkeypatch.setattr("broker_bridge.adapters.mqtt.credentials.reload_broker", reload_broker)
    await enrol(store, *IMEIS)
    async with writing(tmp_path / "phones.passwd", tmp_path / "mosquitto.pid", store.credentials) as file:
        await file.publish()
        await file.publish()
    first, *_, last = told_at
    assert last - first >= rest_s


async def test_a_broker_that_does_not_run_is_no_reason_to_fail(tmp_path: Path, store: SqlStore) -> None:
    path = tmp_path / "phones.passwd"
    async with writing(path, tmp_path / "no.pid", store.credentials) as file:
        await enrol(store, IMEIS[0])
        await file.publish()
        assert file.log.events("warning") == ["broker_not_reloaded"] * len(file.log.entries)  # type: ignore[attr-defined]
    assert IMEIS[0] in path.read_text()


@pytest.mark.parametrize("content", ["", "not a number"])
async def test_a_pid_file_that_holds_none_is_no_reason_to_end(tmp_path: Path, store: SqlStore, content: str) -> None:
    pid_file = tmp_path / "odd.pid"
    pid_file.write_text(content)
    async with writing(tmp_path / "phones.passwd", pid_file, store.credentials) as file:
        async with asyncio.timeout(PATIENCE_S):
            await file.publish()


async def test_a_broker_of_another_account_is_said_so_and_tried_again_without_writing_again(
    tmp_path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = asyncio.Event()

    def kill(_: int, __: int) -> None:
        if not allowed.is_set():
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("broker_bridge.adapters.mqtt.credentials.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(os, "kill", kill)
    path, pid_file, log = tmp_path / "phones.passwd", tmp_path / "mosquitto.pid", KeptLog()
    pid_file.write_text("4711\n", encoding="ascii")
    await enrol(store, IMEIS[0])
    async with writing(path, pid_file, store.credentials, log) as file, asyncio.timeout(PATIENCE_S):
        with pytest.raises(CredentialsError, match="cannot be told"):
            await file.publish()
        assert IMEIS[0] in path.read_text()
        written = path.stat().st_mtime_ns
        await log.repeated("broker_not_reloaded", 3)
        assert path.stat().st_mtime_ns == written
        allowed.set()
        await log.repeated("credentials_in_force", 1)
    assert set(log.events("critical")) == {"broker_not_reloaded"}


async def test_a_file_that_cannot_be_written_is_said_so_and_tried_again(tmp_path: Path, store: SqlStore) -> None:
    directory = tmp_path / "broker"
    async with writing(directory / "phones.passwd", None, store.credentials) as file:
        with pytest.raises(CredentialsError, match="cannot be told"):
            await file.publish()
        directory.mkdir()
        await file.publish()
    assert (directory / "phones.passwd").exists()


async def test_a_file_that_could_not_be_written_is_written_later_although_nobody_enrols(
    tmp_path: Path, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker_bridge.adapters.mqtt.credentials.FIRST_PAUSE_S", 0.01)
    directory, log = tmp_path / "broker", KeptLog()
    await enrol(store, IMEIS[0])
    async with writing(directory / "phones.passwd", None, store.credentials, log), asyncio.timeout(PATIENCE_S):
        await log.repeated("credentials_not_written", 2)
        directory.mkdir()
        await log.repeated("credentials_in_force", 1)
        assert IMEIS[0] in (directory / "phones.passwd").read_text()
        assert log.events("info") == ["credentials_in_force"]


async def test_a_database_that_is_away_is_said_so_and_asked_again(tmp_path: Path) -> None:
    class Away:
        is_away = True

        async def page(self, after: str, limit: int) -> Sequence[tuple[Imei, str]]:
            del after, limit
            if self.is_away:
                raise StoreUnavailableError("away")
            return []

    path, credentials = tmp_path / "phones.passwd", Away()
    path.write_text("what it held before", encoding="ascii")
    async with writing(path, None, credentials) as file:
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(CredentialsError, match="cannot be told"):
                await file.publish()
        assert path.read_text(encoding="ascii") == "what it held before"
        credentials.is_away = False
        await file.publish()
    assert path.read_bytes() == b""
    assert not path.with_name(".phones.passwd.new").exists()


async def test_a_credential_that_cannot_be_read_locks_out_its_own_phone_alone(tmp_path: Path) -> None:
    good, bad = IMEIS[:2]

    class Rows:
        async def page(self, after: str, limit: int) -> Sequence[tuple[Imei, str]]:
            del limit
            return [] if after else [(good, CREDENTIAL), (bad, "rubbish")]

    path = tmp_path / "phones.passwd"
    async with writing(path, None, Rows()) as file, asyncio.timeout(PATIENCE_S):
        await file.publish()
        assert [line.partition(":")[0] for line in path.read_text().splitlines()] == [good]
