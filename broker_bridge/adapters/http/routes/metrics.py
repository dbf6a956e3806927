"""`/metrics`: what Prometheus reads."""

from fastapi import APIRouter
from fastapi.responses import Response

from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.metrics.metrics import CONTENT_TYPE


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter()

    @router.get("/metrics")
    async def metrics() -> Response:
        """Show what the bridge counts and times, in Prometheus' text format."""
        return Response(await gateway.metrics.page(), media_type=CONTENT_TYPE)

    return router
