"""`/metrics`: what Prometheus reads."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response

from broker_bridge.adapters.http.gateway import Gateway

Names = Annotated[
    list[str],
    Query(
        alias="name[]",
        default_factory=list,
        max_length=64,
        description="Only metrics of these names, like `paylatch_commands_total`; may come several times.",
    ),
]


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(tags=["Operations"])

    @router.get("/metrics", response_class=PlainTextResponse)
    async def show_metrics(names: Names) -> Response:
        """Show what the bridge counts and times, in Prometheus' text format; docs/metrics.md has the catalogue."""
        return Response(await gateway.metrics.page(names), media_type=gateway.metrics.content_type)

    return router
