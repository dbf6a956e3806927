"""The application: all routes over one gateway."""

from fastapi import FastAPI

from broker_bridge.adapters.http.access import Access
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.problems import install
from broker_bridge.adapters.http.routes import commands, decisions, health, keys, phones, policy


def create_api(gateway: Gateway, access: Access, version: str) -> FastAPI:
    """Return the application."""
    api = FastAPI(title="Paylatch", version=version, docs_url=None, redoc_url=None)
    api.state.access = access
    install(api)
    for module in (phones, decisions, commands, keys, policy, health):
        api.include_router(module.routes(gateway))
    return api
