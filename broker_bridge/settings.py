"""Settings of the bridge, put together from what each source says."""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariableError

from broker_bridge.adapters.store.engine import database_url
from broker_bridge.setting_sources import Source, Values, merged, origins, without
from lock_protocol.topics import DEFAULT_PREFIX, Topics

ENV_PREFIX = "PAYLATCH_"
_PASSWORD = re.compile(r"(?P<before>//[^:/@]*:|[?&]password=)[^@&]*(?=@|&|$)")
NOTHING: Values = MappingProxyType({})
_STAND_INS: Values = {"broker": {"password_file": Path(), "phones_passwords": Path()}}
"""Of what has no default."""


class SettingsError(Exception):
    """The settings cannot be used; the message names each one and what it must be."""


class OptionsError(SettingsError):
    """Options that cannot be used, or that are none; the message names each one and what it must be."""

    def __init__(self, told: str, faults: Sequence[tuple[str, str]], rest: "Settings", wrong: Collection[str]) -> None:
        """Take what to tell, and for whoever looks further what else there is."""
        super().__init__(told)
        self.faults = faults
        """Each option, and what is wrong with it."""
        self.rest, self.wrong = rest, wrong
        """Settings without the `wrong` ones (dotted names), in whose places is something that means nothing."""


class Section(BaseModel):
    """A table of the file. An option nobody knows is an error, not a wish."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(Section):
    """Where lenders come in."""

    host: str = "127.0.0.1"
    """The address that it listens on."""
    port: int = Field(default=8080, ge=1, le=65535)
    """The port that it listens on."""
    behind_tls_proxy: bool = False
    """Says that whoever comes to this address comes through TLS: the bridge itself speaks plain HTTP."""
    metrics: bool = True
    """Whether `/metrics` is served, to whoever can reach the port: it names no lender and no phone."""


def _with_tls(cafile: Path, info: ValidationInfo) -> Path:
    switch = str(info.field_name).replace("cafile", "tls")
    if info.data.get(switch) is False:  # it is not there when it is wrong itself
        raise ValueError(f"means nothing without {switch} = true")
    return cafile


class BrokerSettings(Section):
    """The MQTT broker, as the bridge and as phones see it."""

    host: str = "127.0.0.1"
    """Where the bridge finds the broker."""
    port: int = Field(default=1884, ge=1, le=65535)
    """The broker's listener for services."""
    tls: bool = False
    """Whether that listener speaks TLS. Its certificate has to be valid and name the host."""
    cafile: Annotated[Path, AfterValidator(_with_tls)] | None = None
    """The CA certificates, PEM, that the broker's must chain to; the system's if none is named. Read at the start."""
    username: str = "bridge"
    """The bridge's name at the broker, to which `services.acl` gives its rights."""
    password_file: Path
    """A file that holds the bridge's password, readable by its owner alone."""
    window: int = Field(default=200, ge=2, le=800)
    """Publishes in flight; at most the broker's Receive Maximum (max_inflight_messages in mosquitto.conf)."""
    phones_host: str = "127.0.0.1"
    """Where phones find the broker: what they are told when they are enrolled. Outside development not loopback."""
    phones_port: int = Field(default=1883, ge=1, le=65535)
    """The broker's listener for phones, as they reach it."""
    phones_tls: bool = False
    """Whether phones find TLS there, the broker's own or a proxy's. They are told so when they are enrolled."""
    phones_cafile: Annotated[Path, AfterValidator(_with_tls)] | None = None
    """CA certificates, PEM, that phones are given to pin; none where their firmware knows the CA. Read at the start."""
    phones_passwords: Path
    """The broker's password file for phones, which the bridge writes."""
    pid_file: Path | None = None
    """The broker's process id, to have it reload that file."""


class ImportSettings(Section):
    """Files of decisions that lenders upload."""

    directory: Path = Path("imports")
    """Where they wait until their rows are done; made if it is not there, for its owner alone."""
    max_rows: int = Field(default=1_000_000, ge=1)
    """Rows that one file may have."""
    max_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    """Bytes that one file may have."""
    idle_s: float = Field(default=30, gt=0)
    """Seconds for which an upload may send nothing."""
    upload_s: float = Field(default=3600, gt=0)
    """Seconds that an upload may take."""
    results_days: int = Field(default=30, ge=1)
    """Days for which an import and its results are kept after its end."""


class RetentionSettings(Section):
    """For how many days finished commands are kept. Decisions, phones and the audit stay for ever."""

    commands_days: int = Field(default=400, ge=30, le=36_500)
    """Commands that their phones applied, refused or could not apply."""
    superseded_days: int = Field(default=30, ge=1, le=36_500)
    """Commands that a newer one replaced before their phones had said anything."""


def _database(url: str) -> str:
    database_url(url)
    return url


def _topic_prefix(prefix: str) -> str:
    return Topics(prefix).prefix


class Settings(BaseSettings):
    """Everything the bridge is told from outside."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    development: bool = False
    """Allows a policy without gates and the root's private key beside the online keys; serves loopback only."""
    database: Annotated[str, AfterValidator(_database)] = "sqlite:///paylatch.db"
    """Where everything is kept: `sqlite:///FILE` or `postgresql://user@host:port/database`, in UTF-8."""
    topic_prefix: Annotated[str, AfterValidator(_topic_prefix)] = DEFAULT_PREFIX
    """What every topic begins with; the broker's ACL files name it too."""
    policy: str = "default"
    """The profile for lenders that have set no policy."""
    keys: Path = Path("keys")
    """The directory of the keys that it signs with, of their delegations and of the roots."""
    http: HttpSettings = Field(default_factory=HttpSettings)
    broker: BrokerSettings
    imports: ImportSettings = Field(default_factory=ImportSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `configure` has put together, and nothing beside it."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and where each comes from."""

    settings: Settings
    origins: Mapping[str, str]
    """The source of each option that some source names, by dotted name; the others have their defaults."""


def configure(path: Path | None, flags: Values = NOTHING) -> Configuration:
    """Return the settings from a TOML file (if one is named), the environment and flags, and where each comes from.

    They may be unsafe: who runs with them takes `broker_bridge.safety.load`.

    Raises:
        SettingsError: the file cannot be read, or something in it cannot be used.
    """
    sources = [] if path is None else [Source(f"file {path}", _content(path))]
    sources += [Source("environment", _environment()), Source("flag", flags)]
    where = origins(sources)
    values = merged(sources)
    try:
        return Configuration(Settings(**values), where)
    except ValidationError as error:
        faults = [_fault(one, where) for one in error.errors()]
        told = "; ".join(map(": ".join, faults))
        source = path or "no file (--config) and environment"
        raise OptionsError(f"{source}: {told}", faults, *_rest(values, set(map(_option, error.errors())))) from error


def _rest(values: Values, wrong: set[str]) -> tuple[Settings, Collection[str]]:
    """Return settings without the options that are wrong, and which those are: without one, others may be wrong too."""
    while True:
        try:
            return Settings(**merged([Source("stand-ins", _STAND_INS), Source("rest", without(values, wrong))])), wrong
        except ValidationError as error:
            more = {_option(one) for one in error.errors()} - wrong
            if not more:
                raise
            wrong |= more


def _option(fault: ErrorDetails) -> str:
    return ".".join(map(str, fault["loc"]))


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except UnreadableVariableError as error:
        raise SettingsError(f"environment: {error}") from error


def _fault(fault: ErrorDetails, where: Mapping[str, str]) -> tuple[str, str]:
    """Return which option is wrong, with whose word it is where that is not the file's, and what is wrong with it."""
    option, message = _option(fault), fault["msg"].removeprefix("Value error, ")
    source = where.get(option, "file")
    return option if source.startswith("file") else f"{option} ({source})", message


def without_password(url: str) -> str:
    """Return a database's URL as it may be shown."""
    return _PASSWORD.sub(r"\g<before>***", url)
