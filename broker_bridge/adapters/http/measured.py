"""Counts and times every request, whatever becomes of it."""

import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker_bridge.app.ports.metrics import Meters

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"


class Measured:
    """ASGI middleware that tells `state.meters`, as `api.create_api` puts it there.

    Paths and methods are the caller's to invent, so only route templates become labels.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Take what comes after it."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)  # what is answered when nothing else is

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else _OTHER
            meters: Meters = scope["app"].state.meters
            meters.answered(method, _route_of(scope), status, time.perf_counter() - started)


def _route_of(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", _OTHER)
