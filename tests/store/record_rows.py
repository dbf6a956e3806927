"""Records what the present code writes into a database, for the tests of every later revision.

    python -m tests.store.record_rows

writes `tests/store/revisions/<newest revision>.json`: run it once for each revision that changes what is written, and
never again for an older one, since that code is gone. Bytes are in base64, and what the database numbers itself is left
out.
"""

import asyncio
import base64
import json
import tempfile
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from sqlalchemy import Connection, select

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.adapters.store.tables import metadata
from broker_bridge.app.confirm import Judge
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.sent import Ack, MarkSent
from broker_bridge.domain.commands import Event
from broker_bridge.domain.phones import Phone, Said
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Signals
from tests.bridge_rig import ACME, KeptLog, Office, Work
from tests.unit.broker_bridge.facts import overdue, payment, settled

REVISIONS = Path(__file__).with_name("revisions")
LOCKED, REMINDED, RELEASED, NEW, REFUSING = (simulated_imei(number) for number in range(5))
LOCK = overdue(90, at=2_000, imei=LOCKED, amount=129_900, name="lock")
"""The decision that has locked `LOCKED`."""


async def history(store: SqlStore, office: Office) -> None:
    """Let some phones live: one is locked, one reminded, one released, one new, and one refuses."""
    await store.lenders.add(ACME, b"k" * 32, at=office.clock.now())
    judge = Judge(office.queue, office.clock, PhonesLog(KeptLog(), office.clock))
    for number, imei in enumerate((LOCKED, REMINDED, RELEASED, NEW, REFUSING), 1):
        phone = await store.commits.commit(office.enrol(imei))
        if imei != NEW:
            await _live(store, office, judge, phone, Event.APPLIED, number)
    await store.canaries.put("a token", 4)
    office.clock.advance(3600)
    lives = (
        (overdue(20, at=1_000, imei=LOCKED), Event.APPLIED),
        (LOCK, Event.APPLIED),
        (overdue(20, at=1_000, imei=REMINDED), Event.APPLIED),
        (payment(at=3_000, imei=REMINDED, cures=False), None),
        (settled(at=4_000, imei=RELEASED), Event.APPLIED),
        (overdue(90, at=1_000, imei=REFUSING), Event.REFUSED),
    )
    for number, (decision, event) in enumerate(lives, 6):
        await store.commits.commit(office.decide(decision))
        phone = await _phone(store, decision.imei)
        if event is not None:
            await _live(store, office, judge, phone, event, number)
        office.clock.advance(60)
    await store.facts.one("mqtt_client_id", "paylatch-0123456789abcdef")


async def _live(store: SqlStore, office: Office, judge: Judge, phone: Phone, event: Event, number: int) -> None:
    """Let a phone receive its newest state, and say what became of it."""
    await store.commits.commit(MarkSent([Ack(phone.imei, phone.desired.order, number)], office.clock))

    def hear(tx: Transaction) -> None:
        heard = tx.phone(phone.imei)
        assert heard is not None
        state = heard.desired.state
        said = Said(
            epoch=state.epoch,
            version=state.version,
            state_hash=heard.desired.state_hash,
            level=state.level,
            condition=Condition.APPLIED,
            signals=Signals.SIM,
            boot_count=number,
            at=office.clock.now(),
        )
        heard = judge.take_word(tx, heard, said, number, proven=True) if event is Event.APPLIED else heard
        judge.settle(tx, heard, event, "" if event is Event.APPLIED else "LevelNotAllowed")

    await store.commits.commit(Work(hear, [phone.imei]))


async def _phone(store: SqlStore, imei: Imei) -> Phone:
    phone = await store.phones.one(ACME, imei)
    assert phone is not None
    return phone


def rows_in(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables, by table, as JSON can hold them."""
    return {
        table.name: [
            {name: _to_json(value) for name, value in row.items() if name != numbered}
            for row in connection.execute(select(table)).mappings()
        ]
        for table in metadata.sorted_tables
        for numbered in [None if table.autoincrement_column is None else table.autoincrement_column.name]
    }


def _to_json(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


async def main() -> None:
    """Write the file of the newest revision."""
    with tempfile.TemporaryDirectory() as directory:
        async with SqlStore(f"sqlite:///{directory}/paylatch.db") as store:
            await history(store, Office())
            revision = await store._read(lambda one: MigrationContext.configure(one).get_current_revision())
            rows = await store._read(rows_in)
    text = json.dumps(rows, indent=1, sort_keys=True) + "\n"
    await asyncio.to_thread((REVISIONS / f"{revision}.json").write_text, text)


if __name__ == "__main__":
    asyncio.run(main())
