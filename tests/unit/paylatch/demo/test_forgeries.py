"""What the intruder sends, judged by a real phone core: each is refused, by the expected name, and changes nothing."""

import pytest

from device_sim.identities import simulated_imei
from device_sim.phone.effects import Happening
from lock_protocol.envelope import MAX_ENVELOPE_BYTES
from lock_protocol.levels import Level
from paylatch.demo.forgeries import LARGEST_MESSAGE_BYTES, Forgery, Loot, forgeries
from tests.loopback.handset import IMEI, Handset
from tests.loopback.lender import Lender, key

OTHER = simulated_imei(2)


def settled(lender: Lender, *levels: Level) -> tuple[Handset, list[bytes]]:
    """Return a phone that has been at these levels, the last one confirmed, and the states that brought it there."""
    handset = Handset(lender.authority)
    handset.boot()
    handset.connect()
    states = [lender.order(IMEI, level) for level in levels]
    for state in states:
        handset.receive(state)
    handset.receive_fresh(lender.answer(handset.hello))
    return handset, states


def attack(newest: Level, older: Level) -> tuple[Handset, list[Forgery]]:
    lender = Lender()
    handset, (old, new) = settled(lender, older, newest)
    loot = Loot(newest=new, older=old, foreign=lender.order(OTHER, older))
    return handset, list(forgeries(loot, key("intruder")))


@pytest.mark.parametrize(("newest", "older"), [(Level.LOCKED, Level.UNLOCKED), (Level.UNLOCKED, Level.LOCKED)])
def test_each_is_refused_by_its_name_and_changes_nothing(newest: Level, older: Level) -> None:
    handset, made = attack(newest, older)
    before = handset.phone.memory.floor, handset.level, handset.condition
    refused = []
    for forgery in made:
        handset.receive(forgery.message)
        assert Happening.ACCEPTED not in handset.observed()
        refused.append((forgery.what, handset.refusals()))
    assert refused == [(forgery.what, [forgery.refusal.__name__]) for forgery in made]
    assert (handset.phone.memory.floor, handset.level, handset.condition) == before


def test_they_try_ten_of_the_rules() -> None:
    _, made = attack(Level.LOCKED, Level.UNLOCKED)
    assert {forgery.refusal.__name__ for forgery in made} == {
        "TooLarge",
        "Malformed",
        "EmptyState",
        "UnsupportedVersion",
        "UnknownType",
        "BadDelegation",
        "UnknownKey",
        "BadSignature",
        "WrongPhone",
        "Rollback",
    }


def test_oversized_ones_reach_from_one_byte_too_many_to_what_the_broker_allows() -> None:
    _, made = attack(Level.LOCKED, Level.UNLOCKED)
    sizes = [len(forgery.message) for forgery in made if forgery.refusal.__name__ == "TooLarge"]
    assert (min(sizes), max(sizes)) == (MAX_ENVELOPE_BYTES + 1, LARGEST_MESSAGE_BYTES)


def test_without_an_older_state_nothing_is_replayed() -> None:
    lender = Lender()
    newest = lender.order(IMEI, Level.LOCKED)
    made = forgeries(Loot(newest=newest, older=None, foreign=lender.order(OTHER, Level.LOCKED)), key("intruder"))
    assert "Rollback" not in {forgery.refusal.__name__ for forgery in made}
