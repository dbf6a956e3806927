"""Enrol: bind an IMEI to a lender, a loan, a device key and the borrower's consent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from broker_bridge.app.jobs import OnePhone
from broker_bridge.app.key_conflicts import KeyConflicts
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.records import AuditEntry, outgoing
from broker_bridge.domain.judgement import lease_look
from broker_bridge.domain.lanes import FIRST_LANE
from broker_bridge.domain.loans import Loan
from broker_bridge.domain.phones import CONTRACT, Phone, PhoneStatus
from broker_bridge.domain.policy import Wish
from lock_protocol.imei import Imei
from lock_protocol.keys import PublicKey
from lock_protocol.messages import LenderId


class EnrolmentConflictError(Exception):
    """The IMEI is enrolled already, with another key, loan or lender.

    It is the same answer in all three cases, so that it does not tell whose customer somebody is.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrol(OnePhone):
    """The job of one enrolment. Enrolling the same phone again gives it a new credential and changes nothing else."""

    lender: LenderId
    imei: Imei
    loan_id: str
    device_key: PublicKey
    consent: str
    credential: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = ""
    reconsider: Reconsider
    key_conflicts: KeyConflicts

    def run(self, tx: Transaction) -> Phone:
        """Return the phone's row.

        Raises:
            EnrolmentConflictError: the IMEI is bound to something else. If to another key, that has been noted.
            UnknownLenderError: the bridge has no keys for this lender.
        """
        known = tx.phone(self.imei)
        if known is None:
            phone = self._first_time(tx)
            tx.publish_after_commit(outgoing(phone, lane=FIRST_LANE))
        else:
            phone = self._again(tx, known)
            tx.publish_after_commit(outgoing(phone))
        now = self.reconsider.clock.now()
        entry = AuditEntry(at=now, lender=self.lender, imei=self.imei, event="enrolled", detail=self.consent)
        tx.audit(entry)
        return phone

    def _first_time(self, tx: Transaction) -> Phone:
        wish = self.reconsider.new_phone(tx, self.lender, frozenset({CONTRACT, *self.evidence}))
        desired, command_id = self.reconsider.queue.first(tx, self.lender, self.imei, wish)
        phone = Phone(
            lender=self.lender,
            imei=self.imei,
            loan_id=self.loan_id,
            device_key=self.device_key,
            consent=self.consent,
            evidence=self.evidence,
            time_zone=self.time_zone,
            credential=self.credential,
            status=PhoneStatus.PENDING,
            loan=Loan(),
            desired=desired,
            command_id=command_id,
            look_at=lease_look(Wish.of(desired.state).lease, wish, self.reconsider.now(tx)),
        )
        tx.put_phone(phone)
        return phone

    def _again(self, tx: Transaction, known: Phone) -> Phone:
        now = self.reconsider.clock.now()
        if known.device_key != self.device_key:
            self.key_conflicts.note(tx, known, offered=self.device_key, by=self.lender, at=now)
        bound = (known.lender, known.loan_id, known.device_key)
        if bound != (self.lender, self.loan_id, self.device_key):
            raise EnrolmentConflictError(f"IMEI {self.imei} is enrolled already, with another key, loan or lender")
        renewed = replace(
            known,
            credential=self.credential,
            consent=self.consent,
            evidence=self.evidence or known.evidence,
            time_zone=self.time_zone or known.time_zone,
            look_at=self.reconsider.now(tx),
        )
        tx.put_phone(renewed)
        return renewed
