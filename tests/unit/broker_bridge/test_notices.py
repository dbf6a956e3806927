"""What borrowers read: a text for whatever keeps a phone from being simply open, and only figures that are theirs."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from broker_bridge.domain.judgement import Case, judge
from broker_bridge.domain.loans import Due, Loan
from broker_bridge.domain.notices import closing_notice, due_notice, settled_notice
from broker_bridge.domain.policy import Policy
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import Notice
from tests.unit.broker_bridge.cases import cases, moments, policies
from tests.unit.broker_bridge.told import UNGATED

POLICY = replace(UNGATED, support_phone="+918000000000", appeal_url="https://pay.example/appeal")
ARREARS = Loan(days_overdue=12, amount_due=9900, currency="INR", pay_url="https://pay.example/1")
CLOSING = (
    Reason.OVERDUE,
    Reason.GRACE,
    Reason.DISPUTE,
    Reason.LOST_OR_STOLEN,
    Reason.SIM_CHANGED,
    Reason.TAMPER,
)


@settings(max_examples=200, deadline=None)
@given(policy=policies, case=cases(), now=moments)
def test_every_phone_that_is_not_simply_open_shows_a_text(policy: Policy, case: Case, now: int) -> None:
    wish = judge(policy, case, now).wish
    assert bool(wish.notice.title) is (wish.level is not Level.UNLOCKED)


def test_what_is_overdue_is_told_with_what_to_pay_where_and_whom_to_ask() -> None:
    assert closing_notice(POLICY, ARREARS, Reason.OVERDUE) == Notice(
        title="Payment overdue",
        body="Your payment is 12 days overdue.\n"
        "The phone opens as soon as the payment has arrived. Emergency calls always work.",
        amount_due=9900,
        currency="INR",
        pay_url="https://pay.example/1",
        support_phone="+918000000000",
        appeal_url="https://pay.example/appeal",
    )


@pytest.mark.parametrize("reason", CLOSING)
def test_whatever_closes_a_phone_is_told_with_emergency_calls_and_the_way_to_help(reason: Reason) -> None:
    notice = closing_notice(POLICY, ARREARS, reason)
    assert notice.body.endswith("Emergency calls always work.")
    assert (notice.support_phone, notice.appeal_url) == (POLICY.support_phone, POLICY.appeal_url)


@pytest.mark.parametrize("reason", [Reason.OVERDUE, Reason.GRACE])
def test_one_day_is_no_days(reason: Reason) -> None:
    notice = closing_notice(POLICY, replace(ARREARS, days_overdue=1), reason)
    assert notice.body.startswith("Your payment is 1 day overdue.\n")


def test_a_lost_phone_of_a_payer_names_nothing_to_pay() -> None:
    paid = replace(ARREARS, days_overdue=0)
    notice = closing_notice(POLICY, paid, Reason.LOST_OR_STOLEN)
    assert (notice.amount_due, notice.currency, notice.pay_url) == (0, "XXX", "")


def test_a_coming_payment_is_told_with_its_own_figures() -> None:
    due = Due(since=1, at=2, amount=500, currency="EUR", pay_url="https://pay.example/2")
    notice = due_notice(POLICY, due)
    assert (notice.amount_due, notice.currency, notice.pay_url) == (500, "EUR", "https://pay.example/2")
    assert (notice.title, notice.support_phone) == ("Payment due soon", POLICY.support_phone)


def test_a_settled_loan_leaves_nothing_to_pay_or_to_appeal_against() -> None:
    assert settled_notice(POLICY) == Notice(title="Your loan is settled", support_phone=POLICY.support_phone)
