"""What survives: the same promises from the fleet's memory and from files, and no step without its write."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from device_sim.adapters.storage import FileStorage, MemoryStorage
from device_sim.fleet.alarms import Alarms
from device_sim.fleet.counters import Counters
from device_sim.fleet.link import Arrived, LinkError
from device_sim.fleet.simulated_phone import SimulatedPhone, Surroundings
from device_sim.fleet.watches import Watches
from device_sim.identities import FleetPhone, simulated_imei
from device_sim.phone.memory import CorruptMemoryError, Memory, from_bytes, to_bytes
from device_sim.phone.storage import Storage, StorageError
from lock_protocol.codec import decode
from lock_protocol.envelope import read_envelope
from lock_protocol.imei import Imei
from lock_protocol.levels import Level, Signals
from lock_protocol.messages import Hello
from lock_protocol.topics import PhoneTopic
from tests.loopback.handset import IMEI, Handset
from tests.loopback.lender import Lender, RootAuthority

Opener = Callable[[], Storage]


@pytest.fixture(params=["memory", "files"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Returns the storage as it is found after a power cycle, every time anew."""
    if request.param == "files":
        return lambda: FileStorage(tmp_path / "memories")
    kept = MemoryStorage()
    return lambda: kept


@pytest.fixture
def full(locked_phone: Handset, authority: RootAuthority, lender: Lender) -> Memory:
    """A memory with something in every field."""
    locked_phone.receive_root(authority.successor().envelope)
    locked_phone.raise_signals(Signals.SIM | Signals.CLOCK)
    lender.authority, lender.delegation_version = authority.successor(), 2
    locked_phone.receive(lender.order(IMEI, Level.NOTICE))
    return replace(locked_phone.phone.memory, provisional_until=7)


def test_nothing_is_there_before_something_is_saved(opened: Opener) -> None:
    assert opened().load(IMEI) is None


def test_what_was_saved_comes_back(opened: Opener, full: Memory) -> None:
    opened().save(IMEI, full)
    assert opened().load(IMEI) == full


def test_the_last_save_counts(opened: Opener, full: Memory) -> None:
    opened().save(IMEI, full)
    opened().save(IMEI, Memory(boot_count=9))
    assert opened().load(IMEI) == Memory(boot_count=9)


def test_phones_have_memories_of_their_own(opened: Opener, full: Memory) -> None:
    opened().save(IMEI, full)
    assert opened().load(simulated_imei(2)) is None


def test_a_wipe_leaves_nothing(opened: Opener, full: Memory) -> None:
    opened().save(IMEI, full)
    opened().wipe(IMEI)
    opened().wipe(IMEI)
    assert opened().load(IMEI) is None


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_file_half_written_leaves_the_one_before(tmp_path: Path, full: Memory) -> None:
    FileStorage(tmp_path).save(IMEI, full)
    (tmp_path / f"{IMEI}.new").write_bytes(b"the power went h")
    assert FileStorage(tmp_path).load(IMEI) == full


def test_a_file_that_no_phone_wrote_is_an_error(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    storage.save(IMEI, Memory())
    (tmp_path / f"{IMEI}.memory").write_bytes(b"\x00")
    with pytest.raises(StorageError, match="not a phone's memory"):
        storage.load(IMEI)


def test_a_directory_that_is_gone_is_an_error(tmp_path: Path, full: Memory) -> None:
    storage = FileStorage(tmp_path / "memories")
    (tmp_path / "memories").rmdir()
    with pytest.raises(StorageError, match="cannot write"):
        storage.save(IMEI, full)
    with pytest.raises(StorageError, match="cannot remove"):
        storage.wipe(IMEI)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    FileStorage(tmp_path / "memories").save(IMEI, Memory())
    assert (tmp_path / "memories").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "memories" / f"{IMEI}.memory").stat().st_mode & 0o777 == 0o600


# --- bytes ---------------------------------------------------------------------------------------------------------


def test_a_memory_has_one_sequence_of_bytes(full: Memory) -> None:
    assert from_bytes(to_bytes(full)) == full
    assert to_bytes(from_bytes(to_bytes(full))) == to_bytes(full)


def test_an_empty_memory_is_not_an_absent_one() -> None:
    assert from_bytes(to_bytes(Memory())) == Memory()


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"\x00", lambda _: b""])
def test_damaged_bytes_are_refused(full: Memory, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CorruptMemoryError):
        from_bytes(damage(to_bytes(full)))


def test_no_bit_can_flip_unnoticed(full: Memory) -> None:
    data = to_bytes(full)
    for place in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(CorruptMemoryError):
            from_bytes(bytes(damaged))


def test_a_state_that_is_not_the_floors_is_refused(full: Memory, lender: Lender) -> None:
    other = lender.state(IMEI, Level.UNLOCKED)
    with pytest.raises(ValueError, match="the state's hash is not the floor's"):
        to_bytes(replace(full, state=other))


# --- a phone whose storage fails -----------------------------------------------------------------------------------


class FailingStorage(MemoryStorage):
    """Storage that can be told to fail, as a worn-out flash does."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def save(self, imei: Imei, memory: Memory) -> None:
        if self.broken:
            raise StorageError("worn out")
        super().save(imei, memory)

    def wipe(self, imei: Imei) -> None:
        if self.broken:
            raise StorageError("worn out")
        super().wipe(imei)


class HeldLink:
    """A connection that keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[PhoneTopic, bytes]] = []

    def publish(self, topic: PhoneTopic, envelope: bytes) -> None:
        self.sent.append((topic, envelope))

    def subscribe_root(self, root_version: int) -> None:
        raise AssertionError(f"no root {root_version} in these tests")


class Setup:
    """One phone of a fleet, on storage that can fail, with no network."""

    def __init__(self, handset: Handset) -> None:
        self.storage = FailingStorage()
        self.around = Surroundings(
            storage=self.storage, alarms=Alarms(lambda _: None), counters=Counters(), watches=Watches()
        )
        login = FleetPhone(identity=handset.phone.identity, password="unused")
        self.phone = SimulatedPhone(login, self.around)
        self.link = HeldLink()

    def shows(self, level: Level) -> bool:
        return self.phone.handset.level is level

    def receive(self, payload: bytes) -> None:
        self.phone.arrived(Arrived(PhoneTopic.DESIRED, payload))


@pytest.fixture
def setup(fresh_phone: Handset, lender: Lender) -> Setup:
    """Connected, and locked by a state."""
    setup = Setup(fresh_phone)
    setup.phone.power_on()
    setup.phone.opened(setup.link)
    setup.receive(lender.order(IMEI, Level.LOCKED))
    assert setup.shows(Level.LOCKED)
    return setup


def test_what_cannot_be_kept_is_neither_applied_nor_reported(setup: Setup, lender: Lender) -> None:
    kept, sent = setup.storage.load(IMEI), len(setup.link.sent)
    setup.storage.broken = True
    with pytest.raises(LinkError):
        setup.receive(lender.order(IMEI, Level.UNLOCKED))
    assert setup.shows(Level.LOCKED)
    assert (setup.storage.load(IMEI), len(setup.link.sent)) == (kept, sent)
    assert setup.around.counters.storage_failures == 1


def test_an_agent_that_crashed_starts_again_from_what_is_stored(setup: Setup, lender: Lender) -> None:
    opening = lender.order(IMEI, Level.UNLOCKED)
    setup.storage.broken = True
    with pytest.raises(LinkError):
        setup.receive(opening)
    setup.phone.closed()
    setup.phone.ring()
    assert setup.around.counters.storage_failures == 2
    setup.storage.broken = False
    setup.phone.ring()
    assert setup.shows(Level.LOCKED)
    setup.phone.opened(setup.link)
    setup.receive(opening)
    assert setup.shows(Level.UNLOCKED)


def test_a_crash_between_the_write_and_the_rest_loses_nothing(setup: Setup, lender: Lender) -> None:
    setup.receive(lender.order(IMEI, Level.UNLOCKED))
    # Another phone on the same storage is this one after a crash that let the write through and nothing else.
    after = SimulatedPhone(setup.phone.login, setup.around)
    after.power_on()
    link = HeldLink()
    after.opened(link)
    after.press_check()
    hello = decode(Hello, read_envelope(link.sent[0][1]).payload)
    assert (hello.epoch, hello.version) == (1, 2)


def test_a_reset_that_cannot_erase_is_an_error(setup: Setup) -> None:
    setup.storage.broken = True
    setup.phone.closed()
    with pytest.raises(StorageError):
        setup.phone.factory_reset()
    assert setup.shows(Level.LOCKED)


def test_a_phone_that_cannot_boot_leaves_its_handset_alone(setup: Setup) -> None:
    setup.phone.closed()
    setup.storage.broken = True
    with pytest.raises(StorageError):
        setup.phone.power_cycle()
    setup.phone.press_check()
    assert setup.shows(Level.LOCKED)
