"""Safety: what must not run outside development, and what development must not expose."""

import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from broker_bridge.adapters.policies.profiles import UnknownProfileError, profile
from broker_bridge.addresses import is_loopback
from broker_bridge.setting_sources import Values, touch
from broker_bridge.settings import NOTHING, Settings, SettingsError, configure


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
        SettingsError: naming each setting and the way out.
    """
    if faults := list(unsafe(settings)):
        raise SettingsError("; ".join(faults))


def unsafe(settings: Settings, wrong: Collection[str] = ()) -> Iterator[str]:
    """Return everything that `refuse_unsafe` refuses, each with its setting and the way out.

    Args:
        settings: of a bridge.
        wrong: those that mean nothing, by dotted names; nothing is said of what depends on them.
    """
    for options, look in _LOOKS:
        if not touch(wrong, "development", *options):
            yield from look(settings)


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


def _unsafe_way_to_broker(settings: Settings) -> Iterator[str]:
    broker = settings.broker
    if not (settings.development or broker.tls or is_loopback(broker.host)):
        yield (
            f"broker.host: {broker.host} is not loopback: the bridge's password and all that phones are told would "
            "cross the network in the clear; give that listener a certificate and say tls = true under [broker], with "
            "its CA as cafile where that is none of the system's"
        )


def _unsafe_way_of_phones(settings: Settings) -> Iterator[str]:
    broker = settings.broker
    if settings.development:
        return
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


def _unsafe_password_file(settings: Settings) -> Iterator[str]:
    if settings.development:
        return
    path = settings.broker.password_file
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # whoever needs it says so
    if mode & 0o077:
        yield f"broker.password_file: {path} has mode {mode:o}; a password is for its owner alone: chmod 600 {path}"


_LOOKS = (
    (("policy",), _unsafe_policy),
    (("http.host", "http.behind_tls_proxy"), _unsafe_address),
    (("broker.host", "broker.tls"), _unsafe_way_to_broker),
    (("broker.phones_host", "broker.phones_tls"), _unsafe_way_of_phones),
    (("broker.password_file",), _unsafe_password_file),
)
"""What is looked at, and the options that decide it beside `development`."""
