"""What the cases measure: one lender, one phone that is online and confirmed, and the messages between both.

Everything is made by the code that makes it in production: the states by the bridge's signer, the hello and the report
by the phone's core.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from broker_bridge.adapters.signing.keys import FileSigner, init_development_keys
from device_sim.phone.effects import Effect, Publish
from device_sim.phone.events import ENTROPY_BYTES, Booted, Connected, MessageArrived, UserPressedCheck
from device_sim.phone.identity import Identity
from device_sim.phone.phone import Phone
from device_sim.phone.step import step
from lock_protocol.acceptance import DeviceStanding, PhoneStanding
from lock_protocol.codec import decode, encode
from lock_protocol.envelope import read_envelope
from lock_protocol.imei import luhn_digit, parse_imei
from lock_protocol.keys import SigningKey
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import DesiredState, Fresh, Hello, LenderId, Notice, Reported, StateHash
from lock_protocol.topics import PhoneTopic

LENDER = LenderId("bench")
NOW = 1_800_000_000
KEY = SigningKey.from_seed(bytes(range(32)))
_ENTROPY = bytes(ENTROPY_BYTES)
# Reporting body 00: no real handset has this IMEI.
_BODY = "00999901000001"
IMEI = parse_imei(_BODY + luhn_digit(_BODY))
NOTICE = Notice(
    title="Payment overdue",
    body="b" * 200,
    amount_due=129_900,
    currency="TWD",
    pay_url="https://pay.example.com/1",
)


def build_state(version: int, level: Level) -> DesiredState:
    """Return a state as the bridge builds it."""
    return DesiredState(
        lender=LENDER,
        imei=IMEI,
        epoch=1,
        version=version,
        delegation_version=1,
        level=level,
        reason=Reason.OVERDUE if level is Level.LOCKED else Reason.PAID,
        issued_at=NOW,
        lease_until=0,
        lease_then=level,
        warn_s=0,
        remind_s=0,
        command_id="cmd_0123456789abcdefghijklmn",
        notice=NOTICE,
    )


def copy(data: bytes) -> bytes:
    """Return the same bytes as a new object, as each message arrives: nothing of an earlier one is remembered in it."""
    return bytes(memoryview(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The phone holds version 1, locked and confirmed; version 2 opens it."""

    signer: FileSigner
    phone: Phone
    state: DesiredState
    """Version 2."""
    envelope: bytes
    """Version 2, signed."""
    hello: bytes
    report: bytes
    """On version 2."""

    @property
    def arrival(self) -> MessageArrived:
        """Version 2, arriving at the phone."""
        return _arrival(5.0, PhoneTopic.DESIRED, self.envelope)

    @property
    def check(self) -> UserPressedCheck:
        """The phone's user asking for news."""
        return UserPressedCheck(monotonic=5.0, entropy=_ENTROPY)

    @property
    def phone_standing(self) -> PhoneStanding:
        """What the phone knows when version 2 arrives."""
        return self.phone.standing(NOW)

    @property
    def device_standing(self) -> DeviceStanding:
        """What the bridge knows of the phone."""
        return DeviceStanding(imei=IMEI, device_key=KEY.public, sequence=0)

    @property
    def said(self) -> Reported:
        """The report's message."""
        return decode(Reported, read_envelope(self.report).payload)

    @property
    def answer(self) -> Fresh:
        """What the bridge answers to the hello, but for its signature."""
        return _answer(self.hello, self.state)


def set_scene(directory: Path) -> Scene:
    """Return a scene whose keys are kept in `directory`."""
    init_development_keys(directory, LENDER, now=NOW, hosts=["pay.example.com"])
    signer = FileSigner(directory, development=True)
    locked, opened = build_state(1, Level.LOCKED), build_state(2, Level.UNLOCKED)
    identity = Identity(imei=IMEI, key=KEY, root=signer.root, hardware_floor=False)
    phone, _ = step(Phone.switched_off(identity), Booted(monotonic=1.0, memory=None))
    phone, _ = step(phone, Connected(monotonic=2.0, entropy=_ENTROPY))
    phone, asked = step(phone, _arrival(3.0, PhoneTopic.DESIRED, signer.sign_state(locked)))
    fresh = signer.sign_fresh(_answer(_published(asked), locked))
    phone, _ = step(phone, _arrival(4.0, PhoneTopic.FRESH, fresh))
    envelope = signer.sign_state(opened)
    return Scene(
        signer=signer,
        phone=phone,
        state=opened,
        envelope=envelope,
        hello=_published(step(phone, UserPressedCheck(monotonic=5.0, entropy=_ENTROPY))[1]),
        report=_published(step(phone, _arrival(5.0, PhoneTopic.DESIRED, envelope))[1]),
    )


def _arrival(monotonic: float, topic: PhoneTopic, payload: bytes) -> MessageArrived:
    return MessageArrived(monotonic=monotonic, entropy=_ENTROPY, topic=topic, payload=payload)


def _answer(hello: bytes, state: DesiredState) -> Fresh:
    return Fresh(
        lender=LENDER,
        imei=IMEI,
        nonce=decode(Hello, read_envelope(hello).payload).nonce,
        epoch=state.epoch,
        version=state.version,
        delegation_version=1,
        state_hash=StateHash(sha256(encode(state)).digest()),
        sequence=0,
        now=NOW,
    )


def _published(effects: tuple[Effect, ...]) -> bytes:
    return next(effect.envelope for effect in effects if isinstance(effect, Publish))
