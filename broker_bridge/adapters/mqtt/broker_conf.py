"""What a Mosquitto configuration would let in that nobody should: read from its files, before the broker is.

It is read as Mosquitto 2 reads it: `src/conf.c`, and what 2.0.11 was seen to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from broker_bridge.addresses import is_loopback

_TRUE = frozenset({"true", "1"})
_UNIX_SOCKET = "0"
"""The port of a listener whose address is the path of a Unix socket; without a path Mosquitto does not start."""
_MAKE_DEFAULT_LISTENER = frozenset(
    {
        "bind_address",
        "bind_interface",
        "cafile",
        "capath",
        "certfile",
        "ciphers",
        "ciphers_tls1.3",
        "crlfile",
        "dhparamfile",
        "keyfile",
        "max_connections",
        "max_qos",
        "mount_point",
        "port",
        "protocol",
        "psk_hint",
        "require_certificate",
        "socket_domain",
        "tls_engine",
        "tls_engine_kpass_sha1",
        "tls_keyform",
        "use_identity_as_username",
        "use_subject_as_username",
        "use_username_as_clientid",
    }
)
"""Before the first `listener`, any of these has Mosquitto listen on a default listener beside the named ones,"""
_MAKE_IT_IF_PER_LISTENER = frozenset(
    {"allow_zero_length_clientid", "auth_plugin", "password_file", "plugin", "psk_file"}
)
"""and one of these does where each listener has settings of its own."""


@dataclass(slots=True)
class _Listener:
    """One listener, as far as who may come in goes."""

    port: str
    address: str = ""
    options: dict[str, str] = field(default_factory=dict)
    kind: str = "listener"
    anonymous: str = "false"
    """What `allow_anonymous` is when nobody says it."""

    @property
    def public(self) -> bool:
        """Whether others than this machine reach it."""
        return self.port != _UNIX_SOCKET and not is_loopback(self.address)

    def __str__(self) -> str:
        return f"{self.kind} {self.port} {self.address}".rstrip()


@dataclass(slots=True)
class _Conf:
    """The options of a mosquitto.conf with what it includes."""

    common: dict[str, str] = field(default_factory=dict)
    """Each option as it was said last: what holds for all listeners, unless they have settings of their own."""
    default: dict[str, str] = field(default_factory=dict)
    """What is said before the first `listener` of a file; and `port` and `bind_address`, wherever they are said."""
    named: list[_Listener] = field(default_factory=list)

    @property
    def per_listener(self) -> bool:
        """Whether listeners have settings of their own."""
        return self.common.get("per_listener_settings") in _TRUE

    @property
    def says_where(self) -> bool:
        """Whether anything says where to listen."""
        return bool(self.named) or not self.default.keys().isdisjoint({"port", "bind_address"})

    def listeners(self) -> list[_Listener]:
        """Return all listeners, the default one included if there is one."""
        make_it = _MAKE_DEFAULT_LISTENER | (_MAKE_IT_IF_PER_LISTENER if self.per_listener else frozenset())
        if self.default.keys().isdisjoint(make_it):
            return self.named
        # Seen with 2.0.11: where listeners have settings of their own, this one lets everybody in unless told not to.
        anonymous = "true" if self.per_listener else "false"
        port, address = self.default.get("port", "1883"), self.default.get("bind_address", "")
        return [_Listener(port, address, self.default, "default listener", anonymous), *self.named]

    def read(self, path: Path, *, included: bool = False) -> None:
        """Add what a file says, and the files that it includes; those include no others."""
        options = self.default
        for option, value in _said_in(path):
            match option:
                case "include_dir":
                    for each in [] if included else _files_in(Path(value)):
                        self.read(each, included=True)
                case "listener":
                    port, _, address = value.partition(" ")
                    self.named.append(_Listener(port, address.strip()))
                    options = self.named[-1].options
                case "port" | "bind_address":
                    self.default[option] = value
                case _:
                    options[option] = self.common[option] = value


def exposures(path: Path) -> Iterator[str]:
    """Return what is unsafe in a mosquitto.conf and the files that it includes, each with the way out.

    Raises:
        OSError, UnicodeDecodeError: one of them cannot be read.
    """
    conf = _Conf()
    conf.read(path)
    if not conf.says_where:
        yield "no listener found, so who may come in cannot be told: without one Mosquitto lets everybody on this \
machine in whatever its password files say, and with some options everybody at all; name each: listener 1883 127.0.0.1"
        return
    for listener in conf.listeners():
        options = listener.options if conf.per_listener else conf.common
        if listener.public and options.get("allow_anonymous", listener.anonymous) in _TRUE:
            yield f"{listener}: lets everybody in; say allow_anonymous false and a password_file"
        if listener.public and "acl_file" not in options:
            yield f"{listener}: without an acl_file whoever is let in reads and writes every phone's topics; name one"
        if listener.public and "certfile" not in listener.options:
            yield f"{listener}: passwords cross the network in the clear; name a certfile and a keyfile, or bind it to \
127.0.0.1"


def _said_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each option of a file, with its value."""
    for line in path.read_text(encoding="utf-8").splitlines():
        option, _, value = line.strip().partition(" ")
        if option and not option.startswith("#"):
            yield option, value.strip()


def _files_in(directory: Path) -> list[Path]:
    """Return the files that an `include_dir` means, in Mosquitto's order: A.conf, a.conf, B.conf."""
    found = [path for path in directory.iterdir() if path.name.endswith(".conf")]
    return sorted(found, key=lambda path: [(character.upper(), character) for character in path.name])
