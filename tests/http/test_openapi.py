"""The OpenAPI document: committed as it is, valid, complete; and the page that needs no network."""

import ast
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from broker_bridge.adapters.http.api import document
from broker_bridge.adapters.http.enrolment import EnrolmentBody
from broker_bridge.adapters.http.openapi import TAGS, text_of
from broker_bridge.adapters.http.routes import docs
from broker_bridge.adapters.lender_api.bodies import check
from broker_bridge.adapters.lender_api.decisions import decision_of
from broker_bridge.adapters.lender_api.problem_kinds import PROBLEMS
from broker_bridge.adapters.lender_api.problems import EXPECTED, ProblemError, problem_of
from tests.bridge_rig import ACME
from tests.http.conftest import Api

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "broker_bridge" / "adapters" / name for name in ("http", "lender_api")]
ASSETS = ("/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")
OF_THE_FRAMEWORK = {"not-found", "method-not-allowed"}
"""What no operation answers with: there is none."""


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return dict(json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


# --- the document --------------------------------------------------------------------------------------------------


def test_the_committed_document_is_the_one_that_the_routes_make() -> None:
    made = text_of(document(version("paylatch")))
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == made, "run make openapi"


def test_the_document_is_valid_openapi_3_1(committed: dict[str, Any]) -> None:
    assert committed["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(committed).validate()


async def test_the_document_that_is_served_is_the_committed_one(api: Api, committed: dict[str, Any]) -> None:
    served = (await api.of(None).get("/openapi.json")).json()
    assert {**served, "info": {}} == {**committed, "info": {}}


def test_every_operation_has_a_name_a_tag_and_words(committed: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(committed)]
    assert len(set(names)) == len(names)
    for name, operation in operations(committed):
        assert set(operation["tags"]) <= set(TAGS), name
        assert operation["summary"], name
        assert operation["description"], name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], f"{name} {parameter['name']}"


def test_every_component_is_used(committed: dict[str, Any]) -> None:
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(committed)))
    assert used == set(committed["components"]["schemas"])


def test_an_operation_that_asks_for_a_key_names_the_scope_and_what_is_answered_without(
    committed: dict[str, Any],
) -> None:
    for name, operation in operations(committed):
        assert ("x-required-scope" in operation) == name.split()[1].startswith("/v1/"), name
        if "x-required-scope" in operation:
            assert {"401", "403", "503"} <= set(operation["responses"]), name
            assert all(scope in operation["description"] for scope in operation["x-required-scope"]), name


def test_every_success_has_a_schema_and_every_error_is_a_problem(committed: dict[str, Any]) -> None:
    for name, operation in operations(committed):
        for status, response in operation["responses"].items():
            kinds = set(response["content"])
            if status < "400":
                assert all(one["schema"] for one in response["content"].values()), f"{name} {status}"
            else:
                assert "application/problem+json" in kinds, f"{name} {status}"


# --- problems ------------------------------------------------------------------------------------------------------


def raised_in_the_source() -> Iterator[tuple[HTTPStatus | None, str]]:
    """The status (where it stands there) and the kind of every problem that the routes or what they call can make."""
    for source in (source for directory in SOURCES for source in directory.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="ProblemError"), args=[ast.Attribute(attr=status), ast.Constant(value=kind), *_]
                ):
                    yield HTTPStatus[status], str(kind)
                case ast.Call(func=ast.Name(id="not_found"), args=[ast.Constant(value=str(what)), *_]):
                    yield HTTPStatus.NOT_FOUND, f"unknown-{what}"


def test_every_problem_that_is_raised_is_in_the_catalogue_with_its_status() -> None:
    expected = [problem_of(kind("x")) for kind in EXPECTED if kind is not ProblemError]
    raised = {*raised_in_the_source(), *((one.status, one.kind) for one in expected)}
    assert len(raised) > 15
    assert {(PROBLEMS[kind].status, kind) for _, kind in raised} == raised


def test_whoever_may_send_the_same_again_is_told_when() -> None:
    later = {kind for kind, one in PROBLEMS.items() if one.status in (429, 503)}
    assert later == {kind for kind, one in PROBLEMS.items() if one.retry_after_s is not None}


def test_every_problem_of_the_catalogue_can_be_raised_and_is_documented(committed: dict[str, Any]) -> None:
    expected = {problem_of(kind("x")).kind for kind in EXPECTED if kind is not ProblemError}
    assert set(PROBLEMS) == {kind for _, kind in raised_in_the_source()} | expected
    text = json.dumps(committed)
    assert [kind for kind in PROBLEMS if f"urn:paylatch:problem:{kind}" not in text] == []


# --- examples ------------------------------------------------------------------------------------------------------


def examples_of(document: dict[str, Any], name: str) -> list[Any]:
    body = dict(operations(document))[name]["requestBody"]["content"]["application/json"]
    return [example["value"] for example in body["examples"].values()]


def test_every_example_of_a_decision_is_one(committed: dict[str, Any]) -> None:
    for value in examples_of(committed, "POST /v1/decisions"):
        for one in value if isinstance(value, list) else [value]:
            assert decision_of(one, ACME).decision_id == one["decision_id"]


def test_every_example_of_an_enrolment_is_one(committed: dict[str, Any]) -> None:
    for value in examples_of(committed, "POST /v1/phones"):
        assert check(EnrolmentBody, value).imei == value["imei"]


# --- the page ------------------------------------------------------------------------------------------------------


async def test_the_page_loads_only_what_the_bridge_serves_itself(api: Api) -> None:
    response = await api.of(None).get("/docs")
    assert response.status_code == 200
    assert set(re.findall(r'(?:src|href)="(/[^"]+)"', response.text)) == set(ASSETS)
    assert "//" not in re.sub(r"<!doctype.*?>", "", response.text), "nothing from elsewhere"
    for path in ASSETS:
        assert (await api.of(None).get(path)).status_code == 200


async def test_the_page_may_run_nothing_else_and_ask_nobody_else(api: Api) -> None:
    for path in ("/docs", *ASSETS):
        headers = (await api.of(None).get(path)).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
        assert headers["x-content-type-options"] == "nosniff"
    page = (await api.of(None).get("/docs")).text
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == [], "the policy lets no script run that stands in the page"
    assert docs.HEADERS["Content-Security-Policy"].count("unsafe-") == 1, "for styles only"
