"""What is compiled from a table says the same as the table, walked kind by kind."""

import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lock_protocol.codec import NotMsgpackError, encode, is_canonical, is_encoding_of, pack, read_first
from lock_protocol.envelope import Envelope, Signature
from lock_protocol.levels import Level, Ops, Signals
from lock_protocol.messages import (
    DelegatedKey,
    Delegation,
    DesiredState,
    Fresh,
    Hello,
    Notice,
    Reported,
    Root,
)
from lock_protocol.schema import LINE, LINES, Bin, Bits, Many, Member, Message, Record, Text, UInt, schema_of
from tests.unit.lock_protocol import generated, golden
from tests.unit.lock_protocol.golden import KINDS

TABLES: list[type[Record]] = [
    Root, Delegation, DesiredState, Hello, Fresh, Reported, DelegatedKey, Notice, Envelope, Signature,
]  # fmt: skip


class Whole(int):
    """An integer that is none on the wire."""


class Word(str):
    """A string that is none on the wire."""

    __slots__ = ()


class Raw(bytes):
    """A byte string that is none on the wire."""


GENERAL: list[Any] = [
    None, True, False, 0.0, 1.0, -1, 0, 1, 2, 3, 9, Whole(1), Level.LOCKED, Ops(3), 2**53, 2**64,
    "", "a", "abc", "ABC", "abc-9", Word("abc"), "ab\n", "ab\r", "ab\x7f", "ab\x85", "ab\u202e", "ab\u2066", "é",
    "+886212345678", "123", "https://a.b/c", "https://a.b", "http://a.b", "https://A.b/", "https://a.b:1/",
    "004401000000014", "004401000000015", "000000000000000", "\uff10" * 15, Word("004401000000014"),
    b"", b"a", bytes(8), bytes(16), bytes(32), bytes(33), bytes(64), Raw(32), bytearray(32),
    (), (1,), [], {}, (bytes(32),), (bytes(32), bytes(32)), (b"\x01" * 32, bytes(32)), [bytes(32)],
    ((bytes(32), 1),), ((bytes(32), 16),), ((bytes(32),),), ((bytes(8), bytes(64)),), ("a.b", "c"), ("a:1",),
]  # fmt: skip


def near_limits(kind: object) -> Iterator[Any]:
    """Yield values on both sides of each limit of a kind."""
    match kind:
        case UInt(low, high):
            yield from (low - 1, low, high, high + 1, Whole(high))
        case Member(among=among):
            yield from range(-1, max(among) + 2)
        case Bits(flags):
            yield from (-1, sum(flags), sum(flags) + 1)
        case Bin(low, high):
            yield from (bytes(size) for size in range(max(low - 1, 0), (high or low) + 2, max((high or low) - low, 1)))
        case Text(low, high):
            yield from (letter * size for size in {max(low - 1, 0), low, high, high + 1} for letter in "aA0+é\n")
        case Many(of, low, high):
            one = next(near_limits(of), None)
            yield from ((one,) * size for size in (max(low - 1, 0), low, high, high + 1))


@pytest.mark.parametrize("pattern", [LINE, LINES])
def test_no_printable_character_is_excluded_from_texts(pattern: re.Pattern[str]) -> None:
    printable = "".join(character for character in map(chr, range(sys.maxunicode + 1)) if character.isprintable())
    assert pattern.fullmatch(printable)


def values_of(table: type[Record]) -> tuple[Any, ...]:
    """Return wire values that fit a table."""
    return EXAMPLES[table]


def _examples() -> Iterator[tuple[type[Record], tuple[Any, ...]]]:
    for one in golden.read("codec"):
        if "result" in one:
            yield KINDS[one["type"]].message, read_first(bytes.fromhex(one["payload"]))
    yield DelegatedKey, (bytes(32), 1)
    yield Notice, schema_of(Notice).take_apart(Notice())
    yield Signature, (bytes(8), bytes(64))
    yield Envelope, (1, "type", b"payload", ((bytes(8), bytes(64)),), b"")


EXAMPLES = dict(_examples())


@pytest.mark.parametrize("table", TABLES)
def test_every_field_of_every_table_takes_and_refuses_the_same_values(table: type[Record]) -> None:
    schema, good = schema_of(table), values_of(table)
    assert schema.fits(good)
    assert schema.first_fault(good) is None
    before = len(table.prefix)
    verdicts = set()
    for index, kind in enumerate(schema.kinds, before):
        for value in (*GENERAL, *near_limits(kind)):
            values = (*good[:index], value, *good[index + 1 :])
            verdicts.add(schema.fits(values))
            assert schema.fits(values) is (schema.first_fault(values) is None), (schema.names[index - before], value)
    assert verdicts == {True, False}


@pytest.mark.parametrize("table", TABLES)
def test_every_table_refuses_other_arities_and_other_containers(table: type[Record]) -> None:
    schema, good = schema_of(table), values_of(table)
    for values in (*GENERAL, list(good), good[:-1], (*good, 0), good[1:]):
        assert schema.fits(values) is (schema.first_fault(values) is None), values


@pytest.mark.parametrize("table", [table for table in TABLES if table.prefix])
@pytest.mark.parametrize("number", [0, 1, 2, True, 1.0, None, "1", Whole(1)])
def test_every_message_takes_and_refuses_the_same_schema_numbers(table: type[Record], number: Any) -> None:
    schema, values = schema_of(table), (number, *values_of(table)[1:])
    assert schema.fits(values) is (schema.first_fault(values) is None)


@given(generated.messages)
def test_a_message_comes_back_from_its_parts(message: Message) -> None:
    schema = schema_of(type(message))
    parts = schema.take_apart(message)
    again = schema.assemble(parts)
    assert again == message
    for field in fields(message):  # type: ignore[arg-type]  # every Message is a dataclass
        assert type(getattr(again, field.name)) is type(getattr(message, field.name)), field.name


@given(generated.messages)
def test_parts_are_wire_types_and_no_subclasses_of_them(message: Message) -> None:
    def check(value: Any) -> None:
        assert type(value) in {int, str, bytes, tuple}
        if type(value) is tuple:
            for element in value:
                check(element)

    check(schema_of(type(message)).take_apart(message))


@given(message=generated.messages, data=st.data())
def test_the_quick_look_at_bytes_takes_exactly_what_is_canonical_and_fits(
    message: Message, data: st.DataObject
) -> None:
    schema, good = schema_of(type(message)), encode(message)
    at = data.draw(st.integers(0, len(good) - 1))
    changed = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 3)) :]
    for payload in (good, changed):
        try:
            values = read_first(payload)
        except NotMsgpackError:
            continue
        slowly = is_canonical(payload, values) and schema.first_fault(values) is None
        assert is_encoding_of(schema, payload, values) is slowly


def test_values_that_do_not_fit_are_read_as_their_enumeration_reads_them() -> None:
    hello = values_of(Hello)
    assert schema_of(Hello).assemble((*hello[:-2], 128, hello[-1])).signals == Signals(128)
    with pytest.raises(ValueError, match="77 is not a valid Level"):
        schema_of(Hello).assemble((*hello[:11], 77, *hello[12:]))


def test_what_is_longer_than_the_buffer_is_packed_whole() -> None:
    assert read_first(pack(("x" * 100_000,))) == ("x" * 100_000,)
