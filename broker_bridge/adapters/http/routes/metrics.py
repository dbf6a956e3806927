"""`/metrics`: what Prometheus reads."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response

from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.metrics.metrics import CONTENT_TYPE


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["Operations"])

    @router.get("/metrics", response_class=PlainTextResponse)
    async def show_metrics(names: Annotated[list[str] | None, Query(alias="name[]", max_length=64)] = None) -> Response:
        """Show what the bridge counts and times, in Prometheus' text format; docs/metrics.md has the catalogue.

        `?name[]=`, which may be given several times, asks for these alone, as with every Prometheus client.
        """
        return Response(await gateway.metrics.page(names or ()), media_type=CONTENT_TYPE)

    return router
