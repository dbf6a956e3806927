"""Each acceptance rule is needed, and stands where it must."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lock_protocol import refusals
from lock_protocol.acceptance import Floor
from lock_protocol.acceptance.evidence import Evidence
from lock_protocol.acceptance.rules import STATE_RULES, PhoneStanding
from lock_protocol.envelope import DESIRED
from lock_protocol.messages import NO_HASH, DesiredState, LenderId, StateHash
from lock_protocol.refusals import Refusal
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.golden import TABLES, Table, Vector, message_of, standing_of

BY_FILE = pytest.mark.parametrize("table", TABLES, ids=[table.file for table in TABLES])

# Rules that nothing acceptable can break, so that whatever one of them lets through is caught further down.
# An envelope with every field at its limit has less than 4096 bytes: what is larger is also malformed, or its payload
# does not fit its table. The rule is there to refuse before any work is done.
# What is empty has no payload that could be read. The rule is there so that nobody takes it for a state.
NEVER_ALONE = {"TooLarge", "EmptyState"}

# A `Fresh` has one signature; when that is by an unknown key, no known key is left that could allow anything.
NEVER_ALONE_IN = {"fresh": NEVER_ALONE | {"UnknownKey"}}

# Rules of one table of which no message can break both, whatever its receiver knows.
# Equal order and another order; equal payload and another payload; behind or level and far ahead in the same epoch;
# a lender whose order is compared and one whose order is not; one signature by an unknown key and by a known one.
_ORDER = ("Rollback", "Duplicate", "Equivocation", "VersionJump")
EXCLUSIVE = {
    "states": {
        *(("WrongLender", rule) for rule in _ORDER),
        ("Rollback", "Duplicate"),
        ("Rollback", "Equivocation"),
        ("Duplicate", "Equivocation"),
        ("Duplicate", "VersionJump"),
        ("Equivocation", "VersionJump"),
    },
    "fresh": {("UnknownKey", "BadSignature")},
    "hello": {("UnknownKey", "BadSignature")},
    "reported": {("UnknownKey", "BadSignature")},
}


def single(table: Table, rule: str) -> list[Vector]:
    """Return a rule's own vectors: those that break no other one that their author knew of."""
    return [one for one in golden.read(table.file) if one.get("defects") == [rule]]


def pairs_to_pin(table: Table) -> set[tuple[str, str]]:
    """Return the adjacent rows, and for rows that exclude each other the nearest ones that do not."""
    names, exclusive = table.names, EXCLUSIVE[table.file]
    wanted = set()
    for index, name in enumerate(names):
        after = [other for other in names[index + 1 :] if (name, other) not in exclusive]
        before = [other for other in names[:index] if (other, name) not in exclusive]
        wanted |= {(name, after[0])} if after else set()
        wanted |= {(before[-1], name)} if before else set()
    return wanted


EACH_RULE = pytest.mark.parametrize(
    ("table", "rule"),
    [pytest.param(table, name, id=f"{table.file}-{name}") for table in TABLES for name in table.names],
)


@EACH_RULE
def test_without_a_rule_its_own_vectors_are_no_longer_refused(table: Table, rule: str) -> None:
    own = single(table, rule)
    for one in own:
        verdict = table.verdict(message_of(one), standing_of(one), without=rule)
        assert verdict == one["without_rule"], one["name"]
    accepted = [one["name"] for one in own if one["without_rule"] == "accepted"]
    if rule in NEVER_ALONE_IN.get(table.file, NEVER_ALONE):
        assert own
        assert not accepted
    else:
        assert len(accepted) >= 2


@BY_FILE
def test_neighbouring_rows_are_pinned_by_a_message_that_breaks_both(table: Table) -> None:
    pinned = {tuple(one["defects"]) for one in golden.read(table.file) if len(one.get("defects", ())) == 2}
    assert pairs_to_pin(table) <= pinned


@BY_FILE
def test_a_message_with_two_defects_breaks_both_rules_and_is_named_by_the_first(table: Table) -> None:
    for one in golden.read(table.file):
        if len(one.get("defects", ())) == 2:
            first, second = one["defects"]
            message, standing = message_of(one), standing_of(one)
            assert table.verdict(message, standing) == first == one["error"], one["name"]
            assert table.verdict(message, standing, without=first) == second, one["name"]


@BY_FILE
def test_no_golden_message_breaks_two_rules_that_exclude_each_other(table: Table) -> None:
    claimed = {tuple(one["defects"]) for one in golden.read(table.file) if "defects" in one}
    assert not claimed & EXCLUSIVE[table.file]


@given(data=st.data())
def test_the_rules_of_order_exclude_each_other_whatever_the_phone_has_accepted(data: st.DataObject) -> None:
    own = next(one for one in golden.read("states") if one["name"] == "locked")
    evidence, standing = Evidence(DESIRED, message_of(own)), golden.phone_standing(own["standing"])
    state, payload_hash = evidence.message, evidence.payload_hash
    near = st.sampled_from([state.version - 1, state.version, state.version + 1, 1, 2**53 - 1])
    floor = Floor(
        lender=data.draw(st.sampled_from([state.lender, LenderId("beta-bank")])),
        bound=data.draw(st.booleans()),
        delegation_version=1,
        delegation_hash=NO_HASH,
        epoch=data.draw(st.integers(state.epoch - 1, state.epoch + 1)),
        version=data.draw(near | st.integers(1, 2**53 - 1)),
        state_hash=data.draw(st.sampled_from([NO_HASH, payload_hash, StateHash(b"x" * 32)])),
    )
    broken = _broken(evidence, replace(standing, floor=floor))
    assert not {(one, other) for one in broken for other in broken} & EXCLUSIVE["states"]


def _broken(evidence: Evidence[DesiredState], standing: PhoneStanding) -> list[str]:
    rules = [rule for rule in STATE_RULES if rule.refusal.__name__ in {"WrongLender", *_ORDER}]
    return [rule.refusal.__name__ for rule in rules if rule.fault(evidence, standing) is not None]


@pytest.mark.parametrize("table", [table for table in TABLES if table.file != "states"], ids=lambda table: table.file)
def test_where_unknown_key_and_bad_signature_exclude_each_other_there_is_one_signature(table: Table) -> None:
    assert table.kind.max_signatures == 1


def test_every_refusal_has_at_least_two_golden_messages() -> None:
    files = ("roots", "delegations", *(table.file for table in TABLES))
    found = Counter(one["error"] for file in files for one in golden.read(file) if "error" in one)
    abstract = {Refusal, refusals.AuthorityRefusal}
    every = {one for one in vars(refusals).values() if isinstance(one, type) and issubclass(one, Refusal)} - abstract
    assert {one.__name__ for one in every} == {name for name, count in found.items() if count >= 2}


@BY_FILE
def test_no_row_stands_twice(table: Table) -> None:
    assert len(set(table.names)) == len(table.names)
