"""What the document on access says is what the code knows."""

import re
from pathlib import Path

from broker_bridge.domain.access import SUPPORT_DECISIONS, Scope

_DOCUMENT = (Path(__file__).parents[3] / "docs" / "access.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `([a-z:]+)` \| (.+) \|$", re.MULTILINE)


def test_every_scope_is_in_the_table_and_no_other() -> None:
    assert [scope for scope, _ in _ROW.findall(_DOCUMENT)] == list(Scope)


def test_what_support_may_send_is_told() -> None:
    told = dict(_ROW.findall(_DOCUMENT))[Scope.SUPPORT]
    assert set(re.findall(r"`([a-z_]+)`", told)) == SUPPORT_DECISIONS
