"""`/v1/policy`: a lender's rules as a TOML document: check it, try it on the phones, put it in force."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request

from broker_bridge.adapters.http.access import Admin, PhoneReader
from broker_bridge.adapters.http.documented import extra, text_body
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.paging import NumberToken, PageSize, PhonesToken
from broker_bridge.adapters.http.problem_responses import not_found
from broker_bridge.adapters.http.reading import read_text
from broker_bridge.adapters.lender_api.answers import policy_answer, version_answer, would_change_answer
from broker_bridge.adapters.lender_api.schemas import CheckedAnswer, DryRunAnswer, PolicyAnswer, PolicyVersionsAnswer
from broker_bridge.adapters.policies.profiles import profile_document
from broker_bridge.app.set_policy import PolicyRefusedError
from broker_bridge.domain.policy import MAX_DOCUMENT_BYTES, PolicyError

MAX_DRY_RUN = 5000
MAX_VERSION = 2**31 - 1
TOML: Final = "application/toml"

VersionPath = Annotated[int, Path(ge=1, le=MAX_VERSION, description="1 is the first that you have set.")]
DryRunSize = Annotated[int, Query(ge=1, le=MAX_DRY_RUN, description="How many phones to judge at most.")]


_POLICY: Final = {"type": "string", "format": "paylatch-policy"}
_ANYTHING: Final = {
    "description": "A policy, or what may be none: no text is refused here, all of it is judged.",
    "minLength": 1,
    "pattern": r"^[^\u0000]*$",
}


def document(*problems: str, schema: Mapping[str, Any] = _POLICY) -> dict[str, Any]:
    """Return the `openapi_extra` of a route whose body is a policy."""
    return text_body(TOML, schema, {"A gentle policy": profile_document("gentle")}, *problems)


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1", tags=["Policy"])

    @router.get("/policy")
    async def show_policy(caller: PhoneReader) -> PolicyAnswer:
        """Show the policy that is in force; version 0 is the bridge's own."""
        return policy_answer(await gateway.policies.in_force(caller.lender))

    @router.put(
        "/policy",
        openapi_extra=document(
            "invalid-policy", "policy-refused", "too-many-policies", "overloaded", "no-signing-keys"
        ),
    )
    async def put_policy(request: Request, caller: Admin) -> PolicyAnswer:
        """Put a document in force as the next version; all phones are judged by it within moments."""
        text = await read_text(request, TOML, MAX_DOCUMENT_BYTES)
        return policy_answer(await gateway.policies.put(caller.lender, text, caller.key_id))

    @router.get("/policy/versions")
    async def list_policy_versions(
        caller: PhoneReader, page_size: PageSize = 100, page_token: NumberToken = ""
    ) -> PolicyVersionsAnswer:
        """List versions, the newest (which is in force) first, without their documents."""
        page = await gateway.policies.versions.all_of(caller.lender, page_token, page_size)
        return {"versions": [version_answer(one) for one in page.items], "next_page_token": page.next_token}

    @router.get("/policy/versions/{version}", openapi_extra=extra("unknown-policy"))
    async def show_policy_version(version: VersionPath, caller: PhoneReader) -> PolicyAnswer:
        """Show one version."""
        found = await gateway.policies.versions.one(caller.lender, version)
        if found is None:
            raise not_found("policy", str(version))
        return policy_answer(found)

    @router.post("/policy/check", openapi_extra=document("no-signing-keys", schema=_ANYTHING))
    async def check_policy(request: Request, caller: PhoneReader) -> CheckedAnswer:
        """Tell whether a document could be put in force, and if not, what is wrong in which line."""
        text = await read_text(request, TOML, MAX_DOCUMENT_BYTES)
        try:
            policy = gateway.policies.check(caller.lender, text)
        except (PolicyError, PolicyRefusedError) as error:
            return {"valid": False, "name": None, "faults": str(error).splitlines()}
        return {"valid": True, "name": policy.name, "faults": []}

    @router.post("/policy/dry-run", openapi_extra=document("invalid-policy", "policy-refused", "no-signing-keys"))
    async def dry_run_policy(
        request: Request, caller: PhoneReader, page_size: DryRunSize = 1000, page_token: PhonesToken = ""
    ) -> DryRunAnswer:
        """Tell which phones would change if a document came into force now; `page_size` phones are judged at a time."""
        text = await read_text(request, TOML, MAX_DOCUMENT_BYTES)
        page = await gateway.policies.dry_run(caller.lender, text, page_token, page_size)
        return {
            "judged": page.judged,
            "would_change": [would_change_answer(one) for one in page.would_change],
            "next_page_token": page.next_token,
        }

    return router
