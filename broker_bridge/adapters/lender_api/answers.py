"""What lenders are told."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from broker_bridge.adapters.lender_api.schemas import (
    CommandAnswer,
    DecidedAnswer,
    EventAnswer,
    HeldAnswer,
    HoldAnswer,
    HoldsAnswer,
    ImportAnswer,
    KeyAnswer,
    LeaseAnswer,
    PhoneAnswer,
    PolicyAnswer,
    PolicyVersionAnswer,
    ReportedAnswer,
    WouldChangeAnswer,
)
from broker_bridge.app.decide import Decided
from broker_bridge.app.records import AuditEntry, Command, PolicyVersion
from broker_bridge.app.set_policy import WouldChange
from broker_bridge.domain.access import ApiKey
from broker_bridge.domain.gates import Missing, earliest_of
from broker_bridge.domain.holds import Hold, Holds
from broker_bridge.domain.imports import Import, Outcome
from broker_bridge.domain.phones import Phone, Said
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import DesiredState


def decided_answer(decided: Decided) -> DecidedAnswer:
    """Return the answer to a decision."""
    return {
        "decision_id": decided.decision_id,
        "imei": decided.imei,
        "type": decided.type,
        "effect": decided.effect,
        "level": level_name(decided.level),
        "wanted_level": level_name(decided.wanted),
        "held": held_answer(decided.wanted, decided.held),
        "command_id": decided.command_id,
        "repeated": decided.repeated,
    }


def held_answer(wanted: Level, missing: Sequence[Missing]) -> HeldAnswer | None:
    """Return what is not permitted yet, what it waits for, and when that can be met; None when nothing is held back."""
    if not missing:
        return None
    earliest = earliest_of(missing)
    return {
        "level": level_name(wanted),
        "missing": [
            {"condition": one.condition, "detail": one.detail, "earliest": time_text(one.earliest or 0)}
            for one in missing
        ],
        "earliest": time_text(earliest or 0),
    }


def version_answer(version: PolicyVersion) -> PolicyVersionAnswer:
    """Return one version of a policy, without its document."""
    return {
        "version": version.version,
        "own": version.version > 0,
        "set_at": time_text(version.set_at),
        "set_by": version.set_by or None,
    }


def policy_answer(version: PolicyVersion) -> PolicyAnswer:
    """Return one version of a policy."""
    return {**version_answer(version), "document": version.document}


def would_change_answer(one: WouldChange) -> WouldChangeAnswer:
    """Return what a policy would make of one phone."""
    return {
        "imei": one.imei,
        "level": level_name(one.level),
        "becomes": level_name(one.becomes),
        "wanted_level": level_name(one.wanted),
        "held": held_answer(one.wanted, one.missing),
        "changes": list(one.changes),
    }


def event_answer(entry: AuditEntry) -> EventAnswer:
    """Return one line of a phone's history."""
    return {"at": time_text(entry.at), "event": entry.event, "detail": entry.detail}


def phone_answer(phone: Phone, missing: Sequence[Missing], now: int) -> PhoneAnswer:
    """Return a phone: what it should be, what it says it is, and what a higher level waits for at `now`."""
    loan, state = phone.loan, phone.desired.state
    return {
        "imei": phone.imei,
        "lender": phone.lender,
        "loan_id": phone.loan_id,
        "status": phone.status,
        "time_zone": phone.time_zone or None,
        "evidence": sorted(phone.evidence_kinds),
        "holds": _holds_answer(loan.holds, now),
        "held": held_answer(phone.wanted, missing),
        "loan": {
            "days_overdue": loan.days_overdue,
            "settled": loan.settled,
            "amount_due": loan.amount_due,
            "currency": loan.currency,
            "wanted_level": level_name(phone.wanted),
        },
        "desired": {
            "level": level_name(state.level),
            "reason": state.reason.name.lower(),
            "epoch": state.epoch,
            "version": state.version,
            "issued_at": time_text(state.issued_at),
            "lease": _lease_answer(state),
            "state_hash": phone.desired.state_hash.hex(),
            "command_id": phone.command_id,
        },
        "reported": None if phone.said is None else _said_answer(phone.said),
    }


def command_answer(command: Command) -> CommandAnswer:
    """Return a command: where it is on its way."""
    return {
        "command_id": command.command_id,
        "imei": command.imei,
        "status": command.status,
        "pending": command.status.is_pending,
        "level": level_name(Level(command.level)),
        "reason": Reason(command.reason).name.lower(),
        "epoch": command.epoch,
        "version": command.version,
        "decision_id": command.decision_id,
        "detail": command.detail,
        "attempts": command.attempts,
        "created_at": time_text(command.created_at),
        "sent_at": time_text(command.sent_at),
        "finished_at": time_text(command.finished_at),
    }


def import_answer(one: Import, waiting_for: str | None = None) -> ImportAnswer:
    """Return an import: how far it is, and what became of its rows.

    Args:
        one: the import.
        waiting_for: why it does not move on just now.
    """
    return {
        "import_id": one.import_id,
        "state": one.state,
        "format": one.upload.format,
        "dry_run": one.upload.dry_run,
        "idempotency_key": one.upload.idempotency_key,
        "size_bytes": one.size_bytes,
        "rows": one.rows,
        "done": one.done,
        "applied": one.counts[Outcome.APPLIED],
        "unchanged": one.counts[Outcome.UNCHANGED],
        "held": one.counts[Outcome.HELD],
        "repeated": one.counts[Outcome.REPEATED],
        "refused": one.counts[Outcome.REFUSED],
        "waiting_for": waiting_for,
        "problem": json.loads(one.problem) if one.problem else None,
        "created_at": time_text(one.created_at),
        "started_at": time_text(one.started_at),
        "finished_at": time_text(one.finished_at),
    }


def api_key_answer(key: ApiKey) -> KeyAnswer:
    """Return what may be shown of an API key."""
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": time_text(key.created_at),
        "last_used_at": time_text(key.last_used_at),
        "revoked_at": time_text(key.revoked_at),
    }


@cache
def level_name(level: Level) -> str:
    """Return a level as the API names it."""
    return level.name.lower()


def time_text(at: int) -> str | None:
    """Return a time (seconds UTC, 0 for none) as RFC 3339."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z") if at else None


def _holds_answer(holds: Holds, now: int) -> HoldsAnswer:
    return {
        "grace": _hold_answer(holds.grace, now),
        "dispute": _hold_answer(holds.dispute, now),
        "lost_or_stolen": holds.is_lost,
    }


def _hold_answer(hold: Hold | None, now: int) -> HoldAnswer | None:
    if hold is None or not hold.is_active(now):
        return None
    return {"at_most": level_name(hold.cap), "until": time_text(hold.until)}


def _lease_answer(state: DesiredState) -> LeaseAnswer | None:
    if not state.lease_until:
        return None
    return {"until": time_text(state.lease_until), "then": level_name(state.lease_then), "warn_s": state.warn_s}


def _said_answer(said: Said) -> ReportedAnswer:
    return {
        "level": level_name(said.level),
        "condition": said.condition.name.lower(),
        "epoch": said.epoch,
        "version": said.version,
        "state_hash": said.state_hash.hex(),
        "signals": [signal.name.lower() for signal in said.signals if signal.name],
        "at": time_text(said.at),
    }
