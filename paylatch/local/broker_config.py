"""Runnable copies of the committed `mosquitto.conf`: only ports and paths differ from what production runs."""

import json
import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType

from broker_bridge.adapters.mqtt.passwords import new_credential, write_password_file
from broker_bridge.adapters.mqtt.replacing import replace_file
from paylatch import resources
from paylatch.local.ports import LOOPBACK
from paylatch.local.secret_file import write_secret

BROKER_ACCOUNT = "mosquitto"
"""What a broker started as root drops to: the `user` line of mosquitto.conf."""

BRIDGE = "bridge"
"""The bridge's username at the broker: what services.acl gives its rights to."""

_NOBODY: Mapping[str, str] = MappingProxyType({})

_LISTENER = re.compile(r"^listener \d+ (?P<address>\S+)$", re.MULTILINE)
_FILE = re.compile(r"^(?P<option>password_file|acl_file|pid_file) \S*/(?P<name>[^/\s]+)$", re.MULTILINE)
_PERSISTENCE = re.compile(r"^persistence_location \S+$", re.MULTILINE)


class BrokerFilesExistError(Exception):
    """There is something where a new broker's files were to be; it stays as it is."""


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """The files of one broker, all in one directory that is its working directory too.

    The configuration names them relative to that directory. So a broker that started as root and dropped to its own
    account needs no right to the directories above, which `/tmp` and home directories often deny.
    """

    directory: Path

    @property
    def conf(self) -> Path:
        """The configuration; it names all the other files."""
        return self.directory / "mosquitto.conf"

    @property
    def phones_passwords(self) -> Path:
        """One line a phone. Rewrite it with `write_password_file`, then reload the broker."""
        return self.directory / "phones.passwd"

    @property
    def services_passwords(self) -> Path:
        """One line for the bridge, each lender and each auditor."""
        return self.directory / "services.passwd"

    @property
    def database(self) -> Path:
        """What the broker saves: retained messages and durable sessions."""
        return self.directory / "mosquitto.db"

    @property
    def pid(self) -> Path:
        """The running broker's process id, written by the broker itself."""
        return self.directory / "mosquitto.pid"

    @property
    def log(self) -> Path:
        """What the broker said, over all its starts."""
        return self.directory / "mosquitto.log"


def render(template: str, *, phones_port: int, services_port: int, directory: PurePath) -> str:
    """Return the configuration with its ports and directories replaced, and nothing else.

    Args:
        template: the text of the committed mosquitto.conf.
        phones_port: the first listener's port.
        services_port: the second listener's port.
        directory: where password files, ACL files and saved state are; may be relative to the working directory.

    Raises:
        ValueError: the template has not exactly the two listeners and one place for saved state.
    """
    ports = (phones_port, services_port)
    found = len(_LISTENER.findall(template)), len(_PERSISTENCE.findall(template))
    if found != (len(ports), 1):
        raise ValueError(f"template has {found[0]} listeners and {found[1]} persistence_location; expected 2 and 1")
    remaining = iter(ports)
    text = _LISTENER.sub(lambda line: f"listener {next(remaining)} {line['address']}", template)
    text = _FILE.sub(lambda line: f"{line['option']} {_inside(directory)}{line['name']}", text)
    return _PERSISTENCE.sub(lambda _: f"persistence_location {_inside(directory)}", text)


def write_instance(
    directory: Path,
    *,
    phones_port: int,
    services_port: int,
    services: Mapping[str, str],
    phones: Mapping[str, str] = _NOBODY,
) -> BrokerFiles:
    """Write everything a broker needs into `directory`, readable by that broker's account and nobody else.

    Args:
        directory: made if missing; it becomes the broker's own, so give it one that holds nothing else.
        phones_port: the phones' listener, on loopback.
        services_port: the services' listener, on loopback.
        services: username to hash (`hash_password`) of the bridge, auditors and lenders.
        phones: the same for phones; the bridge adds to them as phones are enrolled.

    Raises:
        LookupError: root runs this, and the account that the broker drops to does not exist.
        PasswordEntryError: a username or hash is not safe to write.
    """
    files = BrokerFiles(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _give_to_broker(directory)
    template = resources.MOSQUITTO_CONF.read_text(encoding="utf-8")
    # Relative: see BrokerFiles.
    conf = render(template, phones_port=phones_port, services_port=services_port, directory=PurePath())
    for source in (resources.PHONES_ACL, resources.SERVICES_ACL):
        replace_file(directory / source.name, source.read_bytes())
    write_password_file(files.phones_passwords, phones)
    write_password_file(files.services_passwords, services)
    replace_file(files.conf, conf.encode())
    return files


def init_broker(directory: Path, secret_file: Path, *, phones_port: int, services_port: int) -> BrokerFiles:
    """Write what a new broker needs to serve a bridge, and the password by which that bridge comes in.

    Args:
        directory: as for `write_instance`; it has to be empty, if it is there at all.
        secret_file: gets the bridge's password, for whoever runs this alone.
        phones_port: the phones' listener, on loopback.
        services_port: the services' listener, on loopback.

    Raises:
        BrokerFilesExistError: the directory or the file is in use.
        LookupError: as `write_instance`.
        OSError: a file cannot be written.
    """
    if directory.exists() and any(directory.iterdir()):
        raise BrokerFilesExistError(
            f"{directory}: is not empty, and nothing in it is overwritten; name a new directory"
        )
    secret, credential = new_credential()
    try:
        write_secret(secret_file, secret)
    except FileExistsError as error:
        raise BrokerFilesExistError(f"{secret_file}: exists, and is not overwritten; name a new file") from error
    services = {BRIDGE: credential}
    try:
        return write_instance(directory, phones_port=phones_port, services_port=services_port, services=services)
    except BaseException:
        secret_file.unlink()  # it is nobody's password
        raise


def settings_section(files: BrokerFiles, secret_file: Path, *, phones_port: int, services_port: int) -> str:
    """Return the table `[broker]` for the settings of this broker's bridge. A JSON string is a TOML string as well."""
    quoted = json.dumps
    return f"""\
[broker]
host = "{LOOPBACK}"
port = {services_port}
username = "{BRIDGE}"
password_file = {quoted(str(secret_file))}
phones_host = "{LOOPBACK}"
phones_port = {phones_port}
phones_passwords = {quoted(str(files.phones_passwords))}
pid_file = {quoted(str(files.pid))}
"""


def _inside(directory: PurePath) -> str:
    """Return the directory as Mosquitto wants it, with a slash at its end."""
    return "./" if directory == PurePath() else f"{directory}/"


def _give_to_broker(directory: Path) -> None:
    """Let the broker write its saved state here; as root that is another account."""
    if os.geteuid() != 0:
        return
    try:
        account = pwd.getpwnam(BROKER_ACCOUNT)
    except KeyError as error:
        raise LookupError(
            f"a broker started as root drops to the account {BROKER_ACCOUNT!r}, which does not exist; "
            "create it, or run as another user"
        ) from error
    os.chown(directory, account.pw_uid, account.pw_gid)
