"""The protocol's document cannot drift from the code."""

import re
from enum import IntEnum, IntFlag
from itertools import pairwise

import pytest

from lock_protocol import refusals
from lock_protocol.envelope import MAX_ENVELOPE_BYTES, MAX_SIGNATURES, Envelope
from lock_protocol.levels import Condition, Level, Ops, Reason, Result, Signals, operations_required
from lock_protocol.messages import Delegation, DesiredState, Fresh, Hello, Notice, Reported, Root
from lock_protocol.refusals import AuthorityRefusal, Refusal
from lock_protocol.schema import Record, schema_of
from lock_protocol.topics import PhoneTopic
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.golden import KINDS, TABLES, Table

DOCUMENT = (golden.REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8")
MESSAGES: tuple[type[Record], ...] = (Root, Delegation, DesiredState, Notice, Fresh, Hello, Reported)
VOCABULARIES: dict[str, type[IntEnum] | type[IntFlag]] = {
    "level": Level,
    "reason": Reason,
    "operation": Ops,
    "signal": Signals,
    "condition": Condition,
    "result": Result,
}


def section(heading: str) -> str:
    """Return the text below a heading, up to the next one of any depth."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert found, f"no section {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows in a text, without heads and rulers."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {
        index for index, line in enumerate(lines) if index + 1 < len(lines) and set(lines[index + 1]) <= set("|- ")
    }
    rulers = {index + 1 for index in heads}
    chosen = [line for index, line in enumerate(lines) if index not in heads | rulers]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in chosen]


def table_under(head: str) -> list[list[str]]:
    """Return the rows of the table that begins with this head."""
    found = re.search(rf"^{re.escape(head)}.*?\n\n", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert found, f"no table {head!r}"
    return rows(found[0])


def names_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def refusal_names(base: type[Refusal]) -> set[str]:
    every = (one for one in vars(refusals).values() if isinstance(one, type) and issubclass(one, base))
    return {one.__name__ for one in every} - {"Refusal", "AuthorityRefusal"}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_a_messages_table_has_the_codes_fields_in_the_codes_order(message: type[Record]) -> None:
    written = [name for cells in rows(section(message.__name__)) for name in names_in(cells[0])]
    prefix = ["schema"] if message.prefix else []
    assert written == [*prefix, *schema_of(message).names]


def test_the_envelopes_table_has_the_codes_fields_and_limits() -> None:
    table = table_under("| field | kind |\n|---|---|\n| `version` | 0..2^53-1; 1")
    assert [names_in(cells[0])[0] for cells in table] == list(schema_of(Envelope).names)
    assert f"at most {MAX_ENVELOPE_BYTES} bytes" in section("Envelope")
    assert f"array of 1..{MAX_SIGNATURES}" in section("Envelope")


def test_the_kinds_table_tells_each_kinds_type_signatures_and_delegation() -> None:
    written = table_under("| kind | type string | signatures | delegation |")
    expected = [
        [
            kind.name,
            f"`{kind.media_type}`",
            "1" if kind.max_signatures == 1 else f"1..{kind.max_signatures}",
            "there" if kind.carries_delegation else "empty",
        ]
        for kind in KINDS.values()
    ]
    assert written == expected


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.file)
def test_a_table_of_rules_has_the_codes_refusals_in_the_codes_order(table: Table) -> None:
    heading = {"states": "Rules for desired"}.get(table.file, f"Rules for {table.file}")
    written = rows(section(heading))
    assert [names_in(cells[1])[0] for cells in written] == table.names
    assert [cells[0] for cells in written] == [str(number + 1) for number in range(len(table.names))]


def test_the_diagram_of_a_states_acceptance_follows_the_table() -> None:
    diagram = re.search(r"```mermaid\nflowchart LR\n(.*?)```", DOCUMENT, re.DOTALL)
    assert diagram
    drawn = [pair for line in diagram[1].splitlines() for pair in pairwise(line.split(" --> "))]
    order = [*TABLES[0].names, "accepted"]
    assert [(one.strip(), other.strip()) for one, other in drawn] == list(pairwise(order))


@pytest.mark.parametrize("word", VOCABULARIES)
def test_a_vocabulary_has_the_codes_numbers_and_names(word: str) -> None:
    written = {int(cells[0]): cells[1] for cells in table_under(f"| number | {word} |")}
    assert written == {int(member): str(member.name).lower() for member in VOCABULARIES[word]}


def test_the_operations_table_tells_what_each_level_needs() -> None:
    for number, _, needed_for in table_under("| number | operation |"):
        levels = {
            "a level, or `lease_then`, of 2 to 4": {2, 3, 4},
            "a level, or `lease_then`, of 0 or 1": {0, 1},
            "level 9": {9},
            "a `Fresh`": set[int](),
        }[needed_for]
        assert {int(level) for level in Level if operations_required(level, level) == int(number)} == levels


def test_every_refusal_has_its_place_in_the_list_of_errors() -> None:
    listed = [name for cells in rows(section("Errors")) for name in names_in(cells[0])]
    assert sorted(listed) == sorted(refusal_names(Refusal))


def test_the_refusals_that_are_reported_each_time_are_named() -> None:
    sentence = re.search(r"A refusal by (.*?) is proven", section("Reports"))
    assert sentence
    assert set(names_in(sentence[1])) == refusal_names(AuthorityRefusal)


def test_every_topic_of_a_phone_is_in_the_table_of_topics() -> None:
    written = {name for cells in table_under("| topic below the prefix |") for name in names_in(cells[0])}
    assert {f"phones/{{imei}}/{kind}" for kind in PhoneTopic} <= written
