"""`/v1/decisions`: what happened to loans."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request

from broker_bridge.adapters.http.access import PhoneReader, SomeDecider
from broker_bridge.adapters.http.answers import decided_answer
from broker_bridge.adapters.http.bodies import MAX_LIST, read_json
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.problems import ProblemError, not_found
from broker_bridge.app.decide import recorded
from broker_bridge.domain.decisions import DecisionId


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1")

    @router.post("/decisions")
    async def decide(request: Request, caller: SomeDecider) -> dict[str, Any]:
        """Take one decision, or a list of them with a result for each; what is answered with success is durable."""
        value = await read_json(request.stream())
        if not isinstance(value, list):
            return decided_answer(await gateway.decide_for(caller, value))
        if len(value) > MAX_LIST:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "too-many", f"at most {MAX_LIST} in a list, this has {len(value)}"
            )
        return {"results": await asyncio.gather(*(gateway.decide_one(caller, one) for one in value))}

    @router.get("/decisions/{decision_id}")
    async def decision(decision_id: str, caller: PhoneReader) -> dict[str, Any]:
        """Show a decision and the answer that it was given."""
        found = await gateway.store.decision(caller.lender, DecisionId(decision_id))
        if found is None:
            raise not_found("decision", decision_id)
        return decided_answer(recorded(found))

    return router
