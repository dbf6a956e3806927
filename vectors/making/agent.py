"""One phone driven step by step: what happens to it, and what an agent has to do then, as agent.json prints it."""

from hashlib import sha256
from typing import Any, Self

from device_sim.phone.effects import Effect, Persist, Publish, Wipe
from device_sim.phone.events import (
    JITTER_BYTES,
    NONCE_BYTES,
    Booted,
    Connected,
    Disconnected,
    Event,
    FactoryReset,
    MessageArrived,
    PowerCut,
    RootArrived,
    SignalsRaised,
    TimerFired,
    UserPressedCheck,
    WallClockChanged,
)
from device_sim.phone.identity import Identity
from device_sim.phone.memory import Memory
from device_sim.phone.phone import Phone, Stage
from device_sim.phone.step import step
from lock_protocol.acceptance import Floor
from lock_protocol.codec import decode, encode
from lock_protocol.envelope import HELLO, REPORTED, read_envelope
from lock_protocol.levels import Signals
from lock_protocol.messages import DesiredState, Fresh, Hello
from lock_protocol.topics import PhoneTopic
from vectors.making import cast
from vectors.making.parts import Parts, Vector, desired, fresh, plain, vector

_KINDS = {PhoneTopic.HELLO: HELLO, PhoneTopic.REPORTED: REPORTED}


class Story:
    """A phone's life so far. Every method is one step, `elapsed` seconds after the one before."""

    def __init__(self, name: str, *, hardware_floor: bool = False) -> None:
        self._name = name
        self._hardware_floor = hardware_floor
        identity = Identity.from_factory(
            imei=cast.PHONE, seed=cast.seed("device"), root=cast.PINNED, hardware_floor=hardware_floor
        )
        self._phone = Phone.switched_off(identity)
        self._stored: Memory | None = None
        self._monotonic = 0.0
        self._steps: list[Vector] = []
        self._nonce = b""
        self._sequence = 0

    def entry(self) -> Vector:
        """Return the entry that tells this story."""
        return vector(
            self._name,
            imei=cast.PHONE,
            device_seed=cast.seed("device"),
            root=cast.PINNED,
            hardware_floor=self._hardware_floor,
            steps=self._steps,
        )

    # --- power, connection, surroundings ---

    def boot(self) -> Self:
        """Give the phone power."""
        return self._step("boot", Booted(monotonic=self._monotonic, memory=self._stored))

    def cut_power(self) -> Self:
        """Take the power away."""
        return self._step("power_cut", PowerCut(monotonic=self._monotonic))

    def factory_reset(self) -> Self:
        """Erase what can be erased; the phone is off then."""
        return self._step("factory_reset", FactoryReset(monotonic=self._monotonic))

    def connect(self) -> Self:
        """Connect to the broker."""
        return self._step("connect", Connected(monotonic=self._monotonic, entropy=self._entropy()))

    def disconnect(self) -> Self:
        """Lose the connection."""
        return self._step("disconnect", Disconnected(monotonic=self._monotonic))

    def tick(self, elapsed: float) -> Self:
        """Let time pass, and the phone look at what has become due."""
        self._monotonic += elapsed
        return self._step("tick", TimerFired(monotonic=self._monotonic, entropy=self._entropy()), elapsed)

    def press_check(self) -> Self:
        """Press "check payment status"."""
        return self._step("press_check", UserPressedCheck(monotonic=self._monotonic, entropy=self._entropy()))

    def set_wall_clock(self) -> Self:
        """Set the wall clock to anything."""
        return self._step("set_wall_clock", WallClockChanged(monotonic=self._monotonic))

    def notice(self, signals: Signals) -> Self:
        """Have the phone notice something about itself."""
        return self._step("signals", SignalsRaised(monotonic=self._monotonic, signals=signals), signals=signals)

    # --- messages ---

    def receive(self, message: DesiredState | Parts | bytes, elapsed: float = 0) -> Self:
        """Deliver a state; one that is not in an envelope yet is signed as it needs to be."""
        parts = desired(message) if isinstance(message, DesiredState) else message
        return self._arrive(PhoneTopic.DESIRED, parts.pack() if isinstance(parts, Parts) else parts, elapsed)

    def receive_fresh(self, message: Parts) -> Self:
        """Deliver a `Fresh`."""
        return self._arrive(PhoneTopic.FRESH, message.pack(), 0)

    def confirm(self, newest: DesiredState, **fields: Any) -> Self:
        """Deliver the answer to the phone's last hello: `newest` is the newest state."""
        return self.receive_fresh(fresh(self.answer(newest, **fields)))

    def answer(self, newest: DesiredState, **fields: Any) -> Fresh:
        """Return the answer to the phone's last hello."""
        values = {
            "lender": newest.lender,
            "imei": newest.imei,
            "nonce": self._nonce,
            "epoch": newest.epoch,
            "version": newest.version,
            "delegation_version": newest.delegation_version,
            "state_hash": cast.hash_of(encode(newest)),
            "sequence": self._sequence,
            "now": cast.NOW,
        }
        return Fresh(**values | fields)

    def receive_root(self, envelope: bytes) -> Self:
        """Deliver a root."""
        event = RootArrived(monotonic=self._monotonic, entropy=self._entropy(), payload=envelope)
        return self._step("message", event, topic="root", message=envelope)

    def _arrive(self, topic: PhoneTopic, message: bytes, elapsed: float) -> Self:
        self._monotonic += elapsed
        event = MessageArrived(monotonic=self._monotonic, entropy=self._entropy(), topic=topic, payload=message)
        return self._step("message", event, elapsed, topic=topic.value, message=message)

    # --- inside ---

    def _entropy(self) -> bytes:
        """Return a nonce that no other step has, and no jitter."""
        return sha256(f"{self._name} {len(self._steps)}".encode()).digest()[:NONCE_BYTES] + bytes(JITTER_BYTES)

    def _step(self, name: str, event: Event, elapsed: float = 0, **given: Any) -> Self:
        nonce = {"nonce": event.nonce} if hasattr(event, "nonce") else {}
        self._phone, effects = step(self._phone, event)
        published = [self._perform(effect) for effect in effects]
        expected = {
            **self._shown(),
            "published": [one for one in published if one is not None],
            "durable": self._durable(),
        }
        self._steps.append(plain({"event": name, "elapsed": elapsed, **given, **nonce, "expect": expected}))
        return self

    def _perform(self, effect: Effect) -> Vector | None:
        """Do what the phone wants done; return what it published, if that was it."""
        match effect:
            case Persist(memory):
                self._stored = memory
            case Wipe():
                self._stored = None
            case Publish(topic, envelope):
                message = decode(_KINDS[topic].message, read_envelope(envelope).payload)
                self._sequence = max(self._sequence, message.sequence)
                if isinstance(message, Hello):
                    self._nonce = message.nonce
                return {"topic": topic.value, "fields": message}
        return None

    def _shown(self) -> Vector:
        phone = self._phone
        if phone.stage is Stage.OFF or phone.shown is None:
            return {"level": None, "condition": None, "trusted_now": None}
        level, condition = phone.shown
        return {"level": level, "condition": condition, "trusted_now": phone.clock.now(self._monotonic)}

    def _durable(self) -> Vector | None:
        memory = self._stored
        if memory is None:
            return None
        return {
            "root_version": (memory.root or cast.ROOT_1).root_version,
            "floor": None if memory.floor is None else _floor(memory.floor),
            "holds_state": memory.state is not None,
            "confirmed": memory.confirmed,
            "provisional_until": memory.provisional_until,
            "boot_count": memory.boot_count,
            "signals": memory.signals,
        }


def _floor(floor: Floor) -> Vector:
    names = ("lender", "bound", "delegation_version", "delegation_hash", "epoch", "version", "state_hash")
    return {name: getattr(floor, name) for name in names}
