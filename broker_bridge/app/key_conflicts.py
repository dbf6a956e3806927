"""Key conflicts: an IMEI that is enrolled is to be enrolled with another device key, as a clone of the phone would be.

Whoever asks is refused in the same words as for any other conflict. That it was asked is written where it stays, and
told to whoever runs the bridge.
"""

from dataclasses import dataclass

from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.records import KEY_CONFLICT, AuditEntry
from broker_bridge.domain.phones import Phone
from lock_protocol.keys import PublicKey, key_id
from lock_protocol.messages import LenderId

MAX_KEYS_NOTED = 8
"""How many keys are written down and logged for one phone, each of them once and for ever.

A clone, and a clone of that one, have one key each. A program in a loop offers the same key again, or as many as it
likes, for a key costs nothing: all of these are counted, and more lines about them would tell nothing new.
"""


@dataclass(slots=True)
class KeyConflicts:
    """What is known of keys that were offered for phones that have another one, whichever way they are enrolled."""

    log: Log
    count: int = 0
    """How often one was offered so far, the same one again included."""

    def note(self, tx: Transaction, phone: Phone, *, offered: PublicKey, by: LenderId, at: int) -> None:
        """Take note of a key that is refused.

        It goes into the history of the phone's own lender, which is not told whose customer comes with the other key.

        Args:
            tx: of the job that is going to refuse it.
            phone: as it is enrolled.
            offered: the other key.
            by: the lender who wants to enrol it.
            at: seconds UTC.
        """
        self.count += 1
        key = f"key {key_id(offered).hex()}"
        noted = tx.key_conflicts(phone.imei)
        if key in noted or len(noted) >= MAX_KEYS_NOTED:
            return
        tx.audit_refusal(AuditEntry(at=at, lender=phone.lender, imei=phone.imei, event=KEY_CONFLICT, detail=key))
        self.log.critical(KEY_CONFLICT, imei=phone.imei, lender=phone.lender, offered_by=by, key=key_id(offered).hex())
