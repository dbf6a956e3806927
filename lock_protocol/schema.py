"""Field kinds: what one element of a payload may be, said once and used for building, encoding and refusing.

A message is a frozen dataclass whose fields are annotated with a kind; field order is wire order.
`Schema` turns that into what the codec needs: tell whether wire values fit, assemble a message from values that do,
take a message apart into wire values. These three run for every message and are compiled (`lock_protocol.compiling`)
from one expression per kind. What is wrong with values that do not fit is worked out kind by kind, at leisure.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from enum import IntEnum, IntFlag
from itertools import pairwise
from operator import lt
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_type_hints

from lock_protocol.compiling import Constants, compile_function, making
from lock_protocol.imei import InvalidImeiError, is_imei, parse_imei

MAX_INTEGER = 2**53 - 1
MAX_TIME = 2**32 - 1
SCHEMA = 1


class SchemaError(ValueError):
    """A message that the tables do not allow was about to be built."""


class Kind(Protocol):
    """One field's type on the wire.

    The expressions are Python source over one name, `value`, which they may use any number of times; what else they
    need they take from `constants`.
    """

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a decoded value, or None."""

    def fits(self, value: str, constants: Constants) -> str:
        """Return the expression that is true exactly when `fault` finds nothing."""

    def from_wire(self, value: str, constants: Constants) -> str:
        """Return the expression of the field's value for a decoded value without fault."""

    def to_wire(self, value: str, constants: Constants) -> str:
        """Return the expression of the value to encode for a field's value."""


class _AsIs:
    """A kind whose decoded value is the field's value."""

    def from_wire(self, value: str, _: Constants) -> str:
        return value

    def to_wire(self, value: str, _: Constants) -> str:
        return value


def _looked_up(value: str, call: type[IntEnum | IntFlag], known: Iterable[int], constants: Constants) -> str:
    """Return the expression of `call(value)`, looked up where it is known: calling costs ten times as much.

    Values that do not fit are still read as the enumeration reads them, for rules that look at them nevertheless.
    """
    table = constants.name({one: call(one) for one in known})
    return f"{table}[{value}] if {value} in {table} else {constants.name(call)}({value})"


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

    def fits(self, value: str, _: Constants) -> str:
        zero = f" or {value} == 0" if self.or_zero else ""
        return f"type({value}) is int and ({self.low} <= {value} <= {self.high}{zero})"


@dataclass(frozen=True, slots=True)
class Member:
    """One of an enumeration's values."""

    members: type[IntEnum]
    among: frozenset[int]

    def fault(self, value: Any) -> str | None:
        if type(value) is int and value in self.among:
            return None
        return f"must be one of {sorted(self.among)}"

    def fits(self, value: str, constants: Constants) -> str:
        return f"type({value}) is int and {value} in {constants.name(self.among)}"

    def from_wire(self, value: str, constants: Constants) -> str:
        return _looked_up(value, self.members, [int(one) for one in self.members], constants)

    def to_wire(self, value: str, _: Constants) -> str:
        return f"int({value})"


def member(members: type[IntEnum], high: int | None = None) -> Member:
    """Return the kind of an enumeration's values up to `high`."""
    return Member(members, frozenset(int(one) for one in members if high is None or one <= high))


@dataclass(frozen=True, slots=True)
class Bits:
    """A set of flags."""

    flags: type[IntFlag]

    def fault(self, value: Any) -> str | None:
        return None if type(value) is int and 0 <= value <= self._every else f"must be 0..{self._every}"

    def fits(self, value: str, _: Constants) -> str:
        return f"type({value}) is int and 0 <= {value} <= {self._every}"

    def from_wire(self, value: str, constants: Constants) -> str:
        return _looked_up(value, self.flags, range(self._every + 1), constants)

    def to_wire(self, value: str, _: Constants) -> str:
        return f"int({value})"

    @property
    def _every(self) -> int:
        return sum(int(one) for one in self.flags)


@dataclass(frozen=True, slots=True)
class Bin(_AsIs):
    """A byte string of `low` to `high` bytes; of exactly `low` when no `high` is given."""

    low: int
    high: int | None = None

    def fault(self, value: Any) -> str | None:
        if type(value) is bytes and self.low <= len(value) <= self._most:
            return None
        return f"must be {self.low if self._most == self.low else f'{self.low}..{self._most}'} bytes"

    def fits(self, value: str, _: Constants) -> str:
        return f"type({value}) is bytes and {self.low} <= len({value}) <= {self._most}"

    @property
    def _most(self) -> int:
        return self.low if self.high is None else self.high


# C0 and C1 control characters; the bidirectional embeddings, overrides and isolates that can show text reversed.
_BIDI = "\u202a-\u202e\u2066-\u2069"
LINE = re.compile(f"[^\x00-\x1f\x7f-\x9f{_BIDI}]*")
LINES = re.compile(f"[^\x00-\x09\x0b-\x1f\x7f-\x9f{_BIDI}]*")
"""The same, and line feeds."""


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

    def fits(self, value: str, constants: Constants) -> str:
        size = f"{self.low} <= len({value}.encode()) <= {self.high}"
        matches = f"{constants.name(self.pattern.fullmatch)}({value}) is not None"
        if self.pattern in (LINE, LINES):
            # Nothing that either pattern excludes is printable, and a string knows that sooner than a pattern.
            matches = f"({value}.isprintable() or {matches})"
        # Most texts of most notices are empty.
        empty = f"not {value} or " if self.fault("") is None else ""
        return f"type({value}) is str and ({empty}{size} and {matches})"


class ImeiText(_AsIs):
    """An IMEI."""

    def fault(self, value: Any) -> str | None:
        try:
            parse_imei(value)
        except InvalidImeiError as error:
            return str(error)
        return None

    def fits(self, value: str, constants: Constants) -> str:
        return f"{constants.name(is_imei)}({value})"


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

    def fits(self, value: str, constants: Constants) -> str:
        each = f"all({self._each(self.of.fits, value, constants)})"
        order = f" and all(map({constants.name(lt)}, {value}, {value}[1:]))" if self.ascending else ""
        return f"type({value}) is tuple and {self.low} <= len({value}) <= {self.high} and {each}{order}"

    def from_wire(self, value: str, constants: Constants) -> str:
        return f"tuple({self._each(self.of.from_wire, value, constants)})"

    def to_wire(self, value: str, constants: Constants) -> str:
        return f"tuple({self._each(self.of.to_wire, value, constants)})"

    @staticmethod
    def _each(of: Callable[[str, Constants], str], value: str, constants: Constants) -> str:
        return f"[{of('element', constants)} for element in {value}]"


@dataclass(frozen=True, slots=True)
class Nested:
    """A record: an array of fixed arity with no schema number of its own."""

    record: "type[Record]"

    def fault(self, value: Any) -> str | None:
        return schema_of(self.record).fault(value)

    def fits(self, value: str, constants: Constants) -> str:
        return f"{constants.name(schema_of(self.record).fits)}({value})"

    def from_wire(self, value: str, constants: Constants) -> str:
        return f"{constants.name(schema_of(self.record).assemble)}({value})"

    def to_wire(self, value: str, constants: Constants) -> str:
        return f"{constants.name(schema_of(self.record).take_apart)}({value})"


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
    fits: Callable[[Any], bool]
    """Whether decoded values have no fault."""
    assemble: Callable[[Any], R]
    """The record of decoded values that fit; nothing is checked again."""
    take_apart: Callable[[R], tuple[Any, ...]]
    """The wire values of a record, in order."""

    def fault(self, values: Any) -> str | None:
        """Return what is wrong with decoded values, field by field, or None."""
        return None if self.fits(values) else self.first_fault(values)

    def first_fault(self, values: Any) -> str | None:
        """Return the same by asking kind after kind: slower, and able to name what it finds."""
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


_schemas: dict[type[Record], Schema[Any]] = {}


def schema_of(record: type[R]) -> Schema[R]:
    """Return the table of a record type, compiled at its first use."""
    schema = _schemas.get(record)
    if schema is None:
        schema = _schemas[record] = _compile(record)
    return schema


def _compile(record: type[R]) -> Schema[R]:
    hints = get_type_hints(record, include_extras=True)
    names = tuple(field.name for field in fields(record))  # type: ignore[arg-type]  # every Record is a dataclass
    kinds: dict[str, Kind] = {name: hints[name].__metadata__[0] for name in names}
    return Schema(
        record,
        names,
        tuple(kinds.values()),
        _compile_fits(record, kinds),
        _compile_assemble(record, kinds),
        _compile_take_apart(record, kinds),
    )


# In what is compiled, `schema` is the prefix's element, and each field's value is called after it: `level_`. The
# underscore keeps a field named `type` from hiding what the expressions call.


def _compile_fits(record: type[R], kinds: dict[str, Kind]) -> Callable[[Any], bool]:
    constants = Constants()
    prefix = [f"type(schema) is int and schema == {SCHEMA}"] * len(record.prefix)
    tests = [*prefix, *(kind.fits(f"{name}_", constants) for name, kind in kinds.items())]
    return compile_function(
        "fits(values)",
        [
            f"if type(values) is not tuple or len(values) != {len(tests)}: return False",
            f"{_targets(record, kinds)} = values",
            f"return {' and '.join(f'({test})' for test in tests)}",
        ],
        constants,
    )


def _compile_assemble(record: type[R], kinds: dict[str, Kind]) -> Callable[[Any], R]:
    constants = Constants()
    values = {name: kind.from_wire(f"{name}_", constants) for name, kind in kinds.items()}
    return compile_function(
        "assemble(values)",
        [f"{_targets(record, kinds)} = values", *making(record, values, constants)],
        constants,
    )


def _compile_take_apart(record: type[R], kinds: dict[str, Kind]) -> Callable[[R], tuple[Any, ...]]:
    constants = Constants()
    parts = [*map(str, record.prefix), *(kind.to_wire(f"record.{name}", constants) for name, kind in kinds.items())]
    return compile_function("take_apart(record)", [f"return ({', '.join(parts)},)"], constants)


def _targets(record: type[Record], kinds: dict[str, Kind]) -> str:
    return f"({', '.join([*['schema'] * len(record.prefix), *(f'{name}_' for name in kinds)])},)"
