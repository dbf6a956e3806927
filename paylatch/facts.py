"""The repayment histories as a lender reports them: facts about loans, in the bridge's words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from paylatch.histories import Account, HistoryDecision, decisions_of

CURRENCY = "TWD"
_MINOR_UNITS = 100

# Within a month payments come before the bill that is still open after them, and a loan is settled last.
_OCCURRED = {
    "payment_received": "10T09:00:00+08:00",
    "payment_overdue": "20T09:00:00+08:00",
    "loan_settled": "28T09:00:00+08:00",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrower:
    """One account of the histories and the phone that it pays for."""

    account: int
    imei: Imei

    @property
    def loan_id(self) -> str:
        """What the lender calls the loan."""
        return f"loan-{self.account}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that the lender will report."""

    borrower: Borrower
    month: str
    decision: HistoryDecision

    @property
    def imei(self) -> Imei:
        """The phone that it is about."""
        return self.borrower.imei

    def body(self) -> dict[str, Any]:
        """Return what is sent to the bridge."""
        decision = self.decision
        body: dict[str, Any] = {
            "decision_id": f"{self.month}-{self.borrower.account}-{decision.kind}",
            "imei": self.imei,
            "type": decision.kind,
            "occurred_at": f"{self.month}-{_OCCURRED[decision.kind]}",
        }
        if decision.kind == "payment_received":
            body["cures"] = decision.cures
        elif decision.kind == "payment_overdue":
            body["days_overdue"] = decision.days_overdue
            body |= {"amount_due": decision.amount * _MINOR_UNITS, "currency": CURRENCY}
        return body


def borrower_of(account: Account, row_number: int) -> Borrower:
    """Return who pays for a phone; it has a test IMEI that no real handset has.

    Args:
        account: the account.
        row_number: its position in the file of histories, the first being 1.
    """
    return Borrower(account=account.number, imei=simulated_imei(row_number - 1))


def facts_of(accounts: Iterable[Account], months: int) -> Iterator[Fact]:
    """Yield what is reported about accounts, one after the other, over their first months, each in time order.

    Raises:
        ValueError: an account has fewer months.
    """
    for row, account in enumerate(accounts, start=1):
        borrower = borrower_of(account, row)
        for decision in decisions_of(account, row, months):
            month = account.months[decision.month_index].name
            yield Fact(borrower=borrower, month=month, decision=decision)
