"""Settings of the bridge: flags above environment above file above defaults."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from broker_bridge.adapters.policies.profiles import UnknownProfileError, profile
from lock_protocol.topics import DEFAULT_PREFIX, Topics


class SettingsError(Exception):
    """The settings cannot be used; the message names each one and what it must be."""


class Section(BaseModel):
    """A table of the file. An option nobody knows is an error, not a wish."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(Section):
    """Where lenders come in."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)


class BrokerSettings(Section):
    """The MQTT broker, as the bridge and as phones see it."""

    host: str = "127.0.0.1"
    port: int = Field(default=1884, ge=1, le=65535)
    username: str = "bridge"
    password_file: Path
    """A file that holds the bridge's password, readable by its owner alone."""
    window: int = Field(default=200, ge=2, le=800)
    """Publishes in flight; at most the broker's Receive Maximum (max_inflight_messages in mosquitto.conf)."""
    phones_host: str = "127.0.0.1"
    phones_port: int = Field(default=1883, ge=1, le=65535)
    phones_passwords: Path
    """The broker's password file for phones, which the bridge writes."""
    pid_file: Path | None = None
    """The broker's process id, to have it reload that file."""


class ImportSettings(Section):
    """Files of decisions that lenders upload."""

    directory: Path = Path("imports")
    """Where they wait until their rows are done; made if it is not there, for its owner alone."""
    max_rows: int = Field(default=1_000_000, ge=1)
    max_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    idle_s: float = Field(default=30, gt=0)
    """How long an upload may send nothing."""
    upload_s: float = Field(default=3600, gt=0)
    """How long an upload may take."""
    results_days: int = Field(default=30, ge=1)
    """How long an import and its results are kept after its end."""


def _sqlite_file(url: str) -> str:
    if not url.startswith("sqlite:///"):
        raise ValueError("must be sqlite:///FILE; this version keeps its data in SQLite")
    return url


def _topic_prefix(prefix: str) -> str:
    return Topics(prefix).prefix


class Settings(BaseSettings):
    """Everything the bridge is told from outside."""

    model_config = SettingsConfigDict(
        env_prefix="PAYLATCH_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    development: bool = False
    """Allows a policy without gates and the root's private key beside the online keys; serves loopback only."""
    database: Annotated[str, AfterValidator(_sqlite_file)] = "sqlite:///paylatch.db"
    topic_prefix: Annotated[str, AfterValidator(_topic_prefix)] = DEFAULT_PREFIX
    policy: str = "default"
    keys: Path = Path("keys")
    http: HttpSettings = Field(default_factory=HttpSettings)
    broker: BrokerSettings
    imports: ImportSettings = Field(default_factory=ImportSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment above the file's content, which `load` hands over as arguments."""
        del settings_cls, dotenv_settings, file_secret_settings  # neither is a way to configure the bridge
        return env_settings, init_settings


def load(path: Path | None) -> Settings:
    """Return the settings from a TOML file (if one is named) and the environment.

    Raises:
        SettingsError: the file cannot be read, or something in it cannot be used.
    """
    try:
        content = {} if path is None else tomllib.loads(path.read_text(encoding="utf-8"))
        settings = Settings(**content)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise SettingsError(f"{path or 'no file (--config) and environment'}: {'; '.join(lines)}") from error
    refuse_unsafe(settings)
    return settings


def refuse_unsafe(settings: Settings) -> None:
    """Refuse what must not run outside development, or what development must not expose.

    Raises:
        SettingsError: naming the setting and the way out.
    """
    try:
        policy = profile(settings.policy)
    except UnknownProfileError as error:
        raise SettingsError(f"policy: {error}") from error
    if policy.development_only and not settings.development:
        raise SettingsError(f"policy: {policy.name!r} has no gates; it runs with development = true only")
    if settings.development and settings.http.host not in ("127.0.0.1", "::1", "localhost"):
        raise SettingsError(
            f"http.host: {settings.http.host} is not loopback, and development mode serves nothing else"
        )
