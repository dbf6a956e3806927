"""What the architecture document draws is drawn from the code's own tables."""

import re
from pathlib import Path

from broker_bridge.domain.commands import TRANSITIONS

_DOCS = Path(__file__).parents[3] / "docs"
_ARROW = re.compile(r"^    (\w+) --> (\w+): (\w+)$", re.MULTILINE)


def test_the_diagram_of_a_commands_life_is_the_table() -> None:
    drawn = {(start, event, end) for start, end, event in _ARROW.findall((_DOCS / "architecture.md").read_text())}
    table = {
        (status.value, event.value, after.value)
        for (status, event), after in TRANSITIONS.items()
        if after is not status
    }
    assert drawn == table


def test_every_file_that_the_architecture_names_is_there() -> None:
    root = _DOCS.parent
    named = re.findall(
        r"`((?:lock_protocol|broker_bridge|device_sim|paylatch)/[\w/.*]+)`", (_DOCS / "architecture.md").read_text()
    )
    assert named
    assert [name for name in named if not list(root.glob(name))] == []
