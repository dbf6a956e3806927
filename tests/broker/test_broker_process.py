"""The broker as a child process: it starts for sure, says why when it does not, and never outlives its owner."""

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from paylatch.local.broker_process import BrokerError, MosquittoProcess
from paylatch.local.ports import LOOPBACK, free_ports
from tests.conftest import RealBroker, new_broker

OWNER = """
import sys, pathlib
from paylatch.local.broker_process import MosquittoProcess
with MosquittoProcess(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])):
    print("running", flush=True)
    sys.stdin.read()
"""


def test_it_starts_again_over_the_same_files(own_broker: RealBroker) -> None:
    first = own_broker.process.pid
    own_broker.process.terminate()
    own_broker.process.start()
    assert own_broker.process.pid != first


def test_its_process_id_is_on_file(own_broker: RealBroker) -> None:
    assert own_broker.process.files.pid.read_text(encoding="ascii").strip() == str(own_broker.process.pid)


def test_starting_twice_is_refused(own_broker: RealBroker) -> None:
    with pytest.raises(BrokerError, match="already running"):
        own_broker.process.start()


@pytest.mark.parametrize("call", ["kill", "terminate", "save"])
def test_a_broker_that_does_not_run_takes_no_orders(tmp_path: Path, call: str) -> None:
    with pytest.raises(BrokerError, match="not running"):
        getattr(MosquittoProcess(tmp_path, 1, 2), call)()


def test_a_broker_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    broken = new_broker(tmp_path / "broker").process
    broken.files.conf.write_text("no_such_option true\n", encoding="ascii")
    with pytest.raises(BrokerError, match=r"(?s)exited with code 3.*Unknown configuration variable \"no_such_option\""):
        broken.start()
    with pytest.raises(BrokerError, match="not running"):
        broken.terminate()


def test_a_missing_broker_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(BrokerError, match="make setup"):
        new_broker(tmp_path / "broker").process.start()


def test_files_are_for_the_broker_alone(own_broker: RealBroker) -> None:
    files = own_broker.process.files
    assert files.directory.stat().st_mode & 0o077 == 0
    for path in (files.phones_passwords, files.services_passwords, files.conf):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.stat().st_uid == files.directory.stat().st_uid


def test_the_broker_dies_with_a_killed_owner(tmp_path: Path) -> None:
    process = new_broker(tmp_path / "broker").process
    arguments = [str(process.files.directory), str(process.phones_port), str(process.services_port)]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"running\n"
        with socket.create_connection((LOOPBACK, process.phones_port)) as connection:
            owner.send_signal(signal.SIGKILL)
            connection.settimeout(30)
            assert connection.recv(1) == b"", "the broker closes it only by dying"


def test_free_ports_are_distinct_and_outside_the_range_of_outgoing_connections() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < 32768
