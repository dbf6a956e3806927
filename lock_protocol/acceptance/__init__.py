"""What makes a message count: the ordered rules, the floor they move, the phone's time, freshness and leases.

Everything here is a pure function of the message's bytes and of what its receiver already knows (a `Standing`).
"""

from lock_protocol.acceptance.evidence import Verified
from lock_protocol.acceptance.floor import Floor, floor_after_fresh, floor_after_state
from lock_protocol.acceptance.freshness import Holding, confirms, effective_level
from lock_protocol.acceptance.lease import lease_fired, lease_level
from lock_protocol.acceptance.rules import (
    DeviceStanding,
    PhoneStanding,
    accept_fresh,
    accept_hello,
    accept_report,
    accept_state,
)
from lock_protocol.acceptance.time import TrustedClock, raised_by_fresh, raised_by_state

__all__ = [
    "DeviceStanding",
    "Floor",
    "Holding",
    "PhoneStanding",
    "TrustedClock",
    "Verified",
    "accept_fresh",
    "accept_hello",
    "accept_report",
    "accept_state",
    "confirms",
    "effective_level",
    "floor_after_fresh",
    "floor_after_state",
    "lease_fired",
    "lease_level",
    "raised_by_fresh",
    "raised_by_state",
]
