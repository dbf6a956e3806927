"""Notices: the texts that borrowers read on their phones, all of them here.

What a phone takes at most is in `lock_protocol.messages.Notice`. A phone whose text has changed is sent it as a new
state when it is next judged.
"""

from typing import Final

from lock_protocol.levels import Reason
from lock_protocol.messages import Notice

from broker_bridge.domain.counted import counted
from broker_bridge.domain.loans import Due, Loan
from broker_bridge.domain.policy import Policy

_TEXTS: Final[dict[Reason, tuple[str, str]]] = {
    # why a phone is not simply open: title and body; each says that emergency calls work, as a locked phone looks dead
    Reason.OVERDUE: (
        "Payment overdue",
        (
            "Your payment is {days} overdue.\n"
            "The phone opens as soon as the payment has arrived. Emergency calls always work."
        ),
    ),
    Reason.GRACE: (
        "Payment overdue",
        "Your payment is {days} overdue.\nYou have been given more time. Emergency calls always work.",
    ),
    Reason.DISPUTE: (
        "Payment in dispute",
        "Your objection is being looked at.\nNothing more happens meanwhile. Emergency calls always work.",
    ),
    Reason.LOST_OR_STOLEN: (
        "Lost or stolen",
        "This phone has been reported lost or stolen.\nEmergency calls always work.",
    ),
    Reason.SIM_CHANGED: (
        "Another SIM card",
        "This phone has another SIM card.\nPlease ask for help to go on. Emergency calls always work.",
    ),
    Reason.TAMPER: (
        "Phone changed",
        "This phone has been changed in a way that is not allowed.\nAsk for help. Emergency calls always work.",
    ),
}


def closing_notice(policy: Policy, loan: Loan, reason: Reason) -> Notice:
    """Return what a phone shows while it is not simply open, for one of the reasons that have a text."""
    title, body = _TEXTS[reason]
    arrears = loan.days_overdue > 0
    return Notice(
        title=title,
        body=body.format(days=counted(loan.days_overdue, "day")),
        amount_due=loan.amount_due if arrears else 0,
        currency=loan.currency if arrears else "XXX",
        pay_url=loan.pay_url if arrears else "",
        support_phone=policy.support_phone,
        appeal_url=policy.appeal_url,
    )


def due_notice(policy: Policy, due: Due) -> Notice:
    """Return what an open phone shows before a payment falls due."""
    return Notice(
        title="Payment due soon",
        body="Your next payment is due soon.\nThe phone is not restricted.",
        amount_due=due.amount,
        currency=due.currency,
        pay_url=due.pay_url,
        support_phone=policy.support_phone,
    )


def settled_notice(policy: Policy) -> Notice:
    """Return what a phone shows last, when it is released."""
    return Notice(title="Your loan is settled", support_phone=policy.support_phone)
