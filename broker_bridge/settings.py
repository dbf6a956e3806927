"""Settings of the bridge: flags above environment above file above defaults."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from broker_bridge.domain.policy import PROFILES
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


class RetentionSettings(Section):
    """How long finished commands are kept. Decisions, phones and the audit stay for ever."""

    commands_days: int = Field(default=400, ge=30, le=36_500)
    """Commands that their phones applied, refused or could not apply."""
    superseded_days: int = Field(default=30, ge=1, le=36_500)
    """Commands that a newer one replaced before their phones had said anything."""


def _database(url: str) -> str:
    if not url.startswith(("sqlite:///", "postgresql://")):
        raise ValueError("must be sqlite:///FILE or postgresql://user@host:port/database")
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
    database: Annotated[str, AfterValidator(_database)] = "sqlite:///paylatch.db"
    topic_prefix: Annotated[str, AfterValidator(_topic_prefix)] = DEFAULT_PREFIX
    policy: str = "default"
    keys: Path = Path("keys")
    http: HttpSettings = Field(default_factory=HttpSettings)
    broker: BrokerSettings
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
    policy = PROFILES.get(settings.policy)
    if policy is None:
        raise SettingsError(f"policy: {settings.policy!r} is none of {', '.join(sorted(PROFILES))}")
    if policy.development_only and not settings.development:
        raise SettingsError(f"policy: {policy.name!r} has no gates; it runs with development = true only")
    if settings.development and settings.http.host not in ("127.0.0.1", "::1", "localhost"):
        raise SettingsError(
            f"http.host: {settings.http.host} is not loopback, and development mode serves nothing else"
        )
