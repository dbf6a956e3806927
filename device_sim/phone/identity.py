"""Who a phone is: what the factory put into it, and no factory reset takes away."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from lock_protocol.imei import Imei
from lock_protocol.keys import SigningKey
from lock_protocol.messages import Root
from lock_protocol.trust import pinned_root

# A fleet's phones share one root or a few; each root is verified, and kept, once.
_read_root = lru_cache(maxsize=64)(pinned_root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What firmware and hardware hold: the IMEI, the device key, the first root."""

    imei: Imei
    key: SigningKey
    root: Root
    """The root that the firmware pins; all later ones are followed from it."""
    hardware_floor: bool
    """Whether hardware keeps the floor through a factory reset."""

    @classmethod
    def from_factory(cls, *, imei: Imei, seed: bytes, root: bytes, hardware_floor: bool = False) -> Self:
        """Return the identity of a phone with this device seed (32 bytes) and this root's envelope.

        Raises:
            BadRoot: the root is not signed by its own threshold.
            ValueError: a seed of another length.
        """
        key = SigningKey.from_seed(seed)
        return cls(imei=imei, key=key, root=_read_root(root), hardware_floor=hardware_floor)
