"""Set policy: check a lender's document, try it on the lender's phones, and put it in force."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from broker_bridge.app.jobs import AboutNoDecision
from broker_bridge.app.ports.queries import Lenders, Phones, PolicyVersions
from broker_bridge.app.ports.signing import Signer
from broker_bridge.app.ports.store import Commits, Transaction
from broker_bridge.app.reconsider import Reconsider, case_of
from broker_bridge.app.records import AuditEntry, LenderRecord, Page, PolicyVersion
from broker_bridge.domain.authority import within
from broker_bridge.domain.gates import Missing
from broker_bridge.domain.judgement import judge, needs_new_state
from broker_bridge.domain.phones import Phone
from broker_bridge.domain.policy import DAY_S, Policy, Wish
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import Delegation, DesiredState, LenderId, Notice, Root

_A_BREATH = 50
"""After how many phones a dry run lets everybody else go first."""


MAX_VERSIONS_AN_HOUR = 30
"""All are kept for ever. An hour, so that a program that went wild keeps nobody for long from mending the policy."""
_HOUR_S = 3600


class TooManyVersionsError(Exception):
    """The lender has set as many versions of its policy lately as it may."""


class PolicyRefusedError(Exception):
    """A policy that this bridge must not put in force; the message says what has to change, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldChange:
    """What a policy would make of one phone."""

    imei: Imei
    level: Level
    """What it is to be now."""
    becomes: Level
    wanted: Level
    missing: tuple[Missing, ...]
    changes: tuple[str, ...]
    """Which parts of its state would be others: level, reason, notice, remind, lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunPage:
    """One page of a dry run."""

    judged: int
    would_change: list[WouldChange]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class SetPolicy(AboutNoDecision):
    """The job of putting a lender's document in force. The same document again changes nothing."""

    lender: LenderId
    document: str
    set_by: str
    name: str
    reconsider: Reconsider

    @property
    def imeis(self) -> Collection[Imei]:
        """None: its phones are judged again by the scheduler, one by one."""
        return ()

    def run(self, tx: Transaction) -> PolicyVersion:
        """Return the version that is in force.

        Raises:
            TooManyVersionsError: it would be one more than may be set in an hour.
        """
        record, now = tx.lender(self.lender), self.reconsider.now(tx)
        if record.policy_document == self.document and (same := tx.policy(self.lender, record.policy_version)):
            return same
        _refuse_too_many(tx.policy(self.lender, record.policy_version + 1 - MAX_VERSIONS_AN_HOUR), now)
        version = PolicyVersion(
            lender=self.lender,
            version=record.policy_version + 1,
            document=self.document,
            set_at=now,
            set_by=self.set_by,
        )
        tx.put_policy(version)
        tx.put_heard(self.lender, now)
        tx.judge_all_again(self.lender, now)
        detail = f"version {version.version}, {self.name}, set by {self.set_by}"
        tx.audit(AuditEntry(at=now, lender=self.lender, imei=Imei(""), event="policy", detail=detail))
        return version


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDesk:
    """Everything that is done with documents of policies."""

    store: Commits
    versions: PolicyVersions
    lenders: Lenders
    phones: Phones
    reconsider: Reconsider
    signer: Signer
    root: Root
    default_document: str
    """The document of lenders that have set none."""
    development: bool

    async def in_force(self, lender: LenderId) -> PolicyVersion:
        """Return a lender's policy; version 0 is the bridge's own."""
        newest = await self.versions.one(lender)
        if newest is not None:
            return newest
        return PolicyVersion(lender=lender, version=0, document=self.default_document, set_at=0, set_by="")

    def check(self, lender: LenderId, document: str) -> Policy:
        """Return a document as a policy that may be put in force for this lender.

        Raises:
            PolicyError: it is no policy.
            PolicyRefusedError: it is one that this bridge, its root or the lender's delegation does not allow.
            UnknownLenderError: the bridge has no keys for this lender.
        """
        policy = self.reconsider.policies.read(document)
        if policy.development_only and not self.development:
            raise PolicyRefusedError("development_only: this bridge is not in development mode")
        self._check_root(policy)
        _check_delegation(policy, self.signer.delegation(lender))
        return policy

    def _check_root(self, policy: Policy) -> None:
        asked, root = policy.provisional, self.root
        if asked is not None and (asked.seconds, asked.level) != (root.provisional_s, root.provisional_level):
            raise PolicyRefusedError(
                f"reset: phones take this from root {root.root_version}, which says {root.provisional_s // 60} minutes "
                f"at {root.provisional_level.name.lower()}; its owners have to sign another root first"
            )

    async def put(self, lender: LenderId, document: str, set_by: str) -> PolicyVersion:
        """Put a document in force and return its version; the same document again changes nothing.

        Raises:
            PolicyError, PolicyRefusedError, UnknownLenderError: see `check`.
            TooManyVersionsError: not now.
        """
        policy = self.check(lender, document)
        return await self.store.commit(SetPolicy(lender, document, set_by, policy.name, self.reconsider))

    async def dry_run(self, lender: LenderId, document: str, after: str, limit: int) -> DryRunPage:
        """Return what a document would change for a lender's phones if it came into force now, page by page.

        Raises:
            PolicyError, PolicyRefusedError, UnknownLenderError: see `check`.
        """
        policy = self.check(lender, document)
        page: Page[Phone] = await self.phones.all_of(lender, after, limit)
        record, now = await self.lenders.one(lender), self.reconsider.clock.now()
        changed: list[WouldChange] = []
        for number, phone in enumerate(page.items):
            if number % _A_BREATH == 0:
                await asyncio.sleep(0)  # payments and hellos go on meanwhile
            if (one := self._would_change(policy, phone, record, now)) is not None:
                changed.append(one)
        return DryRunPage(judged=len(page.items), would_change=changed, next_token=page.next_token)

    def _would_change(self, policy: Policy, phone: Phone, record: LenderRecord, now: int) -> WouldChange | None:
        judgement = judge(policy, case_of(phone, record), now)
        wish = within(judgement.wish, self.signer.delegation(phone.lender), now)
        state = phone.desired.state
        if not needs_new_state(state, wish, now):
            return None
        return WouldChange(
            imei=phone.imei,
            level=state.level,
            becomes=wish.level,
            wanted=judgement.wanted,
            missing=judgement.missing,
            changes=_changes(state, wish),
        )


def _refuse_too_many(oldest: PolicyVersion | None, now: int) -> None:
    """Refuse another version, when the oldest of as many as may be set in an hour is younger than that.

    One from the future was set by a clock that was ahead, and is waited for by nobody.
    """
    if oldest is not None and 0 < (wait_s := oldest.set_at + _HOUR_S - now) <= _HOUR_S:
        raise TooManyVersionsError(
            f"{MAX_VERSIONS_AN_HOUR} versions of your policy were set within an hour, which is as many as may be; "
            f"the next can be set in {-(-wait_s // 60)} minutes"
        )


def _check_delegation(policy: Policy, delegation: Delegation) -> None:
    """Refuse what phones would refuse, or take otherwise than the policy says."""
    foreign = Notice(appeal_url=policy.appeal_url).hosts() - set(delegation.hosts)
    if foreign:
        hosts = ", ".join(delegation.hosts)
        raise PolicyRefusedError(f"appeal_url: {', '.join(foreign)} is none of the delegation's hosts, {hosts}")
    if policy.max_level > delegation.max_level:
        cap = delegation.max_level.name.lower()
        raise PolicyRefusedError(f"max_level: {policy.max_level.name.lower()} is above the delegation's cap, {cap}")
    if policy.leases.offline_lock_s > delegation.max_lease_s:
        days = delegation.max_lease_s // DAY_S
        raise PolicyRefusedError(f"leases.offline_lock_days: the delegation allows leases of at most {days} days")


def _changes(state: DesiredState, wish: Wish) -> tuple[str, ...]:
    before = Wish.of(state)
    differ = {
        "level": before.level != wish.level,
        "reason": before.reason != wish.reason,
        "notice": before.notice != wish.notice,
        "remind": before.remind_s != wish.remind_s,
        "lease": before.lease != wish.lease,
    }
    return tuple(name for name, differs in differ.items() if differs)
