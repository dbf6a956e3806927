"""A real broker whose listeners speak TLS, as the committed mosquitto.conf says how."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Authority, new_authority
from tests.conftest import RealBroker, new_broker

_COMMENTED = re.compile(r"^#   (certfile|keyfile) \S*/(\S+)$", re.MULTILINE)
_LISTENER = re.compile(r"^listener .*$", re.MULTILINE)


@dataclass
class TlsBroker:
    """A broker that proves itself by a certificate, and the CA that has issued it."""

    broker: RealBroker
    authority: Authority

    @property
    def certfile(self) -> Path:
        return self.broker.process.files.directory / "server.pem"

    @property
    def by_tls(self) -> dict[str, object]:
        """What a bridge's settings say of it."""
        return {"tls": True, "cafile": str(self.authority.cafile)}


@contextmanager
def tls_broker(directory: Path, *, services_too: bool = True) -> Iterator[TlsBroker]:
    """Run a broker with its commented TLS lines in force on its listeners, and nothing else changed but paths.

    Without `services_too`, on the first of them alone, which is the phones'.
    """
    directory.mkdir()
    made = TlsBroker(new_broker(directory / "broker"), new_authority(directory / "ca"))
    made.authority.issue(made.certfile)
    conf = made.broker.process.files.conf
    text = conf.read_text(encoding="utf-8")
    lines = "".join(f"\n{option} ./{name}" for option, name in _COMMENTED.findall(text))
    listeners = 0 if services_too else 1
    conf.write_text(_LISTENER.sub(lambda listener: listener[0] + lines, text, count=listeners), encoding="utf-8")
    with made.broker.process:
        yield made
