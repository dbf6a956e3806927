"""The chain of trust: a pinned root, the roots that follow it one by one, and the delegations it signs."""

from dataclasses import replace
from functools import lru_cache

from lock_protocol.codec import decode, encode
from lock_protocol.envelope import (
    DELEGATION,
    ENVELOPE_VERSION,
    MAX_ENVELOPE_BYTES,
    ROOT,
    Envelope,
    M,
    MessageType,
    ShapeError,
    open_envelope,
)
from lock_protocol.keys import PublicKey, key_id
from lock_protocol.messages import Delegation, Root
from lock_protocol.refusals import BadDelegation, BadRoot, Refusal, RootNotNext

# A bridge and a fleet meet few delegations, again and again; the bound only keeps hostile ones from piling up.
_REMEMBERED = 256


def pinned_root(data: bytes) -> Root:
    """Return the root that firmware pins: one signed by its own threshold.

    Raises:
        BadRoot: it is not.
    """
    envelope, root = _document(ROOT, data, BadRoot)
    _require_threshold(envelope, [root], BadRoot)
    return root


def follow_root(pinned: Root, data: bytes) -> Root:
    """Return the next root: signed by the thresholds of the pinned one and of its own.

    Roots are followed one by one, so that a phone that was off for years walks the same chain as all others.

    Raises:
        BadRoot: a shape, a schema or signatures that are not right.
        RootNotNext: any number but `pinned.root_version + 1`; its signatures are not looked at.
    """
    envelope, root = _document(ROOT, data, BadRoot)
    if root.root_version != pinned.root_version + 1:
        detail = f"root {root.root_version} does not follow root {pinned.root_version}"
        raise RootNotNext(detail)
    _require_threshold(envelope, [pinned, root], BadRoot)
    return root


def as_pinned(data: bytes) -> bytes:
    """Return the envelope of a trusted root as a phone without one pins it: signed by keys of its own and no others.

    One that follows another root carries that one's signatures too, and `pinned_root` takes no signer that it cannot
    know.

    Raises:
        BadRoot: a shape or a schema that is not right; signatures are not judged.
    """
    envelope, root = _document(ROOT, data, BadRoot)
    own = {key_id(key) for key in root.keys}
    return encode(replace(envelope, signatures=tuple(one for one in envelope.signatures if one.key_id in own)))


@lru_cache(maxsize=_REMEMBERED)
def verify_delegation(root: Root, data: bytes) -> Delegation:
    """Return the delegation in this envelope when the root's threshold has signed it.

    Raises:
        BadDelegation: a shape, a schema or signatures that are not right, or another root's delegation.
    """
    envelope, delegation = _document(DELEGATION, data, BadDelegation)
    if delegation.root_version != root.root_version:
        detail = f"made under root {delegation.root_version}, this is root {root.root_version}"
        raise BadDelegation(detail)
    _require_threshold(envelope, [root], BadDelegation)
    return delegation


def _document(kind: MessageType[M], data: bytes, error: type[Refusal]) -> tuple[Envelope, M]:
    """Return an envelope and its payload, whose signatures are still to be judged."""
    if len(data) > MAX_ENVELOPE_BYTES:
        raise error("too large")
    try:
        envelope = open_envelope(kind, data)
    except ShapeError as wrong:
        raise error(str(wrong)) from wrong
    if (envelope.version, envelope.type) != (ENVELOPE_VERSION, kind.media_type):
        raise error("another version or type")
    try:
        return envelope, decode(kind.message, envelope.payload)
    except ValueError as wrong:
        raise error(str(wrong)) from wrong


def _require_threshold(envelope: Envelope, roots: list[Root], error: type[Refusal]) -> None:
    """Refuse an envelope unless all its signatures verify and each root's threshold is among them.

    The signatures are ascending by key id and no root has two keys of one id, so all counted keys are distinct.
    """
    keys: dict[bytes, PublicKey] = {key_id(key): key for root in roots for key in root.keys}
    for signature in envelope.signatures:
        public = keys.get(signature.key_id)
        if public is None:
            raise error(f"signed by {signature.key_id.hex()}, which is no key of the root")
        if not envelope.is_signed_by(public, signature):
            raise error(f"the signature by {signature.key_id.hex()} does not verify")
    signed = {signature.key_id for signature in envelope.signatures}
    for root in roots:
        count = sum(key_id(key) in signed for key in root.keys)
        if count < root.threshold:
            raise error(f"{count} signatures by keys of root {root.root_version}, {root.threshold} needed")
