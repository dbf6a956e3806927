"""Any order of decisions and faults ends with every phone at the level of the newest answer its lender was given.

The answers are kept outside the system, by the test. While faults go on nothing is promised but that; when they stop,
everything converges.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from broker_bridge.domain.commands import Status
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from tests.loopback.world import World
from tests.unit.broker_bridge.facts import overdue, payment, settled

IMEIS = [simulated_imei(number) for number in range(3)]
phones = st.sampled_from(IMEIS)
PATIENCE_S = 65
"""Longer than a phone keeps back a complaint that it has made before."""


class BridgeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.world = World(self.directory / "paylatch.db")
        self.moment = 10
        self.names = 0
        self.picture: dict[str, bytes] = {}
        self.old_states: list[tuple[Imei, bytes]] = []

    @initialize()
    def enrol(self) -> None:
        for imei in IMEIS:
            self.world.enrol(imei)
            self.world.connect(imei)
        self.world.exchange()
        self.picture = dict(self.world.retained)

    def teardown(self) -> None:
        world = self.world
        try:
            world.losing = ""
            world.run(1)  # a connection that is just ending has ended after this
            if not world.online:
                world.connect_bridge()
            for imei in IMEIS:
                world.connect(imei)
            world.exchange()
            world.pass_time(PATIENCE_S)
            for imei in IMEIS:
                # What was written over a topic while the bridge was away is seen by whoever reads the topic next.
                world.disconnect(imei)
                world.connect(imei)
            world.exchange()
            for imei, phone in world.phones.items():
                assert (imei, phone.level) == (imei, world.due_level(imei))
                assert world.newest_command(imei).status is Status.SUCCEEDED
                assert world.desired_on_broker(imei) == world.row(imei).desired.envelope
        finally:
            world.close()
            shutil.rmtree(self.directory)

    # --- lenders ---

    def name(self) -> str:
        self.names += 1
        return f"decision-{self.names}"

    @rule(imei=phones, days=st.sampled_from([3, 10, 40, 90]), late_by=st.sampled_from([0, 0, 0, 5]))
    def a_payment_is_overdue(self, imei: Imei, days: int, late_by: int) -> None:
        self.moment += 1
        self.world.tell(overdue(days, at=self.moment - late_by, imei=imei, name=self.name()))

    @rule(imei=phones, late_by=st.sampled_from([0, 0, 5]))
    def a_payment_arrives(self, imei: Imei, late_by: int) -> None:
        self.moment += 1
        self.world.tell(payment(at=self.moment - late_by, imei=imei, name=self.name()))

    @rule()
    def a_loan_is_settled(self) -> None:
        self.moment += 1
        self.world.tell(settled(at=self.moment, imei=IMEIS[-1], name=self.name()))

    # --- the network ---

    @rule()
    def everything_is_delivered(self) -> None:
        self.world.exchange()

    @rule(seconds=st.integers(1, 12))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @precondition(lambda self: self.world.down)
    @rule(data=st.data(), repeat=st.booleans())
    def a_message_reaches_its_phone_out_of_turn(self, data: st.DataObject, *, repeat: bool) -> None:
        place = data.draw(st.integers(0, len(self.world.down) - 1))
        self.world.deliver_down(self.world.down[place] if repeat else self.world.down.pop(place))

    @precondition(lambda self: self.world.up)
    @rule(data=st.data(), repeat=st.booleans())
    def a_word_reaches_the_bridge_out_of_turn(self, data: st.DataObject, *, repeat: bool) -> None:
        place = data.draw(st.integers(0, len(self.world.up) - 1))
        self.world.deliver_up(self.world.up[place] if repeat else self.world.up.pop(place))
        self.world.run(0.1)

    @rule()
    def what_is_on_its_way_down_is_lost(self) -> None:
        self.world.down.clear()

    @rule()
    def what_is_on_its_way_up_is_lost(self) -> None:
        self.world.up.clear()

    # --- phones ---

    @rule(imei=phones)
    def a_phone_goes_offline(self, imei: Imei) -> None:
        self.world.disconnect(imei)

    @rule(imei=phones)
    def a_phone_comes_back(self, imei: Imei) -> None:
        self.world.connect(imei)

    @rule(imei=phones)
    def a_phone_is_reset(self, imei: Imei) -> None:
        self.world.factory_reset(imei)

    @rule(imei=phones)
    def a_phone_loses_power(self, imei: Imei) -> None:
        self.world.reboot(imei)

    @rule(imei=phones)
    def a_user_asks(self, imei: Imei) -> None:
        self.world.phones[imei].press_check()
        self.world.collect(imei)

    # --- bridge and broker ---

    @rule()
    def the_bridge_is_killed_and_started(self) -> None:
        self.world.kill_bridge()
        self.world.start_bridge()

    @rule()
    def the_bridge_loses_its_connection(self) -> None:
        self.world.cut_bridge()

    @precondition(lambda self: not self.world.online)
    @rule()
    def the_bridge_connects_again(self) -> None:
        self.world.connect_bridge()

    @rule(what=st.sampled_from(["publish", "puback"]))
    def the_next_publish_is_lost(self, what: str) -> None:
        self.world.losing = what

    @rule()
    def the_broker_saves(self) -> None:
        self.picture = dict(self.world.retained)

    @rule(everything=st.booleans())
    def the_broker_is_killed(self, *, everything: bool) -> None:
        self.world.restart_broker({} if everything else self.picture)

    # --- an intruder with the bridge's broker password ---

    @rule(imei=phones)
    def an_intruder_notes_a_state(self, imei: Imei) -> None:
        self.old_states.append((imei, self.world.row(imei).desired.envelope))

    @precondition(lambda self: self.old_states)
    @rule(data=st.data())
    def an_intruder_replays_a_state(self, data: st.DataObject) -> None:
        self.world.intrude(*data.draw(st.sampled_from(self.old_states)))

    @rule(imei=phones, payload=st.sampled_from([b"", b"garbage", b"x" * 5000]))
    def an_intruder_writes_nonsense(self, imei: Imei, payload: bytes) -> None:
        self.world.intrude(imei, payload)


TestBridgeMachine = BridgeMachine.TestCase
TestBridgeMachine.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
