"""Enrol: bind an IMEI to a lender, a loan, a device key and the borrower's consent."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from broker_bridge.app.ports import AuditEntry, Clock, Transaction, outgoing
from broker_bridge.app.sign import Queue
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.loans import Loan
from broker_bridge.domain.phones import Phone, PhoneStatus
from broker_bridge.domain.policy import Policy
from lock_protocol.imei import Imei
from lock_protocol.keys import PublicKey
from lock_protocol.messages import LenderId


class EnrolmentConflictError(Exception):
    """The IMEI is enrolled already, with another key, loan or lender.

    It is the same answer in all three cases, so that it does not tell whose customer somebody is.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrol:
    """The job of one enrolment. Enrolling the same phone again gives it a new credential and changes nothing else."""

    lender: LenderId
    imei: Imei
    loan_id: str
    device_key: PublicKey
    consent: str
    credential: str
    policy: Policy
    queue: Queue
    clock: Clock

    @property
    def imeis(self) -> Collection[Imei]:
        """The one phone."""
        return (self.imei,)

    @property
    def decisions(self) -> Collection[tuple[LenderId, DecisionId]]:
        """None."""
        return ()

    def run(self, tx: Transaction) -> Phone:
        """Return the phone's row.

        Raises:
            EnrolmentConflictError: the IMEI is bound to something else.
            UnknownLenderError: the bridge has no keys for this lender.
        """
        known = tx.phone(self.imei)
        phone = self._first_time(tx) if known is None else self._again(known)
        tx.put_phone(phone)
        tx.publish_after_commit(outgoing(phone))
        entry = AuditEntry(
            at=self.clock.now(), lender=self.lender, imei=self.imei, event="enrolled", detail=self.consent
        )
        tx.audit(entry)
        return phone

    def _first_time(self, tx: Transaction) -> Phone:
        loan = Loan()
        desired, command_id = self.queue.first(tx, self.lender, self.imei, self.policy.wish(loan))
        return Phone(
            lender=self.lender,
            imei=self.imei,
            loan_id=self.loan_id,
            device_key=self.device_key,
            consent=self.consent,
            credential=self.credential,
            status=PhoneStatus.PENDING,
            loan=loan,
            desired=desired,
            command_id=command_id,
        )

    def _again(self, known: Phone) -> Phone:
        bound = (known.lender, known.loan_id, known.device_key)
        if bound != (self.lender, self.loan_id, self.device_key):
            raise EnrolmentConflictError(f"IMEI {self.imei} is enrolled already, with another key, loan or lender")
        return replace(known, credential=self.credential, consent=self.consent)
