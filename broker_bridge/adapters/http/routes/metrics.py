"""`/metrics`: what Prometheus reads."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.metrics.metrics import CONTENT_TYPE


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["Operations"])

    @router.get("/metrics", response_class=PlainTextResponse)
    async def show_metrics() -> Response:
        """Show what the bridge counts and times, in Prometheus' text format; docs/metrics.md has the catalogue."""
        return Response(await gateway.metrics.page(), media_type=CONTENT_TYPE)

    return router
