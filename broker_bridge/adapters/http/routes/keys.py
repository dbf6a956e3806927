"""`/v1/keys`: a lender's API keys.

Only an admin comes here, and an admin has every scope: nobody hands out a right that is not his own.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BeforeValidator, Field

from broker_bridge.adapters.http.access import Admin
from broker_bridge.adapters.http.documented import extra, json_body, links
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.paging import KeyPath, KeysToken, PageSize
from broker_bridge.adapters.http.problem_responses import not_found
from broker_bridge.adapters.http.reading import read_json
from broker_bridge.adapters.lender_api.answers import api_key_answer
from broker_bridge.adapters.lender_api.bodies import Body, check
from broker_bridge.adapters.lender_api.schemas import KeyAnswer, KeysAnswer, NewKeyAnswer
from broker_bridge.app.api_keys import new_key
from broker_bridge.domain.access import KeyId, Scope, key_name, parse_scope

_NAME: Final[dict[str, Any]] = {"minLength": 1, "maxLength": 64, "pattern": r"^\S(.*\S)?$"}


class KeyBody(Body):
    """`POST /v1/keys`."""

    name: Annotated[str, Field(json_schema_extra=_NAME), AfterValidator(key_name)]
    """What the lender calls it, so that it is known later which system holds it."""
    scopes: list[Annotated[Scope, BeforeValidator(parse_scope)]] = Field(min_length=1, max_length=len(Scope))


_EXAMPLES: Final = {"For the core banking system": {"name": "core banking", "scopes": ["decisions:write"]}}


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1", tags=["Keys"])

    @router.post(
        "/keys",
        status_code=HTTPStatus.CREATED,
        responses=links(201, revoke_key=("key_id", "/key_id")),
        openapi_extra=json_body(KeyBody, _EXAMPLES),
    )
    async def create_key(request: Request, caller: Admin) -> NewKeyAnswer:
        """Make an API key; the answer holds it, shown once: only its hash is stored."""
        body = check(KeyBody, await read_json(request))
        key, secret = new_key(caller.lender, body.name, body.scopes, gateway.clock.now())
        await gateway.keys.add(key)
        return {**api_key_answer(key), "key": secret}

    @router.get("/keys")
    async def list_keys(caller: Admin, page_size: PageSize = 100, page_token: KeysToken = "") -> KeysAnswer:
        """List API keys by id, revoked ones too; none of them is shown itself."""
        page = await gateway.keys.all_of(caller.lender, page_token, page_size)
        return {"keys": [api_key_answer(key) for key in page.items], "next_page_token": page.next_token}

    @router.post("/keys/{key_id}/revoke", openapi_extra=extra("unknown-key", "last-admin-key"))
    async def revoke_key(key_id: KeyPath, caller: Admin) -> KeyAnswer:
        """Revoke an API key: a second later nothing can be done with it. To revoke it again changes nothing."""
        revoked = await gateway.keys.revoke(caller.lender, KeyId(key_id), gateway.clock.now())
        if revoked is None:
            raise not_found("key", key_id)
        return api_key_answer(revoked)

    return router
