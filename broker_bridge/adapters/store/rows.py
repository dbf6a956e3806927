"""Rows to records and back.

What is read and written with every decision goes by position, in the order of the table's columns: by name it would
cost more than the database does.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row as SelectedRow
from sqlalchemy import RowMapping

from broker_bridge.adapters.store.arrears import NOTHING, episode_of, episode_text, holds_of, holds_text
from broker_bridge.app.records import AuditEntry, Command, Outgoing, PolicyVersion, RecordedDecision
from broker_bridge.domain.commands import Status
from broker_bridge.domain.imports import Counts, Format, Import, ImportState, Outcome, RowResult, Upload
from broker_bridge.domain.lanes import Lane, lane_of
from broker_bridge.domain.loans import Loan
from broker_bridge.domain.phones import Desired, Phone, PhoneStatus, Said
from lock_protocol.levels import Condition, Level, Signals

Row = dict[str, Any]
Values = tuple[Any, ...]
"""A row's columns, in the order of its table."""


# By a dictionary, as calling an enumeration costs ten times that. An unknown value is a row that cannot be read.
_LEVELS = {int(level): level for level in Level}
_CONDITIONS = {int(condition): condition for condition in Condition}
_SIGNALS = {bits: Signals(bits) for bits in range(2 * max(Signals))}
_LANES = {int(lane): lane for lane in Lane}
_STATUSES = {status.value: status for status in Status}
_PHONE_STATUSES = {status.value: status for status in PhoneStatus}


def phone_values(phone: Phone) -> Values:
    """Return the columns of a phone, but for the last one: where its history begins is no part of it."""
    loan, desired = phone.loan, phone.desired
    return (
        phone.imei,
        phone.lender,
        phone.loan_id,
        phone.device_key,
        phone.consent,
        json.dumps(dict(phone.evidence)) if phone.evidence else NOTHING,
        phone.time_zone or None,
        phone.credential,
        phone.status.value,
        loan.days_overdue,
        loan.as_of,
        loan.cured_at,
        loan.settled,
        loan.amount_due,
        loan.currency,
        loan.pay_url,
        holds_text(loan),
        episode_text(phone.episode),
        int(phone.wanted),
        phone.held_decision,
        phone.look_at,
        *desired.order,
        desired.delegation_version,
        int(desired.level),
        desired.state_hash,
        desired.envelope,
        phone.command_id,
        *_said_values(phone.said),
        phone.sequence,
        phone.seen_version,
        phone.refused_openings,
        phone.publish_number,
    )


def _said_values(said: Said | None) -> Values:
    if said is None:
        return _NOT_SAID
    return (
        said.epoch,
        said.version,
        said.state_hash,
        int(said.level),
        int(said.condition),
        int(said.signals),
        said.boot_count,
        said.at,
    )


_NOT_SAID: Values = (None,) * 8


def phone_of(row: Sequence[Any]) -> Phone:
    """Return the phone in a row. The signed bytes are its state; the selected columns only repeat them."""
    (
        imei,
        lender,
        loan_id,
        device_key,
        consent,
        evidence,
        time_zone,
        credential,
        status,
        days_overdue,
        as_of,
        cured_at,
        settled,
        amount_due,
        currency,
        pay_url,
        holds,
        episode,
        wanted,
        held_decision,
        look_at,
        epoch,
        version,
        delegation_version,
        level,
        state_hash,
        envelope,
        command_id,
        *said,
        sequence,
        seen_version,
        refused_openings,
        publish_number,
        _newest_entry,
    ) = row
    return Phone(
        lender=lender,
        imei=imei,
        loan_id=loan_id,
        device_key=device_key,
        consent=consent,
        evidence={} if evidence == NOTHING else json.loads(evidence),
        time_zone=time_zone or "",
        credential=credential,
        status=_PHONE_STATUSES[status],
        loan=Loan(
            days_overdue=days_overdue,
            as_of=as_of,
            cured_at=cured_at,
            settled=bool(settled),
            amount_due=amount_due,
            currency=currency,
            pay_url=pay_url,
            **holds_of(holds),
        ),
        episode=episode_of(episode),
        wanted=_LEVELS[wanted],
        held_decision=held_decision,
        look_at=look_at,
        desired=Desired(
            order=(epoch, version),
            delegation_version=delegation_version,
            level=_LEVELS[level],
            state_hash=state_hash,
            envelope=envelope,
        ),
        command_id=command_id,
        said=_said_of(said),
        sequence=sequence,
        seen_version=seen_version,
        refused_openings=refused_openings,
        publish_number=publish_number,
    )


def _said_of(values: Sequence[Any]) -> Said | None:
    epoch, version, state_hash, level, condition, signals, boot_count, at = values
    if at is None:
        return None
    return Said(
        epoch=epoch,
        version=version,
        state_hash=state_hash,
        level=_LEVELS[level],
        condition=_CONDITIONS[condition],
        signals=_SIGNALS[signals],
        boot_count=boot_count,
        at=at,
    )


def outgoing_of(
    row: SelectedRow[Any, *tuple[Any, ...]], lane: Lane | None = None, *, repetition: bool = False
) -> Outgoing:
    """Return what is to be published of a phone's row, without taking its state apart."""
    if lane is None:
        # What is no level is no reason not to publish what was signed, and none to end the connection of all others.
        level = _LEVELS.get(row.level)
        lane = Lane.CLOSING if level is None else lane_of(level, _LEVELS.get(row.said_level))
    return Outgoing(
        lender=row.lender,
        imei=row.imei,
        lane=lane,
        order=(row.epoch, row.version),
        envelope=row.envelope,
        repetition=repetition,
    )


def pending_lane_of(row: SelectedRow[Any, *tuple[Any, ...]]) -> Lane | None:
    """Return the lane of a phone's newest command while that is pending; None when it is not, or what is no lane."""
    return _LANES.get(row.lane) if row.finished_at == 0 else None


def command_values(command: Command) -> Values:
    """Return the columns of a command."""
    return (
        command.command_id,
        command.lender,
        command.imei,
        command.epoch,
        command.version,
        int(command.level),
        int(command.reason),
        int(command.lane),
        command.status.value,
        command.decision_id,
        command.detail,
        command.created_at,
        command.sent_at,
        command.finished_at,
        command.attempts,
        command.due_at,
        command.told,
    )


def command_of(row: Sequence[Any]) -> Command:
    """Return the command in a row."""
    command_id, lender, imei, epoch, version, level, reason, lane, status, decision_id, detail, *times, told = row
    created_at, sent_at, finished_at, attempts, due_at = times
    return Command(
        command_id=command_id,
        lender=lender,
        imei=imei,
        epoch=epoch,
        version=version,
        level=level,
        reason=reason,
        lane=_LANES[lane],
        status=_STATUSES[status],
        decision_id=decision_id,
        detail=detail,
        created_at=created_at,
        sent_at=sent_at,
        finished_at=finished_at,
        attempts=attempts,
        due_at=due_at,
        told=bool(told),
    )


_MAX_DETAIL = 512


def audit_values(entry: AuditEntry) -> Values:
    """Return the columns of a line of history, without its number and its place in a chain."""
    return (entry.at, entry.lender, entry.imei, entry.event, entry.detail[:_MAX_DETAIL])


def audit_of(row: RowMapping) -> AuditEntry:
    """Return the line of history in a row."""
    return AuditEntry(**{name: value for name, value in row.items() if name not in ("entry", "previous")})


def policy_row(policy: PolicyVersion) -> Row:
    """Return the columns of one version of a policy."""
    # Not `asdict`, which copies every value deeply.
    return {field.name: getattr(policy, field.name) for field in fields(policy)}


def policy_of(row: SelectedRow[Any]) -> PolicyVersion:
    """Return the version of a policy in a row."""
    return PolicyVersion(**row._asdict())


def decision_values(decision: RecordedDecision) -> Values:
    """Return the columns of a decision's record."""
    return (
        decision.decision_id,
        decision.lender,
        decision.imei,
        str(decision.type),
        decision.occurred_at,
        decision.fingerprint,
        str(decision.effect),
        int(decision.level),
        decision.command_id,
        decision.received_at,
        int(decision.wanted),
        decision.held,
        decision.told,
    )


def decision_of(row: Sequence[Any]) -> RecordedDecision:
    """Return the record in a row."""
    decision_id, lender, imei, kind, occurred_at, fingerprint, effect, level, command_id, received_at, *rest = row
    wanted, held, told = rest
    return RecordedDecision(
        decision_id=decision_id,
        lender=lender,
        imei=imei,
        type=kind,
        occurred_at=occurred_at,
        fingerprint=fingerprint,
        effect=effect,
        level=level,
        command_id=command_id,
        received_at=received_at,
        wanted=wanted,
        held=held,
        told=bool(told),
    )


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
        "spool": one.spool,
    }
    return row | count_columns(one.counts)


def count_columns(counts: Counts) -> Row:
    """Return the columns of what has become of an import's rows."""
    return {outcome.value: count for outcome, count in counts.items()}


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
        spool=row["spool"],
    )


def result_values(result: RowResult) -> Values:
    """Return the columns of a row's result."""
    return (result.import_id, result.row, result.outcome.value, result.answer)


def result_of(row: RowMapping) -> RowResult:
    """Return the result in a row."""
    return RowResult(**{**row, "outcome": Outcome(row["outcome"])})
