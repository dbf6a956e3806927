"""Field kinds: what one element of a payload may be, said once and used for building, encoding and refusing.

A message is a frozen dataclass whose fields are annotated with a kind; field order is wire order.
`Schema` turns that into the three things the codec needs: find the fault in wire values, assemble a message from
values that have no fault, take a message apart into wire values.
"""

import re
from dataclasses import dataclass, fields
from enum import IntEnum, IntFlag
from itertools import pairwise
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_type_hints

from lock_protocol.imei import InvalidImeiError, parse_imei

MAX_INTEGER = 2**53 - 1
MAX_TIME = 2**32 - 1
SCHEMA = 1


class SchemaError(ValueError):
    """A message that the tables do not allow was about to be built."""


class Kind(Protocol):
    """One field's type on the wire."""

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a decoded value, or None."""

    def from_wire(self, value: Any) -> Any:
        """Return the field's value for a decoded value without fault."""

    def to_wire(self, value: Any) -> Any:
        """Return the value to encode for a field's value."""


class _AsIs:
    """A kind whose decoded value is the field's value."""

    def from_wire(self, value: Any) -> Any:
        return value

    def to_wire(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class UInt(_AsIs):
    """An unsigned integer from `low` to `high`; with `or_zero` also 0, the sign for none."""

    low: int
    high: int
    or_zero: bool = False

    def fault(self, value: Any) -> str | None:
        # `type() is int`: a bool is an int to isinstance, and must not be one on the wire.
        if type(value) is not int:
            return "must be an unsigned integer"
        if self.low <= value <= self.high or (self.or_zero and value == 0):
            return None
        zero = "0 or " if self.or_zero else ""
        return f"must be {zero}{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Member:
    """One of an enumeration's values."""

    members: type[IntEnum]
    among: frozenset[int]

    def fault(self, value: Any) -> str | None:
        if type(value) is int and value in self.among:
            return None
        return f"must be one of {sorted(self.among)}"

    def from_wire(self, value: Any) -> Any:
        return self.members(value)

    def to_wire(self, value: Any) -> Any:
        return int(value)


def member(members: type[IntEnum], high: int | None = None) -> Member:
    """Return the kind of an enumeration's values up to `high`."""
    return Member(members, frozenset(int(one) for one in members if high is None or one <= high))


@dataclass(frozen=True, slots=True)
class Bits:
    """A set of flags."""

    flags: type[IntFlag]

    def fault(self, value: Any) -> str | None:
        every = sum(int(one) for one in self.flags)
        return None if type(value) is int and 0 <= value <= every else f"must be 0..{every}"

    def from_wire(self, value: Any) -> Any:
        return self.flags(value)

    def to_wire(self, value: Any) -> Any:
        return int(value)


@dataclass(frozen=True, slots=True)
class Bin(_AsIs):
    """A byte string of `low` to `high` bytes; of exactly `low` when no `high` is given."""

    low: int
    high: int | None = None

    def fault(self, value: Any) -> str | None:
        high = self.low if self.high is None else self.high
        if type(value) is bytes and self.low <= len(value) <= high:
            return None
        return f"must be {self.low if high == self.low else f'{self.low}..{high}'} bytes"


# C0 and C1 control characters; the bidirectional embeddings, overrides and isolates that can show text reversed.
_CONTROLS = "\x00-\x1f\x7f-\x9f"
_BIDI = "\u202a-\u202e\u2066-\u2069"
LINE = re.compile(f"[^{_CONTROLS}{_BIDI}]*")
LINES = re.compile(f"(?:[^{_CONTROLS}{_BIDI}]|\n)*")


@dataclass(frozen=True, slots=True)
class Text(_AsIs):
    """UTF-8 text of `low` to `high` bytes that matches a pattern in full."""

    low: int
    high: int
    pattern: re.Pattern[str] = LINE
    meaning: str = "without control characters and bidirectional overrides"

    def fault(self, value: Any) -> str | None:
        if type(value) is not str:
            return "must be a string"
        if not self.low <= len(value.encode()) <= self.high:
            return f"must be {self.low}..{self.high} bytes of UTF-8"
        return None if self.pattern.fullmatch(value) else f"must be text {self.meaning}"


class ImeiText(_AsIs):
    """An IMEI."""

    def fault(self, value: Any) -> str | None:
        try:
            parse_imei(value)
        except InvalidImeiError as error:
            return str(error)
        return None


@dataclass(frozen=True, slots=True)
class Many:
    """An array of `low` to `high` elements of one kind, strictly ascending where `ascending`."""

    of: Kind
    low: int
    high: int
    ascending: bool = False

    def fault(self, value: Any) -> str | None:
        if type(value) is not tuple or not self.low <= len(value) <= self.high:
            return f"must be an array of {self.low}..{self.high}"
        for index, element in enumerate(value):
            if fault := self.of.fault(element):
                return f"element {index} {fault}"
        if self.ascending and any(left >= right for left, right in pairwise(value)):
            return "must be strictly ascending"
        return None

    def from_wire(self, value: Any) -> Any:
        return tuple(map(self.of.from_wire, value))

    def to_wire(self, value: Any) -> Any:
        return tuple(map(self.of.to_wire, value))


@dataclass(frozen=True, slots=True)
class Nested:
    """A record: an array of fixed arity with no schema number of its own."""

    record: "type[Record]"

    def fault(self, value: Any) -> str | None:
        return schema_of(self.record).fault(value)

    def from_wire(self, value: Any) -> Any:
        return schema_of(self.record).assemble(value)

    def to_wire(self, value: Any) -> Any:
        return schema_of(self.record).take_apart(value)


class Record:
    """Base of everything with a table. Invariant: an instance built by its constructor fits its table."""

    __slots__ = ()
    prefix: ClassVar[tuple[int, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse to exist against the table.

        Raises:
            SchemaError: naming the field and what it must be.
        """
        schema = schema_of(type(self))
        if fault := schema.fault(schema.take_apart(self)) or self.contradiction():
            msg = f"{type(self).__name__}: {fault}"
            raise SchemaError(msg)

    def contradiction(self) -> str | None:
        """Return what is wrong between fields that are each right by themselves, or None."""
        return None


class Message(Record):
    """A payload: a record that begins with the schema number."""

    __slots__ = ()
    prefix: ClassVar[tuple[int, ...]] = (SCHEMA,)


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Schema(Generic[R]):
    """The table of one record, compiled from its annotations."""

    record: type[R]
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]

    def fault(self, values: Any) -> str | None:
        """Return what is wrong with decoded values, field by field, or None."""
        prefix = self.record.prefix
        arity = len(prefix) + len(self.kinds)
        if type(values) is not tuple or len(values) != arity:
            return f"must be an array of {arity}"
        if prefix and (type(values[0]) is not int or values[:1] != prefix):
            return f"schema must be {SCHEMA}"
        for name, kind, value in zip(self.names, self.kinds, values[len(prefix) :], strict=True):
            if fault := kind.fault(value):
                return f"{name} {fault}"
        return None

    def assemble(self, values: tuple[Any, ...]) -> R:
        """Return the record of decoded values that `fault` has passed; nothing is checked again."""
        record = object.__new__(self.record)
        for name, kind, value in zip(self.names, self.kinds, values[len(self.record.prefix) :], strict=True):
            object.__setattr__(record, name, kind.from_wire(value))
        return record

    def take_apart(self, record: R) -> tuple[Any, ...]:
        """Return the wire values of a record, in order."""
        parts = (kind.to_wire(getattr(record, name)) for name, kind in zip(self.names, self.kinds, strict=True))
        return (*self.record.prefix, *parts)


_schemas: dict[type[Record], Schema[Any]] = {}


def schema_of(record: type[R]) -> Schema[R]:
    """Return the table of a record type, compiled at its first use."""
    schema = _schemas.get(record)
    if schema is None:
        hints = get_type_hints(record, include_extras=True)
        names = tuple(field.name for field in fields(record))  # type: ignore[arg-type]  # every Record is a dataclass
        schema = Schema(record, names, tuple(hints[name].__metadata__[0] for name in names))
        _schemas[record] = schema
    return schema
