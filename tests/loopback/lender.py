"""A lender with real keys: signs what phones receive, as root, as bridge, and as whoever stole a key."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from lock_protocol.codec import decode
from lock_protocol.envelope import DELEGATION, DESIRED, FRESH, ROOT, read_envelope, seal
from lock_protocol.imei import Imei
from lock_protocol.keys import SigningKey
from lock_protocol.levels import Level, Ops, Reason, operations_required
from lock_protocol.messages import DelegatedKey, Delegation, DesiredState, Fresh, Hello, LenderId, Notice, Root

DAY = 86_400
YEAR = 365 * DAY
EPOCH_BEGIN = 1_700_000_000
PROVISIONAL_S = DAY


def key(name: str) -> SigningKey:
    """The same key for the same name, everywhere."""
    return SigningKey.from_seed(sha256(name.encode()).digest())


@dataclass(frozen=True)
class RootAuthority:
    """The offline root: one key, and the documents it has signed."""

    name: str = "root"
    root_version: int = 1
    provisional_s: int = PROVISIONAL_S
    provisional_level: Level = Level.RESTRICTED
    signers: tuple[str, ...] = ()
    """Names of the keys that sign this root beside its own: those of the root before it."""

    @property
    def root(self) -> Root:
        return Root(
            root_version=self.root_version,
            issued_at=EPOCH_BEGIN,
            threshold=1,
            keys=(key(self.name).public,),
            provisional_s=self.provisional_s,
            provisional_level=self.provisional_level,
        )

    @cached_property
    def envelope(self) -> bytes:
        return seal(ROOT, self.root, [key(name) for name in (self.name, *self.signers)])

    def successor(self, name: str = "root-2") -> "RootAuthority":
        return replace(self, name=name, root_version=self.root_version + 1, signers=(self.name,))


@dataclass
class Lender:
    """A lender's online keys under one delegation, and the newest state it has signed for each phone."""

    authority: RootAuthority = field(default_factory=RootAuthority)
    name: str = "acme-mobile"
    epoch: int = 1
    delegation_version: int = 1
    expires_at: int = EPOCH_BEGIN + YEAR
    max_level: Level = Level.LOCKED
    max_lease_s: int = 90 * DAY
    now: int = EPOCH_BEGIN + DAY
    newest: dict[Imei, DesiredState] = field(default_factory=dict)

    @property
    def lock_key(self) -> SigningKey:
        return key(f"{self.name} lock")

    @property
    def open_key(self) -> SigningKey:
        return key(f"{self.name} open")

    @property
    def delegation(self) -> bytes:
        keys = sorted(
            [
                DelegatedKey(self.lock_key.public, Ops.LOCK),
                DelegatedKey(self.open_key.public, Ops.UNLOCK | Ops.RELEASE | Ops.FRESH),
            ],
            key=lambda one: one.public,
        )
        delegation = Delegation(
            lender=LenderId(self.name),
            root_version=self.authority.root_version,
            epoch=self.epoch,
            version=self.delegation_version,
            issued_at=EPOCH_BEGIN,
            expires_at=self.expires_at,
            keys=tuple(keys),
            max_level=self.max_level,
            max_lease_s=self.max_lease_s,
            hosts=("pay.example",),
        )
        return seal(DELEGATION, delegation, [key(self.authority.name)])

    def state(self, imei: Imei, level: Level, *, version: int | None = None, **fields: Any) -> DesiredState:
        """The next state of a phone, unsigned. `fields` replaces any field of it."""
        newest = self.newest.get(imei)
        following = 1 if newest is None or newest.epoch != self.epoch else newest.version + 1
        values: dict[str, Any] = {
            "lender": LenderId(self.name),
            "imei": imei,
            "epoch": self.epoch,
            "version": version or following,
            "delegation_version": self.delegation_version,
            "level": level,
            "reason": Reason.PAID if level.is_open else Reason.OVERDUE,
            "issued_at": self.now,
            "lease_until": 0,
            "lease_then": level,
            "warn_s": 0,
            "remind_s": 0,
            "command_id": "cmd",
            "notice": Notice(title=level.name.title()),
        }
        return DesiredState(**values | fields)

    def sign(self, state: DesiredState, *keys: SigningKey) -> bytes:
        """A state's envelope; without `keys` signed by those that it needs."""
        return seal(DESIRED, state, keys or self._signers(state), self.delegation)

    def order(self, imei: Imei, level: Level, **fields: Any) -> bytes:
        """The next state of a phone, signed: its newest from now on."""
        state = self.state(imei, level, **fields)
        self.newest[imei] = state
        return self.sign(state)

    def answer(self, hello: bytes, *, sequence: int = 0, **fields: Any) -> bytes:
        """The `Fresh` for a hello: which state is newest."""
        asked = decode(Hello, read_envelope(hello).payload)
        newest = self.newest[asked.imei]
        values: dict[str, Any] = {
            "lender": LenderId(self.name),
            "imei": asked.imei,
            "nonce": asked.nonce,
            "epoch": newest.epoch,
            "version": newest.version,
            "delegation_version": self.delegation_version,
            "state_hash": read_envelope(self.sign(newest)).payload_hash,
            "sequence": max(sequence, asked.sequence),
            "now": self.now,
        }
        return seal(FRESH, Fresh(**values | fields), [self.open_key], self.delegation)

    def _signers(self, state: DesiredState) -> list[SigningKey]:
        needed = operations_required(state.level, state.lease_then)
        signers = [self.lock_key] if needed & Ops.LOCK else []
        return [*signers, self.open_key] if needed & (Ops.UNLOCK | Ops.RELEASE) else signers
