"""Writes the AsyncAPI document: `python -m broker_bridge.adapters.mqtt.document FILE` (`make asyncapi`)."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

# One of the development tools: nothing that runs the bridge imports this module.
import yaml  # type: ignore[import-untyped] # it ships no annotations

from broker_bridge.adapters.mqtt.asyncapi import asyncapi


def text_of(release: str) -> str:
    """Return the document of a version as it is committed."""
    # By way of JSON, which knows no object twice: YAML would refer from the second place to the first.
    content = json.loads(json.dumps(asyncapi(release)))
    text: str = yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
    return "# Made by `make asyncapi`; do not edit.\n" + text


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text_of(version("paylatch")), encoding="utf-8")
