"""The port to what a power cycle does not take away."""

from typing import Protocol

from lock_protocol.imei import Imei

from device_sim.phone.memory import Memory


class StorageError(Exception):
    """What should have been kept, or read, was not; whatever depended on it must not happen."""


class Storage(Protocol):
    """Durable memory, one per phone. A save replaces the whole memory or, when it fails, leaves the old one."""

    def load(self, imei: Imei) -> Memory | None:
        """Return what was last saved, or None.

        Raises:
            StorageError: it cannot be read.
        """

    def save(self, imei: Imei, memory: Memory) -> None:
        """Keep `memory`; it survives anything that happens after this returns.

        Raises:
            StorageError: it is not kept, and the one before still is.
        """

    def wipe(self, imei: Imei) -> None:
        """Forget what was saved, as a factory reset does.

        Raises:
            StorageError: it is still there.
        """
