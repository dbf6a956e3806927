"""`/v1/policy`: a lender's rules as a TOML document: check it, try it on the phones, put it in force."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from broker_bridge.adapters.http.access import Admin, PhoneReader
from broker_bridge.adapters.http.answers import policy_answer, would_change_answer
from broker_bridge.adapters.http.bodies import read_text
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.problems import not_found
from broker_bridge.adapters.policies.reading import MAX_BYTES
from broker_bridge.app.set_policy import PolicyRefusedError
from broker_bridge.domain.policy import PolicyError

MAX_TRIED = 5000
MAX_VERSION = 2**31 - 1


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1")
    desk = gateway.policies

    @router.get("/policy")
    async def policy_in_force(caller: PhoneReader) -> dict[str, Any]:
        """Show the policy that is in force; version 0 is the bridge's own."""
        return policy_answer(await desk.in_force(caller.lender), document=True)

    @router.put("/policy")
    async def put_policy(request: Request, caller: Admin) -> dict[str, Any]:
        """Put a document in force as the next version; all phones are judged by it within moments."""
        document = await read_text(request.stream(), MAX_BYTES)
        return policy_answer(await desk.put(caller.lender, document, caller.key_id), document=True)

    @router.get("/policy/versions")
    async def policy_versions(caller: PhoneReader) -> dict[str, Any]:
        """List all versions, the newest (which is in force) first, without their documents."""
        versions = await gateway.store.policies(caller.lender)
        return {"versions": [policy_answer(one, document=False) for one in versions], "next_page_token": None}

    @router.get("/policy/versions/{version}")
    async def policy_version(
        version: Annotated[int, Path(ge=1, le=MAX_VERSION)], caller: PhoneReader
    ) -> dict[str, Any]:
        """Show one version."""
        for one in await gateway.store.policies(caller.lender):
            if one.version == version:
                return policy_answer(one, document=True)
        raise not_found("policy", str(version))

    @router.post("/policy/check")
    async def check_policy(request: Request, caller: PhoneReader) -> dict[str, Any]:
        """Tell whether a document could be put in force, and if not, what is wrong in which line."""
        document = await read_text(request.stream(), MAX_BYTES)
        try:
            policy = desk.check(caller.lender, document)
        except (PolicyError, PolicyRefusedError) as error:
            return {"valid": False, "name": None, "faults": str(error).splitlines()}
        return {"valid": True, "name": policy.name, "faults": []}

    @router.post("/policy/dry-run")
    async def try_policy(
        request: Request,
        caller: PhoneReader,
        page_size: Annotated[int, Query(ge=1, le=MAX_TRIED)] = 1000,
        page_token: str = "",
    ) -> dict[str, Any]:
        """Tell which phones would change if a document came into force now; `page_size` phones are judged at a time."""
        document = await read_text(request.stream(), MAX_BYTES)
        tried = await desk.dry_run(caller.lender, document, page_token, page_size)
        return {
            "judged": tried.judged,
            "would_change": [would_change_answer(one) for one in tried.would_change],
            "next_page_token": tried.next_token,
        }

    return router
