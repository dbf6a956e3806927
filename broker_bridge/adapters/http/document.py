"""Writes the OpenAPI document: `python -m broker_bridge.adapters.http.document FILE` (`make openapi`)."""

import sys
from importlib.metadata import version
from pathlib import Path

from broker_bridge.adapters.http.api import document
from broker_bridge.adapters.http.openapi import text_of

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text_of(document(version("paylatch"))), encoding="utf-8")
