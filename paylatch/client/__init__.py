"""A client for lenders: what happens to loans goes to a bridge, what becomes of it comes back.

Over HTTP with `connect`, over MQTT with `connect_mqtt`; a decision is the same either way.

    async with connect("https://paylatch.example", api_key) as bridge:
        decided = await bridge.decide(
            PaymentReceived(decision_id="payment-4711", imei=imei, occurred_at=paid_at, cures=True)
        )

It needs no other part of Paylatch but the words that all of them share.
"""

from paylatch.client.answers import (
    Command,
    Decided,
    Desired,
    DryRunPage,
    Enrolled,
    Event,
    Held,
    Hold,
    Holds,
    Import,
    Lease,
    Loan,
    Missing,
    MqttAccess,
    Phone,
    PolicyCheck,
    PolicyDocument,
    PolicyVersion,
    Reported,
    Step,
    WouldChange,
    to_json,
)
from paylatch.client.bridge import Bridge, Outcome
from paylatch.client.connecting import connect
from paylatch.client.decisions import (
    Decision,
    DecisionLike,
    DisputeClosed,
    DisputeOpened,
    GraceGranted,
    LoanSettled,
    LostOrStolen,
    PaymentDue,
    PaymentOverdue,
    PaymentReceived,
    PaymentReversed,
    Recovered,
    Resend,
    new_decision_id,
)
from paylatch.client.errors import (
    ConflictError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    PaylatchError,
    Problem,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnprovenError,
)
from paylatch.client.imports import Imports
from paylatch.client.mqtt import MqttLender, connect_mqtt
from paylatch.client.patience import Patience

__all__ = [
    "Bridge",
    "Command",
    "ConflictError",
    "Decided",
    "Decision",
    "DecisionLike",
    "Desired",
    "DisputeClosed",
    "DisputeOpened",
    "DryRunPage",
    "Enrolled",
    "Event",
    "GraceGranted",
    "Held",
    "Hold",
    "Holds",
    "Import",
    "Imports",
    "InvalidError",
    "Lease",
    "Loan",
    "LoanSettled",
    "LostOrStolen",
    "Missing",
    "MqttAccess",
    "MqttLender",
    "NotAllowedError",
    "NotFoundError",
    "Outcome",
    "Patience",
    "PaylatchError",
    "PaymentDue",
    "PaymentOverdue",
    "PaymentReceived",
    "PaymentReversed",
    "Phone",
    "PolicyCheck",
    "PolicyDocument",
    "PolicyVersion",
    "Problem",
    "Recovered",
    "RefusedError",
    "Reported",
    "Resend",
    "Step",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnprovenError",
    "WouldChange",
    "connect",
    "connect_mqtt",
    "new_decision_id",
    "to_json",
]
