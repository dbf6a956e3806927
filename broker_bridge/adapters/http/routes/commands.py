"""`/v1/commands`: where one version of a state is on its way to its phone."""

from fastapi import APIRouter

from broker_bridge.adapters.http.access import Asker
from broker_bridge.adapters.http.documented import extra
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.paging import CommandPath
from broker_bridge.adapters.http.problem_responses import not_found
from broker_bridge.adapters.lender_api.answers import command_answer
from broker_bridge.adapters.lender_api.schemas import CommandAnswer
from broker_bridge.domain.phones import CommandId


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1", tags=["Commands"])

    @router.get("/commands/{command_id}", openapi_extra=extra("unknown-command"))
    async def show_command(command_id: CommandPath, caller: Asker) -> CommandAnswer:
        """Show where a command is on its way to its phone."""
        found = await gateway.commands.one(caller.lender, CommandId(command_id))
        if found is None:
            raise not_found("command", command_id)
        return command_answer(found)

    return router
