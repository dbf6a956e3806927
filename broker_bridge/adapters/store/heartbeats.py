"""The heartbeat of the bridge that has the broker."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select, update

from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.statements import put_fact
from broker_bridge.adapters.store.tables import facts
from broker_bridge.app.ports.queries import Heartbeat

_NAME = "heartbeat"
_BETWEEN = " "


@dataclass(frozen=True, slots=True)
class SqlHeartbeats:
    """The `Heartbeats` of `broker_bridge.app.ports.queries`."""

    _read: Run
    _write: Run

    async def claim(self, first: Heartbeat) -> None:
        """Have the broker belong to a bridge, whosever it was."""
        await self._write(lambda connection: put_fact(connection, _NAME, _text(first)))

    async def beat(self, one: Heartbeat) -> bool:
        """Replace a bridge's heartbeat by its next one; False when the broker is not that bridge's any more."""
        replace = update(facts).where(*_of(one.bridge)).values(value=_text(one))
        return await self._write(lambda connection: connection.execute(replace).rowcount == 1)

    async def latest(self) -> Heartbeat | None:
        """Return the latest heartbeat; None when whoever had the broker has retired."""
        query = select(facts.c.value).where(facts.c.name == _NAME)

        def read(connection: Connection) -> Heartbeat | None:
            value = connection.execute(query).scalar()
            if value is None:
                return None
            bridge, _, number = value.partition(_BETWEEN)
            return Heartbeat(bridge, int(number))

        return await self._read(read)

    async def remove(self, bridge: str) -> None:
        """Have the broker be nobody's, if it is this bridge's."""
        mine = delete(facts).where(*_of(bridge))
        await self._write(lambda connection: connection.execute(mine))


def _text(one: Heartbeat) -> str:
    return f"{one.bridge}{_BETWEEN}{one.number}"


def _of(bridge: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions by which a heartbeat is a bridge's."""
    return facts.c.name == _NAME, facts.c.value.startswith(bridge + _BETWEEN, autoescape=True)
