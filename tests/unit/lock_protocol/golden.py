"""The golden files, read the way a stranger would: from JSON and by field name, with nothing of their generator."""

import json
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

import pytest

from lock_protocol.acceptance import DeviceStanding, Floor, PhoneStanding
from lock_protocol.acceptance.evidence import Evidence, UnreadableError
from lock_protocol.acceptance.rules import FRESH_RULES, HELLO_RULES, REPORT_RULES, STATE_RULES, Rule, judge
from lock_protocol.codec import encode
from lock_protocol.envelope import (
    DELEGATION,
    DESIRED,
    FRESH,
    HELLO,
    REPORTED,
    ROOT,
    Envelope,
    MessageType,
    sign,
)
from lock_protocol.imei import parse_imei
from lock_protocol.keys import PublicKey, SigningKey
from lock_protocol.messages import LenderId, StateHash
from lock_protocol.refusals import Refusal
from lock_protocol.schema import Record, schema_of
from lock_protocol.trust import pinned_root

Vector = dict[str, Any]

REPOSITORY = Path(__file__).resolve().parents[3]
DIRECTORY = REPOSITORY / "vectors"

KINDS: dict[str, MessageType[Any]] = {kind.name: kind for kind in (ROOT, DELEGATION, DESIRED, FRESH, HELLO, REPORTED)}


@dataclass(frozen=True, slots=True)
class Table:
    """One ordered table of rules, the kind of message it judges, and the file that pins it."""

    file: str
    kind: MessageType[Any]
    rules: tuple[Rule[Any, Any], ...]

    @property
    def names(self) -> list[str]:
        """The refusals, in order."""
        return [rule.refusal.__name__ for rule in self.rules]

    def verdict(self, message: bytes, standing: PhoneStanding | DeviceStanding, *, without: str = "") -> str:
        """Return `accepted`, the refusal's name, or `unreadable`; `without` one rule if it is named."""
        rules = [rule for rule in self.rules if rule.refusal.__name__ != without]
        try:
            judge(Evidence(self.kind, message), standing, rules)
        except Refusal as refusal:
            return refusal.name
        except UnreadableError:
            return "unreadable"
        return "accepted"


TABLES = (
    Table("states", DESIRED, STATE_RULES),
    Table("fresh", FRESH, FRESH_RULES),
    Table("hello", HELLO, HELLO_RULES),
    Table("reported", REPORTED, REPORT_RULES),
)


def read(file: str) -> list[Vector]:
    """Return the entries of one golden file."""
    entries: list[Vector] = json.loads((DIRECTORY / f"{file}.json").read_text(encoding="ascii"))["vectors"]
    return entries


def every(file: str, *, valid: bool | None = None) -> pytest.MarkDecorator:
    """Parametrize a test with a file's entries, or with the valid or invalid ones, each under its own name."""
    chosen = [one for one in read(file) if valid is None or valid == ("error" not in one)]
    return pytest.mark.parametrize("vector", chosen, ids=[one["name"] for one in chosen])


def signed(worked: Vector, payload: bytes) -> bytes:
    """Return any payload in the envelope of a worked example, signed by all who sign that."""
    kind, seeds = KINDS[worked["type"]], [bytes.fromhex(one["seed"]) for one in worked["signers"]]
    signatures = tuple(sorted(sign(kind, payload, SigningKey.from_seed(seed)) for seed in seeds))
    delegation = bytes.fromhex(worked["delegation"])
    return encode(Envelope(type=kind.media_type, payload=payload, signatures=signatures, delegation=delegation))


def message_of(vector: Vector) -> bytes:
    """Return the message of an entry; one that is too long to print is given as a repetition."""
    message = vector["message"]
    if isinstance(message, str):
        return bytes.fromhex(message)
    return bytes.fromhex(message["repeat"]) * int(message["times"])


def standing_of(vector: Vector) -> PhoneStanding | DeviceStanding:
    """Return what the receiver of an entry's message knows."""
    known = vector["standing"]
    return device_standing(known) if "device_key" in known else phone_standing(known)


def phone_standing(known: Vector) -> PhoneStanding:
    """Return what a phone knows."""
    return PhoneStanding(
        imei=parse_imei(known["imei"]),
        root=pinned_root(bytes.fromhex(known["root"])),
        floor=floor_of(known["floor"]),
        released=known["released"],
        trusted_now=known["trusted_now"],
        nonce=None if known["nonce"] is None else bytes.fromhex(known["nonce"]),
    )


def device_standing(known: Vector) -> DeviceStanding:
    """Return what the bridge knows of a phone."""
    return DeviceStanding(
        imei=parse_imei(known["imei"]),
        device_key=PublicKey(bytes.fromhex(known["device_key"])),
        sequence=known["sequence"],
    )


def floor_of(kept: Vector | None) -> Floor | None:
    """Return a floor."""
    if kept is None:
        return None
    return Floor(
        lender=LenderId(kept["lender"]),
        bound=kept["bound"],
        delegation_version=kept["delegation_version"],
        delegation_hash=StateHash(bytes.fromhex(kept["delegation_hash"])),
        epoch=kept["epoch"],
        version=kept["version"],
        state_hash=StateHash(bytes.fromhex(kept["state_hash"])),
    )


def fields_of(record: Record) -> Vector:
    """Return a message as the golden files print it: by field name, bytes as hex, enumerations as numbers."""
    return {name: _printed(getattr(record, name)) for name in schema_of(type(record)).names}


def _printed(value: Any) -> Any:
    if isinstance(value, Record):
        return fields_of(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IntEnum | IntFlag):
        return int(value)
    return [_printed(one) for one in value] if isinstance(value, tuple) else value
