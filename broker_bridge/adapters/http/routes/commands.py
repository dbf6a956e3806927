"""`/v1/commands`: where one version of a state is on its way to its phone."""

from typing import Any

from fastapi import APIRouter

from broker_bridge.adapters.http.access import PhoneReader
from broker_bridge.adapters.http.answers import command_answer
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.problems import not_found
from broker_bridge.domain.phones import CommandId


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1")

    @router.get("/commands/{command_id}")
    async def command(command_id: str, caller: PhoneReader) -> dict[str, Any]:
        """Show where a command is on its way to its phone."""
        found = await gateway.store.command(caller.lender, CommandId(command_id))
        if found is None:
            raise not_found("command", command_id)
        return command_answer(found)

    return router
