"""One lender and one phone of its own."""

import pytest

from device_sim.phone.hello import AWAIT_STATE_S
from lock_protocol.levels import Level
from tests.loopback.handset import IMEI, Handset
from tests.loopback.lender import Lender, RootAuthority


@pytest.fixture
def authority() -> RootAuthority:
    return RootAuthority()


@pytest.fixture
def lender(authority: RootAuthority) -> Lender:
    return Lender(authority)


@pytest.fixture
def fresh_phone(authority: RootAuthority) -> Handset:
    """Booted for the first time, connected, and without a state from the broker: it has said hello."""
    handset = Handset(authority)
    handset.boot()
    handset.connect()
    handset.wait(AWAIT_STATE_S)
    return handset


@pytest.fixture
def locked_phone(fresh_phone: Handset, lender: Lender) -> Handset:
    """Holds a confirmed lock."""
    fresh_phone.receive(lender.order(IMEI, Level.LOCKED))
    fresh_phone.receive_fresh(lender.answer(fresh_phone.hello))
    return fresh_phone


@pytest.fixture
def paid_phone(locked_phone: Handset, lender: Lender) -> Handset:
    """Holds a confirmed opening."""
    locked_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    return locked_phone
