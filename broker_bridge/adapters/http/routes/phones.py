"""`/v1/phones`: enrolling phones, and showing what they should be and what they say they are."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request

from broker_bridge.adapters.http.access import Caller, PhoneReader, PhoneWriter
from broker_bridge.adapters.http.documented import extra, json_body, links
from broker_bridge.adapters.http.enrolment import EnrolmentBody
from broker_bridge.adapters.http.gateway import Gateway
from broker_bridge.adapters.http.paging import ImeiPath, NumberToken, PageSize, PhonesToken
from broker_bridge.adapters.http.problem_responses import not_found
from broker_bridge.adapters.http.reading import read_json
from broker_bridge.adapters.lender_api.answers import event_answer
from broker_bridge.adapters.lender_api.bodies import check
from broker_bridge.adapters.lender_api.problem_kinds import OF_SIGNING
from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.adapters.lender_api.schemas import EnrolledAnswer, PhoneAnswer, PhonesAnswer, TimelineAnswer
from broker_bridge.domain.phones import Phone
from lock_protocol.imei import Imei, InvalidImeiError, parse_imei

_EXAMPLES: Final = {
    "A new phone": {
        "imei": "001017000000003",
        "loan_id": "loan-1",
        "device_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "consent": "contract 1, signed 2026-11-01",
    }
}


def routes(gateway: Gateway) -> APIRouter:
    """Return the routes of this module."""
    router = APIRouter(prefix="/v1", tags=["Phones"])

    @router.post(
        "/phones",
        status_code=HTTPStatus.CREATED,
        responses=links(201, show_phone=("imei", "/imei"), show_command=("command_id", "/desired/command_id")),
        openapi_extra=json_body(EnrolmentBody, _EXAMPLES, "enrolment-conflict", "broker-not-told", *OF_SIGNING),
    )
    async def enrol_phone(request: Request, caller: PhoneWriter) -> EnrolledAnswer:
        """Enrol a phone: bind IMEI, device key, loan and consent; the answer holds its credential, shown once.

        The same again gives the phone a new credential and changes nothing else.
        """
        return await gateway.enrol(check(EnrolmentBody, await read_json(request)), caller.lender)

    @router.get("/phones")
    async def list_phones(caller: PhoneReader, page_size: PageSize = 100, page_token: PhonesToken = "") -> PhonesAnswer:
        """List phones by IMEI."""
        page = await gateway.phones.all_of(caller.lender, page_token, page_size)
        return {
            "phones": await gateway.show_all(caller.lender, page.items),
            "next_page_token": page.next_token,
        }

    @router.get(
        "/phones/{imei}",
        responses=links(200, show_command=("command_id", "/desired/command_id")),
        openapi_extra=extra("unknown-phone", "invalid-imei"),
    )
    async def show_phone(imei: ImeiPath, caller: PhoneReader) -> PhoneAnswer:
        """Show what a phone should be, and what it says it is."""
        return await gateway.show(await _phone(caller, imei))

    @router.get("/phones/{imei}/timeline", openapi_extra=extra("unknown-phone", "invalid-imei"))
    async def show_timeline(
        imei: ImeiPath, caller: PhoneReader, page_size: PageSize = 100, page_token: NumberToken = ""
    ) -> TimelineAnswer:
        """Tell all that has happened to a phone, the newest first: decisions, commands, its own words."""
        found = await _phone(caller, imei)
        page = await gateway.phones.history(caller.lender, found.imei, page_token, page_size)
        return {"events": [event_answer(entry) for entry in page.items], "next_page_token": page.next_token}

    async def _phone(caller: Caller, imei: str) -> Phone:
        found = await gateway.phones.one(caller.lender, _imei_in_path(imei))
        if found is None:
            raise not_found("phone", imei)
        return found

    return router


def _imei_in_path(text: str) -> Imei:
    try:
        return parse_imei(text)
    except InvalidImeiError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-imei", str(error)) from error
