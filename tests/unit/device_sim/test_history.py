"""Whatever happens to a phone, in whatever order: the unpaid never stay open, the paid never stay locked.

The machine plays the borrower and the network. It owns the phone (resets, reboots, clocks), keeps every message that
was ever sent to it, and delivers them when and as often as it likes. It has no keys.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from device_sim.phone.phone import Stage
from lock_protocol.levels import Level
from tests.loopback.handset import IMEI, Handset
from tests.loopback.lender import DAY, Lender, RootAuthority

HOUR = 3600
PROVISIONAL_S = HOUR


class Borrower(RuleBasedStateMachine):
    """A phone, its lender, and somebody between the two who wants it open."""

    def __init__(self) -> None:
        super().__init__()
        self.lender = Lender(RootAuthority(provisional_s=PROVISIONAL_S))
        self.phone = Handset(self.lender.authority)
        self.messages: list[bytes] = []
        self.open_for = 0.0
        """For how long the phone has been open without a break, and nothing has confirmed that it may."""
        self.answered = False
        """Whether the bridge has answered since the floor was last lost."""
        self.highest = (0, 0)
        """The highest order that the phone has accepted since then."""

    @initialize(level=st.sampled_from([Level.UNLOCKED, Level.LOCKED]))
    def enrol(self, level: Level) -> None:
        self.phone.boot()
        self.order(level)

    # --- the lender ---

    @rule(level=st.sampled_from([Level.UNLOCKED, Level.REMINDER, Level.RESTRICTED, Level.LOCKED]))
    def order(self, level: Level) -> None:
        self.messages.append(self.lender.order(IMEI, level))
        self.lender.now += HOUR

    @rule()
    def begin_an_epoch(self) -> None:
        """Somebody lost a key: the root sets everything on a new footing, and all states are signed again."""
        newest = self.lender.newest[IMEI]
        self.lender.epoch += 1
        self.lender.delegation_version += 1
        self.order(newest.level)

    # --- the borrower ---

    @rule()
    def reset(self) -> None:
        self.phone.factory_reset()
        self.answered, self.highest = False, (0, 0)

    @rule()
    def reboot(self) -> None:
        self.phone.reboot()

    @rule()
    def change_the_wall_clock(self) -> None:
        self.phone.change_wall_clock()

    @precondition(lambda self: self.phone.phone.stage is Stage.OFFLINE)
    @rule()
    def connect(self) -> None:
        self.phone.connect()

    @precondition(lambda self: self.phone.phone.stage is Stage.ONLINE)
    @rule()
    def disconnect(self) -> None:
        self.phone.disconnect()

    # --- the network ---

    @precondition(lambda self: self.phone.phone.stage is Stage.ONLINE)
    @rule(data=st.data())
    def deliver_any_message_ever_sent(self, data: st.DataObject) -> None:
        self.phone.receive(data.draw(st.sampled_from(self.messages)))

    @precondition(lambda self: self.phone.phone.stage is Stage.ONLINE)
    @rule()
    def let_the_phone_and_the_bridge_talk(self) -> None:
        """The hello gets through and is answered: the newest state first, then the `Fresh`."""
        self.phone.press_check()
        self.phone.receive(self.lender.sign(self.lender.newest[IMEI]))
        self.phone.receive_fresh(self.lender.answer(self.phone.hello))
        newest = self.lender.newest[IMEI]
        assert self.phone.level is newest.level
        self.answered = True

    # --- time ---

    @rule(seconds=st.sampled_from([1, 59, 61, HOUR / 2, PROVISIONAL_S]))
    def wait(self, seconds: float) -> None:
        """Let time pass in pieces, to see when the phone closes."""
        for _ in range(4):
            self.phone.wait(seconds / 4)
            self.lender.now += int(seconds / 4)
            self.open_for = self.open_for + seconds / 4 if self.may_be_open_for_a_while() else 0.0
            assert self.open_for <= PROVISIONAL_S + 2, "an unpaid phone stays open"

    def may_be_open_for_a_while(self) -> bool:
        """Whether the phone is open only because an old opening was replayed to it after a reset."""
        return self.phone.level.is_open and not self.phone.phone.memory.confirmed

    @invariant()
    def only_an_answer_confirms(self) -> None:
        assert self.phone.phone.memory.confirmed == self.answered

    @invariant()
    def the_floor_never_falls(self) -> None:
        floor = self.phone.phone.memory.floor
        order = (0, 0) if floor is None else (floor.epoch, floor.version)
        assert order >= self.highest
        self.highest = order

    @invariant()
    def nothing_is_shown_that_is_not_durable(self) -> None:
        assert self.phone.storage.load(IMEI) == self.phone.phone.memory


TestBorrower = Borrower.TestCase
TestBorrower.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("resets", [0, 1])
def test_a_paid_and_connected_phone_opens_by_itself(resets: int) -> None:
    """No button is pressed: the phone's own hellos bring the state."""
    lender = Lender(RootAuthority())
    phone = Handset(lender.authority)
    phone.boot()
    phone.connect()
    phone.receive(lender.order(IMEI, Level.LOCKED))
    phone.receive_fresh(lender.answer(phone.hello))
    for _ in range(resets):
        phone.factory_reset()
        phone.connect()
    lender.order(IMEI, Level.UNLOCKED)
    asked = len(phone.hellos)
    phone.wait(HOUR / 4)
    assert len(phone.hellos) > asked
    phone.receive(lender.sign(lender.newest[IMEI]))
    phone.receive_fresh(lender.answer(phone.hello))
    assert phone.shows(Level.UNLOCKED)
    phone.wait(2 * DAY)
    assert phone.shows(Level.UNLOCKED)
