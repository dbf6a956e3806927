"""Enrolling many phones while the bridge does not run: many in a commit, where HTTP takes one in each."""

from collections.abc import Sequence
from pathlib import Path

from broker_bridge.adapters.mqtt.passwords import new_credential
from broker_bridge.adapters.policies.profiles import profile
from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.adapters.signing.keys import FileSigner
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.enrol import Enrol
from broker_bridge.app.key_conflicts import KeyConflicts
from broker_bridge.app.policies import Policies
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.sign import Queue, SigningClock
from broker_bridge.main import SystemClock
from device_sim.identities import FleetLine, new_device_seed
from lock_protocol.imei import Imei
from lock_protocol.keys import SigningKey
from lock_protocol.messages import LenderId
from paylatch.local.quiet_log import quiet_log

_TOGETHER = 2000
"""Enrolments in a commit: what a commit costs of its own is nothing beside so many."""


def replaying(signer: FileSigner) -> Reconsider:
    """Return what judges phones as a bridge with the `replay` profile does."""
    clock = SystemClock()
    queue = Queue(signer, SigningClock(clock), clock)
    return Reconsider(Policies(profile("replay"), read_policy), queue, clock)


async def enrol_in(database: str, keys: Path, lender: LenderId, imeis: Sequence[Imei]) -> list[FleetLine]:
    """Enrol phones in the database of a bridge that does not run; return what has to be put into them.

    They share one password, as making ten thousand would measure nothing; each has a device key of its own.
    """
    signer = FileSigner(keys, development=True)
    async with SqlStore(database) as store:
        return await enrol_together(store, replaying(signer), signer, lender, imeis)


async def enrol_together(
    store: SqlStore, reconsider: Reconsider, signer: FileSigner, lender: LenderId, imeis: Sequence[Imei]
) -> list[FleetLine]:
    """Enrol phones with many in a commit; return what has to be put into them."""
    password, credential = new_credential()
    root = signer.roots[-1].envelope
    key_conflicts = KeyConflicts(quiet_log())
    lines = [FleetLine(imei=imei, device_seed=new_device_seed(), password=password, root=root) for imei in imeis]
    for first in range(0, len(lines), _TOGETHER):
        jobs = [
            Enrol(
                lender=lender,
                imei=line.imei,
                loan_id=f"loan-{line.imei}",
                device_key=SigningKey.from_seed(line.device_seed).public,
                consent="benchmark",
                credential=credential,
                reconsider=reconsider,
                key_conflicts=key_conflicts,
            )
            for line in lines[first : first + _TOGETHER]
        ]
        if errors := [one for one in await store.commits.commit_each(jobs) if isinstance(one, Exception)]:
            raise errors[0]
    return lines
