"""Framing: a stream of bytes, cut anywhere, back into packets.

The size is read here and not left to the codec, which calls an incomplete packet and one whose inside runs past its end
by the same name, and would wait for the rest of a packet of any size.
"""

from collections.abc import Iterator

import mqtt5

from mqtt_transport.errors import ProtocolError

_LENGTH_BYTES = 4
_MORE = 0x80
_PANIC = "pyo3_runtime"


class Frames:
    """Puts packets together.

    Args:
        largest: bytes of the largest packet that is taken.
    """

    __slots__ = ("_largest", "_rest")

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._rest = b""

    def packets(self, data: bytes) -> Iterator[mqtt5.Packet]:
        """Yield the packets that are complete with `data`, and keep the rest.

        Raises:
            ProtocolError: the bytes are no packet, or begin one that is too large; nothing after it can be read.
        """
        if self._rest:
            data = self._rest + data
        view, at, end = memoryview(data), 0, len(data)
        while (size := _size_of(data, at)) is not None:
            if size > self._largest:
                raise ProtocolError(f"a packet of {size} bytes, where {self._largest} are allowed")
            if at + size > end:
                break
            yield _decode(view[at : at + size])
            at += size
        self._rest = data[at:]


def _size_of(data: bytes, at: int) -> int | None:
    """Return the size in bytes of the packet that begins at `at`, or None if too little of it is there to tell.

    The Remaining Length is a Variable Byte Integer behind the first byte (MQTT 5, 1.5.5 and 2.1.4).
    """
    if len(data) - at > 1 and data[at + 1] < _MORE:
        return data[at + 1] + 2  # most packets are short
    remaining = 0
    for place, byte in enumerate(data[at + 1 : at + 1 + _LENGTH_BYTES]):
        remaining |= (byte & ~_MORE) << 7 * place
        if byte < _MORE:
            return remaining + place + 2
    if len(data) - at > _LENGTH_BYTES:
        raise ProtocolError("a packet whose length has no end")
    return None


def _decode(frame: memoryview) -> mqtt5.Packet:
    try:
        packet, size = mqtt5.read(frame)
    except (ValueError, IndexError) as error:
        raise ProtocolError(f"a packet that cannot be read: {error}") from error
    except BaseException as error:
        # The codec panics over text that is not UTF-8, by an exception that no `except Exception` would hold.
        if type(error).__module__ != _PANIC:
            raise
        raise ProtocolError(f"a packet that cannot be read: {error}") from error
    if size != len(frame):
        raise ProtocolError(f"a packet of {len(frame)} bytes with {len(frame) - size} too many")
    return packet
