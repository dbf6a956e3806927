"""What a Mosquitto configuration would let in that nobody should: read from its text, before the broker is."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from broker_bridge.addresses import is_loopback


@dataclass(slots=True)
class _Listener:
    """One listener, as far as who may come in goes."""

    port: str
    address: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @property
    def public(self) -> bool:
        """Whether others than this machine reach it."""
        return not is_loopback(self.address)

    def __str__(self) -> str:
        return f"listener {self.port} {self.address}".rstrip()


def exposures(text: str) -> Iterator[str]:
    """Return what is unsafe in the text of a mosquitto.conf, each with the way out."""
    common, listeners = _read(text)
    for listener in listeners:
        options = listener.options if common.get("per_listener_settings") == "true" else common
        if listener.public and options.get("allow_anonymous") == "true":
            yield f"{listener}: allow_anonymous true lets everybody in; say allow_anonymous false and a password_file"
        if listener.public and "acl_file" not in options:
            yield f"{listener}: without an acl_file whoever is let in reads and writes every phone's topics; name one"
        if listener.public and "certfile" not in listener.options:
            yield f"{listener}: passwords cross the network in the clear; name a certfile and a keyfile, or bind it to \
127.0.0.1"


def _read(text: str) -> tuple[dict[str, str], list[_Listener]]:
    """Return the options of the whole broker, and its listeners with theirs."""
    common: dict[str, str] = {}
    listeners: list[_Listener] = []
    for line in text.splitlines():
        option, _, value = line.strip().partition(" ")
        if not option or option.startswith("#"):
            continue
        if option == "listener":
            port, _, address = value.strip().partition(" ")
            listeners.append(_Listener(port, address.strip()))
        elif listeners and option != "per_listener_settings":
            listeners[-1].options[option] = value.strip()
            common[option] = value.strip()
        else:
            common[option] = value.strip()
    return common, listeners
