"""Signatures that lax Ed25519 verifiers take and these rules refuse (RFC 8032, section 5.1; libsodium's checks)."""

from hashlib import sha512
from itertools import count

from lock_protocol.keys import SigningKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
IDENTITY = (1).to_bytes(32, "little")
ORDER_2 = (P - 1).to_bytes(32, "little")
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
NON_CANONICAL_IDENTITY = (P + 1).to_bytes(32, "little")
NEGATIVE_ZERO_IDENTITY = IDENTITY[:31] + b"\x80"
NO_POINT = (2).to_bytes(32, "little")
"""No x goes with y = 2."""
NON_CANONICAL_POINT = (P + 3).to_bytes(32, "little")
"""A point of large order, y = 3, in the bytes that it must not have."""


def malleated(signature: bytes) -> bytes:
    """Return the same signature with S + L for S: equal to a verifier that does not check S < L."""
    scalar = int.from_bytes(signature[32:], "little")
    return signature[:32] + (scalar + L).to_bytes(32, "little")


def private_scalar(seed: bytes) -> int:
    """Return the scalar of a seed's private key, so that the public key is this many times the base point."""
    digest = bytearray(sha512(seed).digest()[:32])
    digest[0] &= 248
    digest[31] = digest[31] & 63 | 64
    return int.from_bytes(digest, "little") % L


def challenge(commitment: bytes, public: bytes, message: bytes) -> int:
    """Return the number h of the equation S B = R + h A."""
    return int.from_bytes(sha512(commitment + public + message).digest(), "little") % L


def signature_under_small_order(seed: bytes) -> bytes:
    """Return (R, S) with S B = R.

    That is a signature of every message under the identity as public key, and of one message in eight under a key
    of order eight: h A vanishes.
    """
    return SigningKey.from_seed(seed).public + private_scalar(seed).to_bytes(32, "little")


def message_that_vanishes(public: bytes, signature: bytes) -> bytes:
    """Return a message for which h is a multiple of eight, so that `signature` holds under a key of small order."""
    messages = (b"small order %d" % number for number in count())
    return next(one for one in messages if challenge(signature[:32], public, one) % 8 == 0)


def signature_with_small_commitment(seed: bytes, message: bytes) -> bytes:
    """Return (R, S) with the identity for R: only the key's owner can make it, and only a lax verifier takes it."""
    public = SigningKey.from_seed(seed).public
    scalar = challenge(IDENTITY, public, message) * private_scalar(seed) % L
    return IDENTITY + scalar.to_bytes(32, "little")
