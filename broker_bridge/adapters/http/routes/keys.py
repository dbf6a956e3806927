"""`/v1/keys`: a lender's API keys.

Only an admin comes here, and an admin has every scope: nobody hands out a right that is not his own.
"""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, BeforeValidator, Field

from broker_bridge.adapters.http.access import Admin, new_key
from broker_bridge.adapters.http.answers import api_key_answer
from broker_bridge.adapters.http.bodies import Body, check, read_json
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.problems import not_found
from broker_bridge.domain.access import KeyId, Scope, key_name, parse_scope

MAX_PAGE = 500


class KeyBody(Body):
    """`POST /v1/keys`."""

    name: Annotated[str, AfterValidator(key_name)]
    """What the lender calls it, so that it is known later which system holds it."""
    scopes: list[Annotated[Scope, BeforeValidator(parse_scope)]] = Field(min_length=1, max_length=len(Scope))


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1")

    @router.post("/keys", status_code=HTTPStatus.CREATED)
    async def create_key(request: Request, caller: Admin) -> dict[str, Any]:
        """Make an API key; the answer holds it, shown once: only its hash is stored."""
        body = check(KeyBody, await read_json(request.stream()))
        key, secret = new_key(caller.lender, body.name, body.scopes, gateway.clock.now())
        await gateway.store.add_key(key)
        return api_key_answer(key) | {"key": secret}

    @router.get("/keys")
    async def keys(
        caller: Admin, page_size: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100, page_token: str = ""
    ) -> dict[str, Any]:
        """List API keys by id, revoked ones too; none of them is shown itself."""
        page = await gateway.store.keys_of(caller.lender, page_token, page_size)
        return {"keys": [api_key_answer(key) for key in page.items], "next_page_token": page.next_token}

    @router.post("/keys/{key_id}/revoke")
    async def revoke_key(key_id: str, caller: Admin) -> dict[str, Any]:
        """Revoke an API key: a second later nothing can be done with it. To revoke it again changes nothing."""
        revoked = await gateway.store.revoke_key(caller.lender, KeyId(key_id), gateway.clock.now())
        if revoked is None:
            raise not_found("key", key_id)
        return api_key_answer(revoked)

    return router
