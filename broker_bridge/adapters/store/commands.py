"""Commands, as their lenders look them up."""

from dataclasses import dataclass

from sqlalchemy import select

from broker_bridge.adapters.store.rows import command_of
from broker_bridge.adapters.store.short import Run, first
from broker_bridge.adapters.store.tables import commands
from broker_bridge.app.records import Command
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.phones import CommandId
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True)
class SqlCommands:
    """The `Commands` of `broker_bridge.app.ports.queries`."""

    _read: Run

    async def one(self, lender: LenderId, command_id: CommandId) -> Command | None:
        """Return a lender's command."""
        if "\0" in command_id:  # no id has one, and PostgreSQL takes none even in a question
            return None
        query = select(commands).where(commands.c.command_id == command_id, commands.c.lender == lender)
        return await self._read(lambda connection: first(connection, query, command_of))

    async def newest_of(self, lender: LenderId, imei: Imei, decision_id: DecisionId) -> Command | None:
        """Return the newest command that stands for a decision: it may have been held, or signed again."""
        mine = (commands.c.imei == imei, commands.c.lender == lender, commands.c.decision_id == decision_id)
        query = select(commands).where(*mine).order_by(commands.c.epoch.desc(), commands.c.version.desc()).limit(1)
        return await self._read(lambda connection: first(connection, query, command_of))
