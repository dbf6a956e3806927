"""Whether the bridge lives, and whether it has what it needs."""

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from broker_bridge.adapters.http.gateway import Gateway


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter()

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Tell that the process runs."""
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        """Tell whether the database and the broker are there."""
        await gateway.store.ping()
        ready = gateway.link.connected
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"database": "ok", "broker": "ok" if ready else "disconnected"}, status_code=status)

    return router
