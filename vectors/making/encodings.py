"""codec.json, pae.json, envelope.json and keys.json: the bytes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack

from lock_protocol.codec import encode
from lock_protocol.envelope import DELEGATION, DESIRED, FRESH, HELLO, REPORTED, ROOT, MessageType
from lock_protocol.keys import SigningKey
from lock_protocol.messages import Notice
from lock_protocol.schema import Message
from vectors.making import cast, curve, states
from vectors.making.parts import Vector, flipped, parts, payload, vector, wire


def codec() -> list[Vector]:
    """Return the entries of codec.json."""
    return [*_both_ways(), *_not_decoded()]


def _both_ways() -> list[Vector]:
    """Return messages and their payloads, numbers at the edges of each msgpack form among them."""
    messages: dict[str, tuple[MessageType[Any], Message]] = {
        "root": (ROOT, cast.ROOT_1),
        "delegation": (DELEGATION, cast.GRANT),
        "desired: locked": (DESIRED, cast.LOCKED_STATE),
        "desired: open, locked by lease": (DESIRED, states.LEASED),
        "desired: reminder": (DESIRED, states.REMINDER),
        "desired: released, with an empty notice": (DESIRED, cast.RELEASED_STATE),
        "desired: a title that begins with a byte order mark": (
            DESIRED,
            replace(cast.OPEN_STATE, notice=Notice(title="\ufefftitle")),
        ),
        "fresh": (FRESH, cast.FRESH_ANSWER),
        "hello": (HELLO, cast.HELLO_MESSAGE),
        "reported": (REPORTED, cast.REPORT_MESSAGE),
    }
    edges = (1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1)
    numbers = {f"version {edge}": (DESIRED, replace(cast.LOCKED_STATE, version=edge)) for edge in edges}
    lengths = (0, 1, 31, 32, 96)
    titles = {
        f"a title of {length} bytes": (DESIRED, replace(cast.LOCKED_STATE, notice=Notice(title="x" * length)))
        for length in lengths
    }
    bodies = {
        f"a body of {length} bytes": (DESIRED, replace(cast.LOCKED_STATE, notice=Notice(body="y" * length)))
        for length in (255, 256, 640)
    }
    return [
        vector(name, type=kind.name, payload=encode(message), result=message)
        for name, (kind, message) in (messages | numbers | titles | bodies).items()
    ]


def _not_decoded() -> list[Vector]:
    content = payload(cast.ROOT_1)
    values = wire(cast.ROOT_1)
    bad = {
        "a trailing byte": ("NonCanonical", content + b"\x00"),
        "one byte short": ("NonCanonical", content[:-1]),
        "zero bytes": ("NonCanonical", b""),
        "nil": ("NonCanonical", b"\xc0"),
        "false": ("NonCanonical", b"\xc2"),
        "a float": ("NonCanonical", msgpack.packb(1.5)),
        "-1": ("NonCanonical", b"\xff"),
        "an empty map": ("NonCanonical", b"\x80"),
        "an extension": ("NonCanonical", b"\xd4\x01\x00"),
        "a timestamp": ("NonCanonical", msgpack.packb(msgpack.Timestamp(1))),
        "127 in two bytes": ("NonCanonical", b"\xcc\x7f"),
        "255 in three bytes": ("NonCanonical", b"\xcd\x00\xff"),
        "65535 in five bytes": ("NonCanonical", b"\xce\x00\x00\xff\xff"),
        "2^32-1 in nine bytes": ("NonCanonical", b"\xcf\x00\x00\x00\x00\xff\xff\xff\xff"),
        "1 as a signed integer": ("NonCanonical", b"\xd0\x01"),
        "31 bytes of text with an 8-bit length": ("NonCanonical", b"\xd9\x1f" + b"x" * 31),
        "255 bytes of text with a 16-bit length": ("NonCanonical", b"\xda\x00\xff" + b"x" * 255),
        "255 bytes of text with a 32-bit length": ("NonCanonical", b"\xdb\x00\x00\x00\xff" + b"x" * 255),
        "no text with a 32-bit length": ("NonCanonical", b"\xdb\x00\x00\x00\x00"),
        "bytes with a 16-bit length": ("NonCanonical", b"\xc5\x00\x01x"),
        "bytes with a 32-bit length": ("NonCanonical", b"\xc6\x00\x00\x00\x01x"),
        "256 bytes with a 32-bit length": ("NonCanonical", b"\xc6\x00\x00\x01\x00" + bytes(256)),
        "16 elements with a 32-bit length": ("NonCanonical", b"\xdd\x00\x00\x00\x10" + bytes(16)),
        "15 elements with a 16-bit length": ("NonCanonical", b"\xdc\x00\x0f" + bytes(15)),
        "text that is not UTF-8": ("NonCanonical", b"\xa1\xff"),
        "text with a surrogate": ("NonCanonical", b"\xa3\xed\xa0\x80"),
        "text in an overlong encoding": ("NonCanonical", b"\xa2\xc0\x80"),
        "arrays nested five deep": ("NonCanonical", b"\x91\x91\x91\x91\x90"),
        "arrays nested four deep": ("BadSchema", b"\x91\x91\x91\x90"),
        "an empty array": ("BadSchema", b"\x90"),
        "2^64-1": ("BadSchema", b"\xcf" + b"\xff" * 8),
        "text": ("BadSchema", b"\xa1x"),
        "a key as text": ("BadSchema", payload(cast.ROOT_1, keys=("x" * 32,), threshold=1)),
        "a field too few": ("BadSchema", msgpack.packb(values[:-1])),
        "a field too many": ("BadSchema", msgpack.packb((*values, 0))),
        "schema 2": ("BadSchema", msgpack.packb((2, *values[1:]))),
    }
    return [vector(f"root: {name}", defects=[error], type="root", payload=data) for name, (error, data) in bad.items()]


def pae() -> list[Vector]:
    """Return the entries of pae.json; the first two are the examples of DSSE's own specification."""
    pairs = {
        "DSSE's example": ("http://example.com/HelloWorld", b"hello world"),
        "an empty type and payload": ("", b""),
        "a payload that looks like another length": ("x", b"1 y"),
        "its twin: other parts, other bytes": ("x 1", b"y"),
        "a type that is not ASCII is measured in bytes": ("é", b"\x00\xff"),
        "a state": (DESIRED.media_type, encode(cast.OPEN_STATE)),
    }
    return [
        vector(name, type=type_, payload=content, result={"pae": _pae(type_, content)})
        for name, (type_, content) in pairs.items()
    ]


def _pae(type_: str, content: bytes) -> bytes:
    """Return the pre-authentication encoding, spelled out once more so that the file does not trust the library."""
    name = type_.encode()
    return b" ".join((b"DSSEv1", str(len(name)).encode(), name, str(len(content)).encode(), content))


def envelopes() -> list[Vector]:
    """Return the entries of envelope.json: each step from a seed to an envelope."""
    return [
        _worked("the simplest: a hello, one key, no delegation", HELLO, cast.HELLO_MESSAGE, ("device",)),
        _worked("a report", REPORTED, cast.REPORT_MESSAGE, ("device",)),
        _worked("a root, 2 of 3", ROOT, cast.ROOT_1, ("root 1 a", "root 1 b")),
        _worked("a delegation, 2 of 3", DELEGATION, cast.GRANT, ("root 1 a", "root 1 b")),
        _worked("a lock", DESIRED, cast.LOCKED_STATE, ("lock",), cast.GRANTED),
        _worked("an opening", DESIRED, cast.OPEN_STATE, ("unlock",), cast.GRANTED),
        _worked("open, locked by lease: two keys", DESIRED, states.LEASED, ("lock", "unlock"), cast.GRANTED),
        _worked("a fresh", FRESH, cast.FRESH_ANSWER, ("fresh",), cast.GRANTED),
    ]


def _worked(
    name: str, kind: MessageType[Any], message: Message, names: tuple[str, ...], delegation: bytes = b""
) -> Vector:
    content = encode(message)
    whole = parts(kind.media_type, content, [cast.key(one) for one in names], delegation)
    signed = _pae(kind.media_type, content)
    steps = [
        {
            "seed": cast.seed(one),
            "public": cast.key(one).public,
            "key_id": cast.key(one).id,
            "signature": cast.key(one).sign(signed),
        }
        for one in names
    ]
    return vector(
        name,
        type=kind.name,
        fields=message,
        payload=content,
        pae=signed,
        signers=steps,
        delegation=delegation,
        result={"envelope": whole.pack(), "payload_hash": cast.hash_of(content)},
    )


def keys() -> list[Vector]:
    """Return the entries of keys.json."""
    names = ("root 1 a", "lock", "unlock", "release", "fresh", "device")
    ids = [
        vector(
            f"the key '{name}'",
            seed=cast.seed(name),
            result={"public": cast.key(name).public, "key_id": cast.key(name).id},
        )
        for name in names
    ]
    return [*ids, *_good_signatures(), *_bad_signatures(), *_small_points(), *_no_points()]


def _check(name: str, public: bytes, message: bytes, signature: bytes, error: str = "BadSignature") -> Vector:
    return vector(name, defects=[error] if error else [], public=public, message=message, signature=signature)


def _good_signatures() -> list[Vector]:
    one = cast.key("device")
    return [
        _check(name, one.public, message, one.sign(message), "")
        for name, message in {"a message": b"paylatch", "an empty message": b"", "4096 bytes": bytes(4096)}.items()
    ]


def _bad_signatures() -> list[Vector]:
    seed, message = cast.seed("device"), b"paylatch"
    one = SigningKey.from_seed(seed)
    good = one.sign(message)
    changes: dict[str, Callable[[bytes], bytes]] = {
        "S + L: malleated": curve.malleated,
        "a bit of R turned over": lambda signature: flipped(signature, 7),
        "a bit of S turned over": lambda signature: flipped(signature, 256),
        "the top bit of S set": lambda signature: flipped(signature, 511),
        "R and S swapped": lambda signature: signature[32:] + signature[:32],
        "zeros": lambda signature: bytes(len(signature)),
        "R of small order, made by the key's owner": lambda _: curve.signature_with_small_commitment(seed, message),
    }
    return [
        *(_check(name, one.public, message, change(good)) for name, change in changes.items()),
        _check("another message", one.public, b"Paylatch", good),
        _check("another key", cast.STRANGER.public, message, good),
    ]


def _small_points() -> list[Vector]:
    """Return what a verifier without libsodium's checks takes for a signature, though nobody owns the key."""
    signature = curve.signature_under_small_order(cast.seed("stranger"))
    points = {
        "small order 1: the identity": curve.IDENTITY,
        "small order 2": curve.ORDER_2,
        "small order 8": curve.ORDER_8,
        "not canonical: the identity plus p": curve.NON_CANONICAL_IDENTITY,
        "not canonical: the identity with a sign": curve.NEGATIVE_ZERO_IDENTITY,
    }
    return [
        _check(
            f"key of {name}" if "order" in name else f"key {name}",
            point,
            curve.message_that_vanishes(point, signature),
            signature,
        )
        for name, point in points.items()
    ]


def _no_points() -> list[Vector]:
    """Return 32 bytes that are no point of the curve, or not its canonical bytes, for the key and for R."""
    one, message = cast.key("device"), b"paylatch"
    good = one.sign(message)
    return [
        _check("key that is no point", curve.NO_POINT, message, good),
        _check("key of 32 bytes ff", b"\xff" * 32, message, good),
        _check("R that is no point", one.public, message, curve.NO_POINT + good[32:]),
        _check("R that is not canonical", one.public, message, curve.NON_CANONICAL_POINT + good[32:]),
    ]
