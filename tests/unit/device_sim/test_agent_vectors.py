"""The golden scenarios of an agent, played to the simulated phone."""

from collections.abc import Callable
from typing import Any

from device_sim.phone.effects import Effect, Persist, Publish, Wipe
from device_sim.phone.events import (
    JITTER_BYTES,
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
from device_sim.phone.memory import Memory, from_bytes, to_bytes
from device_sim.phone.phone import Phone, Stage
from device_sim.phone.step import TRANSITIONS, step
from lock_protocol.acceptance import DeviceStanding, accept_hello, accept_report
from lock_protocol.imei import parse_imei
from lock_protocol.levels import Signals
from lock_protocol.messages import Hello, Reported
from lock_protocol.topics import PhoneTopic
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.golden import Vector

# A monotonic clock starts anywhere.
_START = 1000.0


class Agent:
    """The phone of one scenario, with storage that survives a power cycle."""

    def __init__(self, scenario: Vector) -> None:
        identity = Identity.from_factory(
            imei=parse_imei(scenario["imei"]),
            seed=bytes.fromhex(scenario["device_seed"]),
            root=bytes.fromhex(scenario["root"]),
            hardware_floor=scenario["hardware_floor"],
        )
        self._phone = Phone.switched_off(identity)
        self._stored: bytes | None = None
        self._monotonic = _START

    def play(self, given: Vector) -> Vector:
        """Let one step happen; return what the phone is, says and keeps then."""
        self._monotonic += given["elapsed"]
        self._phone, effects = step(self._phone, self.event(given))
        published = [said for effect in effects for said in self._perform(effect)]
        return {**self._shown(), "published": published, "durable": self._durable()}

    def event(self, given: Vector) -> Event:
        at = self._monotonic
        asking: dict[str, Any] = {"monotonic": at}
        if "nonce" in given:
            asking["entropy"] = bytes.fromhex(given["nonce"]) + bytes(JITTER_BYTES)
        events: dict[str, Callable[[], Event]] = {
            "boot": lambda: Booted(monotonic=at, memory=self._memory()),
            "power_cut": lambda: PowerCut(monotonic=at),
            "factory_reset": lambda: FactoryReset(monotonic=at),
            "connect": lambda: Connected(**asking),
            "disconnect": lambda: Disconnected(monotonic=at),
            "tick": lambda: TimerFired(**asking),
            "press_check": lambda: UserPressedCheck(**asking),
            "set_wall_clock": lambda: WallClockChanged(monotonic=at),
            "signals": lambda: SignalsRaised(monotonic=at, signals=Signals(given["signals"])),
            "message": lambda: self._arrival(given, asking),
        }
        return events[given["event"]]()

    def _arrival(self, given: Vector, asking: dict[str, Any]) -> Event:
        payload = bytes.fromhex(given["message"])
        if given["topic"] == "root":
            return RootArrived(payload=payload, **asking)
        return MessageArrived(topic=PhoneTopic(given["topic"]), payload=payload, **asking)

    def _perform(self, effect: Effect) -> list[Vector]:
        match effect:
            case Persist(memory):
                self._stored = to_bytes(memory)
            case Wipe():
                self._stored = None
            case Publish(topic, envelope):
                return [{"topic": topic.value, "fields": golden.fields_of(self._verified(topic, envelope))}]
        return []

    def _verified(self, topic: PhoneTopic, envelope: bytes) -> Hello | Reported:
        identity = self._phone.identity
        bridge = DeviceStanding(imei=identity.imei, device_key=identity.key.public, sequence=-1)
        if topic is PhoneTopic.HELLO:
            return accept_hello(envelope, bridge).message
        return accept_report(envelope, bridge).message

    def _shown(self) -> Vector:
        if self._phone.stage is Stage.OFF:
            return {"level": None, "condition": None, "trusted_now": None}
        now = self._phone.clock.now(self._monotonic)
        level, condition = self._phone.effective(now)
        assert self._phone.shown == (level, condition)
        return {"level": level, "condition": condition, "trusted_now": now}

    def _memory(self) -> Memory | None:
        return None if self._stored is None else from_bytes(self._stored)

    def _durable(self) -> Vector | None:
        memory = self._memory()
        if memory is None:
            return None
        root, floor = memory.root or self._phone.identity.root, memory.floor
        return {
            "root_version": root.root_version,
            "floor": floor,
            "holds_state": memory.state is not None,
            "confirmed": memory.confirmed,
            "provisional_until": memory.provisional_until,
            "boot_count": memory.boot_count,
            "signals": memory.signals,
        }


def expected(given: Vector) -> Vector:
    """Return what a step expects, its floor as the library has it."""
    durable = given["expect"]["durable"]
    kept = None if durable is None else durable | {"floor": golden.floor_of(durable["floor"])}
    return {**given["expect"], "durable": kept}


@golden.every("agent")
def test_a_phone_does_what_an_agent_has_to_do(vector: Vector) -> None:
    agent = Agent(vector)
    for number, given in enumerate(vector["steps"]):
        assert agent.play(given) == expected(given), f"step {number}: {given['event']}"


def test_the_readme_names_every_kind_of_step_and_every_field_of_one() -> None:
    readme = (golden.DIRECTORY / "README.md").read_text(encoding="utf-8")
    steps = [given for scenario in golden.read("agent") for given in scenario["steps"]]
    named = {given["event"] for given in steps} | {field for given in steps for field in (*given, *given["expect"])}
    named |= {field for given in steps for field in given["expect"]["durable"] or ()}
    assert {name for name in named if f"`{name}`" not in readme} == set()


def test_everything_that_can_happen_to_a_phone_happens_in_a_scenario() -> None:
    happens = {
        type(agent.event(given)) for one in golden.read("agent") for agent in [Agent(one)] for given in one["steps"]
    }
    assert happens == {event for _, event in TRANSITIONS}
