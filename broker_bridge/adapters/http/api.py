"""The application: all routes over one gateway."""

from typing import Any, cast

from fastapi import FastAPI

from broker_bridge.adapters.http.access import Access
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.measured import Measured
from broker_bridge.adapters.http.openapi import PaylatchApi
from broker_bridge.adapters.http.problem_responses import install
from broker_bridge.adapters.http.routes import (
    commands,
    decisions,
    docs,
    health,
    imports,
    keys,
    metrics,
    phones,
    policy,
)

_MODULES = (decisions, phones, commands, imports, policy, keys, health)


def create_api(gateway: Gateway, access: Access, version: str, *, show_metrics: bool = True) -> FastAPI:
    """Return the application."""
    api = PaylatchApi(version)
    api.state.access = access
    api.state.meters = gateway.metrics.meters
    api.add_middleware(Measured)
    install(api)
    for module in _MODULES:
        api.include_router(module.routes(gateway))
    if show_metrics:
        api.include_router(metrics.routes(gateway))
    api.include_router(docs.routes(api))
    return api


def document(version: str) -> dict[str, Any]:
    """Return the OpenAPI document of all routes."""
    api, nobody = PaylatchApi(version), cast("Gateway", None)  # a route asks its gateway when a request comes
    for module in (*_MODULES, metrics):
        api.include_router(module.routes(nobody))
    return api.openapi()
