"""Keys in files: the bridge's online keys with their delegations, and a development root that makes both.

    keys/root.envelope                 the first root, as the first phones pinned it
    keys/root.{n}.envelope             the roots that follow it, one by one, without gaps
    keys/root.key                      its private half: in development only, in production it stays offline
    keys/{lender}/delegation.envelope  what this lender's online keys may do
    keys/{lender}/{lock,unlock,fresh}.key

A key file holds the 32-byte seed in hexadecimal and is readable by its owner alone.
"""

import os
import stat
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker_bridge.app.ports.signing import PublishedRoot, UnknownLenderError
from broker_bridge.domain.policy import DAY_S
from lock_protocol.envelope import DELEGATION, DESIRED, FRESH, ROOT, seal
from lock_protocol.keys import SEED_BYTES, PublicKey, SigningKey
from lock_protocol.levels import Level, Ops, operations_required
from lock_protocol.messages import DelegatedKey, Delegation, DesiredState, Fresh, LenderId, Root
from lock_protocol.refusals import Refusal
from lock_protocol.trust import as_pinned, follow_root, pinned_root, verify_delegation

PRODUCTION_THRESHOLD = 2
DEVELOPMENT_DELEGATION_S = 365 * DAY_S
DEVELOPMENT_LEASE_S = 200 * DAY_S
_KEY_OPS = {"lock": Ops.LOCK, "unlock": Ops.UNLOCK | Ops.RELEASE, "fresh": Ops.FRESH}
_ROOT_KEY, _ROOT_ENVELOPE, _DELEGATION_ENVELOPE = "root.key", "root.envelope", "delegation.envelope"


class KeyFileError(Exception):
    """A key or a document that is missing, unsafe or does not fit; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _Lender:
    """What the bridge signs with for one lender."""

    delegation: Delegation
    envelope: bytes
    keys: dict[Ops, SigningKey]
    """For each single operation, a key that may sign it."""
    signers: dict[Ops, list[SigningKey]]
    """For each set of operations, the different keys that sign it together."""


class FileSigner:
    """The `Signer` of `broker_bridge.app.ports.signing`."""

    def __init__(self, directory: Path, *, development: bool) -> None:
        """Load and check everything below `directory`.

        Raises:
            KeyFileError: something is missing, readable by others, or not signed by the root.
        """
        self.roots = trusted_roots(directory, development=development)
        self.root = self.roots[-1].root
        self.root_to_pin = as_pinned(self.roots[-1].envelope)
        """The envelope of the newest root for a phone whose firmware pins none."""
        self._directory = directory
        self._lenders = {lender: _load_lender(self.root, directory / lender) for lender in lenders_in(directory)}
        self._loading = threading.Lock()
        self._at_start_only: frozenset[LenderId] = frozenset()

    def load_at_start_only(self, lenders: Iterable[LenderId]) -> None:
        """Take keys that come later of new lenders only, and never of these.

        The states of phones that are enrolled have to be compared with a delegation, and signed again under a newer
        one, before anything else is signed under it: that is what the start does.
        """
        self._at_start_only = frozenset(lenders)

    def delegation(self, lender: LenderId) -> Delegation:
        """Return the lender's newest delegation."""
        return self._of(lender).delegation

    def delegations(self) -> Sequence[Delegation]:
        """Return the newest delegation of every lender."""
        return [lender.delegation for lender in list(self._lenders.values())]

    def sign_state(self, state: DesiredState) -> bytes:
        """Return the envelope of a state, signed by the keys that its operations need."""
        lender = self._of(state.lender)
        signers = lender.signers[operations_required(state.level, state.lease_then)]
        return seal(DESIRED, state, signers, lender.envelope)

    def sign_fresh(self, fresh: Fresh) -> bytes:
        """Return the envelope of a fresh."""
        lender = self._of(fresh.lender)
        return seal(FRESH, fresh, [lender.keys[Ops.FRESH]], lender.envelope)

    def _of(self, lender: LenderId) -> _Lender:
        found = self._lenders.get(lender)
        return self._load_later(lender) if found is None else found

    def _load_later(self, lender: LenderId) -> _Lender:
        """Load a lender that was added after the start.

        States are signed on the store's thread and answers to hellos on the event loop's: one of them loads.
        """
        home = self._directory / lender
        if lender in self._at_start_only or not (home / _DELEGATION_ENVELOPE).exists():
            raise UnknownLenderError(f"the bridge has no keys and delegation for lender {lender}")
        with self._loading:
            if lender not in self._lenders:
                try:
                    self._lenders[lender] = _load_lender(self.root, home)
                except KeyFileError as error:
                    # Lenders read this, and where the bridge keeps its keys is not their business.
                    raise UnknownLenderError(
                        f"the bridge cannot use its keys for lender {lender}; `paylatch config check` says why"
                    ) from error
            return self._lenders[lender]


def trusted_roots(directory: Path, *, development: bool) -> list[PublishedRoot]:
    """Return the chain of roots below `directory`, the newest last.

    Raises:
        KeyFileError: something is missing, does not follow, or must not be outside development.
    """
    if not development and (directory / _ROOT_KEY).exists():
        raise KeyFileError(f"{directory / _ROOT_KEY}: the root's private key must not be where the bridge runs")
    roots = _load_roots(directory)
    newest = roots[-1].root
    if not development and newest.threshold < PRODUCTION_THRESHOLD:
        raise KeyFileError(
            f"{directory}: one signature is enough for root {newest.root_version}; outside development it takes "
            f"{PRODUCTION_THRESHOLD} people at least to say whom phones obey"
        )
    return roots


def lenders_in(directory: Path) -> list[LenderId]:
    """Return the lenders that have a delegation below `directory`, whether it can be used or not."""
    return [LenderId(path.parent.name) for path in sorted(directory.glob(f"*/{_DELEGATION_ENVELOPE}"))]


def usable_delegation(directory: Path, lender: LenderId) -> Delegation | None:
    """Return the delegation under which a bridge could sign for a lender; None where it has nothing for it.

    Raises:
        KeyFileError: something is missing, readable by others, or not signed by the root.
    """
    home = directory / lender
    return _load_lender(_load_roots(directory)[-1].root, home).delegation if home.exists() else None


def init_development_keys(
    directory: Path,
    lender: LenderId,
    *,
    now: int,
    hosts: Sequence[str],
    provisional_s: int = 60,
    provisional_level: Level = Level.RESTRICTED,
) -> None:
    """Make a 1-of-1 root (unless there is one already), online keys for one lender, and its delegation.

    For development: whoever holds `root.key` can do everything, and here it lies beside the keys it rules over.

    Raises:
        KeyFileError: the lender has keys already; they are never overwritten.
        ValueError: hosts that no delegation can name; the lender then has no keys yet.
    """
    home = directory / lender
    if home.exists():
        raise KeyFileError(f"{home} exists already; keys are never overwritten, remove it yourself to start over")
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / _ROOT_KEY).exists():
        _make_root(directory, now, provisional_s, provisional_level)
    root_key, root = _read_key(directory / _ROOT_KEY), pinned_root(_read(directory / _ROOT_ENVELOPE))
    seeds = {name: os.urandom(SEED_BYTES) for name in _KEY_OPS}
    publics = {SigningKey.from_seed(seed).public: _KEY_OPS[name] for name, seed in seeds.items()}
    delegation = Delegation(
        lender=lender,
        root_version=root.root_version,
        epoch=1,
        version=1,
        issued_at=now,
        expires_at=now + DEVELOPMENT_DELEGATION_S,
        keys=tuple(DelegatedKey(public, publics[public]) for public in sorted(publics)),
        max_level=Level.LOCKED,
        max_lease_s=DEVELOPMENT_LEASE_S,
        hosts=tuple(hosts),
    )
    # Before anything is written: keys without their delegation would be in the way of the next try.
    envelope = seal(DELEGATION, delegation, [root_key])
    home.mkdir()
    for name, seed in seeds.items():
        _write_key(home / f"{name}.key", seed)
    (home / _DELEGATION_ENVELOPE).write_bytes(envelope)


def _make_root(directory: Path, now: int, provisional_s: int, provisional_level: Level) -> None:
    seed = os.urandom(SEED_BYTES)
    key = SigningKey.from_seed(seed)
    root = Root(
        root_version=1,
        issued_at=now,
        threshold=1,
        keys=(key.public,),
        provisional_s=provisional_s,
        provisional_level=provisional_level,
    )
    _write_key(directory / _ROOT_KEY, seed)
    (directory / _ROOT_ENVELOPE).write_bytes(seal(ROOT, root, [key]))


def _load_roots(directory: Path) -> list[PublishedRoot]:
    """Return the chain of roots, walked as every phone walks it."""
    path = directory / _ROOT_ENVELOPE
    envelope = _read(path)
    try:
        roots = [PublishedRoot(pinned_root(envelope), envelope)]
        while (path := directory / f"root.{roots[-1].root.root_version + 1}.envelope").exists():
            envelope = _read(path)
            roots.append(PublishedRoot(follow_root(roots[-1].root, envelope), envelope))
    except Refusal as refusal:
        raise KeyFileError(f"{path}: {refusal.name}: {refusal}") from refusal
    return roots


def _load_lender(root: Root, home: Path) -> _Lender:
    envelope = _read(home / _DELEGATION_ENVELOPE)
    try:
        delegation = verify_delegation(root, envelope)
    except Refusal as refusal:
        raise KeyFileError(f"{home / _DELEGATION_ENVELOPE}: {refusal}") from refusal
    if delegation.lender != home.name:
        raise KeyFileError(f"{home / _DELEGATION_ENVELOPE} is for lender {delegation.lender}")
    allowed: dict[PublicKey, Ops] = {key.public: key.ops for key in delegation.keys}
    keys: dict[Ops, SigningKey] = {}
    for path in sorted(home.glob("*.key")):
        key = _read_key(path)
        for operation in Ops:
            if operation in allowed.get(key.public, Ops(0)):
                keys[operation] = key
    missing = [str(operation.name).lower() for operation in Ops if operation not in keys]
    if missing:
        raise KeyFileError(f"{home}: no delegated key for {', '.join(missing)}")
    return _Lender(delegation, envelope, keys, {needed: _signers(keys, needed) for needed in map(Ops, range(1, 16))})


def _signers(keys: dict[Ops, SigningKey], needed: Ops) -> list[SigningKey]:
    return list({keys[one].public: keys[one] for one in Ops if one in needed}.values())


def _write_key(path: Path, seed: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(seed.hex() + "\n")


def _read_key(path: Path) -> SigningKey:
    text = _read(path).decode("ascii", "replace").strip()
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyFileError(f"{path} has mode {mode:o}; a private key is for its owner alone: chmod 600 {path}")
    try:
        return SigningKey.from_seed(bytes.fromhex(text))
    except ValueError as error:
        raise KeyFileError(f"{path}: expected {SEED_BYTES} bytes in hexadecimal") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; `paylatch keys init` makes development keys") from error
