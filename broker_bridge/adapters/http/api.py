"""The application: all routes over one gateway."""

from fastapi import FastAPI

from broker_bridge.adapters.http.access import Access
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.measured import Measured
from broker_bridge.adapters.http.problems import install
from broker_bridge.adapters.http.routes import commands, decisions, health, keys, metrics, phones


def create_api(gateway: Gateway, access: Access, version: str, *, show_metrics: bool = True) -> FastAPI:
    """Return the application."""
    api = FastAPI(title="Paylatch", version=version, docs_url=None, redoc_url=None)
    api.state.access = access
    api.add_middleware(Measured, meters=gateway.metrics.meters)
    install(api)
    for module in (phones, decisions, commands, keys, health):
        api.include_router(module.routes(gateway))
    if show_metrics:
        api.include_router(metrics.routes(gateway))
    return api
