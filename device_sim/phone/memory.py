"""What a phone keeps durably, its canonical bytes, and what of it a factory reset leaves.

Invariant of the whole package: whatever a phone shows or says has been made durable before.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated

from lock_protocol.acceptance import Floor
from lock_protocol.codec import decode, encode
from lock_protocol.envelope import MAX_ENVELOPE_BYTES
from lock_protocol.levels import Level, Signals
from lock_protocol.messages import NO_HASH, DesiredState, LenderId, Root, StateHash
from lock_protocol.schema import MAX_INTEGER, MAX_TIME, Bin, Bits, Many, Message, Nested, Record, Text, UInt

NO_SIGNALS = Signals(0)
_CHECKSUM_BYTES = 32


class CorruptMemoryError(ValueError):
    """Stored bytes that no phone has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything about a phone that a power cycle does not take away."""

    root: Root | None = None
    """The newest root that was followed; None while it is still the firmware's.

    Kept without its signatures: they were verified against the root before it, which is kept no longer.
    """
    floor: Floor | None = None
    state: DesiredState | None = None
    """The state held. Its hash is the floor's."""
    confirmed: bool = False
    """Whether a `Fresh` has confirmed what was held, and no factory reset has come since."""
    provisional_until: int | None = None
    """Trusted time until which unconfirmed openings count; 0 when it is over for good.

    None while no opening has come since the last factory reset, and again once a `Fresh` has confirmed. Set once and
    never moved up: a row of replayed openings gets one window together, not one each.
    """
    checkpoint: int | None = None
    """Trusted time when this was written."""
    boot_count: int = 0
    sequence: int = 0
    """All sequence numbers up to this may have been used; 0 when the count is lost."""
    signals: Signals = NO_SIGNALS

    @property
    def holding(self) -> Floor | None:
        """The floor that tells which state is held. One without its state (kept through a reset) holds nothing."""
        return None if self.state is None else self.floor

    @property
    def released(self) -> bool:
        """Whether the phone has been released for good."""
        return self.state is not None and self.state.level is Level.RELEASED

    def after_boot(self) -> "Memory":
        """Return what a boot makes of it.

        An unconfirmed opening does not survive a boot: trusted time may fall back by a checkpoint's age, so a loop
        of reboots would stretch its time without end.
        """
        ended = None if self.provisional_until is None else 0
        return replace(self, boot_count=min(self.boot_count + 1, MAX_TIME), provisional_until=ended)

    def after_factory_reset(self, *, hardware_floor: bool) -> "Memory | None":
        """Return what a factory reset leaves: nothing, or the floor and boot count where hardware keeps them.

        Nothing stays confirmed: the time is lost, so a state that is still the newest may have a lease that ended long
        ago, and until an answer tells the time its opening counts for a while only.
        """
        return Memory(floor=self.floor, boot_count=self.boot_count) if hardware_floor else None


# --- canonical bytes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _StoredFloor(Record):
    lender: Annotated[LenderId, Text(1, 32)]
    bound: Annotated[int, UInt(0, 1)]
    delegation_version: Annotated[int, UInt(0, MAX_INTEGER)]
    delegation_hash: Annotated[StateHash, Bin(32)]
    epoch: Annotated[int, UInt(0, MAX_INTEGER)]
    version: Annotated[int, UInt(0, MAX_INTEGER)]
    state_hash: Annotated[StateHash, Bin(32)]


_OptionalTime = Many(UInt(0, MAX_TIME), 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored(Message):
    """The table of the stored bytes. An array of at most one element stands for something that may be missing."""

    root: Annotated[bytes, Bin(0, MAX_ENVELOPE_BYTES)]
    floor: Annotated[tuple[_StoredFloor, ...], Many(Nested(_StoredFloor), 0, 1)]
    state: Annotated[bytes, Bin(0, MAX_ENVELOPE_BYTES)]
    confirmed: Annotated[int, UInt(0, 1)]
    provisional_until: Annotated[tuple[int, ...], _OptionalTime]
    checkpoint: Annotated[tuple[int, ...], _OptionalTime]
    boot_count: Annotated[int, UInt(0, MAX_TIME)]
    sequence: Annotated[int, UInt(0, MAX_INTEGER)]
    signals: Annotated[Signals, Bits(Signals)]

    def contradiction(self) -> str | None:
        """A state that is not the floor's."""
        held = sha256(self.state).digest() if self.state else NO_HASH
        if self.state and (not self.floor or self.floor[0].state_hash != held):
            return "the state's hash is not the floor's"
        return None


def to_bytes(memory: Memory) -> bytes:
    """Return the canonical bytes of a memory, and their SHA-256.

    The hash is for storage that fails, and no defence: without it, one bit of the floor or of the time would have a
    phone refuse what opens it, or lock by a lease that has not ended.
    """
    content = encode(
        _Stored(
            root=b"" if memory.root is None else encode(memory.root),
            floor=() if memory.floor is None else (_store_floor(memory.floor),),
            state=b"" if memory.state is None else encode(memory.state),
            confirmed=int(memory.confirmed),
            provisional_until=_store_optional(memory.provisional_until),
            checkpoint=_store_optional(memory.checkpoint),
            boot_count=memory.boot_count,
            sequence=memory.sequence,
            signals=memory.signals,
        )
    )
    return content + sha256(content).digest()


def from_bytes(data: bytes) -> Memory:
    """Return the memory that `data` encodes.

    Raises:
        CorruptMemoryError: `to_bytes` has not made it.
    """
    content, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if sha256(content).digest() != checksum:
        raise CorruptMemoryError("not a phone's memory, or damaged")
    try:
        stored = decode(_Stored, content)
        root = decode(Root, stored.root) if stored.root else None
        state = decode(DesiredState, stored.state) if stored.state else None
    except ValueError as error:
        raise CorruptMemoryError(f"not a phone's memory: {error}") from error
    return Memory(
        root=root,
        floor=_read_floor(stored.floor[0]) if stored.floor else None,
        state=state,
        confirmed=bool(stored.confirmed),
        provisional_until=_read_optional(stored.provisional_until),
        checkpoint=_read_optional(stored.checkpoint),
        boot_count=stored.boot_count,
        sequence=stored.sequence,
        signals=stored.signals,
    )


def _store_floor(floor: Floor) -> _StoredFloor:
    return _StoredFloor(
        floor.lender,
        int(floor.bound),
        floor.delegation_version,
        floor.delegation_hash,
        floor.epoch,
        floor.version,
        floor.state_hash,
    )


def _read_floor(stored: _StoredFloor) -> Floor:
    return Floor(
        lender=stored.lender,
        bound=bool(stored.bound),
        delegation_version=stored.delegation_version,
        delegation_hash=stored.delegation_hash,
        epoch=stored.epoch,
        version=stored.version,
        state_hash=stored.state_hash,
    )


def _store_optional(time: int | None) -> tuple[int, ...]:
    return () if time is None else (time,)


def _read_optional(times: tuple[int, ...]) -> int | None:
    return times[0] if times else None
