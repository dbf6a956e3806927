"""Which policy is in force for a lender: its own newest version, or the bridge's."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from broker_bridge.app.ports.queries import Lenders
from broker_bridge.app.records import LenderRecord
from broker_bridge.domain.policy import Policy, PolicyError
from lock_protocol.messages import LenderId


@dataclass(slots=True)
class Policies:
    """Reads policies from their documents, once a version.

    The record comes from the job's own transaction, so a policy holds from the very commit that puts it in force.
    """

    default: Policy
    """For lenders that have set none."""
    read: Callable[[str], Policy]
    """Makes a policy of its document."""
    _read: dict[LenderId, tuple[int, Policy]] = field(default_factory=dict)

    def of(self, record: LenderRecord) -> Policy:
        """Return the policy that is in force for a lender."""
        if not record.policy_version:
            return self.default
        version, policy = self._read.get(record.lender, (0, self.default))
        if version != record.policy_version:
            policy = self.read(record.policy_document)
            self._read[record.lender] = (record.policy_version, policy)
        return policy


async def refuse_unusable_policies(lenders: Lenders, read: Callable[[str], Policy], *, development: bool) -> None:
    """Refuse to start with a stored policy that this bridge must not use, or cannot read.

    With the latter no decision of its lender could be judged.

    Raises:
        PolicyError: naming the lender and the version, and the way out.
        StoreUnavailableError: the database does not answer.
    """
    async for fault in unusable_policies(lenders, read, development=development):
        raise PolicyError(fault)


async def unusable_policies(
    lenders: Lenders, read: Callable[[str], Policy], *, development: bool
) -> AsyncIterator[str]:
    """Yield everything that `refuse_unusable_policies` refuses.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    for lender in await lenders.with_phones():
        record = await lenders.one(lender)
        if not record.policy_version:
            continue  # it has the bridge's own, which the settings name
        name = f"policy version {record.policy_version} of {lender}"
        try:
            policy = read(record.policy_document)
        except PolicyError as error:
            yield f"{name}: {error}; the release before can still run: put another in force there"
            continue
        if policy.development_only and not development:
            yield f"{name}: it is for development mode only; put another in force there"
