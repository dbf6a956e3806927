"""Configuration that cannot be used is refused at the start, by name, with the way out."""

from pathlib import Path

import pytest

from broker_bridge.settings import Settings, SettingsError, load

MINIMAL = """
[broker]
password_file = "bridge.password"
phones_passwords = "phones.passwd"
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
    assert loaded(write, MINIMAL + text).http.host == host


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
    assert load(None).broker.phones_passwords == Path("b")


def test_the_environment_cannot_weaken_what_is_refused(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_POLICY", "replay")
    with pytest.raises(SettingsError, match="development = true only"):
        loaded(write, MINIMAL)


def test_a_wrong_value_in_the_environment_is_named(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYLATCH_BROKER__WINDOW", "wide")
    with pytest.raises(SettingsError, match=r"broker\.window"):
        loaded(write, MINIMAL)
