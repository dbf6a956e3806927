"""What the four acceptance files have in common: how an entry looks, and the defects that every kind can have."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgpack

from lock_protocol.codec import pack
from lock_protocol.envelope import DELEGATION, MAX_ENVELOPE_BYTES
from lock_protocol.keys import SigningKey
from lock_protocol.schema import Record
from vectors.making import cast, curve
from vectors.making.parts import Parts, Vector, flipped, payload, vector, wire

ACCEPTED = "accepted"
UNREADABLE = "unreadable"

_ARRAY16 = 0xDC
_TOO_LARGE = MAX_ENVELOPE_BYTES + 1


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One good message, and how to make others like it."""

    make: Callable[..., Parts]
    record: Record
    by: tuple[SigningKey, ...]
    standing: Vector
    unsigned: str
    """What is left of it without any signature, when nobody minds the shape."""

    @property
    def good(self) -> Parts:
        """The message as it should be."""
        return self.make(self.record, by=self.by)

    def of(self, content: bytes) -> Parts:
        """Return this message with another payload, rightly signed."""
        return signed(self.good, content, self.by)

    def refused(self, error: str, name: str, message: Parts | bytes, without: str = ACCEPTED, item: str = "") -> Vector:
        """Return an entry with one defect; see `refused`."""
        return refused(error, name, message, self.standing, without=without, item=item)

    def both(self, first: str, second: str, message: Parts | bytes) -> Vector:
        """Return an entry with two defects; see `both`."""
        return both(first, second, message, self.standing)


def content_of(message: Parts | bytes) -> bytes:
    """Return the bytes of a message that may be given in parts."""
    return message.pack() if isinstance(message, Parts) else message


def refused(
    error: str, name: str, message: Parts | bytes, standing: Vector, *, without: str = ACCEPTED, item: str = ""
) -> Vector:
    """Return an entry with one defect.

    `without` tells what a receiver that lacked this one rule would make of it: accept it, unless said otherwise.
    """
    return vector(
        name, defects=[error], item=item, standing=standing, message=content_of(message), without_rule=without
    )


def both(first: str, second: str, message: Parts | bytes, standing: Vector, note: str = "") -> Vector:
    """Return an entry with two defects, which pins that `first` is found before `second`."""
    name = f"{first} before {second}{note}"
    return vector(name, defects=[first, second], standing=standing, message=content_of(message))


def signed(good: Parts, content: bytes, by: Iterable[SigningKey], type_: str | None = None) -> Parts:
    """Return the envelope of another payload or type, rightly signed."""
    name = good.type if type_ is None else type_
    signatures = tuple(sorted(cast.signature(name, content, one) for one in by))
    return replace(good, type=name, payload=content, signatures=signatures)


def broken(good: Parts, change: Callable[[bytes], bytes] = lambda one: flipped(one, 0)) -> Parts:
    """Return the envelope with its first signature changed."""
    (key_id, signature), *rest = good.signatures
    return replace(good, signatures=((key_id, change(signature)), *rest))


def shape_defects(letter: Letter) -> list[Vector]:
    """Return what is too large, malformed, empty or of another version."""
    return [*_too_large(letter), *_malformed(letter), *_unreadable(letter), *_empty_or_newer(letter)]


def _too_large(letter: Letter) -> list[Vector]:
    data = letter.good.pack()
    deep = letter.refused("TooLarge", "arrays nested 100,000 deep", b"", "Malformed", "depth 100,000")
    return [
        letter.refused("TooLarge", "4097 bytes", data + bytes(_TOO_LARGE - len(data)), "Malformed"),
        letter.refused("TooLarge", "a payload of 4096 bytes", letter.of(b"\xc4" * 4096), "NonCanonical"),
        # Printed in full this would be longer than all the others together.
        deep | {"message": {"repeat": "91", "times": 100_000}},
    ]


def _malformed(letter: Letter) -> list[Vector]:
    good, data = letter.good, letter.good.pack()
    size = len(good.type)

    def malformed(name: str, message: Parts | bytes, without: str = ACCEPTED, item: str = "") -> Vector:
        return letter.refused("Malformed", name, message, without, item)

    def cut(length: int) -> Parts:
        return broken(good, lambda one: (one + b"\x00")[:length])

    return [
        malformed("one trailing byte", data + b"\x00", item="trailing byte"),
        malformed("4096 bytes are not too large", data.ljust(MAX_ENVELOPE_BYTES, b"\x00")),
        malformed("a second envelope begins behind the first", data + data[:100]),
        malformed("version 1 in two bytes", data[:1] + b"\xcc\x01" + data[2:], item="non-minimal int"),
        malformed("version 1 as a signed integer", data[:1] + b"\xd0\x01" + data[2:]),
        malformed("outer array with a 16-bit header", b"\xdc\x00\x05" + data[1:]),
        malformed("type with a 16-bit header", data.replace(bytes([0xD9, size]), bytes([0xDA, 0, size]), 1)),
        malformed("true for version 1", replace(good, version=True), item="bool for int"),
        malformed("envelope version -1", replace(good, version=-1), "UnsupportedVersion"),
        malformed("envelope version 2^53", replace(good, version=2**53), "UnsupportedVersion"),
        malformed("envelope version 2^64-1", replace(good, version=2**64 - 1), "UnsupportedVersion"),
        malformed(
            "an extension timestamp for version",
            replace(good, version=msgpack.Timestamp(1)),
            "UnsupportedVersion",
            "extension timestamp",
        ),
        malformed("no signatures", replace(good, signatures=()), letter.unsigned),
        malformed("the same signature twice", replace(good, signatures=good.signatures[:1] * 2 + good.signatures[1:])),
        malformed("63-byte signature", cut(63), "BadSignature", "63- and 65-byte signatures"),
        malformed("65-byte signature", cut(65), "BadSignature", "63- and 65-byte signatures"),
        malformed("a line feed in the type", replace(good, type=good.type + "\n"), "UnknownType"),
        malformed("an empty type", replace(good, type=""), "UnknownType"),
        malformed("a type of 129 bytes", replace(good, type="x" * 129), "UnknownType"),
    ]


def _unreadable(letter: Letter) -> list[Vector]:
    good, data = letter.good, letter.good.pack()
    outer = (good.version, good.type, good.payload, good.signatures, good.delegation)
    garbage = {
        "one byte short": data[:-1],
        "cut in half": data[: len(data) // 2],
        "the byte that msgpack never uses": b"\xc1",
        "nil": b"\xc0",
        "an integer": b"\x01",
        "an empty array": b"\x90",
        "a map": msgpack.packb({"type": good.type}),
        "four elements": pack(outer[:4]),
        "six elements": pack((*outer, b"")),
        "arrays nested 1000 deep": b"\x91" * 1000 + b"\x90",
        "a payload that claims 2^32-1 bytes": b"\x95\x01\xa1x\xc6\xff\xff\xff\xff",
    }
    huge = letter.refused(
        "Malformed", "array of 2^32-1", b"\xdd\xff\xff\xff\xff" + data[1:], UNREADABLE, "array of 2^32-1"
    )
    return [huge, *(letter.refused("Malformed", name, bad, UNREADABLE) for name, bad in garbage.items())]


def _empty_or_newer(letter: Letter) -> list[Vector]:
    good = letter.good
    versions = [
        letter.refused("UnsupportedVersion", f"envelope version {name}", replace(good, version=number))
        for name, number in {"0": 0, "2": 2, "2^53-1": 2**53 - 1}.items()
    ]
    return [
        letter.refused("EmptyState", "zero bytes", b"", UNREADABLE),
        letter.refused("EmptyState", "an empty payload", letter.of(b""), "NonCanonical"),
        *versions,
    ]


def shape_pairs(letter: Letter) -> list[Vector]:
    """Return the pairs that pin the order of the shape's rows."""
    good, data = letter.good, letter.good.pack()
    empty = letter.of(b"")
    other_type = signed(good, good.payload, letter.by, DELEGATION.media_type)
    return [
        letter.both("TooLarge", "Malformed", data + b"\x01" * _TOO_LARGE),
        letter.both("Malformed", "EmptyState", empty.pack() + b"\x00"),
        letter.both("EmptyState", "UnsupportedVersion", replace(empty, version=2)),
        letter.both("UnsupportedVersion", "UnknownType", replace(other_type, version=2)),
    ]


def type_defects(letter: Letter, sibling: str) -> list[Vector]:
    """Return messages whose type does not belong on the topic, each rightly signed as what it says it is."""

    def typed(name: str, type_: str, item: str = "") -> Vector:
        message = signed(letter.good, letter.good.payload, letter.by, type_)
        return letter.refused("UnknownType", name, message, item=item)

    return [
        typed("typed as the topic beside", sibling),
        typed("typed as a delegation", DELEGATION.media_type),
        typed("the type of a later protocol", letter.good.type.replace(".v1+", ".v2+")),
        typed("the type in capitals", letter.good.type.upper()),
        typed("a type of 128 bytes", "x" * 128),
    ]


def signature_defects(letter: Letter, sibling: str) -> list[Vector]:
    """Return signatures that do not verify, or only by laxer rules than these."""
    good, signer = letter.good, min(letter.by, key=lambda one: one.id)
    borrowed = signed(good, good.payload, letter.by, sibling)

    def bad(name: str, message: Parts, item: str = "") -> Vector:
        return letter.refused("BadSignature", name, message, item=item)

    return [
        bad("one bit of R turned over", broken(good)),
        bad("one bit of S turned over", broken(good, lambda one: flipped(one, 300))),
        bad("S + L: malleated", broken(good, curve.malleated), "malleated signature"),
        bad("a signature of zeros", broken(good, lambda one: bytes(len(one)))),
        bad("the payload signed without its type", broken(good, lambda _: signer.sign(good.payload))),
        bad("the same payload signed as another type", replace(borrowed, type=good.type)),
        bad("the signature of another payload", replace(good, signatures=letter.of(b"\x90").signatures)),
    ]


def non_canonical(letter: Letter) -> list[Vector]:
    """Return payloads that say the same in other bytes, or use more of msgpack than the wire does."""
    content = payload(letter.record)
    head = 3 if content[0] == _ARRAY16 else 1
    wide = b"\xdd\x00\x00" + content[1:] if head > 1 else b"\xdc\x00" + bytes([content[0] & 0x0F]) + content[1:]
    imei = cast.PHONE.encode()
    first, rest = content[:head], content[head + 1 :]
    other_bytes = {
        "a trailing byte": content + b"\x00",
        "schema 1 in two bytes": first + b"\xcc\x01" + rest,
        "schema 1 in nine bytes": first + b"\xcf" + bytes(7) + b"\x01" + rest,
        "schema 1 as a signed integer": first + b"\xd0\x01" + rest,
        "the array with a wider header": wide,
        "the IMEI with an 8-bit header": content.replace(b"\xaf" + imei, b"\xd9\x0f" + imei),
    }
    other_types: dict[str, Any] = {
        "true for schema 1": True,
        "1.0 for schema 1": 1.0,
        "nil for schema 1": None,
        "-1 for schema 1": -1,
        "a timestamp for schema 1": msgpack.Timestamp(1),
        "a map for schema 1": {},
        "arrays nested five deep": (((((),),),),),
    }
    values = wire(letter.record)
    unreadable = {
        "a payload one byte short": content[:-1],
        "a lender that is not UTF-8": content.replace(cast.LENDER[:2].encode(), b"\xed\xa0", 1),
        "a payload that claims 2^32-1 elements": b"\xdd\xff\xff\xff\xff",
    }
    nested = letter.of(b"\x91" * 1000 + b"\x90")
    return [
        letter.refused("NonCanonical", "a payload of arrays nested 1000 deep", nested, "BadSchema"),
        *(letter.refused("NonCanonical", name, letter.of(bad)) for name, bad in other_bytes.items()),
        *(
            letter.refused("NonCanonical", name, letter.of(msgpack.packb((bad, *values[1:]))), "BadSchema")
            for name, bad in other_types.items()
        ),
        *(letter.refused("NonCanonical", name, letter.of(bad), UNREADABLE) for name, bad in unreadable.items()),
    ]


def changed(
    letter: Letter, changes: dict[str, dict[str, Any]], without: str = ACCEPTED, item: str = ""
) -> list[Vector]:
    """Return payloads that do not fit their table, by name and the fields that are wrong."""
    return [
        letter.refused("BadSchema", name, letter.of(payload(letter.record, **fields)), without, item)
        for name, fields in changes.items()
    ]


def schema_defects(letter: Letter) -> list[Vector]:
    """Return the wrong forms that every payload can have, and every IMEI that is none."""
    values = wire(letter.record)
    numbers = [
        letter.refused("BadSchema", f"schema {number}", letter.of(pack((number, *values[1:])))) for number in (0, 2)
    ]
    imeis = [
        letter.refused(
            "BadSchema",
            f"IMEI: {name}",
            letter.of(payload(letter.record, imei=imei)),
            "WrongPhone",
        )
        for name, imei in bad_imeis().items()
    ]
    arity = {"a field too few": values[:-1], "a field too many": (*values, 0), "an integer for a payload": 1}
    return [
        *numbers,
        *imeis,
        *(letter.refused("BadSchema", name, letter.of(pack(bad)), UNREADABLE) for name, bad in arity.items()),
    ]


def bad_imeis() -> dict[str, Any]:
    """Return what looks like the phone's IMEI and is none, by the project's names for it."""
    good = str(cast.PHONE)
    wrong_digit = good[:-1] + str((int(good[-1]) + 1) % 10)
    return {
        "bad Luhn": wrong_digit,
        "all zeros": "0" * 15,
        "16-digit IMEISV": good + "0",
        "14 digits": good[:-1],
        "full-width digits": "".join(chr(ord(digit) + 0xFEE0) for digit in good),
        "trailing newline": good + "\n",
        "dashes": f"{good[:2]}-{good[2:8]}-{good[8:14]}-{good[14]}",
        "a JSON number": int(good),
    }
