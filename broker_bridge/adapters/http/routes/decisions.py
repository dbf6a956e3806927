"""`/v1/decisions`: what happened to loans."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import Field

from broker_bridge.adapters.http.access import Asker, SomeDecider
from broker_bridge.adapters.http.documented import extra, json_body, links
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.paging import DecisionPath
from broker_bridge.adapters.http.problem_responses import not_found
from broker_bridge.adapters.http.reading import read_json
from broker_bridge.adapters.lender_api.answers import decided_answer
from broker_bridge.adapters.lender_api.decisions import MAX_LIST, AnyDecision
from broker_bridge.adapters.lender_api.problem_kinds import OF_SIGNING
from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.adapters.lender_api.schemas import DecidedAnswer, ResultsAnswer
from broker_bridge.app.decide import recorded
from broker_bridge.domain.decisions import DecisionId

# Whatever an item is, the list is taken: what is no decision has its problem among the results.
_List = Annotated[list[AnyDecision | Any], Field(max_length=MAX_LIST)]

_OVERDUE: Final = {
    "decision_id": "2026-01-0001",
    "imei": "001017000000003",
    "type": "payment_overdue",
    "occurred_at": "2026-01-23T00:00:00Z",
    "days_overdue": 90,
    "amount_due": 129900,
    "currency": "INR",
}
_PAID: Final = {
    "decision_id": "2026-01-0002",
    "imei": "001017000000003",
    "type": "payment_received",
    "occurred_at": "2026-01-23T12:00:00Z",
    "cures": True,
}
_BOUNCED: Final = {
    "decision_id": "2026-01-0003",
    "imei": "001017000000003",
    "type": "payment_received",
    "occurred_at": "2026-01-24T09:00:00Z",
    "reversed": True,
    "days_overdue": 91,
    "reverses": "2026-01-0002",
}
_GRACE: Final = {
    "decision_id": "2026-01-0004",
    "imei": "001017000000003",
    "type": "grace_granted",
    "occurred_at": "2026-01-24T10:00:00Z",
    "until": "2026-02-07T00:00:00Z",
    "level": "notice",
}
_EXAMPLES: Final = {
    "A payment is late": _OVERDUE,
    "A payment has arrived": _PAID,
    "It has bounced": _BOUNCED,
    "More time is granted": _GRACE,
    "Several": [_OVERDUE, _PAID],
}


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1", tags=["Decisions"])

    @router.post(
        "/decisions",
        responses=links(
            200,
            show_command=("command_id", "/command_id"),
            show_phone=("imei", "/imei"),
            show_decision=("decision_id", "/decision_id"),
        ),
        openapi_extra=json_body(
            AnyDecision | _List,
            _EXAMPLES,
            *("unknown-phone", "too-many", "decision-conflict", "from-the-future", "link-not-delegated", *OF_SIGNING),
        ),
    )
    async def decide(request: Request, caller: SomeDecider) -> DecidedAnswer | ResultsAnswer:
        """Take one decision, or a list of them with a result for each; what is answered with success is durable.

        A list is always answered with 200: each of its items stands for itself, and has its own status.
        """
        value = await read_json(request)
        if not isinstance(value, list):
            return decided_answer(await gateway.decide_for(caller, value))
        if len(value) > MAX_LIST:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "too-many", f"at most {MAX_LIST} in a list, this has {len(value)}"
            )
        return {"results": await asyncio.gather(*(gateway.decide_one(caller, one) for one in value))}

    @router.get("/decisions/{decision_id}", openapi_extra=extra("unknown-decision"))
    async def show_decision(decision_id: DecisionPath, caller: Asker) -> DecidedAnswer:
        """Show a decision and the answer that it was given."""
        found = await gateway.decisions.one(caller.lender, DecisionId(decision_id))
        if found is None:
            raise not_found("decision", decision_id)
        return decided_answer(recorded(found))

    return router
