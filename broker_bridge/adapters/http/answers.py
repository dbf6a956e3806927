"""What lenders are told."""

import json
from datetime import UTC, datetime
from typing import Any

from broker_bridge.app.decide import Decided
from broker_bridge.app.ports import Command
from broker_bridge.domain.imports import Import
from broker_bridge.domain.phones import Phone, Said
from lock_protocol.levels import Level, Reason


def decided_answer(decided: Decided) -> dict[str, Any]:
    """Return the answer to a decision."""
    return {
        "decision_id": decided.decision_id,
        "imei": decided.imei,
        "effect": decided.effect,
        "level": level_name(decided.level),
        "command_id": decided.command_id,
        "repeated": decided.repeated,
    }


def phone_answer(phone: Phone) -> dict[str, Any]:
    """Return a phone: what it should be, and what it says it is."""
    loan, state = phone.loan, phone.desired.state
    return {
        "imei": phone.imei,
        "lender": phone.lender,
        "loan_id": phone.loan_id,
        "status": phone.status,
        "loan": {
            "days_overdue": loan.days_overdue,
            "settled": loan.settled,
            "amount_due": loan.amount_due,
            "currency": loan.currency,
        },
        "desired": {
            "level": level_name(state.level),
            "reason": state.reason.name.lower(),
            "epoch": state.epoch,
            "version": state.version,
            "issued_at": time_text(state.issued_at),
            "state_hash": phone.desired.state_hash.hex(),
            "command_id": phone.command_id,
        },
        "reported": None if phone.said is None else _said_answer(phone.said),
    }


def command_answer(command: Command) -> dict[str, Any]:
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


def import_answer(one: Import, waiting_for: str | None = None) -> dict[str, Any]:
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
        **{outcome.value: count for outcome, count in one.counts.items()},
        "waiting_for": waiting_for,
        "problem": json.loads(one.problem) if one.problem else None,
        "created_at": time_text(one.created_at),
        "started_at": time_text(one.started_at),
        "finished_at": time_text(one.finished_at),
    }


def level_name(level: Level) -> str:
    """Return a level as the API names it."""
    return level.name.lower()


def time_text(at: int) -> str | None:
    """Return a time (seconds UTC, 0 for none) as RFC 3339."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z") if at else None


def _said_answer(said: Said) -> dict[str, Any]:
    return {
        "level": level_name(said.level),
        "condition": said.condition.name.lower(),
        "epoch": said.epoch,
        "version": said.version,
        "state_hash": said.state_hash.hex(),
        "signals": [signal.name.lower() for signal in said.signals if signal.name],
        "at": time_text(said.at),
    }
