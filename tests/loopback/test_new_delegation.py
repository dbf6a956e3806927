"""A new delegation: every state is signed again under it, and whatever cannot be holds up nobody else."""

import pytest
from sqlalchemy import update

from broker_bridge.adapters.store.tables import phones
from broker_bridge.app.resign import sign_all_again
from broker_bridge.domain.commands import Status
from broker_bridge.domain.phones import Desired
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from tests.loopback.world import World
from tests.unit.broker_bridge.facts import overdue

PAID, LATE = simulated_imei(1), simulated_imei(2)


@pytest.fixture(autouse=True)
def enrolled(world: World) -> None:
    """An open phone and a locked one; the bridge is disconnected, as it is while it starts."""
    for imei in (PAID, LATE):
        world.enrol(imei)
        world.connect(imei)
    world.tell(overdue(90, at=1, imei=LATE))
    world.exchange()
    world.cut_bridge()


def install(world: World, *, epoch: int = 1, max_level: Level = Level.LOCKED) -> None:
    """Install delegation 2, as a bridge that starts finds it."""
    lender = world.office.lender
    lender.delegation_version, lender.epoch, lender.max_level = 2, epoch, max_level
    world.loop.run(
        sign_all_again(world.store.commits, world.store.signed, world.office.signer, world.office.queue, world.log)
    )


def desired(world: World, imei: Imei) -> Desired:
    return world.row(imei).desired


@pytest.mark.parametrize(("epoch", "orders"), [(1, [(1, 2), (1, 3)]), (2, [(2, 1), (2, 1)])])
def test_every_phone_gets_its_state_again_under_the_new_delegation(
    world: World, epoch: int, orders: list[tuple[int, int]]
) -> None:
    install(world, epoch=epoch)
    assert [desired(world, imei).order for imei in (PAID, LATE)] == orders
    assert {desired(world, imei).state.delegation_version for imei in (PAID, LATE)} == {2}
    world.connect_bridge()
    world.exchange()
    assert [world.phones[imei].level for imei in (PAID, LATE)] == [Level.UNLOCKED, Level.LOCKED]
    assert {world.newest_command(imei).status for imei in (PAID, LATE)} == {Status.SUCCEEDED}


def test_what_is_signed_under_the_newest_delegation_already_is_left_alone(world: World) -> None:
    install(world)
    install(world)
    assert [desired(world, imei).order for imei in (PAID, LATE)] == [(1, 2), (1, 3)]


def test_a_lock_that_the_new_delegation_does_not_allow_stays_and_somebody_is_told(world: World) -> None:
    install(world, max_level=Level.REMINDER)
    assert [desired(world, imei).state.delegation_version for imei in (PAID, LATE)] == [2, 1]
    assert world.log.events("critical") == ["not_signed_again"]


def test_a_row_that_cannot_be_read_keeps_no_other_from_being_signed(world: World) -> None:
    world.loop.run(world.store.execute(update(phones).where(phones.c.imei == PAID).values(envelope=b"rubbish")))
    install(world)
    assert desired(world, LATE).state.delegation_version == 2
    assert world.log.events("critical") == ["not_signed_again"]
