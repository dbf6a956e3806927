"""The history of phones: all entries in one table, and for each phone a chain through its own.

A phone's row names its newest entry, and each entry the one before it. The rows of phones are written anyway; an index
of the entries by IMEI would have each commit write a page for each phone, as phones do not come in their order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnClause,
    ColumnElement,
    Connection,
    Integer,
    ScalarSelect,
    Select,
    and_,
    literal_column,
    select,
)

from broker_bridge.adapters.store.rows import Values, audit_values
from broker_bridge.adapters.store.statements import next_entry_numbers
from broker_bridge.adapters.store.tables import audit, phones
from broker_bridge.app.records import AuditEntry
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId

NO_ENTRY = 0
"""Comes before a phone's first entry, and before entries that are about no phone."""

_MAX_DIGITS = 19


def chained(
    connection: Connection, entries: Sequence[AuditEntry], newest: Mapping[Imei, int]
) -> tuple[list[Values], dict[Imei, int]]:
    """Return the rows of new entries, and the newest entry of each phone that they are about.

    Args:
        connection: a transaction that holds the phones' rows, so that nobody else continues their chains.
        entries: in the order of each phone's history.
        newest: the newest entry so far of each phone whose row the transaction holds or inserts.

    Raises:
        LookupError: an entry is about another phone, whose row would not name it.
    """
    if not entries:
        return [], {}
    if strangers := {entry.imei for entry in entries if entry.imei} - newest.keys():
        raise LookupError(f"history of phones that no job has named: {', '.join(sorted(strangers))}")
    rows: list[Values] = []
    last = dict(newest)
    for number, entry in zip(next_entry_numbers(connection, len(entries)), entries, strict=True):
        rows.append((number, *audit_values(entry), last.get(entry.imei, NO_ENTRY)))
        if entry.imei:
            last[entry.imei] = number
    return rows, {entry.imei: last[entry.imei] for entry in entries if entry.imei}


def newest_entries(lender: LenderId, imei: Imei, after: str, limit: int) -> Select[Any]:
    """Return the question for a phone's entries, the newest first.

    Args:
        lender: whose phone it is.
        imei: which.
        after: the number of the entry that they come after; empty for the newest ones. One that is none of this phone's
            is followed by nothing.
        limit: how many at most.
    """
    mine = and_(audit.c.imei == imei, audit.c.lender == lender)
    chain = _chain(_first(lender, imei, after), mine, limit)
    return select(*(chain.c[column.name] for column in audit.columns)).order_by(chain.c.entry.desc())


def _first(lender: LenderId, imei: Imei, after: str) -> ScalarSelect[Any]:
    if not after:
        return select(phones.c.newest_entry).where(phones.c.imei == imei, phones.c.lender == lender).scalar_subquery()
    mine = (audit.c.entry == _entry_number(after), audit.c.imei == imei, audit.c.lender == lender)
    return select(audit.c.previous).where(*mine).scalar_subquery()


def _chain(first: ScalarSelect[Any], mine: ColumnElement[bool], limit: int) -> CTE:
    step: ColumnClause[int] = literal_column("1", Integer)
    chain = select(audit, step.label("step")).where(audit.c.entry == first, mine).cte("chain", recursive=True)
    further = select(audit, chain.c.step + step).where(audit.c.entry == chain.c.previous, mine, chain.c.step < limit)
    return chain.union_all(further)


def _entry_number(token: str) -> int:
    """Return the entry that a page ended with; a token that was never given names none."""
    return int(token) if token.isascii() and token.isdecimal() and len(token) < _MAX_DIGITS else NO_ENTRY
