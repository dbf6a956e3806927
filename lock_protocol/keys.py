"""Ed25519 keys and their ids, with libsodium's rules (S below L, no small-order or non-canonical points)."""

from dataclasses import dataclass
from hashlib import sha256
from typing import NewType, Self

from nacl import bindings
from nacl.exceptions import BadSignatureError

PublicKey = NewType("PublicKey", bytes)
"""32 raw bytes."""

KeyId = NewType("KeyId", bytes)
"""The first 8 bytes of SHA-256 of the raw public key."""

PUBLIC_KEY_BYTES = 32
SEED_BYTES = 32
SIGNATURE_BYTES = 64


def key_id(public: PublicKey) -> KeyId:
    """Return the id by which envelopes name this key."""
    return KeyId(sha256(public).digest()[:8])


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key that signs. It shows its id and never its secret."""

    public: PublicKey
    id: KeyId
    """The id of the public half."""
    _secret: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Return the key of a 32-byte seed (RFC 8032, section 5.1.5).

        Raises:
            ValueError: a seed of another length.
        """
        if len(seed) != SEED_BYTES:
            msg = f"an Ed25519 seed has {SEED_BYTES} bytes, this one {len(seed)}"
            raise ValueError(msg)
        public, secret = bindings.crypto_sign_seed_keypair(seed)
        return cls(PublicKey(public), key_id(PublicKey(public)), secret)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`; the same every time."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        """Name the key by its id only."""
        return f"SigningKey(id={self.id.hex()})"


def verifies(public: PublicKey, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is `public`'s signature of `message`, by libsodium's rules."""
    try:
        bindings.crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True


def is_usable(public: PublicKey) -> bool:
    """Return whether these 32 bytes are a point that signatures can verify under: canonical, of the prime order."""
    return bindings.crypto_core_ed25519_is_valid_point(public)
