"""The committed AsyncAPI document, as something that messages can be held against."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it ships no annotations
import yaml  # type: ignore[import-untyped] # the same

DOCUMENT = Path(__file__).parents[1] / "docs" / "asyncapi.yaml"


@cache
def document() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return content


@cache
def _validator(message: str) -> jsonschema.Draft7Validator:
    components = document()["components"]
    # What stands beside a `$ref` is ignored in draft 7, so the reference is put one level down.
    return jsonschema.Draft7Validator({"allOf": [components["messages"][message]["payload"]], "components": components})


def assert_is_message(message: str, payload: object) -> None:
    """Fail unless a payload is what the document says of this message."""
    _validator(message).validate(payload)
