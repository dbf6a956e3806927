"""The socket on which lenders come in."""

import errno
import socket

from broker_bridge.settings import HttpSettings, SettingsError


class AddressInUseError(SettingsError):
    """Another process listens on this address."""


def listening_socket(settings: HttpSettings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        AddressInUseError: somebody else does.
        SettingsError: nobody can.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        fault = f"http: cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(f"{fault}; end what listens there, or choose another http.port") from error
        raise SettingsError(f"{fault}; choose another http.host or http.port") from error
    # asyncio does this for sockets of its own making only; without it every answer waits 40 ms for the client's ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
