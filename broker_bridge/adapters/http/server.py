"""The server of the routes: uvicorn, on a socket that listens already."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from broker_bridge.adapters.http.connections import PunctualProtocol

KEEP_ALIVE_S = 75
"""How long an idle HTTP connection stays open: longer than lenders' clients and proxies keep theirs (5 to 60 s).

Whoever closes first must be the client: a server that does loses the request that is on its way just then.
"""
FINISH_S = 10
"""How long requests that have begun may take once the server is told to stop."""


class Server(uvicorn.Server):
    """uvicorn's server, told to stop by its caller: signals are for the whole process, and not its own."""

    def __init__(self, api: FastAPI) -> None:
        """Take what it serves."""
        super().__init__(
            uvicorn.Config(
                api,
                log_config=None,
                log_level=logging.ERROR,  # its warnings are of whoever sends no HTTP: a line each time, and no JSON
                access_log=False,
                lifespan="off",
                proxy_headers=False,  # nobody here asks whence a request comes
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=FINISH_S,
                http=PunctualProtocol,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    def stop(self) -> None:
        """Take no more requests, finish those that have begun, and return from `serve`."""
        self.should_exit = True
