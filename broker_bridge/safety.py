"""Safety: what must not run outside development, and what development must not expose."""

import stat
from collections.abc import Iterator
from pathlib import Path

from broker_bridge.adapters.policies.profiles import UnknownProfileError, profile
from broker_bridge.addresses import is_loopback
from broker_bridge.setting_sources import Values
from broker_bridge.settings import NOTHING, BrokerSettings, Settings, SettingsError, configure


def load(path: Path | None, flags: Values = NOTHING) -> Settings:
    """Return the settings from a TOML file (if one is named), the environment and flags.

    Raises:
        SettingsError: the file cannot be read, or something in it cannot be used, or is not safe.
    """
    settings = configure(path, flags).settings
    refuse_unsafe(settings)
    return settings


def refuse_unsafe(settings: Settings) -> None:
    """Refuse what must not run outside development, or what development must not expose.

    Raises:
        SettingsError: naming the setting and the way out.
    """
    for fault in unsafe(settings):
        raise SettingsError(fault)


def unsafe(settings: Settings) -> Iterator[str]:
    """Return everything that `refuse_unsafe` refuses, each with its setting and the way out."""
    yield from _unsafe_policy(settings)
    yield from _unsafe_address(settings)
    if not settings.development:
        yield from _unsafe_broker(settings.broker)
        yield from _unsafe_password_file(settings.broker.password_file)


def _unsafe_policy(settings: Settings) -> Iterator[str]:
    try:
        policy = profile(settings.policy)
    except UnknownProfileError as error:
        yield f"policy: {error}"
        return
    if policy.development_only and not settings.development:
        yield f"policy: {policy.name!r} has no gates; it runs with development = true only"


def _unsafe_address(settings: Settings) -> Iterator[str]:
    http = settings.http
    if is_loopback(http.host):
        return
    if settings.development:
        yield f"http.host: {http.host} is not loopback, and development mode serves nothing else"
    elif not http.behind_tls_proxy:
        yield (
            f"http.host: {http.host} is not loopback, and the bridge speaks plain HTTP: API keys would cross the "
            "network in the clear; serve 127.0.0.1, or say behind_tls_proxy = true under [http] when TLS ends before it"
        )


def _unsafe_broker(broker: BrokerSettings) -> Iterator[str]:
    if not (broker.tls or is_loopback(broker.host)):
        yield (
            f"broker.host: {broker.host} is not loopback: the bridge's password and all that phones are told would "
            "cross the network in the clear; give that listener a certificate and say tls = true under [broker], with "
            "its CA as cafile where that is none of the system's"
        )
    if is_loopback(broker.phones_host):
        yield (
            f"broker.phones_host: {broker.phones_host} is loopback, so each phone that is enrolled would look for the "
            "broker in itself; name what phones reach, under [broker]: phones_host, and phones_port with it"
        )
    elif not broker.phones_tls:
        yield (
            f"broker.phones_host: {broker.phones_host} is not loopback: phones would send their passwords across the "
            "network in the clear; give that listener a certificate and say phones_tls = true under [broker], with its "
            "CA as phones_cafile where their firmware does not know it"
        )


def _unsafe_password_file(path: Path) -> Iterator[str]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # whoever needs it says so
    if mode & 0o077:
        yield f"broker.password_file: {path} has mode {mode:o}; a password is for its owner alone: chmod 600 {path}"
