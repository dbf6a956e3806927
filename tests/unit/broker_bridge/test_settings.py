"""Configuration that cannot be used is refused at the start, by name, with the way out."""

from pathlib import Path

import pytest

from broker_bridge.safety import load
from broker_bridge.settings import Settings, SettingsError, configure, without_password

MINIMAL = """
[broker]
password_file = "bridge.password"
phones_passwords = "phones.passwd"
phones_host = "broker.example"
phones_tls = true
"""
REPLAY = 'policy = "replay"\ndevelopment = true\n'


@pytest.fixture
def write(tmp_path: Path) -> Path:
    return tmp_path / "bridge.toml"


def loaded(path: Path, text: str) -> Settings:
    path.write_text(text)
    return load(path)


def test_what_is_not_said_has_a_default(write: Path) -> None:
    settings = loaded(write, MINIMAL)
    assert (settings.development, settings.policy, settings.http.host, settings.http.port) == (
        False,
        "default",
        "127.0.0.1",
        8080,
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("polcy = 'default'\n" + MINIMAL, "polcy"),
        (MINIMAL + "windw = 5\n", "broker.windw"),
        (MINIMAL + "[htpp]\nport = 1\n", "htpp"),
        (MINIMAL + "port = 'high'\n", "broker.port"),
        (MINIMAL + "port = 0\n", "broker.port"),
        (MINIMAL + "port = 65536\n", "broker.port"),
        (MINIMAL + "window = 1\n", "broker.window"),
        (MINIMAL + "window = -5\n", "broker.window"),
        ("development = 'perhaps'\n" + MINIMAL, "development"),
        ("policy = 'strict'\n" + MINIMAL, "policy"),
        ("database = 'mysql://db/paylatch'\n" + MINIMAL, "database"),
        ("database = 'paylatch.db'\n" + MINIMAL, "database"),
        ("topic_prefix = 'a/+/b'\n" + MINIMAL, "topic_prefix"),
        ("[broker]\npassword_file = 'x'\n", "broker.phones_passwords"),
        ("", "broker"),
        ("this is no TOML", "bridge.toml"),
    ],
)
def test_what_cannot_be_used_is_named(write: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named.replace(".", r"\.")):
        loaded(write, text)


def test_a_file_that_is_not_there_is_named(write: Path) -> None:
    with pytest.raises(SettingsError, match=r"bridge\.toml: No such file"):
        load(write)


def test_a_file_that_is_no_text_is_named(write: Path) -> None:
    write.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"bridge\.toml"):
        load(write)


def test_a_policy_without_gates_runs_in_development_only(write: Path) -> None:
    with pytest.raises(SettingsError, match="development = true only"):
        loaded(write, 'policy = "replay"\n' + MINIMAL)
    assert loaded(write, REPLAY + MINIMAL).policy == "replay"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])  # noqa: S104 - what must be refused
def test_development_serves_loopback_only(write: Path, host: str) -> None:
    text = f'[http]\nhost = "{host}"\n'
    with pytest.raises(SettingsError, match="not loopback"):
        loaded(write, REPLAY + MINIMAL + text)
    assert loaded(write, f"{MINIMAL}{text}behind_tls_proxy = true\n").http.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_development_serves_every_loopback(write: Path, host: str) -> None:
    assert loaded(write, f'{REPLAY}{MINIMAL}[http]\nhost = "{host}"\n').http.host == host


def test_the_environment_stands_above_the_file(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_DATABASE", "sqlite:///other.db")
    monkeypatch.setenv("PAYLATCH_BROKER__PORT", "2000")
    settings = loaded(write, f'database = "sqlite:///file.db"\n{MINIMAL}port = 1000\nwindow = 7\n')
    assert settings.database == "sqlite:///other.db"
    assert (settings.broker.port, settings.broker.window) == (2000, 7), "the rest of the table stays the file's"


def test_the_environment_alone_may_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_BROKER__PASSWORD_FILE", "a")
    monkeypatch.setenv("PAYLATCH_BROKER__PHONES_PASSWORDS", "b")
    monkeypatch.setenv("PAYLATCH_BROKER__PHONES_HOST", "broker.example")
    monkeypatch.setenv("PAYLATCH_BROKER__PHONES_TLS", "true")
    assert load(None).broker.phones_passwords == Path("b")


def test_the_environment_cannot_weaken_what_is_refused(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_POLICY", "replay")
    with pytest.raises(SettingsError, match="development = true only"):
        loaded(write, MINIMAL)


def test_a_wrong_value_in_the_environment_is_named(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_BROKER__WINDOW", "wide")
    with pytest.raises(SettingsError, match=r"broker\.window"):
        loaded(write, MINIMAL)


# --- flags, and where a value comes from ---------------------------------------------------------------------------


def test_a_flag_stands_above_the_environment_and_the_file(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_HTTP__PORT", "2000")
    monkeypatch.setenv("PAYLATCH_HTTP__HOST", "localhost")
    write.write_text(f"{MINIMAL}[http]\nport = 1000\n")
    http = load(write, {"http": {"port": 3000}}).http
    assert (http.port, http.host) == (3000, "localhost"), "the rest of the section stays the environment's"


def test_a_flag_cannot_weaken_what_is_refused(write: Path) -> None:
    write.write_text(MINIMAL)
    with pytest.raises(SettingsError, match="development = true only"):
        load(write, {"policy": "replay"})


def test_a_wrong_flag_is_said_to_be_one(write: Path) -> None:
    write.write_text(MINIMAL)
    with pytest.raises(SettingsError, match=r"http\.port \(flag\)"):
        load(write, {"http": {"port": 0}})


def test_each_value_is_told_with_its_source(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_BROKER__WINDOW", "9")
    write.write_text(f"{MINIMAL}window = 7\n[http]\nport = 1000\n")
    configuration = configure(write, {"http": {"host": "::1"}})
    assert configuration.origins == {
        "broker.password_file": f"file {write}",
        "broker.phones_passwords": f"file {write}",
        "broker.phones_host": f"file {write}",
        "broker.phones_tls": f"file {write}",
        "broker.window": "environment",
        "http.port": f"file {write}",
        "http.host": "flag",
    }
    assert configuration.settings.broker.window == 9


def test_a_variable_that_holds_a_whole_section_is_read(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_HTTP", '{"port": 2000}')
    assert (
        loaded(write, MINIMAL + '[http]\nhost = "::1"\n').http.model_dump()
        == configure(write, {"http": {"port": 2000, "host": "::1"}}).settings.http.model_dump()
    )


def test_a_variable_that_should_be_json_and_is_not_is_named(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_HTTP", "{")
    with pytest.raises(SettingsError, match=r"environment: .*http"):
        loaded(write, MINIMAL)


def test_what_is_not_safe_can_still_be_shown(write: Path) -> None:
    write.write_text('policy = "replay"\n' + MINIMAL)
    assert configure(write).settings.policy == "replay"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///paylatch.db", "sqlite:///paylatch.db"),
        ("postgresql://bridge@db:5432/paylatch", "postgresql://bridge@db:5432/paylatch"),
        ("postgresql://bridge:secret@db:5432/paylatch", "postgresql://bridge:***@db:5432/paylatch"),
        (
            "postgresql://bridge:se:cr%40et@db/paylatch?sslmode=require",
            "postgresql://bridge:***@db/paylatch?sslmode=require",
        ),
        ("postgresql://:secret@/paylatch", "postgresql://:***@/paylatch"),
        ("postgresql://db/paylatch?user=bridge&password=secret", "postgresql://db/paylatch?user=bridge&password=***"),
        ("postgresql://db/paylatch?password=secret&user=bridge", "postgresql://db/paylatch?password=***&user=bridge"),
    ],
)
def test_a_databases_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
