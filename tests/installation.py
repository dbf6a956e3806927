"""A bridge's files in a directory of its own: settings, keys, password, all as production has them."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker_bridge.adapters.signing.keys import init_development_keys
from lock_protocol.codec import decode
from lock_protocol.envelope import DELEGATION, ROOT, read_envelope, seal
from lock_protocol.levels import Level
from lock_protocol.messages import Delegation, LenderId, Root
from paylatch.local.ports import free_ports
from tests.loopback.lender import key

NOBODY, ANOTHER = 65_534, 65_533
ROOT_KEYS = [key(f"root key of person {number}") for number in range(3)]


def make_production_keys(directory: Path, lender: LenderId, *, now: int, threshold: int = 2) -> None:
    """Make keys under a root of three people, of whom some have to sign; none of their keys is there."""
    init_development_keys(directory, lender, now=now, hosts=["pay.example"])
    (directory / "root.key").unlink()
    root = Root(
        root_version=1,
        issued_at=now,
        threshold=threshold,
        keys=tuple(sorted(one.public for one in ROOT_KEYS)),
        provisional_s=60,
        provisional_level=Level.RESTRICTED,
    )
    (directory / "root.envelope").write_bytes(seal(ROOT, root, ROOT_KEYS[:threshold]))
    path = directory / lender / "delegation.envelope"
    delegation = decode(Delegation, read_envelope(path.read_bytes()).payload)
    path.write_bytes(seal(DELEGATION, delegation, ROOT_KEYS[:threshold]))


def write_settings(directory: Path, *lines: str, http: str = "", broker: str = "") -> Path:
    """Write settings for production in this directory, with more lines for the top and for two sections."""
    password = directory / "bridge.secret"
    if not password.exists():
        password.write_text("secret\n", encoding="utf-8")
        password.chmod(0o600)
    path = directory / "bridge.toml"
    text = [
        *(lines if any(line.startswith("database") for line in lines) else (_database(directory), *lines)),
        f'keys = "{directory}/keys"',
        f"[http]\n{http}" if "port =" in http else f"[http]\nport = {free_ports(1)[0]}\n{http}",
        f'[imports]\ndirectory = "{directory}/imports"',
        f'[broker]\npassword_file = "{password}"\nphones_passwords = "{directory}/phones.passwd"',
        broker if "phones_host" in broker else f'phones_host = "broker.example"\n{broker}',
        "" if "phones_host" in broker or "phones_tls" in broker else "phones_tls = true",
    ]
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def _database(directory: Path) -> str:
    return f'database = "sqlite:///{directory}/paylatch.db"'


@contextmanager
def read_only_directory() -> Iterator[Path]:
    """A directory that the test cannot write to: root, for whom there is none, is somebody else meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o555)
        try:
            with not_root():
                yield directory
        finally:
            directory.chmod(0o700)


@contextmanager
def not_root() -> Iterator[None]:
    """Root is somebody else meanwhile; everybody else stays who it is."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@contextmanager
def process_of_another_account() -> Iterator[int]:
    """The id of a process that the test may not signal while it is not root."""
    if os.geteuid() != 0:
        yield 1
        return
    with subprocess.Popen(["sleep", "60"], user=ANOTHER, start_new_session=True) as process:  # noqa: S607
        try:
            yield process.pid
        finally:
            process.kill()
