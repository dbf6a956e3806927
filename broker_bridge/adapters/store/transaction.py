"""One database transaction that many jobs share: rows are read once, changed in memory, and written together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Select, Table, and_, bindparam, case, insert, select, text, update

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.errors import taken_away
from broker_bridge.adapters.store.facts import LAST_SIGNED_AT
from broker_bridge.adapters.store.history import NO_ENTRY, chained
from broker_bridge.adapters.store.hot import Statement, insert_rows, read_rows, run, update_rows
from broker_bridge.adapters.store.imports import AT_WORK
from broker_bridge.adapters.store.rows import (
    Values,
    command_of,
    command_values,
    decision_of,
    decision_values,
    phone_of,
    phone_values,
    policy_of,
    policy_row,
    result_values,
)
from broker_bridge.adapters.store.short import first
from broker_bridge.adapters.store.statements import among_given, packed, raise_fact
from broker_bridge.app.ports.signing import UnknownLenderError
from broker_bridge.app.ports.store import Job
from broker_bridge.app.records import (
    KEY_CONFLICT,
    AuditEntry,
    Command,
    LenderRecord,
    Outgoing,
    PolicyVersion,
    RecordedDecision,
)
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.imports import ImportId, RowResult, SpoolId
from broker_bridge.domain.phones import CommandId, Phone
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId

K = TypeVar("K")
V = TypeVar("V")

_MISSING = object()


class SharedTransaction:
    """The `Transaction` of `broker_bridge.app.ports.store`, over one database transaction.

    Rows of all its jobs' phones are locked at the start, sorted by IMEI, so that two of these never wait for each other
    in a circle. Jobs run one after the other; each sees what the earlier ones have written.
    """

    def __init__(self, connection: Connection, jobs: Collection[Job[Any]]) -> None:
        """Read and lock what the jobs have named."""
        self._connection = connection
        self._undo: list[tuple[dict[Any, Any], object, object]] = []
        """What the job under way has replaced: where, under which key, and what was there."""
        self._appended: list[list[Any]] = []
        """The lists that it has appended to."""
        self._stored_phones: dict[Imei, Values] = {}
        self._stored_commands: dict[CommandId, Values] = {}
        self._phones = self._read_phones({imei for job in jobs for imei in job.imeis})
        self._decisions = self._read_decisions({key for job in jobs for key in job.decisions})
        self._commands = self._read_commands({phone.command_id for phone in self._phones.values()})
        self._phones_before, self._commands_before = dict(self._phones), dict(self._commands)
        self._new_decisions: list[RecordedDecision] = []
        self._imports: dict[tuple[ImportId, SpoolId], bool] = {}
        self._row_results: list[RowResult] = []
        self._audit: list[AuditEntry] = []
        self._audit_refusals: list[AuditEntry] = []
        self._facts: dict[str, int] = {}
        self._lenders: dict[LenderId, LenderRecord] = {}
        self._heard: dict[LenderId, int] = {}
        self._policies: list[PolicyVersion] = []
        self._judge_again: dict[LenderId, int] = {}
        self._last_signed_at: int | None = None
        self.to_publish: list[Outgoing] = []
        self._steps: list[Command] = []
        self.to_tell: list[Command] = []
        """Steps of commands whose lenders are told of them; complete once everything is written."""

    # --- what jobs call ---

    def phone(self, imei: Imei) -> Phone | None:
        """Return a phone's row."""
        return self._phones.get(imei)

    def put_phone(self, phone: Phone) -> None:
        """Insert or replace a phone's row."""
        self._set(self._phones, phone.imei, phone)

    def decision(self, lender: LenderId, decision_id: DecisionId) -> RecordedDecision | None:
        """Return the record of a decision."""
        return self._decisions.get((lender, decision_id))

    def put_decision(self, decision: RecordedDecision) -> None:
        """Insert the record of a decision."""
        self._set(self._decisions, (decision.lender, decision.decision_id), decision)
        self._append(self._new_decisions, decision)

    def command(self, command_id: CommandId) -> Command | None:
        """Return a command."""
        return self._commands.get(command_id)

    def put_command(self, command: Command) -> None:
        """Insert or replace a command. Whatever changes a status comes through here, so no step goes untold."""
        before = self._commands.get(command.command_id)
        if command.decision_id is not None and (before is None or before.status is not command.status):
            self._append(self._steps, command)
        self._set(self._commands, command.command_id, command)

    def require_import(self, import_id: ImportId, spool: SpoolId) -> None:
        """Do nothing, if an import is still worked off from this spool. The database is asked once a commit."""
        key = (import_id, spool)
        if key not in self._imports:
            rows = read_rows(self._connection, _import, import_id)
            self._imports[key] = [(state in AT_WORK, lies_in) for state, lies_in in rows] == [(True, spool)]
        if not self._imports[key]:
            raise taken_away(import_id)

    def put_row_result(self, result: RowResult) -> None:
        """Insert what became of a row of an import."""
        self._append(self._row_results, result)

    def audit(self, entry: AuditEntry) -> None:
        """Append to the history."""
        self._append(self._audit, entry)

    def audit_refusal(self, entry: AuditEntry) -> None:
        """Append to the history; it stays even if its job fails."""
        self._audit_refusals.append(entry)

    def key_conflicts(self, imei: Imei) -> Collection[str]:
        """Return the details of a phone's key conflicts, with those that this commit is going to add."""
        new = [one.detail for one in self._audit_refusals if (one.imei, one.event) == (imei, KEY_CONFLICT)]
        return {*new, *(row[0] for row in read_rows(self._connection, _key_conflicts, imei))}

    def lender(self, lender: LenderId) -> LenderRecord:
        """Return a lender's record."""
        known = self._lenders.get(lender)
        if known is None:
            known = self._lenders[lender] = read_lender(self._connection, lender)
        return known

    def put_heard(self, lender: LenderId, at: int) -> None:
        """Remember when a lender last reported anything."""
        self._set(self._lenders, lender, replace(self.lender(lender), heard_at=at))
        self._set(self._heard, lender, at)

    def policy(self, lender: LenderId, version: int) -> PolicyVersion | None:
        """Return one version of a lender's own policy."""
        for new in self._policies:
            if (new.lender, new.version) == (lender, version):
                return new
        stored = tables.policies.c
        query = select(tables.policies).where(stored.lender == lender, stored.version == version)
        return first(self._connection, query, policy_of)

    def put_policy(self, policy: PolicyVersion) -> None:
        """Put the next version of a lender's policy in force."""
        before = self.lender(policy.lender)
        after = replace(before, policy_version=policy.version, policy_document=policy.document)
        self._set(self._lenders, policy.lender, after)
        self._append(self._policies, policy)

    def judge_all_again(self, lender: LenderId, at: int) -> None:
        """Have each of a lender's phones judged again."""
        self._set(self._judge_again, lender, at)

    def last_signed_at(self) -> int:
        """Return the newest time that was ever signed with."""
        if self._last_signed_at is None:
            found = read_rows(self._connection, _fact, LAST_SIGNED_AT)
            self._last_signed_at = int(found[0][0]) if found else 0
        return self._last_signed_at

    def put_last_signed_at(self, at: int) -> None:
        """Remember the newest time that was signed with. It stays even if its job fails: time was used."""
        self._last_signed_at = at
        self._facts[LAST_SIGNED_AT] = at

    def publish_after_commit(self, state: Outgoing) -> None:
        """Hand a state to the publisher after the commit."""
        self._append(self.to_publish, state)

    # --- what the store calls ---

    def run(self, job: Job[Any]) -> Any:
        """Run one job; when it raises, drop what it wrote and let it raise."""
        self._undo.clear()
        self._appended.clear()
        try:
            return job.run(self)
        except BaseException:
            self._drop_writes()
            raise

    def moved(self) -> list[Command]:
        """Return the commands that are new or in another status than before."""
        before = self._commands_before
        changed = _changed(self._commands, before)
        return [one for one in changed if (was := before.get(one.command_id)) is None or one.status is not was.status]

    def flush(self) -> None:
        """Write everything, table by table, as few statements as there are tables.

        New rows go in sorted by their keys, and the facts last: two bridges that insert the same ones wait for each
        other, but never in a circle.
        """
        self._find_whom_to_tell()
        entries, newest = self._chained_history()
        _write(self._connection, tables.phones, self._phone_rows(newest), self._stored_phones)
        commands = [command_values(one) for one in _changed(self._commands, self._commands_before)]
        _write(self._connection, tables.commands, commands, self._stored_commands)
        insert_rows(self._connection, tables.decisions, sorted(map(decision_values, self._new_decisions)))
        insert_rows(self._connection, tables.import_rows, list(map(result_values, self._row_results)))
        insert_rows(self._connection, tables.audit, entries)
        for name, value in self._facts.items():
            run(self._connection, raise_fact, name, str(value))
        self._flush_lenders()

    def _chained_history(self) -> tuple[list[Values], dict[Imei, int]]:
        newest = {imei: _newest_in(self._stored_phones.get(imei)) for imei in self._phones}
        return chained(self._connection, (*self._audit, *self._audit_refusals), newest)

    def _phone_rows(self, newest: Mapping[Imei, int]) -> list[Values]:
        """Return the rows of phones that have changed, or have history that has not changed them: a refusal's."""
        stored = self._stored_phones
        rows = {one.imei: phone_values(one) for one in _changed(self._phones, self._phones_before)}
        rows.update({imei: stored[imei][:-1] for imei in newest if imei not in rows and imei in stored})
        return [(*row, newest.get(imei) or _newest_in(stored.get(imei))) for imei, row in rows.items()]

    def _flush_lenders(self) -> None:
        table = tables.lenders
        if self._policies:
            self._connection.execute(insert(tables.policies), [policy_row(policy) for policy in self._policies])
        for policy in self._policies:
            mine = update(table).where(table.c.lender == policy.lender)
            self._connection.execute(mine.values(policy_version=policy.version))
        for lender, at in sorted(self._heard.items()):
            self._connection.execute(update(table).where(table.c.lender == lender).values(heard_at=at))
        for lender, at in sorted(self._judge_again.items()):
            # Each sweep has a time of its own, so that what was judged in one is not taken for judged in the next.
            later = case((table.c.judge_at >= at, table.c.judge_at + 1), else_=at)
            begun = update(table).where(table.c.lender == lender)
            self._connection.execute(begun.values(judge_at=later, judged_to=tables.SWEEP_BEGINS))

    def _find_whom_to_tell(self) -> None:
        """Fill in which new commands stand for a decision that came by MQTT, and collect the steps to tell."""
        new = [one for one in self._commands.values() if one.command_id not in self._stored_commands]
        keys = {(one.lender, one.decision_id) for one in new if one.decision_id is not None}
        # A decision that was held is older than this commit, and its command is not.
        records = self._decisions | self._read_decisions(keys - self._decisions.keys())
        for one in new:
            record = None if one.decision_id is None else records.get((one.lender, one.decision_id))
            if record is not None and record.told:
                self._commands[one.command_id] = replace(one, told=True)
        self.to_tell = [step for step in self._steps if self._commands[step.command_id].told]

    # --- reading ---

    def _read_phones(self, imeis: set[Imei]) -> dict[Imei, Phone]:
        self._stored_phones = {row[0]: row for row in self._rows(_phones, sorted(imeis))}
        return {imei: phone_of(values) for imei, values in self._stored_phones.items()}

    def _read_decisions(
        self, keys: set[tuple[LenderId, DecisionId]]
    ) -> dict[tuple[LenderId, DecisionId], RecordedDecision]:
        records = map(decision_of, self._rows(_decisions, {key[1] for key in keys}))
        return {(record.lender, record.decision_id): record for record in records}

    def _read_commands(self, ids: set[CommandId]) -> dict[CommandId, Command]:
        self._stored_commands = {row[0]: row for row in self._rows(_commands, ids)}
        return {command_id: command_of(values) for command_id, values in self._stored_commands.items()}

    def _rows(self, statement: Statement, texts: Collection[str]) -> list[Values]:
        return read_rows(self._connection, statement, packed(self._connection.dialect, texts)) if texts else []

    # --- undoing ---

    def _set(self, where: dict[Any, Any], key: object, value: object) -> None:
        self._undo.append((where, key, where.get(key, _MISSING)))
        where[key] = value

    def _append(self, where: list[Any], value: object) -> None:
        self._appended.append(where)
        where.append(value)

    def _drop_writes(self) -> None:
        for where, key, before in reversed(self._undo):
            if before is _MISSING:
                where.pop(key)
            else:
                where[key] = before
        for appended in self._appended:
            appended.pop()


def _newest_in(stored: Values | None) -> int:
    """Return the newest entry of a phone's history, which is its row's last column."""
    return NO_ENTRY if stored is None else int(stored[-1])


def _changed(now: Mapping[K, V], before: Mapping[K, V]) -> list[V]:
    """Return the records that are not the very ones from before: a job that fails puts those back."""
    return [record for key, record in now.items() if record is not before.get(key)]


def _write(connection: Connection, table: Table, rows: Sequence[Values], stored: Mapping[Any, Values]) -> None:
    """Insert the rows that are new, sorted by their keys, and update the others."""
    insert_rows(connection, table, sorted(row for row in rows if row[0] not in stored))
    update_rows(connection, table, [(stored[row[0]], row) for row in rows if row[0] in stored])


def read_lender(connection: Connection, lender: LenderId) -> LenderRecord:
    """Return a lender's record.

    Raises:
        UnknownLenderError: there is no such lender.
    """
    found = read_rows(connection, _lender, lender)
    if not found:
        raise UnknownLenderError(f"there is no lender {lender}")
    policy_version, document, heard_at = found[0]
    return LenderRecord(lender=lender, policy_version=policy_version, policy_document=document or "", heard_at=heard_at)


# --- what every commit asks -----------------------------------------------------------------------------------------


def _phones(dialect: Dialect) -> Select[Any]:
    imei = tables.phones.c.imei
    return select(tables.phones).where(among_given(dialect, imei)).order_by(imei).with_for_update()


def _decisions(dialect: Dialect) -> Select[Any]:
    return select(tables.decisions).where(among_given(dialect, tables.decisions.c.decision_id))


def _commands(dialect: Dialect) -> Select[Any]:
    return select(tables.commands).where(among_given(dialect, tables.commands.c.command_id))


def _key_conflicts(_: Dialect) -> Select[Any]:
    # The condition of their index stands here as text, for the planner to know it again.
    is_one = text(f"event = '{KEY_CONFLICT}'")
    return select(tables.audit.c.detail).where(tables.audit.c.imei == bindparam("imei_"), is_one)


def _fact(_: Dialect) -> Select[Any]:
    return select(tables.facts.c.value).where(tables.facts.c.name == bindparam("name"))


def _import(_: Dialect) -> Select[Any]:
    # Held, so that whoever takes it away waits for this commit, and finds the results of its rows.
    imports = tables.imports.c
    return select(imports.state, imports.spool).where(imports.import_id == bindparam("one")).with_for_update(read=True)


def _lender(_: Dialect) -> Select[Any]:
    lenders, policies = tables.lenders, tables.policies
    in_force = and_(policies.c.lender == lenders.c.lender, policies.c.version == lenders.c.policy_version)
    columns = (lenders.c.policy_version, policies.c.document, lenders.c.heard_at)
    query = select(*columns).select_from(lenders.outerjoin(policies, in_force))
    return query.where(lenders.c.lender == bindparam("lender_"))
