"""A database that commits, and whose connection ends before it has said so."""

import pytest
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import OperationalError

from broker_bridge.adapters.store.store import SqlStore


def lose_the_answer_to_the_next_commit(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the database commit and the connection end before it has said so."""
    dialect = store._writing.dialect
    commit = dialect.do_commit

    def lost(connection: PoolProxiedConnection) -> None:
        monkeypatch.undo()
        commit(connection)
        raise OperationalError("COMMIT", None, Exception("the connection ended"))

    monkeypatch.setattr(dialect, "do_commit", lost)
