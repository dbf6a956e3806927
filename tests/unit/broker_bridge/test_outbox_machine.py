"""The outbox under any order of events, against a model that is too simple to be wrong."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker_bridge.app.outbox import SET_ASIDE_S, Outbox
from broker_bridge.app.records import Outgoing
from broker_bridge.domain.lanes import Lane
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId

WINDOW, LIMIT = 4, 6
PHONES = [simulated_imei(number) for number in range(9)]
phones = st.sampled_from(PHONES)


class OutboxMachine(RuleBasedStateMachine):
    """The model: what is in flight, the newest version that went out, and the newest that was taken and has not."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Outbox(window=WINDOW, lane_limit=LIMIT)
        self.box.overflowed.clear()
        self.now = 0.0
        self.versions: dict[Imei, int] = dict.fromkeys(PHONES, 0)
        self.offered: dict[Imei, Outgoing] = {}
        self.flying: dict[Imei, Outgoing] = {}
        self.went_out: dict[Imei, int] = dict.fromkeys(PHONES, 0)
        self.owed: dict[Imei, int] = {}

    def offer(self, state: Outgoing) -> None:
        version = state.order[1]
        if not self.box.offer(state):
            assert state.lane in self.box.overflowed, "what is not taken has to be remembered"
            return
        flying = self.flying.get(state.imei)
        already = version == self.went_out[state.imei] and flying is not None and not state.repetition
        if version >= self.went_out[state.imei] and not already:
            self.owed[state.imei] = max(version, self.owed.get(state.imei, 0))

    @rule(imei=phones, lane=st.sampled_from(Lane))
    def a_new_version(self, imei: Imei, lane: Lane) -> None:
        self.versions[imei] += 1
        lender = LenderId(f"lender-{PHONES.index(imei) % 2}")
        order = (1, self.versions[imei])
        self.offered[imei] = Outgoing(lender=lender, imei=imei, lane=lane, order=order, envelope=b"")
        self.offer(self.offered[imei])

    @rule(imei=phones, repetition=st.booleans(), behind=st.integers(0, 2))
    def the_same_or_an_older_one_again(self, imei: Imei, behind: int, *, repetition: bool) -> None:
        if (last := self.offered.get(imei)) is not None:
            order = (1, max(last.order[1] - behind, 1))
            self.offer(
                Outgoing(
                    lender=last.lender, imei=imei, lane=last.lane, order=order, envelope=b"", repetition=repetition
                )
            )

    @rule()
    def one_goes_out(self) -> None:
        state = self.box.take(self.now)
        if state is None:
            return
        version = state.order[1]
        assert state.imei not in self.flying, "two in flight for one phone"
        assert version >= self.went_out[state.imei], "an older one after a newer one"
        assert version == self.owed.pop(state.imei), "something else than the newest that was taken"
        self.flying[state.imei], self.went_out[state.imei] = state, version

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def one_is_acknowledged(self, data: st.DataObject) -> None:
        self.box.acknowledged(self.flying.pop(data.draw(st.sampled_from(sorted(self.flying)))))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def one_is_refused(self, data: st.DataObject) -> None:
        state = self.flying.pop(data.draw(st.sampled_from(sorted(self.flying))))
        self.box.refused(state, self.now)
        self.owed.setdefault(state.imei, state.order[1])

    @rule()
    def the_connection_ends(self) -> None:
        self.box.connection_lost()
        for imei, state in self.flying.items():
            self.owed.setdefault(imei, state.order[1])
        self.flying.clear()

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, SET_ASIDE_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def slow_lanes_use_at_most_half_of_the_window(self) -> None:
        slow = sum(state.lane is not Lane.OPENING for state in self.flying.values())
        assert slow <= WINDOW // 2
        assert self.box.in_flight == len(self.flying) <= WINDOW

    @invariant()
    def nothing_grows_without_bound(self) -> None:
        # What comes back from a lost connection, or as a newer version, is taken even where its lane is full.
        assert all(self.box.depth(lane) <= len(PHONES) for lane in Lane)
        assert all(sum(map(len, turns.values())) <= len(PHONES) for turns in self.box._turns.values())

    def teardown(self) -> None:
        """In the end everything that was taken goes out, whatever was refused or cut off on the way."""
        self.the_connection_ends()
        self.now += 2 * SET_ASIDE_S
        while (state := self.box.take(self.now)) is not None:
            assert state.order[1] == self.owed.pop(state.imei)
            self.box.acknowledged(state)
        assert self.owed == {}, "taken, and lost"


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
