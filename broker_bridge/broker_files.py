"""The files that the settings name for the broker: the bridge's password, and the CAs that prove it."""

import ssl

from broker_bridge.adapters.mqtt.tls import ca_certificates, proof_of_broker
from broker_bridge.settings import BrokerSettings, SettingsError


def broker_password(broker: BrokerSettings) -> str:
    """Return the bridge's password at the broker.

    Raises:
        SettingsError: its file cannot be read, or is empty.
    """
    path = broker.password_file
    try:
        password = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"broker.password_file: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"broker.password_file: {path}: {error}") from error
    if not password:
        raise SettingsError(f"broker.password_file: {path} is empty")
    return password


def broker_tls(broker: BrokerSettings) -> ssl.SSLContext | None:
    """Return how the broker has to prove itself; None where nothing is asked of it.

    Raises:
        SettingsError: the CA's file cannot be read, or holds no certificate.
    """
    if not broker.tls:
        return None
    try:
        return proof_of_broker(broker.cafile)
    except OSError as error:
        raise SettingsError(f"broker.cafile: {broker.cafile}: {_unreadable(error)}") from error


def phones_ca(broker: BrokerSettings) -> str | None:
    """Return the CA certificates that phones are given, PEM; None if they are given none.

    Raises:
        SettingsError: their file cannot be read, or holds none.
    """
    if broker.phones_cafile is None:
        return None
    try:
        return ca_certificates(broker.phones_cafile)
    except OSError as error:
        raise SettingsError(f"broker.phones_cafile: {broker.phones_cafile}: {_unreadable(error)}") from error


def _unreadable(error: OSError) -> str:
    return "holds no CA certificate in PEM" if isinstance(error, ssl.SSLError) else str(error.strerror)
