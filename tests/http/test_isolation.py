"""Every route of the OpenAPI document, walked without a credential, without the scope, and as another lender.

A route that this file knows no resource for fails here: say in `NAMES` what its path parameter names, in `SENT` what
its body is, or in `PUBLIC` that it is for everybody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from broker_bridge.adapters.policies.profiles import profile_document
from broker_bridge.domain.access import Scope, effective
from tests.conftest import PATIENCE_S
from tests.http.conftest import DEVICE_KEY, FOREIGN, IMEI, KEYS, OTHER, SECOND, Api, overdue, problem

PUBLIC = {
    *("/livez", "/readyz", "/metrics", "/openapi.json"),
    *("/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"),
}
"""What needs no credential."""


@dataclass(frozen=True)
class Named:
    """What a path parameter names."""

    existing: Callable[[Api], Awaitable[str]]
    """Finds one of the first lender, with that lender's credential."""
    absent: str
    """One that nobody has."""


async def _imei(_: Api) -> str:
    return IMEI


async def _command(api: Api) -> str:
    return str((await api.decide(overdue("locked-by-its-lender"))).json()["command_id"])


async def _decision(api: Api) -> str:
    return str((await api.decide(overdue("told-by-its-lender"))).json()["decision_id"])


async def _policy(api: Api) -> str:
    answer = await api.http.put("/v1/policy", content=profile_document("gentle"), headers=api.headers)
    return str(answer.json()["version"])


async def _key(api: Api) -> str:
    return str((await api.get("/v1/keys")).json()["keys"][0]["key_id"])


IMPORTED = f"decision_id,imei,type,occurred_at\nsettled,{IMEI},loan_settled,2023-01-01T00:00:00Z\n".encode()
IMPORT_HEADERS = {"Content-Type": "text/csv", "Idempotency-Key": "theirs"}


async def _import(api: Api) -> str:
    begun = await api.http.post("/v1/imports", content=IMPORTED, headers=api.headers | IMPORT_HEADERS)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            one = (await api.get(begun.headers["location"])).json()
            if one["state"] == "done":
                return str(one["import_id"])
            await asyncio.sleep(0.005)


NAMES: dict[str, Named] = {
    "imei": Named(_imei, absent=SECOND),
    "command_id": Named(_command, absent="cmd_0"),
    "key_id": Named(_key, absent="key_0"),
    "import_id": Named(_import, absent="imp_0"),
    "decision_id": Named(_decision, absent="nobody-told"),
    "version": Named(_policy, absent="4711"),
}


@dataclass(frozen=True)
class Sent:
    """A request with a body that reaches for the first lender's phone, and the answer that it has to get."""

    answer: int
    json: object = None
    content: bytes | None = None
    """The body where it is no JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


SENT: dict[tuple[str, str], Sent] = {
    ("POST", "/v1/phones"): Sent(
        409,  # as for any IMEI that is bound
        {"imei": IMEI, "loan_id": f"loan-{IMEI}", "device_key": DEVICE_KEY, "consent": "x"},
    ),
    ("POST", "/v1/decisions"): Sent(404, overdue("theirs", imei=IMEI)),
    ("POST", "/v1/imports"): Sent(202, content=IMPORTED, headers=IMPORT_HEADERS),  # and its row is refused
    ("PUT", "/v1/policy"): Sent(200, content=profile_document("default").encode()),
    ("POST", "/v1/policy/check"): Sent(200, content=b"name = 3"),
    ("POST", "/v1/policy/dry-run"): Sent(200, content=profile_document("default").encode()),
    ("POST", "/v1/keys"): Sent(201, {"name": "theirs", "scopes": ["admin"]}),
}


@dataclass(frozen=True)
class Operation:
    """A method of a path in the document."""

    method: str
    path: str
    scopes: frozenset[Scope]
    """Any of these is enough; none for a public one."""

    @property
    def parameters(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def known(self) -> bool:
        """Whether this file can ask it."""
        has_body = self.method != "GET" and not self.parameters
        return set(self.parameters) <= set(NAMES) and (not has_body or (self.method, self.path) in SENT)

    async def ask(self, api: Api, names: dict[str, str]) -> httpx.Response:
        sent = SENT.get((self.method, self.path), Sent(404))
        return await api.http.request(
            self.method,
            self.path.format_map(names),
            json=sent.json,
            content=sent.content,
            headers={**sent.headers, **api.headers},
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations(api: Api) -> list[Operation]:
    """Every operation of the document."""
    return [
        Operation(method.upper(), path, _scopes_of(operation))
        for path, methods in api.app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def _scopes_of(operation: dict[str, Any]) -> frozenset[Scope]:
    alternatives = operation.get("security", [])
    return frozenset(Scope(scope) for one in alternatives for scopes in one.values() for scope in scopes)


def lenders_own(api: Api) -> Iterator[Operation]:
    return (one for one in operations(api) if one.path not in PUBLIC)


async def existing_names(api: Api) -> dict[str, str]:
    """A name of the first lender for every path parameter."""
    return {parameter: await named.existing(api) for parameter, named in NAMES.items()}


ABSENT = {parameter: named.absent for parameter, named in NAMES.items()}


async def everything_of(api: Api, names: dict[str, str]) -> dict[str, str]:
    """All that a lender can be shown of its own."""
    reads = [one for one in lenders_own(api) if one.method == "GET"]
    answers = {str(one): await one.ask(api, names) for one in reads}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 200)
    return {name: answer.text for name, answer in answers.items()}


@pytest.fixture
def intruder(api: Api) -> Api:
    """Another lender that may do everything, to its own."""
    return api.of(KEYS[OTHER])


def test_this_file_knows_how_to_ask_every_route(api: Api) -> None:
    assert [str(one) for one in operations(api) if not one.known] == [], "see the top of this file"


def test_every_route_is_in_the_document_or_public(api: Api) -> None:
    paths = {context.path for context in iter_route_contexts(api.app.routes)}
    assert paths - {one.path for one in operations(api)} <= PUBLIC


def test_every_route_is_public_or_names_a_scope(api: Api) -> None:
    assert {one.path for one in operations(api) if not one.scopes} <= PUBLIC


async def test_nobody_is_let_in_without_a_key(api: Api) -> None:
    for key in (None, "pl_wrong"):
        answers = {str(one): await one.ask(api.of(key), ABSENT) for one in lenders_own(api)}
        assert {name: problem(answer) for name, answer in answers.items()} == dict.fromkeys(
            answers, (401, "unauthorized")
        )
        assert len({answer.text for answer in answers.values()}) == 1


@pytest.mark.parametrize("scope", Scope)
async def test_a_key_without_the_scope_is_told_which_one_it_lacks(api: Api, scope: Scope) -> None:
    made = await api.post("/v1/keys", {"name": "limited", "scopes": [scope]})
    limited = api.of(made.json()["key"])
    for operation in lenders_own(api):
        answer = await operation.ask(limited, ABSENT)
        if effective({scope}) & operation.scopes:
            assert answer.status_code != 401, str(operation)
            assert answer.status_code != 403 or scope is Scope.SUPPORT, str(operation)
        else:
            assert problem(answer) == (403, "forbidden"), str(operation)
            assert any(needed in answer.json()["detail"] for needed in operation.scopes), str(operation)


async def test_what_another_lender_has_looks_like_what_nobody_has(api: Api, intruder: Api) -> None:
    theirs = await existing_names(api)
    for operation in lenders_own(api):
        if operation.parameters:
            existing, absent = await operation.ask(intruder, theirs), await operation.ask(intruder, ABSENT)
            assert existing.status_code == absent.status_code == 404, str(operation)
            assert problem(existing) == problem(absent), str(operation)
            told = existing.text
            for parameter in operation.parameters:
                told = told.replace(theirs[parameter], ABSENT[parameter])
            assert told == absent.text, str(operation)


async def test_no_list_shows_anything_of_another_lender(api: Api, intruder: Api) -> None:
    # A version is a mere number, which may stand anywhere.
    theirs = {name: value for name, value in (await existing_names(api)).items() if name != "version"}
    assert (await intruder.get("/v1/phones")).json()["phones"][0]["imei"] == FOREIGN, "it sees its own"
    for operation in lenders_own(api):
        if operation.method == "GET" and not operation.parameters:
            answer = await operation.ask(intruder, {})
            assert answer.status_code == 200, str(operation)
            assert [name for name in theirs.values() if name in answer.text] == [], str(operation)


async def test_whatever_another_lender_sends_changes_and_tells_nothing(api: Api, intruder: Api) -> None:
    theirs = await existing_names(api)
    before = await everything_of(api, theirs)
    for operation in lenders_own(api):
        if operation.method != "GET":
            answer = await operation.ask(intruder, theirs)
            expected = SENT.get((operation.method, operation.path), Sent(404)).answer
            assert answer.status_code == expected, str(operation)
    assert await everything_of(api, theirs) == before
