"""A phone in a test's hands: its core, driven step by step, with memory that survives a power cycle."""

from collections.abc import Iterable
from hashlib import sha256

from device_sim.adapters.storage import MemoryStorage
from device_sim.identities import simulated_imei
from device_sim.phone.effects import Apply, Effect, Happening, Observed, Persist, Publish, SubscribeRoot, Wake, Wipe
from device_sim.phone.events import (
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
from device_sim.phone.phone import Phone
from device_sim.phone.step import step
from lock_protocol.codec import decode
from lock_protocol.envelope import read_envelope
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level, Signals
from lock_protocol.messages import Hello, Reported
from lock_protocol.topics import PhoneTopic
from tests.loopback.lender import RootAuthority

IMEI = simulated_imei(1)
SEED = sha256(b"device").digest()


class Handset:
    """One phone, its storage and its monotonic clock, which moves only when told."""

    def __init__(self, authority: RootAuthority, *, imei: Imei = IMEI, hardware_floor: bool = False) -> None:
        identity = Identity.from_factory(imei=imei, seed=SEED, root=authority.envelope, hardware_floor=hardware_floor)
        self.imei = imei
        self.phone = Phone.switched_off(identity)
        self.storage = MemoryStorage()
        self.monotonic = 1000.0
        self.wake_at = 0.0
        self.level = Level.UNLOCKED
        self.applied: list[Apply] = []
        self.hellos: list[bytes] = []
        self.reports: list[Reported] = []
        self.roots: list[int] = []
        self.effects: tuple[Effect, ...] = ()
        self._drawn = 0

    # --- what happens to it ---

    def boot(self) -> None:
        self._step(Booted(monotonic=self.monotonic, memory=self.storage.load(self.imei)))

    def cut_power(self) -> None:
        self._step(PowerCut(monotonic=self.monotonic))

    def reboot(self) -> None:
        self.cut_power()
        self.boot()

    def factory_reset(self) -> None:
        self._step(FactoryReset(monotonic=self.monotonic))
        self.boot()

    def connect(self) -> None:
        self._step(Connected(monotonic=self.monotonic, entropy=self._entropy()))

    def disconnect(self) -> None:
        self._step(Disconnected(monotonic=self.monotonic))

    def press_check(self) -> None:
        self._step(UserPressedCheck(monotonic=self.monotonic, entropy=self._entropy()))

    def change_wall_clock(self) -> None:
        self._step(WallClockChanged(monotonic=self.monotonic))

    def raise_signals(self, signals: Signals) -> None:
        self._step(SignalsRaised(monotonic=self.monotonic, signals=signals))

    def receive(self, desired: bytes) -> None:
        self._arrive(PhoneTopic.DESIRED, desired)

    def receive_fresh(self, fresh: bytes) -> None:
        self._arrive(PhoneTopic.FRESH, fresh)

    def receive_root(self, root: bytes) -> None:
        self._step(RootArrived(monotonic=self.monotonic, entropy=self._entropy(), payload=root))

    def wait(self, seconds: float) -> None:
        """Let time pass; the timer fires whenever the phone has asked for it."""
        until = self.monotonic + seconds
        while self.wake_at <= until:
            self.monotonic = max(self.wake_at, self.monotonic)
            self._step(TimerFired(monotonic=self.monotonic, entropy=self._entropy()))
        self.monotonic = until

    # --- what it says ---

    @property
    def condition(self) -> Condition:
        return self.applied[-1].condition

    def shows(self, level: Level) -> bool:
        """Whether this is the level that was applied last."""
        return self.level is level

    @property
    def hello(self) -> bytes:
        """The envelope of its last hello."""
        return self.hellos[-1]

    @property
    def said(self) -> Hello:
        """Its last hello."""
        return decode(Hello, read_envelope(self.hello).payload)

    @property
    def report(self) -> Reported:
        """Its last report."""
        return self.reports[-1]

    def observed(self) -> list[Happening]:
        """What its last step was about."""
        return [effect.happening for effect in self.effects if isinstance(effect, Observed)]

    def refusals(self) -> list[str]:
        """What its last step refused."""
        return [effect.refusal for effect in self.effects if isinstance(effect, Observed) and effect.refusal]

    # --- inside ---

    def _arrive(self, topic: PhoneTopic, payload: bytes) -> None:
        self._step(MessageArrived(monotonic=self.monotonic, entropy=self._entropy(), topic=topic, payload=payload))

    def _step(self, event: Event) -> None:
        self.phone, self.effects = step(self.phone, event)
        self._perform(self.effects)

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Persist(memory):
                    self.storage.save(self.imei, memory)
                case Wipe():
                    self.storage.wipe(self.imei)
                case Apply():
                    self.level = effect.level
                    self.applied.append(effect)
                case Publish(PhoneTopic.HELLO, envelope):
                    self.hellos.append(envelope)
                case Publish(_, envelope):
                    self.reports.append(decode(Reported, read_envelope(envelope).payload))
                case SubscribeRoot(version):
                    self.roots.append(version)
                case Wake(at):
                    self.wake_at = at

    def _entropy(self) -> bytes:
        self._drawn += 1
        return sha256(b"%d" % self._drawn).digest()[:20]
