"""Canonical msgpack: payload bytes to wire values and back.

The wire uses four msgpack types: arrays, unsigned integers, strings, byte strings; each in its shortest form.
Whatever else decodes (maps, floats, nil, booleans, negative integers, extensions) is not canonical.
"""

from typing import Any

import msgpack

from lock_protocol.schema import R, Record, Schema, schema_of

# No table nests arrays more than three deep. One more is canonical, so that what is wrong with it is its table.
_DEPTH = 4
# Nothing that is sent is longer than this (`lock_protocol.envelope`); what is stored may be, and makes it grow.
_BUFFER_BYTES = 4096


class NotMsgpackError(ValueError):
    """The bytes do not begin with one complete msgpack value."""


def encode(message: Record) -> bytes:
    """Return the bytes of a message: the one sequence that stands for it."""
    return pack(schema_of(type(message)).take_apart(message))


def pack(values: Any) -> bytes:
    """Return the canonical encoding of wire values."""
    # Its own small buffer: the default one is 256 KiB, and one that is shared would be written by two threads.
    packed: bytes = msgpack.Packer(use_bin_type=True, buf_size=_BUFFER_BYTES).pack(values)  # type: ignore[call-arg]  # the stubs lack it
    return packed


def read_first(data: bytes) -> Any:
    """Return the first msgpack value in `data`, as tuples, ints, strs, bytes or any other type; the rest is ignored.

    This is deliberately lenient: whether the bytes were canonical is a rule of its own (`is_canonical`).

    Raises:
        NotMsgpackError: no complete value, or one nested too deep or claiming too much.
    """
    # The number of bytes also bounds every length: `unpackb` believes none that claims more elements than there are
    # bytes, so no claim makes the decoder reserve memory that the sender has not paid for.
    try:
        return msgpack.unpackb(data, raw=False, use_list=False, strict_map_key=False)
    except msgpack.ExtraData as more:
        return more.unpacked  # type: ignore[attr-defined]  # the stubs lack it
    # msgpack tells of bad and missing bytes by ValueError and its kin, of an unhashable map key by TypeError.
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        msg = f"not one msgpack value: {type(error).__name__}: {error}"
        raise NotMsgpackError(msg) from error


def is_canonical(data: bytes, values: Any) -> bool:
    """Return whether `data` is exactly the canonical encoding of `values`."""
    return _only_wire_types(values, _DEPTH) and pack(values) == data


def _only_wire_types(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind is tuple:
        return depth > 0 and all(_only_wire_types(element, depth - 1) for element in value)
    return kind is str or kind is bytes or (kind is int and value >= 0)


def is_encoding_of(schema: Schema[R], data: bytes, values: Any) -> bool:
    """Return whether `values` fit the table and `data` is exactly their canonical encoding.

    What fits a table is made of wire types alone, no deeper than tables nest: `is_canonical` need not look for them.
    """
    return schema.fits(values) and pack(values) == data


def decode(message: type[R], payload: bytes) -> R:
    """Return the message that `payload` encodes, when it is canonical and fits the table.

    Raises:
        ValueError: NotMsgpackError, or what is wrong with it.
    """
    values, schema = read_first(payload), schema_of(message)
    if not is_encoding_of(schema, payload, values):
        canonical = is_canonical(payload, values)
        raise ValueError(schema.fault(values) if canonical else "not canonical msgpack")
    record = schema.assemble(values)
    if fault := record.contradiction():
        raise ValueError(fault)
    return record


def decode_own(message: type[R], payload: bytes) -> R:
    """Return the message that `encode` made these very bytes of.

    Nothing is checked, so that it takes a third of `decode`. For what the caller has made and stored itself; never for
    what came from outside, signed or not.
    """
    return schema_of(message).assemble(read_first(payload))
