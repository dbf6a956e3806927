"""Password files: only whole and checked ones ever stand where the broker reads."""

import os
import tempfile
from pathlib import Path

import pytest

from broker_bridge.adapters.mqtt.passwords import PasswordEntryError, hash_password, write_password_file
from broker_bridge.adapters.mqtt.reloading import BrokerNotOursError, reload_broker
from tests.installation import not_root, process_of_another_account

SECRET = "a secret made by a machine"
SALT = bytes(range(12))
HASH = hash_password(SECRET, SALT)


def test_the_hash_has_mosquittos_form_and_depends_on_secret_and_salt() -> None:
    assert HASH.startswith("$7$1$AAECAwQFBgcICQoL$")
    assert hash_password(SECRET, SALT) == HASH
    assert len({HASH, hash_password(SECRET + "!", SALT), hash_password(SECRET, bytes(12))}) == 3


@pytest.mark.parametrize(("secret", "salt"), [("guessable", SALT), (SECRET, bytes(11)), (SECRET, bytes(16))])
def test_a_weak_secret_or_another_salt_is_refused(secret: str, salt: bytes) -> None:
    with pytest.raises(PasswordEntryError):
        hash_password(secret, salt)


def test_a_file_is_replaced_in_whole_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "phones.passwd"
    write_password_file(path, {"b": HASH, "a": HASH})
    write_password_file(path, {"c": HASH, "a": HASH})
    assert path.read_text(encoding="ascii") == f"a:{HASH}\nc:{HASH}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("username", ["", "a:b", "a\nb", "+", "#", "a/b", "ä", "\uff11", "x" * 65])
def test_an_unsafe_username_leaves_the_old_file(tmp_path: Path, username: str) -> None:
    path = tmp_path / "phones.passwd"
    write_password_file(path, {"a": HASH})
    with pytest.raises(PasswordEntryError, match="username"):
        write_password_file(path, {"a": HASH, username: HASH})
    assert path.read_text(encoding="ascii") == f"a:{HASH}\n"


@pytest.mark.parametrize("hashed", ["", "plain", HASH + "\n", HASH[:-1], HASH.replace("$7$", "$6$")])
def test_a_garbled_hash_is_refused(tmp_path: Path, hashed: str) -> None:
    with pytest.raises(PasswordEntryError, match="hash of 'a'"):
        write_password_file(tmp_path / "phones.passwd", {"a": hashed})


def test_what_a_crash_left_beside_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "phones.passwd"
    (tmp_path / ".phones.passwd.new").write_text("half a li", encoding="ascii")
    write_password_file(path, {})
    assert path.read_bytes() == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_written_by_root_it_belongs_to_the_owner_of_its_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 5678)
    write_password_file(tmp_path / "phones.passwd", {})
    status = (tmp_path / "phones.passwd").stat()
    assert (status.st_uid, status.st_gid) == (1234, 5678)


@pytest.mark.parametrize("number", ["0", "-0", "-1", "-4711", "99999999999999999999", "", "mosquitto"])
def test_what_is_no_process_is_no_broker_and_gets_no_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    def kill_processes(process: int, _: int) -> None:
        assert process > 0
        raise OverflowError

    monkeypatch.setattr(os, "kill", kill_processes)
    pid_file = tmp_path / "mosquitto.pid"
    pid_file.write_text(f"{number}\n", encoding="ascii")
    assert not reload_broker(pid_file)


def test_a_broker_of_another_account_cannot_be_reloaded_and_is_named() -> None:
    with tempfile.TemporaryDirectory() as directory, process_of_another_account() as process:
        Path(directory).chmod(0o755)
        pid_file = Path(directory, "mosquitto.pid")
        pid_file.write_text(f"{process}\n", encoding="ascii")
        with not_root(), pytest.raises(BrokerNotOursError, match=f"kill -HUP {process}"):
            reload_broker(pid_file)
