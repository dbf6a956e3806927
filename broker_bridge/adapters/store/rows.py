"""Rows to records and back."""

import json
from dataclasses import fields
from typing import Any

from sqlalchemy import RowMapping

from broker_bridge.adapters.store.arrears import NOTHING, episode_of, episode_text, holds_of, holds_text
from broker_bridge.app.ports import AuditEntry, Command, Outgoing, PolicyVersion, RecordedDecision
from broker_bridge.domain.commands import Status
from broker_bridge.domain.imports import Format, Import, ImportState, Outcome, RowResult, Upload
from broker_bridge.domain.lanes import Lane, lane_of
from broker_bridge.domain.loans import Loan
from broker_bridge.domain.phones import Desired, Phone, PhoneStatus, Said
from lock_protocol.codec import decode
from lock_protocol.envelope import read_envelope
from lock_protocol.levels import Condition, Level, Signals
from lock_protocol.messages import DesiredState, StateHash

Row = dict[str, Any]


def phone_row(phone: Phone) -> Row:
    """Return the columns of a phone."""
    loan, desired = phone.loan, phone.desired
    row: Row = {
        "imei": phone.imei,
        "lender": phone.lender,
        "loan_id": phone.loan_id,
        "device_key": phone.device_key,
        "consent": phone.consent,
        "evidence": json.dumps(dict(phone.evidence)) if phone.evidence else NOTHING,
        "time_zone": phone.time_zone or None,
        "credential": phone.credential,
        "status": phone.status.value,
        "days_overdue": loan.days_overdue,
        "as_of": loan.as_of,
        "cured_at": loan.cured_at,
        "settled": loan.settled,
        "amount_due": loan.amount_due,
        "currency": loan.currency,
        "pay_url": loan.pay_url,
        "holds": holds_text(loan),
        "episode": episode_text(phone.episode),
        "wanted": int(phone.wanted),
        "held_decision": phone.held_decision,
        "look_at": phone.look_at,
        "epoch": desired.state.epoch,
        "version": desired.state.version,
        "delegation_version": desired.state.delegation_version,
        "level": int(desired.state.level),
        "state_hash": desired.state_hash,
        "envelope": desired.envelope,
        "command_id": phone.command_id,
        "sequence": phone.sequence,
        "seen_version": phone.seen_version,
        "refused_openings": phone.refused_openings,
        "publish_number": phone.publish_number,
    }
    return row | _said_columns(phone.said)


def _said_columns(said: Said | None) -> Row:
    return {
        "said_epoch": None if said is None else said.epoch,
        "said_version": None if said is None else said.version,
        "said_hash": None if said is None else said.state_hash,
        "said_level": None if said is None else int(said.level),
        "said_condition": None if said is None else int(said.condition),
        "said_signals": None if said is None else int(said.signals),
        "said_boot_count": None if said is None else said.boot_count,
        "said_at": None if said is None else said.at,
    }


def phone_of(row: RowMapping) -> Phone:
    """Return the phone in a row. The signed bytes are its state; the selected columns only repeat them."""
    envelope = row["envelope"]
    state = decode(DesiredState, read_envelope(envelope).payload)
    return Phone(
        lender=row["lender"],
        imei=row["imei"],
        loan_id=row["loan_id"],
        device_key=row["device_key"],
        consent=row["consent"],
        evidence={} if row["evidence"] == NOTHING else json.loads(row["evidence"]),
        time_zone=row["time_zone"] or "",
        credential=row["credential"],
        status=PhoneStatus(row["status"]),
        loan=Loan(
            days_overdue=row["days_overdue"],
            as_of=row["as_of"],
            cured_at=row["cured_at"],
            settled=row["settled"],
            amount_due=row["amount_due"],
            currency=row["currency"],
            pay_url=row["pay_url"],
            **holds_of(row["holds"]),
        ),
        episode=episode_of(row["episode"]),
        wanted=Level(row["wanted"]),
        held_decision=row["held_decision"],
        look_at=row["look_at"],
        desired=Desired(state=state, state_hash=StateHash(row["state_hash"]), envelope=envelope),
        command_id=row["command_id"],
        said=_said_of(row),
        sequence=row["sequence"],
        seen_version=row["seen_version"],
        refused_openings=row["refused_openings"],
        publish_number=row["publish_number"],
    )


def _said_of(row: RowMapping) -> Said | None:
    if row["said_at"] is None:
        return None
    return Said(
        epoch=row["said_epoch"],
        version=row["said_version"],
        state_hash=StateHash(row["said_hash"]),
        level=Level(row["said_level"]),
        condition=Condition(row["said_condition"]),
        signals=Signals(row["said_signals"]),
        boot_count=row["said_boot_count"],
        at=row["said_at"],
    )


def outgoing_of(row: RowMapping, lane: Lane | None = None) -> Outgoing:
    """Return what is to be published of a phone's row, without taking its state apart."""
    if lane is None:
        said_level = row["said_level"]
        lane = lane_of(Level(row["level"]), None if said_level is None else Level(said_level))
    return Outgoing(
        lender=row["lender"],
        imei=row["imei"],
        lane=lane,
        order=(row["epoch"], row["version"]),
        envelope=row["envelope"],
    )


def command_row(command: Command) -> Row:
    """Return the columns of a command."""
    return _columns(command) | {"lane": int(command.lane), "status": command.status.value}


def command_of(row: RowMapping) -> Command:
    """Return the command in a row."""
    return Command(**{**row, "lane": Lane(row["lane"]), "status": Status(row["status"])})


def audit_of(row: RowMapping) -> AuditEntry:
    """Return the line of history in a row."""
    return AuditEntry(**{name: value for name, value in row.items() if name != "entry"})


def policy_row(policy: PolicyVersion) -> Row:
    """Return the columns of one version of a policy."""
    return _columns(policy)


def policy_of(row: RowMapping) -> PolicyVersion:
    """Return the version of a policy in a row."""
    return PolicyVersion(**row)


def decision_row(decision: RecordedDecision) -> Row:
    """Return the columns of a decision's record."""
    return _columns(decision)


def _columns(record: Command | RecordedDecision | PolicyVersion | RowResult) -> Row:
    # Not `asdict`, which copies every value deeply and costs more than the rest of the row.
    return {field.name: getattr(record, field.name) for field in fields(record)}


def decision_of(row: RowMapping) -> RecordedDecision:
    """Return the record in a row."""
    return RecordedDecision(**row)


def import_row(one: Import) -> Row:
    """Return the columns of an import."""
    upload = one.upload
    row: Row = {
        "import_id": one.import_id,
        "lender": upload.lender,
        "idempotency_key": upload.idempotency_key,
        "format": upload.format.value,
        "dry_run": upload.dry_run,
        "state": one.state.value,
        "content_hash": one.content_hash,
        "size_bytes": one.size_bytes,
        "rows": one.rows,
        "problem": one.problem,
        "created_at": one.created_at,
        "started_at": one.started_at,
        "finished_at": one.finished_at,
    }
    return row | {outcome.value: count for outcome, count in one.counts.items()}


def import_of(row: RowMapping) -> Import:
    """Return the import in a row."""
    return Import(
        import_id=row["import_id"],
        upload=Upload(
            lender=row["lender"],
            idempotency_key=row["idempotency_key"],
            format=Format(row["format"]),
            dry_run=row["dry_run"],
        ),
        state=ImportState(row["state"]),
        content_hash=row["content_hash"],
        size_bytes=row["size_bytes"],
        rows=row["rows"],
        counts={outcome: row[outcome.value] for outcome in Outcome},
        problem=row["problem"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def result_row(result: RowResult) -> Row:
    """Return the columns of a row's result."""
    return _columns(result) | {"outcome": result.outcome.value}


def result_of(row: RowMapping) -> RowResult:
    """Return the result in a row."""
    return RowResult(**{**row, "outcome": Outcome(row["outcome"])})
