"""Canonical msgpack: payload bytes to wire values and back.

The wire uses four msgpack types: arrays, unsigned integers, strings, byte strings; each in its shortest form.
Whatever else decodes (maps, floats, nil, booleans, negative integers, extensions) is not canonical.
"""

from typing import Any

import msgpack

from lock_protocol.schema import R, Record, schema_of

# No table nests arrays more than three deep. One more is canonical, so that what is wrong with it is its table.
_DEPTH = 4


class NotMsgpackError(ValueError):
    """The bytes do not begin with one complete msgpack value."""


def encode(message: Record) -> bytes:
    """Return the bytes of a message: the one sequence that stands for it."""
    return pack(schema_of(type(message)).take_apart(message))


def pack(values: Any) -> bytes:
    """Return the canonical encoding of wire values."""
    packed: bytes = msgpack.packb(values, use_bin_type=True)
    return packed


def read_first(data: bytes) -> Any:
    """Return the first msgpack value in `data`, as tuples, ints, strs, bytes or any other type; the rest is ignored.

    This is deliberately lenient: whether the bytes were canonical is a rule of its own (`is_canonical`).

    Raises:
        NotMsgpackError: no complete value, or one nested too deep or claiming too much.
    """
    # The buffer's size also bounds every length: none can be believed that claims more elements than there are bytes,
    # so no claim makes the decoder reserve memory that the sender has not paid for.
    unpacker = msgpack.Unpacker(raw=False, use_list=False, strict_map_key=False, max_buffer_size=max(len(data), 1))
    unpacker.feed(data)
    try:
        return unpacker.unpack()
    # msgpack tells of bad bytes by ValueError and its kin, of missing ones by OutOfData, of an unhashable map key
    # by TypeError.
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


def decode(message: type[R], payload: bytes) -> R:
    """Return the message that `payload` encodes, when it is canonical and fits the table.

    Raises:
        ValueError: NotMsgpackError, or what is wrong with it.
    """
    values = read_first(payload)
    if not is_canonical(payload, values):
        msg = "not canonical msgpack"
        raise ValueError(msg)
    schema = schema_of(message)
    if fault := schema.fault(values):
        raise ValueError(fault)
    record = schema.assemble(values)
    if fault := record.contradiction():
        raise ValueError(fault)
    return record
