"""Configuration that is not safe is refused outside development, by name, with the way out; and told by `check`."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker_bridge.adapters.imports.own_spool import SpoolUnusableError, own_spool
from broker_bridge.adapters.mqtt.broker_conf import exposures
from broker_bridge.adapters.policies.profiles import profile_document
from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.adapters.signing.keys import FileSigner, KeyFileError, init_development_keys
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.policies import refuse_unusable_policies
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.records import PolicyVersion
from broker_bridge.app.resign import DelegationBehindError, refuse_older_delegations
from broker_bridge.broker_files import broker_tls, phones_ca
from broker_bridge.check import Finding, Severity, check, check_broker_conf, unknown_variables
from broker_bridge.domain.authority import NotDelegatedError, require_authority
from broker_bridge.domain.policy import PolicyError, Wish
from broker_bridge.listening import listening_socket
from broker_bridge.safety import load
from broker_bridge.settings import Settings, SettingsError, configure
from device_sim.identities import simulated_imei
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import LenderId, Notice
from paylatch import resources
from tests.bridge_rig import Office, Work
from tests.certificates import new_authority
from tests.installation import make_production_keys, read_only_directory, write_settings
from tests.loopback.lender import Lender
from tests.unit.lock_protocol.golden import read

ACME = LenderId("acme-mobile")
DAY = 86_400


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory with everything that a bridge in production needs."""
    make_production_keys(tmp_path / "keys", ACME, now=int(time.time()))
    write_settings(tmp_path)
    return tmp_path


def settings_of(directory: Path) -> Settings:
    return load(directory / "bridge.toml")


def files_in(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def findings(directory: Path) -> list[Finding]:
    return list(await check(configure(directory / "bridge.toml").settings))


async def errors(directory: Path) -> str:
    """What `check` would not let start, as one text."""
    return "\n".join(f"{one.about}: {one.text}" for one in await findings(directory) if one.severity is Severity.ERROR)


async def test_what_is_as_it_should_be_has_no_errors_and_no_warnings(installed: Path) -> None:
    assert {one.severity for one in await findings(installed)} == {Severity.OK}
    assert FileSigner(settings_of(installed).keys, development=False).delegation(ACME).version == 1


async def test_looking_changes_nothing(installed: Path) -> None:
    before = files_in(installed)
    await check(settings_of(installed), online=True)
    assert files_in(installed) == before


async def test_a_world_readable_key_is_refused(installed: Path) -> None:
    (installed / "keys" / ACME / "lock.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        FileSigner(settings_of(installed).keys, development=False)
    assert "chmod 600" in await errors(installed)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644])
async def test_a_password_file_that_others_can_read_is_refused(installed: Path, mode: int) -> None:
    (installed / "bridge.secret").chmod(mode)
    with pytest.raises(SettingsError, match=r"broker\.password_file.*chmod 600"):
        settings_of(installed)
    assert "chmod 600" in await errors(installed)


def test_a_password_file_that_others_can_read_will_do_in_development(installed: Path) -> None:
    (installed / "bridge.secret").chmod(0o644)
    write_settings(installed, "development = true")
    assert settings_of(installed).development


async def test_a_test_root_in_production_is_refused(tmp_path: Path) -> None:
    init_development_keys(tmp_path / "keys", ACME, now=int(time.time()), hosts=["pay.example"])
    write_settings(tmp_path)
    with pytest.raises(KeyFileError, match=r"root\.key: the root's private key must not be"):
        FileSigner(settings_of(tmp_path).keys, development=False)
    assert "root.key" in await errors(tmp_path)


async def test_a_root_that_one_person_speaks_for_is_refused_in_production(tmp_path: Path) -> None:
    make_production_keys(tmp_path / "keys", ACME, now=int(time.time()), threshold=1)
    write_settings(tmp_path)
    with pytest.raises(KeyFileError, match="one signature is enough"):
        FileSigner(settings_of(tmp_path).keys, development=False)
    assert "one signature is enough" in await errors(tmp_path)
    assert FileSigner(settings_of(tmp_path).keys, development=True).root.threshold == 1


@pytest.mark.parametrize("defect", ["threshold 0", "threshold above the number of keys"])
async def test_a_root_with_an_impossible_threshold_is_refused(installed: Path, defect: str) -> None:
    (message,) = [one["message"] for one in read("roots") if one["name"] == defect]
    (installed / "keys" / "root.envelope").write_bytes(bytes.fromhex(message))
    for development in (True, False):
        with pytest.raises(KeyFileError, match="BadRoot"):
            FileSigner(settings_of(installed).keys, development=development)
    assert "BadRoot" in await errors(installed)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "bridge.example"])  # noqa: S104 - what must be refused
async def test_plain_http_on_a_public_address_is_refused(installed: Path, host: str) -> None:
    write_settings(installed, http=f'host = "{host}"')
    with pytest.raises(SettingsError, match=r"http\.host.*behind_tls_proxy = true"):
        settings_of(installed)
    assert "behind_tls_proxy" in await errors(installed)
    write_settings(installed, http=f'host = "{host}"\nbehind_tls_proxy = true')
    assert settings_of(installed).http.host == host


def test_all_that_is_unsafe_is_told_at_once(installed: Path) -> None:
    write_settings(installed, 'policy = "replay"', http='host = "192.0.2.1"', broker='phones_host = "::1"')
    with pytest.raises(SettingsError, match=r"policy: .*; http\.host: .*; broker\.phones_host: "):
        settings_of(installed)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
async def test_a_broker_that_phones_would_look_for_in_themselves_is_refused(installed: Path, host: str) -> None:
    write_settings(installed, broker=f'phones_host = "{host}"')
    with pytest.raises(SettingsError, match=rf"broker\.phones_host: {host}.*name what phones reach"):
        settings_of(installed)
    assert "name what phones reach" in await errors(installed)
    write_settings(installed, "development = true", broker=f'phones_host = "{host}"')
    assert settings_of(installed).broker.phones_host == host


@pytest.mark.parametrize("host", ["198.51.100.7", "broker.example"])
async def test_a_broker_across_a_network_without_tls_is_refused(installed: Path, host: str) -> None:
    write_settings(installed, broker=f'host = "{host}"')
    with pytest.raises(SettingsError, match=r"broker\.host.*tls = true under \[broker\]"):
        settings_of(installed)
    assert "tls = true" in await errors(installed)
    write_settings(installed, "development = true", broker=f'host = "{host}"')
    assert settings_of(installed).broker.host == host
    write_settings(installed, broker=f'host = "{host}"\ntls = true')
    assert settings_of(installed).broker.tls


@pytest.mark.parametrize("whose", ["", "phones_"])
def test_a_cafile_that_nobody_would_ask_is_refused(installed: Path, whose: str) -> None:
    write_settings(installed, broker=f'phones_host = "broker.example"\n{whose}cafile = "ca.pem"')
    with pytest.raises(SettingsError, match=rf"broker\.{whose}cafile.*without {whose}tls = true"):
        settings_of(installed)


@pytest.mark.parametrize("whose", ["", "phones_"])
@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("rubbish", "no CA certificate"), ("", "no CA certificate")]
)
async def test_a_cafile_that_cannot_be_used_is_told(
    installed: Path, whose: str, content: str | None, said: str
) -> None:
    if content is not None:
        (installed / "ca.pem").write_text(content, encoding="utf-8")
    write_settings(installed, broker=f'{whose}tls = true\n{whose}cafile = "{installed}/ca.pem"')
    assert said in await errors(installed)
    with pytest.raises(SettingsError, match=rf"broker\.{whose}cafile: .*ca\.pem.*{said}"):
        (phones_ca if whose else broker_tls)(settings_of(installed).broker)


async def test_phones_across_a_network_without_tls_are_refused(installed: Path) -> None:
    write_settings(installed, broker='phones_host = "mqtt.example"')
    with pytest.raises(SettingsError, match=r"broker\.phones_host.*phones_tls = true under \[broker\]"):
        settings_of(installed)
    assert "phones_tls = true" in await errors(installed)
    write_settings(installed, broker='phones_host = "mqtt.example"\nphones_tls = true')
    assert settings_of(installed).broker.phones_tls


def test_phones_are_given_the_cas_certificates_and_nothing_else_in_the_file(installed: Path, tmp_path: Path) -> None:
    authority = new_authority(tmp_path / "ca")
    authority.issue(tmp_path / "server.pem")
    files = [authority.cafile, authority.directory / "ca.key", tmp_path / "server.pem"]
    (installed / "all.pem").write_text("".join(file.read_text() for file in files))
    write_settings(installed, broker=f'phones_tls = true\nphones_cafile = "{installed}/all.pem"')
    assert phones_ca(settings_of(installed).broker) == authority.cafile.read_text()


@pytest.mark.parametrize(
    "url",
    ["mysql://nobody", "sqlite:///", "postgresql://db.example", "postgresql://db:port/name", "postgresql://db..x/name"],
)
def test_a_database_that_is_none_is_told_in_words_of_our_own(installed: Path, url: str) -> None:
    write_settings(installed, f'database = "{url}"')
    with pytest.raises(SettingsError, match=r"database: must be sqlite:///FILE or postgresql://"):
        settings_of(installed)


async def test_a_database_that_does_not_answer_is_told_in_one_line(installed: Path) -> None:
    write_settings(installed, 'database = "postgresql://nobody@127.0.0.1:1/name"')
    (told,) = [one.text for one in await check(settings_of(installed)) if one.about == "database"]
    assert told.startswith("the database does not answer: ")
    assert "\n" not in told


def test_an_unknown_option_is_refused(installed: Path) -> None:
    write_settings(installed, http="prot = 8081")
    with pytest.raises(SettingsError, match=r"http\.prot: Extra inputs"):
        settings_of(installed)


def test_an_unknown_variable_is_told() -> None:
    said = {
        "PAYLATCH_DATABSE": "x",
        "PAYLATCH_HTTP__PORT": "1",
        "PAYLATCH_KEY": "pl_",
        "PAYLATCH_CAFILE": "ca.pem",
        "PATH": "/bin",
        "paylatch_x": "",
    }
    assert [(one.severity, one.about) for one in unknown_variables(said)] == [
        (Severity.WARNING, "PAYLATCH_DATABSE"),
        (Severity.WARNING, "paylatch_x"),
    ]


@pytest.mark.parametrize("option", ["port = -1", "window = -5", "window = -0.5", "phones_port = 65536"])
def test_a_number_that_cannot_be_is_refused(installed: Path, option: str) -> None:
    write_settings(installed, broker=option)
    with pytest.raises(SettingsError, match=rf"broker\.{option.split(maxsplit=1)[0]}"):
        settings_of(installed)


async def test_an_expired_delegation_is_told_and_still_opens(tmp_path: Path) -> None:
    make_production_keys(tmp_path / "keys", ACME, now=int(time.time()) - 366 * DAY)
    write_settings(tmp_path)
    (told,) = [one for one in await findings(tmp_path) if one.severity is not Severity.OK]
    assert told.severity is Severity.WARNING
    assert "expired" in told.text
    assert "install a new one" in told.text
    delegation = FileSigner(settings_of(tmp_path).keys, development=False).delegation(ACME)
    now = int(time.time())
    require_authority(Wish(level=Level.UNLOCKED, reason=Reason.PAID, remind_s=0, notice=Notice()), delegation, now)
    with pytest.raises(NotDelegatedError):
        require_authority(Wish(level=Level.LOCKED, reason=Reason.OVERDUE, remind_s=0, notice=Notice()), delegation, now)


async def test_a_delegation_that_ends_soon_is_told(tmp_path: Path) -> None:
    make_production_keys(tmp_path / "keys", ACME, now=int(time.time()) - 350 * DAY)
    write_settings(tmp_path)
    (told,) = [one for one in await findings(tmp_path) if one.severity is not Severity.OK]
    assert (told.severity, "install a new one" in told.text) == (Severity.WARNING, True)


async def test_a_new_database_on_a_read_only_path_is_refused(tmp_path: Path) -> None:
    # Elsewhere it is none; and whoever the test becomes may not even be able to import what this imports.
    async with SqlStore(f"sqlite:///{tmp_path}/paylatch.db") as store:
        assert (await store.revisions())[0] is not None
    with read_only_directory() as directory:
        url = f"sqlite:///{directory}/paylatch.db"
        with pytest.raises(StoreUnavailableError, match=r"Permission denied|Read-only"):
            await SqlStore(url).__aenter__()
        with pytest.raises(StoreUnavailableError, match="no file can be made there"):
            await SqlStore(url).revisions()


async def test_a_database_that_can_only_be_read_is_told(installed: Path) -> None:
    database = f"sqlite:///file:{installed}/paylatch.db?mode=ro&uri=true"
    async with SqlStore(f"sqlite:///{installed}/paylatch.db"):
        pass
    write_settings(installed, f'database = "{database}"')
    assert "database: the database does not answer: attempt to write a readonly database" in await errors(installed)


async def test_the_schemas_revision_is_told(installed: Path) -> None:
    assert "is new" in (await _about(installed, "database")).text
    async with SqlStore(settings_of(installed).database) as store:
        newest = (await store.revisions())[1]
        assert f"answers, at revision {newest}" in (await _about(installed, "database")).text
        await store._write(lambda one: one.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'"))
        assert f"the bridge brings it to {newest}" in (await _about(installed, "database")).text
        await store._write(lambda one: one.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
        assert "newer than this version's" in await errors(installed)


async def _about(directory: Path, about: str) -> Finding:
    (found,) = [one for one in await findings(directory) if one.about == about]
    return found


async def put_in_database(directory: Path, *, policy: str = "", delegation_version: int = 1) -> None:
    """Enrol a phone under a delegation, and put a policy of its lender in force."""
    office = Office(Lender(name=ACME, delegation_version=delegation_version))
    async with SqlStore(settings_of(directory).database) as store:
        await store.lenders.add(ACME, b"k" * 32, at=1)
        await store.commits.commit(office.enrol(simulated_imei(0)))
        if policy:
            version = PolicyVersion(lender=ACME, version=1, document=policy, set_at=1, set_by="key_0")
            await store.commits.commit(Work(lambda tx: tx.put_policy(version)))


async def test_a_database_that_is_in_use_is_looked_at_and_not_changed(installed: Path) -> None:
    await put_in_database(installed, policy=profile_document("default"))
    before = files_in(installed)
    assert not await errors(installed)
    assert files_in(installed) == before


@pytest.mark.parametrize(
    ("document", "said"), [(profile_document("replay"), "for development mode only"), ("ladder = 1", "ladder")]
)
async def test_a_stored_policy_that_cannot_be_used_is_told(installed: Path, document: str, said: str) -> None:
    await put_in_database(installed, policy=document)
    async with SqlStore(settings_of(installed).database) as store:
        with pytest.raises(PolicyError, match="put another in force") as refused:
            await refuse_unusable_policies(store.lenders, read_policy, development=False)
    told = await errors(installed)
    assert told == f"policy: {refused.value}"
    assert f"policy version 1 of {ACME}" in told
    assert said in told


async def test_a_delegation_behind_what_states_were_signed_under_is_told(installed: Path) -> None:
    await put_in_database(installed, delegation_version=2)
    async with SqlStore(settings_of(installed).database) as store:
        with pytest.raises(DelegationBehindError, match="install the newest one") as refused:
            await refuse_older_delegations(store.signed, FileSigner(settings_of(installed).keys, development=False))
    assert await errors(installed) == f"keys: {refused.value}"


async def test_an_imports_directory_that_is_a_file_is_refused(installed: Path) -> None:
    directory = settings_of(installed).imports.directory
    directory.write_bytes(b"")
    with pytest.raises(SpoolUnusableError, match="must be a directory"):
        await own_spool(directory, lambda: None).__aenter__()
    assert "imports.directory" in await errors(installed)
    assert "must be a directory" in await errors(installed)


async def test_an_imports_directory_is_not_made_by_looking(installed: Path) -> None:
    assert not await errors(installed)
    assert not settings_of(installed).imports.directory.exists()


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
async def test_a_bridge_can_listen_on_an_address_of_ipv6(installed: Path) -> None:
    write_settings(installed, http='host = "::1"')
    with listening_socket(settings_of(installed).http) as listening:
        assert listening.getsockname()[0] == "::1"


async def test_a_port_in_use_is_refused(installed: Path) -> None:
    http = settings_of(installed).http
    with listening_socket(http):
        with pytest.raises(SettingsError, match=r"already in use.*choose another http\.port"):
            listening_socket(http)
        assert "listening: http: cannot listen on" in await errors(installed)


async def test_a_bridge_that_runs_with_these_settings_is_no_error(installed: Path) -> None:
    settings = settings_of(installed)
    async with own_spool(settings.imports.directory, lambda: None):
        with listening_socket(settings.http):
            warned = {one.about for one in await findings(installed) if one.severity is not Severity.OK}
            assert not await errors(installed)
    assert warned == {"imports.directory", "listening"}
    assert {one.severity for one in await findings(installed)} == {Severity.OK}


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("", "is empty"), ("\n", "is empty")])
async def test_a_password_that_is_not_there_is_told(installed: Path, content: str | None, said: str) -> None:
    (installed / "bridge.secret").unlink()
    if content is not None:
        (installed / "bridge.secret").touch(0o600)
        (installed / "bridge.secret").write_text(content, encoding="utf-8")
    assert said in await errors(installed)


async def test_a_broker_of_another_account_is_told(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(_: int, __: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    pid_file = installed / "mosquitto.pid"
    write_settings(installed, broker=f'pid_file = "{pid_file}"')
    monkeypatch.setattr(os, "kill", kill)
    assert not await errors(installed)
    pid_file.write_text("4711\n", encoding="ascii")
    assert "broker.pid_file: the broker (process 4711) belongs to another account" in await errors(installed)


async def test_a_broker_of_the_same_account_is_fine_and_not_disturbed(installed: Path) -> None:
    pid_file = installed / "mosquitto.pid"
    write_settings(installed, broker=f'pid_file = "{pid_file}"')
    pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
    assert not await errors(installed)


async def test_a_process_id_that_cannot_be_read_is_told(installed: Path) -> None:
    write_settings(installed, broker=f'pid_file = "{installed}"')
    assert "broker.pid_file" in await errors(installed)


async def test_a_broker_that_is_not_there_is_told_when_asked_for(installed: Path) -> None:
    write_settings(installed, broker="port = 1")
    found = await check(settings_of(installed), online=True)
    (told,) = [one for one in found if one.severity is Severity.ERROR]
    assert told.about == "broker"
    assert "127.0.0.1:1" in told.text


# --- the broker's own configuration --------------------------------------------------------------------------------


def test_the_committed_broker_configuration_lets_nobody_in_who_should_not_be() -> None:
    assert [one.severity for one in check_broker_conf(resources.MOSQUITTO_CONF)] == [Severity.OK]


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., list[str]]:
    """What is told of a broker's configuration, and of others beside it, by name."""

    def told(conf: str, **others: str) -> list[str]:
        included = tmp_path / "conf.d"
        included.mkdir()
        for name, text in others.items():
            (included / f"{name}.conf").write_text(text, encoding="utf-8")
        path = tmp_path / "mosquitto.conf"
        path.write_text(conf.replace("CONF.D", str(included)), encoding="utf-8")
        return list(exposures(path))

    return told


@pytest.mark.parametrize("address", ["", " 0.0.0.0", " 192.0.2.1", " broker.example"])
@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("yes", ["true", "1"])
def test_a_listener_on_a_public_address_that_lets_everybody_in_is_told(
    told: Callable[..., list[str]], address: str, yes: str, *, each: bool
) -> None:
    conf = f"per_listener_settings {str(each).lower()}\nlistener 1883{address}\nallow_anonymous {yes}\n"
    assert any("lets everybody in" in one for one in told(conf))


@pytest.mark.parametrize("listener", ["1883 127.0.0.1", "0 /run/mosquitto/mosquitto.sock"])
def test_whoever_is_let_in_on_loopback_or_by_a_unix_socket_is_this_machine(
    told: Callable[..., list[str]], listener: str
) -> None:
    assert told(f"listener {listener}\nallow_anonymous true\n") == []


def test_each_listener_has_options_of_its_own(told: Callable[..., list[str]]) -> None:
    public = "listener 8883\nallow_anonymous false\nacl_file a\ncertfile c\n"
    assert told(f"per_listener_settings true\n{public}listener 1884 127.0.0.1\nallow_anonymous true\n") == []


def test_a_public_listener_needs_an_acl_and_a_certificate(told: Callable[..., list[str]]) -> None:
    acl, certificate = told("listener 1883 0.0.0.0\nallow_anonymous false\n")
    assert "acl_file" in acl
    assert "certfile" in certificate


@pytest.mark.parametrize(
    "conf",
    [
        "port 18999\nallow_anonymous true\n",
        "port 18999\nlistener 1884 127.0.0.1\nallow_anonymous true\n",
        "listener 1884 127.0.0.1\nallow_anonymous true\nport 18999\n",
        "bind_address 0.0.0.0\nallow_anonymous true\n",
        # Each as 2.0.11 was seen to listen: on 0.0.0.0:1883, to everybody.
        "per_listener_settings true\nport 18999\n",
        "per_listener_settings true\npassword_file p\nlistener 1884 127.0.0.1\n",
        "certfile c\nlistener 1884 127.0.0.1\nallow_anonymous true\n",
    ],
)
def test_a_default_listener_that_lets_everybody_in_is_told(told: Callable[..., list[str]], conf: str) -> None:
    assert any(one.startswith("default listener 1") and "lets everybody in" in one for one in told(conf))


@pytest.mark.parametrize(
    "conf",
    [
        "port 18999\nbind_address 127.0.0.1\nallow_anonymous true\n",
        "listener 1884 127.0.0.1\nbind_address 127.0.0.1\nallow_anonymous true\n",
        "password_file p\nlistener 1884 127.0.0.1\n",
        "per_listener_settings true\nallow_anonymous true\nlistener 1884 127.0.0.1\n",
    ],
)
def test_a_default_listener_that_only_this_machine_reaches_or_that_there_is_not_is_fine(
    told: Callable[..., list[str]], conf: str
) -> None:
    assert told(conf) == []


@pytest.mark.parametrize("conf", ["", "allow_anonymous false\n", "password_file p\n", "max_connections 5\n"])
def test_a_configuration_without_a_listener_is_never_fine(told: Callable[..., list[str]], conf: str) -> None:
    (one,) = told(conf)
    assert "no listener found" in one


def test_included_files_are_read(told: Callable[..., list[str]]) -> None:
    one, *_ = told("per_listener_settings true\ninclude_dir CONF.D\n", open="listener 1883\nallow_anonymous true\n")
    assert one.startswith("listener 1883: lets everybody in")


def test_a_directory_without_files_to_include_has_no_listener(told: Callable[..., list[str]]) -> None:
    (one,) = told("# as Debian has it\ninclude_dir CONF.D\n")
    assert "no listener found" in one


def test_files_are_included_in_the_brokers_order_where_they_are_named(told: Callable[..., list[str]]) -> None:
    public = "listener 8883\nacl_file a\ncertfile c\n"
    says = {"A": "allow_anonymous true", "a": "allow_anonymous false", "B": "", "_": "include_dir /nowhere"}
    assert told(f"{public}include_dir CONF.D\n", **says) == []


def test_the_last_word_of_included_files_counts(told: Callable[..., list[str]]) -> None:
    public = "listener 8883\nacl_file a\ncertfile c\nallow_anonymous false\n"
    assert told(f"{public}include_dir CONF.D\n", b="allow_anonymous true", A="allow_anonymous false")


def test_what_an_included_file_says_is_not_the_listeners_before_it(told: Callable[..., list[str]]) -> None:
    conf = "per_listener_settings true\nlistener 8883\nacl_file a\ninclude_dir CONF.D\ncertfile c\n"
    assert told(conf, one="allow_anonymous true\n") == []


def test_a_directory_that_cannot_be_included_is_told(tmp_path: Path) -> None:
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener 1883 127.0.0.1\ninclude_dir {tmp_path}/nowhere\n", encoding="utf-8")
    (found,) = check_broker_conf(conf)
    assert (found.severity, "nowhere" in found.text) == (Severity.ERROR, True)


def test_a_broker_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    (found,) = check_broker_conf(tmp_path / "mosquitto.conf")
    assert found.severity is Severity.ERROR
