"""`/openapi.json` and `/docs`: the document, and a page to try it out. Neither needs a network.

Swagger UI's own files come from the installed package `fastapi_offline`. The page may load nothing else, run nothing
that stands in it, and ask nobody but this bridge: its policy says so to the browser.
"""

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from broker_bridge.adapters.http.openapi import PaylatchApi, text_of

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Paylatch API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """\
"use strict";
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",  # Swagger UI sets style attributes
    "img-src 'self' data:",  # its icons
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(api: PaylatchApi) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(include_in_schema=False)
    assets = files("fastapi_offline") / "static"
    # All of it is small and never changes while the bridge runs.
    shown = {
        "/docs": (_PAGE.encode(), "text/html"),
        "/docs/start.js": (_START.encode(), "text/javascript"),
        "/docs/swagger-ui-bundle.js": ((assets / "swagger-ui-bundle.js").read_bytes(), "text/javascript"),
        "/docs/swagger-ui.css": ((assets / "swagger-ui.css").read_bytes(), "text/css"),
    }
    for path, (content, media_type) in shown.items():
        router.add_api_route(path, _file(content, media_type))

    @router.get("/openapi.json")
    async def document() -> Response:
        """Show the OpenAPI document."""
        return Response(text_of(api.openapi()), media_type="application/json")

    return router


def _file(content: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def show() -> Response:
        """Show a file."""
        return Response(content, media_type=media_type, headers=dict(HEADERS))

    return show
