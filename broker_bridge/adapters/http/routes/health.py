"""Whether the bridge lives, and whether it has what it needs."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from broker_bridge.adapters.http.documented import REF_TEMPLATE
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.lender_api.schemas import LivezAnswer, ReadyzAnswer

_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {
    503: {
        "description": "The broker is away, or another bridge has it (`application/json`); or the database is away "
        "(`application/problem+json`).",
        "model": ReadyzAnswer,
        "content": {"application/problem+json": {"schema": {"$ref": REF_TEMPLATE.format(model="ProblemDocument")}}},
    }
}


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["Operations"])

    @router.get("/livez")
    async def livez() -> LivezAnswer:
        """Tell that the process runs."""
        return {"status": "ok"}

    @router.get("/readyz", responses=_NOT_READY, response_model=ReadyzAnswer)
    async def readyz() -> JSONResponse:
        """Tell whether the database and the broker are there, and whether it is this bridge that has the broker."""
        await gateway.ping()
        broker = "ok" if gateway.link.connected else "standby" if gateway.standby.standing_by else "disconnected"
        status = HTTPStatus.OK if broker == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"database": "ok", "broker": broker}, status_code=status)

    return router
