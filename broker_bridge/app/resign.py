"""Sign again: after a new delegation, every phone's state is made anew before anything else is sent under it.

A state names its delegation's version, and a phone that has accepted the newer one refuses the older for good.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass

from broker_bridge.app.jobs import OnePhone
from broker_bridge.app.ports.queries import SignedStates
from broker_bridge.app.ports.signing import Signer
from broker_bridge.app.ports.store import Commits, OverloadedError, StoreUnavailableError, Transaction
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.sign import Queue
from lock_protocol.imei import Imei
from lock_protocol.messages import Delegation

PAGE = 500


@dataclass(frozen=True, slots=True)
class SignAgain(OnePhone):
    """The job of one phone whose state was signed under an older delegation."""

    imei: Imei
    delegation: Delegation
    queue: Queue

    def run(self, tx: Transaction) -> None:
        """Queue the same state as the next version, unless somebody has done so meanwhile."""
        phone = tx.phone(self.imei)
        if phone is not None and phone.desired.delegation_version < self.delegation.version:
            self.queue.again(tx, phone)


class DelegationBehindError(Exception):
    """The delegation in the key files is older than one that states were signed under: phones would refuse it."""


async def refuse_older_delegations(signed: SignedStates, signer: Signer) -> None:
    """Refuse to start with an older delegation than before, as a restored backup of the key files has it.

    Raises:
        DelegationBehindError: every phone would refuse what is signed under it, payers' phones included.
        StoreUnavailableError: the database does not answer.
    """
    async for fault in older_delegations(signed, signer.delegations()):
        raise DelegationBehindError(fault)


async def older_delegations(signed: SignedStates, delegations: Iterable[Delegation]) -> AsyncIterator[str]:
    """Yield everything that `refuse_older_delegations` refuses.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    for delegation in delegations:
        epoch, version = await signed.newest_delegation(delegation.lender)
        if delegation.epoch < epoch or delegation.version < version:
            yield (
                f"the delegation of {delegation.lender} is version {delegation.version} of epoch {delegation.epoch}, "
                f"but states were signed under version {version} of epoch {epoch}; install the newest one"
            )


async def sign_all_again(store: Commits, signed: SignedStates, signer: Signer, queue: Queue, log: Log) -> None:
    """Sign every state that an older delegation covers again, phones that are to be open first.

    A closing state that the new delegation does not allow stays as it is: the phone will not accept it, and a person
    is told. Neither that nor a row that cannot be read holds up the others.

    Raises:
        StoreUnavailableError, OverloadedError: the database does not take it; start over.
    """
    for delegation in signer.delegations():
        count = 0
        for opening in (True, False):
            after: Imei | None = None
            while page := await signed.under_older(delegation, opening=opening, after=after, limit=PAGE):
                after = page[-1]
                jobs = (store.commit(SignAgain(imei, delegation, queue)) for imei in page)
                answers = await asyncio.gather(*jobs, return_exceptions=True)
                count += _count_signed(page, answers, log)
        if count:
            log.info("signed_again", lender=delegation.lender, delegation=delegation.version, states=count)


def _count_signed(page: Collection[Imei], answers: Collection[BaseException | None], log: Log) -> int:
    """Return how many were signed, and tell of those that could not be; raise when it is the database."""
    signed = 0
    for imei, answer in zip(page, answers, strict=True):
        match answer:
            case None:
                signed += 1
            case StoreUnavailableError() | OverloadedError():
                raise answer
            case Exception():  # must not be signed now, or a row that cannot be read: the others go on
                log.critical("not_signed_again", imei=imei, error=f"{type(answer).__name__}: {answer}")
            case _:
                raise answer
    return signed
