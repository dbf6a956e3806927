"""`/v1/phones`: enrolling phones, and showing what they should be and what they say they are."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from broker_bridge.adapters.http.access import Caller, PhoneReader, PhoneWriter
from broker_bridge.adapters.http.answers import event_answer
from broker_bridge.adapters.http.bodies import EnrolmentBody, check, read_json
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.problems import ProblemError, not_found
from broker_bridge.domain.phones import Phone
from lock_protocol.imei import Imei, InvalidImeiError, parse_imei

MAX_PAGE = 500


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1")

    @router.post("/phones", status_code=HTTPStatus.CREATED)
    async def enrol(request: Request, caller: PhoneWriter) -> dict[str, Any]:
        """Enrol a phone: bind IMEI, device key, loan and consent; the answer holds its credential, shown once."""
        return await gateway.enrol(check(EnrolmentBody, await read_json(request.stream())), caller.lender)

    @router.get("/phones")
    async def phones(
        caller: PhoneReader, page_size: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100, page_token: str = ""
    ) -> dict[str, Any]:
        """List phones by IMEI."""
        page = await gateway.store.phones(caller.lender, page_token, page_size)
        return {
            "phones": await gateway.show_all(caller.lender, page.items),
            "next_page_token": page.next_token,
        }

    @router.get("/phones/{imei}")
    async def phone(imei: str, caller: PhoneReader) -> dict[str, Any]:
        """Show what a phone should be, and what it says it is."""
        return await gateway.show(await _phone(caller, imei))

    @router.get("/phones/{imei}/timeline")
    async def timeline(
        imei: str, caller: PhoneReader, page_size: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100, page_token: str = ""
    ) -> dict[str, Any]:
        """Tell all that has happened to a phone, the newest first: decisions, commands, its own words."""
        found = await _phone(caller, imei)
        page = await gateway.store.history(caller.lender, found.imei, page_token, page_size)
        return {"events": [event_answer(entry) for entry in page.items], "next_page_token": page.next_token}

    async def _phone(caller: Caller, imei: str) -> Phone:
        found = await gateway.store.phone(caller.lender, _imei_in_path(imei))
        if found is None:
            raise not_found("phone", imei)
        return found

    return router


def _imei_in_path(text: str) -> Imei:
    try:
        return parse_imei(text)
    except InvalidImeiError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-imei", str(error)) from error
