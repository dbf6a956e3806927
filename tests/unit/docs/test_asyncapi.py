"""docs/asyncapi.yaml is what the code makes, what the specification allows, and what is really sent."""

import gzip
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it ships no annotations
import pytest

from broker_bridge.adapters.lender_api.decisions import DECISION_BODIES
from broker_bridge.adapters.mqtt.document import text_of
from lock_protocol.imei import Imei
from lock_protocol.topics import PhoneTopic, Topics
from tests.asyncapi import DOCUMENT, assert_is_message, document

_HERE = Path(__file__).parent
_OFFICIAL: dict[str, Any] = json.loads(gzip.decompress((_HERE / "asyncapi" / "3.0.0.json.gz").read_bytes()))
_SPECIFICATION = jsonschema.Draft7Validator(_OFFICIAL)


def test_the_committed_document_is_what_the_code_makes() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == text_of(version("paylatch")), "run `make asyncapi`"


def test_the_document_is_what_the_specification_allows() -> None:
    _SPECIFICATION.validate(document())


@pytest.mark.parametrize("broken", [{"asyncapi": "2.6.0"}, {"channels": {"x": {"address": 7}}}, {"surplus": 1}])
def test_a_document_that_the_specification_does_not_allow_would_be_found(broken: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        _SPECIFICATION.validate(document() | broken)


def references(part: object) -> Iterator[str]:
    if isinstance(part, list):
        for one in part:
            yield from references(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    for reference in set(references(document())):
        part: Any = document()
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
        assert part


def test_the_addresses_are_the_topics_of_the_code() -> None:
    topics, channels = Topics(), document()["channels"]
    made = {
        "decisions": topics.decisions("lender"),
        "results": topics.results("lender"),
        "roots": topics.root(1),
        "status": topics.status,
        **{
            kind.value: topics.phone(Imei("imei"), kind)
            for kind in (PhoneTopic.DESIRED, PhoneTopic.FRESH, PhoneTopic.HELLO, PhoneTopic.REPORTED)
        },
    }
    addresses = {name: re.sub(r"[{}]", "", channel["address"]) for name, channel in channels.items()}
    assert {name: address.replace("/version", "/1") for name, address in addresses.items()} == made


def test_every_type_of_decision_is_described() -> None:
    choices = document()["components"]["schemas"]["Decision"]["oneOf"]
    assert [one["$ref"].rpartition("/")[2] for one in choices] == list(DECISION_BODIES)


def test_the_examples_are_what_they_are_examples_of() -> None:
    for example in document()["components"]["messages"]["decision"]["examples"]:
        assert_is_message("decision", example["payload"])
    people = (DOCUMENT.parent / "mqtt.md").read_text(encoding="utf-8")
    published = re.findall(r"/decisions -m '([^']+)'", people)
    assert len(published) == 2
    for payload in published:
        assert_is_message("decision", json.loads(payload))
        assert_is_message("decisionList", [json.loads(payload)])


@pytest.mark.parametrize(
    "decision",
    [
        {},
        {"decision_id": "d", "imei": "001017000000003", "type": "payment_late", "occurred_at": "2026-01-23T00:00:00Z"},
        {
            "decision_id": "d",
            "imei": "001017000000003",
            "type": "loan_settled",
            "occurred_at": "2026-01-23T00:00:00Z",
            "lender": "acme",
        },
    ],
)
def test_what_is_no_decision_is_none_by_the_document(decision: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        assert_is_message("decision", decision)
