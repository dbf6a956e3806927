"""The simulated phones' IMEIs, and the file that tells a fleet which phones it is.

The file is JSON lines, one phone each:

    {"imei": "001017000000011", "device_seed": "<64 hex digits>", "password": "...", "root": "<base64 envelope>",
     "hardware_floor": false,
     "broker": {"host": "broker.example", "port": 8883, "topic_prefix": "paylatch/v1", "tls": true, "ca": "<PEM>"}}

`broker` is where enrolment told the phone to connect; it is absent where nobody was told, and `ca` is null where none
was given.

It holds secrets, so it is readable by its owner alone.
"""

import base64
import binascii
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import IO, Any

from device_sim.phone.identity import Identity
from lock_protocol.imei import Imei, InvalidImeiError, luhn_digit, parse_imei
from lock_protocol.keys import SEED_BYTES
from lock_protocol.refusals import BadRoot

TEST_REPORTING_BODY = "00"
"""The first two digits of test TACs (GSMA TS.06): no handset that was ever sold has such an IMEI."""

MAX_PHONES = 10**6
_TEST_TAC = "00101700"
_FIELDS = {"imei": str, "device_seed": str, "password": str, "root": str, "hardware_floor": bool}
_BROKER_FIELDS = {"host": str, "port": int, "topic_prefix": str, "tls": bool, "ca": str | None}


class FleetFileError(ValueError):
    """A line of the fleet's file that describes no simulated phone; the message names the line and the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPhone:
    """One phone of a fleet: who it is, and how it logs in to the broker."""

    identity: Identity
    password: str

    @property
    def imei(self) -> Imei:
        """Its name, which is its user name and client id too."""
        return self.identity.imei


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldBroker:
    """Where a phone connects, as it was told when it was enrolled."""

    host: str
    port: int
    topic_prefix: str
    tls: bool
    ca: str | None
    """The CA certificates, PEM, that the broker's must chain to; None for the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLine:
    """What one line of the file says."""

    imei: Imei
    device_seed: bytes
    password: str
    root: bytes
    """The envelope of the root that the firmware pins."""
    hardware_floor: bool = False
    broker: ToldBroker | None = None


def simulated_imei(number: int) -> Imei:
    """Return the IMEI of simulated phone `number`, from 0.

    Raises:
        ValueError: a number below 0 or not below `MAX_PHONES`.
    """
    if not 0 <= number < MAX_PHONES:
        raise ValueError(f"simulated phones are numbered 0 to {MAX_PHONES - 1}, not {number}")
    body = f"{_TEST_TAC}{number:06}"
    return parse_imei(body + luhn_digit(body))


def new_device_seed() -> bytes:
    """Return the seed of a new device key, from the system's randomness."""
    return os.urandom(SEED_BYTES)


def write_fleet(path: Path, lines: Iterable[FleetLine]) -> None:
    """Write the file that `read_fleet` reads, for its owner alone."""
    _write_privately(path, (_to_json(line) + "\n" for line in lines))


def create_fleet(path: Path) -> IO[str]:
    """Open a new fleet's file, for its owner alone; `add_phones` writes there what `read_fleet` reads.

    Raises:
        OSError: it cannot be written, or is there already: a fleet's keys are nowhere else.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


def add_phones(file: IO[str], lines: Iterable[FleetLine]) -> None:
    """Write phones to the end of a fleet's file."""
    file.writelines(_to_json(line) + "\n" for line in lines)


def split_fleet(path: Path, parts: Iterable[tuple[Path, int]]) -> None:
    """Write a fleet's file as several, each with so many of its phones, in their order.

    Raises:
        OSError: the file cannot be read, or one of them cannot be written.
    """
    with path.open(encoding="utf-8") as file:
        for part, phones in parts:
            _write_privately(part, islice(file, phones))


def _write_privately(path: Path, lines: Iterable[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)  # an older file keeps its mode when it is opened
        file.writelines(lines)


def read_fleet(path: Path) -> list[FleetPhone]:
    """Return the phones of a fleet.

    Raises:
        FleetFileError: a line that is not as it must be, an IMEI that a real handset may have, or one that is there
            twice.
        OSError: the file cannot be read.
    """
    phones: dict[Imei, FleetPhone] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                phone = _parse(line.decode())
            except (ValueError, BadRoot) as error:
                raise FleetFileError(f"{path}, line {number}: {error}") from error
            if phone.imei in phones:
                raise FleetFileError(f"{path}, line {number}: IMEI {phone.imei} was there before")
            phones[phone.imei] = phone
    return list(phones.values())


def told_broker(path: Path) -> ToldBroker | None:
    """Return where the phones of a fleet were told to connect; None if they were told nothing.

    Raises:
        FleetFileError: they were told different things.
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8") as file:
        told = {_broker_in(json.loads(text)) for text in file}
    if len(told) > 1:
        raise FleetFileError(f"{path}: its phones were told different brokers; give those of each a file of their own")
    return told.pop() if told else None


def _broker_in(fields: Mapping[str, Any]) -> ToldBroker | None:
    return ToldBroker(**fields["broker"]) if "broker" in fields else None


def _to_json(line: FleetLine) -> str:
    fields = {
        "imei": line.imei,
        "device_seed": line.device_seed.hex(),
        "password": line.password,
        "root": base64.b64encode(line.root).decode(),
        "hardware_floor": line.hardware_floor,
    }
    return json.dumps(fields if line.broker is None else fields | {"broker": asdict(line.broker)})


def _parse(text: str) -> FleetPhone:
    """Return the phone of one line.

    Raises:
        ValueError, BadRoot: what is wrong with it.
    """
    fields = _require_phone(json.loads(text))
    identity = Identity.from_factory(
        imei=_require_simulated(fields["imei"]),
        seed=bytes.fromhex(fields["device_seed"]),
        root=_base64(fields["root"]),
        hardware_floor=fields["hardware_floor"],
    )
    return FleetPhone(identity=identity, password=fields["password"])


def _require_phone(fields: Any) -> Mapping[str, Any]:
    told = isinstance(fields, dict) and "broker" in fields
    phone = _require_fields(fields, _FIELDS | {"broker": dict} if told else _FIELDS)
    if told:
        _require_fields(phone["broker"], _BROKER_FIELDS)
    return phone


def _require_fields(fields: Any, kinds: Mapping[str, type | UnionType]) -> Mapping[str, Any]:
    if not isinstance(fields, dict) or fields.keys() != kinds.keys():
        raise ValueError(f"expected an object with exactly the fields {', '.join(kinds)}")
    for name, kind in kinds.items():
        if not isinstance(fields[name], kind):
            # Bad input, not a misuse of types.
            raise ValueError(f"{name} must be a {getattr(kind, '__name__', kind)}")  # noqa: TRY004
    return fields


def _require_simulated(text: str) -> Imei:
    imei = parse_imei(text)
    if not imei.startswith(TEST_REPORTING_BODY):
        raise InvalidImeiError(f"IMEI {imei} may be a real handset's; simulated ones begin with {TEST_REPORTING_BODY}")
    return imei


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"root is not base64: {error}") from error
