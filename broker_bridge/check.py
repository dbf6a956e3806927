"""Whether a bridge could start with its settings, and would be safe: looked at without starting it."""

import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile

from broker_bridge.adapters.imports.own_spool import SpoolUnusableError, is_in_use
from broker_bridge.adapters.lender_api.answers import time_text
from broker_bridge.adapters.mqtt.broker_conf import exposures
from broker_bridge.adapters.mqtt.probe import probe
from broker_bridge.adapters.mqtt.reloading import BrokerNotOursError, refuse_foreign_broker
from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.adapters.signing.keys import FileSigner, KeyFileError, lenders_in, trusted_roots, usable_delegation
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.policies import unusable_policies
from broker_bridge.app.ports.broker import BrokerUnavailableError
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.resign import older_delegations
from broker_bridge.broker_files import broker_password, broker_tls, phones_ca
from broker_bridge.listening import AddressInUseError, listening_socket
from broker_bridge.safety import unsafe
from broker_bridge.setting_sources import touch
from broker_bridge.settings import ENV_PREFIX, BrokerSettings, Settings, SettingsError
from lock_protocol.messages import Delegation, LenderId

SOON_S = 30 * 86_400
"""A delegation that ends so soon is told: a new one needs people with root keys to meet."""
_OF_CLIENTS = frozenset({"PAYLATCH_URL", "PAYLATCH_KEY", "PAYLATCH_KEY_FILE", "PAYLATCH_CAFILE"})

_WAY_TO_BROKER = tuple(f"broker.{one}" for one in ("host", "port", "username", "password_file", "tls", "cafile"))


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    """The bridge would not start, or must not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how it is, and what to do about it."""

    severity: Severity
    about: str
    text: str


async def check(settings: Settings, *, online: bool = False, wrong: Collection[str] = ()) -> Sequence[Finding]:
    """Look at everything that the bridge needs.

    Args:
        settings: of the bridge.
        online: look at the broker too.
        wrong: options that mean nothing, by dotted names; nothing is looked at that depends on them.
    """

    def known(*options: str) -> bool:
        return not touch(wrong, *options)

    broker, findings = settings.broker, [*_safety(settings, wrong), *unknown_variables(os.environ)]
    if known("keys", "development"):
        findings += _keys(settings)
    if known("database", "keys", "development"):
        findings += await _database(settings)
    if known("imports.directory", "http.host", "http.port"):
        findings += _own_places(settings)
    if known("broker.password_file"):
        findings += _password(settings)
    if known("broker.tls", "broker.cafile", "broker.phones_tls", "broker.phones_cafile"):
        findings += _cafiles(broker)
    if known("broker.phones_passwords"):
        findings += _phones_passwords(broker.phones_passwords)
    if known("broker.pid_file"):
        findings += _brokers_account(broker.pid_file)
    if online and known(*_WAY_TO_BROKER):
        findings.append(await _broker(settings))
    return findings


def check_broker_conf(path: Path) -> Sequence[Finding]:
    """Look at the broker's configuration, and at the files that it includes."""
    about = str(path)
    try:
        found = [Finding(Severity.ERROR, about, text) for text in exposures(path)]
    except (OSError, UnicodeDecodeError) as error:
        return [Finding(Severity.ERROR, about, f"cannot be read: {error}")]
    return found or [Finding(Severity.OK, about, "lets nobody in who should not be")]


def unknown_variables(environment: Iterable[str]) -> Iterator[Finding]:
    """Return the variables that look like settings and are none."""
    known = {f"{ENV_PREFIX}{option}".upper() for option in Settings.model_fields}
    for name in sorted(environment):
        section = name.upper().partition("__")[0]
        if section.startswith(ENV_PREFIX) and section not in known | _OF_CLIENTS:
            yield Finding(Severity.WARNING, name, "is no option of the bridge, and nobody reads it")


def _safety(settings: Settings, wrong: Collection[str]) -> Iterator[Finding]:
    faults = [Finding(Severity.ERROR, "safety", fault) for fault in unsafe(settings, wrong)]
    yield from faults
    if settings.development:
        yield Finding(Severity.WARNING, "safety", "development mode: for this machine alone, never for real phones")
    elif not (faults or wrong):
        yield Finding(Severity.OK, "safety", "nothing that must not be outside development")


def _keys(settings: Settings) -> Iterator[Finding]:
    try:
        root = trusted_roots(settings.keys, development=settings.development)[-1].root
    except KeyFileError as error:
        yield Finding(Severity.ERROR, "keys", str(error))
        return
    signatures = f"{root.threshold} of {len(root.keys)} keys sign"
    yield Finding(Severity.OK, "keys", f"root {root.root_version} of {time_text(root.issued_at)}: {signatures}")
    lenders = lenders_in(settings.keys)
    if not lenders:
        yield Finding(Severity.WARNING, "keys", f"{settings.keys} has no lender's keys: no phone can be enrolled")
    for lender in lenders:
        yield _lenders_keys(settings.keys, lender)


def _lenders_keys(directory: Path, lender: LenderId) -> Finding:
    about = f"keys of {lender}"
    try:
        delegation = usable_delegation(directory, lender)
    except KeyFileError as error:
        return Finding(Severity.ERROR, about, str(error))
    if delegation is None:  # taken away while we look
        return Finding(Severity.WARNING, about, "are gone")
    return _standing(delegation, about, time.time())


def _standing(delegation: Delegation, about: str, now: float) -> Finding:
    end = f"delegation {delegation.version} of epoch {delegation.epoch}"
    until = time_text(delegation.expires_at)
    if now >= delegation.expires_at:
        return Finding(
            Severity.WARNING, about, f"{end} expired {until}: phones still open, none locks; install a new one"
        )
    if now >= delegation.expires_at - SOON_S:
        return Finding(Severity.WARNING, about, f"{end} ends {until}; after that no phone locks: install a new one")
    return Finding(Severity.OK, about, f"{end}, until {until}")


async def _database(settings: Settings) -> Sequence[Finding]:
    try:
        store = SqlStore(settings.database)
        current, newest = await store.revisions()
        stored = await _stored(settings, store) if current == newest else ()
    except StoreUnavailableError as error:
        return [Finding(Severity.ERROR, "database", str(error))]
    return [_revision(current, newest), *stored]


def _revision(current: str | None, newest: str | None) -> Finding:
    if current is None:
        return Finding(Severity.OK, "database", f"is new; the bridge makes its tables, revision {newest}")
    if current == newest:
        return Finding(Severity.OK, "database", f"answers, at revision {current}")
    if newest is not None and current < newest:
        return Finding(Severity.OK, "database", f"answers, at revision {current}; the bridge brings it to {newest}")
    return Finding(
        Severity.ERROR, "database", f"is at revision {current}, which is newer than this version's {newest}; upgrade"
    )


async def _stored(settings: Settings, store: SqlStore) -> Sequence[Finding]:
    """Look at what the database holds against settings and keys; only the newest revision can be asked for it."""
    async with store.as_it_is():
        policies = unusable_policies(store.lenders, read_policy, development=settings.development)
        faults = [Finding(Severity.ERROR, "policy", fault) async for fault in policies]
        delegations = older_delegations(store.signed, _delegations(settings))
        return [*faults, *[Finding(Severity.ERROR, "keys", fault) async for fault in delegations]]


def _delegations(settings: Settings) -> Sequence[Delegation]:
    try:
        return FileSigner(settings.keys, development=settings.development).delegations()
    except KeyFileError:
        return ()  # which `_keys` tells


def _own_places(settings: Settings) -> Iterator[Finding]:
    """Look at the directory and the port that a bridge has to itself.

    Whoever looks before a restart has a bridge that runs, and holds both until it ends: that is no error.
    """
    running = False
    try:
        running = is_in_use(settings.imports.directory)
    except SpoolUnusableError as error:
        yield Finding(Severity.ERROR, "imports.directory", str(error))
    if running:
        text = f"a bridge that runs has {settings.imports.directory}; another one starts once that has ended"
        yield Finding(Severity.WARNING, "imports.directory", text)
    try:
        listening_socket(settings.http).close()
    except AddressInUseError as error:
        yield Finding(Severity.WARNING if running else Severity.ERROR, "listening", str(error))
    except SettingsError as error:
        yield Finding(Severity.ERROR, "listening", str(error))


def _password(settings: Settings) -> Iterator[Finding]:
    try:
        broker_password(settings.broker)
    except SettingsError as error:
        yield Finding(Severity.ERROR, "broker", str(error))
    else:
        yield Finding(Severity.OK, "broker", f"the password is in {settings.broker.password_file}")


def _cafiles(broker: BrokerSettings) -> Iterator[Finding]:
    for read in (broker_tls, phones_ca):
        try:
            read(broker)
        except SettingsError as error:
            yield Finding(Severity.ERROR, "broker", str(error))


def _phones_passwords(path: Path) -> Iterator[Finding]:
    """The file is replaced by renaming another over it, so it is the directory that must be writable."""
    directory = path.absolute().parent
    try:
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        yield Finding(
            Severity.ERROR, "broker.phones_passwords", f"{directory}: {error.strerror}; the bridge writes there"
        )
        return
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o007:
        yield Finding(Severity.WARNING, "broker.phones_passwords", f"everybody can read {path}: chmod o= {path}")


def _brokers_account(pid_file: Path | None) -> Iterator[Finding]:
    """Password files are for their owner alone: a broker of another account could not even read them."""
    if pid_file is None:
        return
    try:
        refuse_foreign_broker(pid_file)
    except BrokerNotOursError as error:
        text = (
            f"the broker (process {error.process}) belongs to another account than this one: it cannot read the "
            "password files that the bridge writes, nor be told of them; run both as one account, or the bridge as root"
        )
        yield Finding(Severity.ERROR, "broker.pid_file", text)
    except OSError as error:
        yield Finding(Severity.ERROR, "broker.pid_file", f"{pid_file}: {error.strerror}; the bridge reads it")


async def _broker(settings: Settings) -> Finding:
    broker = settings.broker
    try:
        await probe(broker.host, broker.port, broker.username, broker_password(broker), broker_tls(broker))
    except (BrokerUnavailableError, SettingsError) as error:
        return Finding(Severity.ERROR, "broker", str(error))
    return Finding(Severity.OK, "broker", f"{broker.host}:{broker.port} lets {broker.username} in")
