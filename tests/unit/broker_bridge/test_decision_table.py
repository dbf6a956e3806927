"""The tables of docs/decisions.md, line by line: what it promises lenders is what the rules do."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker_bridge.adapters.lender_api.decisions import DECISION_BODIES, DecisionBody
from broker_bridge.domain.decisions import DecisionType, Payment
from broker_bridge.domain.gates import GateCondition
from broker_bridge.domain.loans import Effect
from tests.unit.broker_bridge.told import ARRIVAL, Told, decision, decisions

DOCUMENT = (Path(__file__).parents[3] / "docs" / "decisions.md").read_text(encoding="utf-8")
HEADER = ["known before", "decision", "effect", "level", "day 150", "why"]


@dataclass(frozen=True)
class Row:
    """One line."""

    section: str
    before: str
    decision: str
    effect: str
    level: str
    later: str
    why: str

    def __str__(self) -> str:
        return f"{self.section}: {self.before}; {self.decision}"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def rows() -> list[Row]:
    """Every line below a header of these columns."""
    found, section, inside = [], "", False
    for line in DOCUMENT.splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        if not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|--"):
            found.append(Row(section, *cells(line)))
        elif cells(line) == HEADER:
            inside = True
    return found


ROWS = rows()


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_the_table_says_is_what_happens(row: Row) -> None:
    phone = Told().tell_all(decisions(row.before))
    effect = phone.tell(decision(row.decision))
    assert (effect, phone.level.name.lower(), phone.on_day(150).level.name.lower()) == (
        row.effect,
        row.level,
        row.later,
    )
    assert row.why


def test_every_kind_of_decision_stands_in_every_state() -> None:
    told: dict[str, set[tuple[DecisionType, Payment | None]]] = defaultdict(set)
    for row in ROWS:
        one = decision(row.decision)
        told[row.section].add((one.type, one.payment))
    kinds: set[tuple[DecisionType, Payment | None]] = {(kind, None) for kind in DecisionType}
    kinds.remove((DecisionType.PAYMENT_RECEIVED, None))
    kinds |= {(DecisionType.PAYMENT_RECEIVED, payment) for payment in Payment}
    states = list(told)[:-1]
    assert len(states) == 7
    assert all(told[state] == kinds for state in states)


def test_no_line_stands_there_twice() -> None:
    assert len({(row.before, row.decision) for row in ROWS}) == len(ROWS) > 100


def test_every_effect_is_in_the_table_and_explained() -> None:
    assert {row.effect for row in ROWS} == set(Effect)
    assert all(f"| `{effect}` |" in DOCUMENT for effect in Effect)


def test_everything_has_occurred_before_it_arrives() -> None:
    moments = [int(at) for row in ROWS for at in re.findall(r"@(\d+)", f"{row.before} {row.decision}")]
    assert 0 < min(moments) <= max(moments) < ARRIVAL


@pytest.mark.parametrize("kind", DECISION_BODIES)
def test_every_field_of_every_type_is_described(kind: str) -> None:
    section = DOCUMENT.split(f"### {kind}\n")[1].split("\n#")[0]
    own = set(DECISION_BODIES[kind].model_fields) - set(DecisionBody.model_fields) - {"type"}
    described = set(re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))))
    assert described == own


def test_every_condition_of_the_examples_exists() -> None:
    assert set(re.findall(r'"condition": "([a-z_]+)"', DOCUMENT)) <= set(GateCondition)
