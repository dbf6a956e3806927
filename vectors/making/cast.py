"""Who appears in the vectors: fixed keys, two lenders, two phones, roots, delegations and one ordinary state.

Everything follows from the names in here; no randomness and no clock, so that the same files are made every time.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

from lock_protocol.codec import encode
from lock_protocol.envelope import DELEGATION, ROOT, pre_authentication, seal
from lock_protocol.imei import Imei, luhn_digit, parse_imei
from lock_protocol.keys import PublicKey, SigningKey
from lock_protocol.levels import Condition, Level, Ops, Reason, Result, Signals
from lock_protocol.messages import (
    DelegatedKey,
    Delegation,
    DesiredState,
    Fresh,
    Hello,
    LenderId,
    Notice,
    Reported,
    Root,
    StateHash,
)

DAY = 86_400
START = 1_767_225_600
"""2026-01-01T00:00:00Z, when the root is made."""
NOW = START + 100 * DAY
"""The phone's trusted time, unless a vector says otherwise."""


def seed(name: str) -> bytes:
    """Return the published seed of a named key. Whoever trusts one of these trusts everybody."""
    return sha256(f"paylatch vectors: {name}".encode()).digest()


def key(name: str) -> SigningKey:
    """Return a named key."""
    return SigningKey.from_seed(seed(name))


def key_with_id_above(other: SigningKey, name: str) -> SigningKey:
    """Return the first of the keys `name 0`, `name 1`, ... whose id sorts after that of `other`."""
    return next(one for one in (key(f"{name} {number}") for number in range(100)) if one.id > other.id)


def test_imei(number: int) -> Imei:
    """Return a test IMEI: reporting body 00 is no real handset's."""
    body = f"00440100{number:06d}"
    return parse_imei(body + luhn_digit(body))


PHONE = test_imei(1)
OTHER_PHONE = test_imei(2)
LENDER = LenderId("acme-credit")
OTHER_LENDER = LenderId("beta-bank")

ROOT_KEYS = tuple(key(f"root 1 {letter}") for letter in "abc")
NEXT_ROOT_KEYS = tuple(key(f"root 2 {letter}") for letter in "abc")
LOCK = key("lock")
UNLOCK = key("unlock")
RELEASE = key("release")
FRESH_KEY = key("fresh")
STRANGER = key("stranger")
DEVICE = key("device")


def publics(keys: Iterable[SigningKey]) -> tuple[PublicKey, ...]:
    """Return the public halves, ascending as the tables want them."""
    return tuple(sorted(one.public for one in keys))


def delegated(ops: dict[SigningKey, Ops]) -> tuple[DelegatedKey, ...]:
    """Return a delegation's key list: ascending."""
    return tuple(sorted((DelegatedKey(one.public, may) for one, may in ops.items()), key=lambda one: one.public))


ROOT_1 = Root(
    root_version=1,
    issued_at=START,
    threshold=2,
    keys=publics(ROOT_KEYS),
    provisional_s=3600,
    provisional_level=Level.RESTRICTED,
)
ROOT_2 = replace(ROOT_1, root_version=2, issued_at=START + 300 * DAY, keys=publics(NEXT_ROOT_KEYS))

OPS = {LOCK: Ops.LOCK, UNLOCK: Ops.UNLOCK, RELEASE: Ops.RELEASE, FRESH_KEY: Ops.FRESH}
GRANT = Delegation(
    lender=LENDER,
    root_version=1,
    epoch=2,
    version=3,
    issued_at=START + 10 * DAY,
    expires_at=START + 200 * DAY,
    keys=delegated(OPS),
    max_level=Level.LOCKED,
    max_lease_s=30 * DAY,
    hosts=("pay.acme.example", "help.acme.example"),
)


def root_envelope(root: Root = ROOT_1, by: Iterable[SigningKey] = ROOT_KEYS[:2]) -> bytes:
    """Return the envelope of a root."""
    return seal(ROOT, root, by)


def grant_envelope(grant: Delegation = GRANT, by: Iterable[SigningKey] = ROOT_KEYS[:2]) -> bytes:
    """Return the envelope of a delegation."""
    return seal(DELEGATION, grant, by)


PINNED = root_envelope()
GRANTED = grant_envelope()

NOTICE = Notice(
    title="Payment overdue",
    body="Your payment of May is 34 days late.\nPay in the app and the phone opens at once.",
    amount_due=129_900,
    currency="TWD",
    pay_url="https://pay.acme.example/p/7Qx",
    support_phone="+886212345678",
    appeal_url="https://help.acme.example/appeal",
)
LOCKED_STATE = DesiredState(
    lender=LENDER,
    imei=PHONE,
    epoch=2,
    version=41,
    delegation_version=3,
    level=Level.LOCKED,
    reason=Reason.OVERDUE,
    issued_at=NOW - 60,
    lease_until=0,
    lease_then=Level.LOCKED,
    warn_s=0,
    remind_s=0,
    command_id="01JZ0Q8V5T9M3N7K2R4X6Y8W0A",
    notice=NOTICE,
)
OPEN_STATE = replace(
    LOCKED_STATE, level=Level.UNLOCKED, lease_then=Level.UNLOCKED, reason=Reason.PAID, notice=Notice(title="Thank you")
)
RELEASED_STATE = replace(
    OPEN_STATE, level=Level.RELEASED, lease_then=Level.RELEASED, reason=Reason.SETTLED, notice=Notice()
)

NONCE = sha256(b"paylatch vectors: nonce").digest()[:16]


def hash_of(payload: bytes) -> StateHash:
    """Return the hash by which a payload is known."""
    return StateHash(sha256(payload).digest())


HELD = hash_of(encode(LOCKED_STATE))
FRESH_ANSWER = Fresh(
    lender=LENDER,
    imei=PHONE,
    nonce=NONCE,
    epoch=2,
    version=41,
    delegation_version=3,
    state_hash=HELD,
    sequence=17,
    now=NOW,
)
HELLO_MESSAGE = Hello(
    lender=LENDER,
    imei=PHONE,
    nonce=NONCE,
    boot_count=5,
    sequence=18,
    root_version=1,
    delegation_version=3,
    epoch=2,
    version=41,
    state_hash=HELD,
    effective_level=Level.LOCKED,
    condition=Condition.APPLIED,
    signals=Signals.SIM | Signals.CLOCK,
    trusted_now=NOW,
)
REPORT_MESSAGE = Reported(
    lender=LENDER,
    imei=PHONE,
    epoch=2,
    version=41,
    state_hash=HELD,
    effective_level=Level.LOCKED,
    condition=Condition.APPLIED,
    result=Result.APPLIED,
    about_epoch=2,
    about_version=41,
    about_hash=HELD,
    detail="",
    applied_at=NOW,
    boot_count=5,
    sequence=18,
    signals=Signals(0),
)


def signature(type_: str, payload: bytes, by: SigningKey) -> tuple[bytes, bytes]:
    """Return key id and signature of any type and payload, as an envelope holds them."""
    return by.id, by.sign(pre_authentication(type_, payload))
