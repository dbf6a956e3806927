"""Functions made from source text: how a table becomes one function, as `dataclasses` makes each `__init__`.

A loop over a table's kinds calls a method for every field of every message, which costs several times what the tests
themselves do. The text is made from our own tables at import time, never from anything that was received.

Nothing may set a frozen dataclass's field, so whoever makes an instance calls a setter for each of them, which is most
of what making it costs. What is compiled here fills an instance of a class with the same slots that is not frozen, in
plain assignments, and gives it its own class last: from then on nothing can set its fields.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import wraps
from typing import Any, TypeVar

D = TypeVar("D")


class Constants:
    """The objects that compiled source refers to, each by a name of its own."""

    def __init__(self) -> None:
        self.by_name: dict[str, object] = {}

    def name(self, constant: object) -> str:
        """Return the name of `constant` in the source."""
        name = f"_{len(self.by_name)}"
        self.by_name[name] = constant
        return name


def compile_function(signature: str, body: Sequence[str], constants: Constants) -> Callable[..., Any]:
    """Return the function of this signature and these lines, over the builtins and `constants`."""
    source = "\n    ".join([f"def {signature}:", *body])
    scope = dict(constants.by_name)
    exec(compile(source, f"<compiled {signature}>", "exec"), scope)  # noqa: S102 - the text is our own, see above
    function: Callable[..., Any] = scope[signature.partition("(")[0]]  # type: ignore[assignment]  # just defined
    return function


def making(record: type[Any], values: Mapping[str, str], constants: Constants) -> list[str]:
    """Return the lines that make and return an instance of a frozen and slotted dataclass, of an expression a field."""
    made = constants.name(None)  # no field has this name
    return [
        f"{made} = {constants.name(_unfrozen(record))}()",
        *(f"{made}.{name} = {value}" for name, value in values.items()),
        f"{made}.__class__ = {constants.name(record)}",
        f"return {made}",
    ]


def compile_make(record: type[D]) -> Callable[..., D]:
    """Return what makes one frozen and slotted dataclass of its fields' values, in their order, and asks nothing.

    For whoever has judged the values already: `__post_init__` is not called.
    """
    constants = Constants()
    names = [field.name for field in _fields(record)]
    body = making(record, {name: name for name in names}, constants)
    return compile_function(f"make({', '.join(names)})", body, constants)


def compile_copy(record: type[D]) -> Callable[[D], D]:
    """Return what makes another instance of one frozen and slotted dataclass, equal to the one it is given."""
    constants = Constants()
    values = {field.name: f"record.{field.name}" for field in _fields(record)}
    return compile_function("copy(record)", making(record, values, constants), constants)


def compile_replace(record: type[D]) -> Callable[..., D]:
    """Return what `dataclasses.replace` is for this one frozen and slotted dataclass, several times as fast.

    Called with an instance and by keyword with what is to be different. `__post_init__` is not called: this is for
    records that have none.

    Raises:
        TypeError: the record has one.
    """
    if hasattr(record, "__post_init__"):
        msg = f"{record.__name__} has a __post_init__, which its copies would not pass"
        raise TypeError(msg)
    constants = Constants()
    names = [field.name for field in _fields(record)]
    same = constants.name(object())
    values = {name: f"record.{name} if {name} is {same} else {name}" for name in names}
    return compile_function(
        f"replace(record, *, {', '.join(f'{name}={same}' for name in names)})",
        making(record, values, constants),
        constants,
    )


def setters(record: type[D]) -> Mapping[str, Callable[[D, Any], None]]:
    """Return what sets each field of a frozen and slotted dataclass, by name.

    For instances that nobody else has seen yet.
    """
    return {field.name: getattr(record, field.name).__set__ for field in _fields(record)}


def quick(record: type[D]) -> type[D]:
    """Give a frozen and slotted dataclass an `__init__` that does what its own does at half the cost, and return it.

    To be written above `@dataclass`. Classes that inherit it may add methods, and no fields.

    Raises:
        TypeError: a field that `__init__` does not take.
    """
    if not all(field.init for field in _fields(record)):
        msg = f"{record.__name__} has a field that its __init__ does not take"
        raise TypeError(msg)
    constants = Constants()
    become, own = constants.name(vars(object)["__class__"].__set__), constants.name(None)  # no field has these names
    by_place: list[str] = []
    by_name: list[str] = []
    fill = []
    for field in _fields(record):
        parameter, value = _taken(field, constants)
        (by_name if field.kw_only else by_place).append(parameter)
        fill.append(f"self.{field.name} = {value}")
    init = compile_function(
        f"__init__({', '.join(['self', *by_place, *(['*'] if by_name else []), *by_name])})",
        [
            f"{own} = self.__class__",
            f"{become}(self, {constants.name(_unfrozen(record))})",
            *fill,
            f"self.__class__ = {own}",
            *(["self.__post_init__()"] if hasattr(record, "__post_init__") else []),
        ],
        constants,
    )
    record.__init__ = wraps(record.__init__)(init)  # type: ignore[method-assign]  # `dataclass` has set it too
    return record


def _taken(field: "Field[Any]", constants: Constants) -> tuple[str, str]:
    """Return a field's parameter, and the expression of the value that it gives."""
    if field.default is not MISSING:
        return f"{field.name}={constants.name(field.default)}", field.name
    if field.default_factory is MISSING:
        return field.name, field.name
    left_out = constants.name(object())
    made = f"{constants.name(field.default_factory)}()"
    return f"{field.name}={left_out}", f"{made} if {field.name} is {left_out} else {field.name}"


def _fields(record: type[Any]) -> "tuple[Field[Any], ...]":
    return fields(record)


def _unfrozen(record: type[Any]) -> type[Any]:
    """Return a class of the same slots whose instances are filled like any other object."""
    same = {name: vars(record)[name] for name in ("__slots__", "__orig_bases__") if name in vars(record)}
    # Bases may be frozen too, and be made of arguments.
    plain = {name: vars(object)[name] for name in ("__init__", "__setattr__", "__delattr__")}
    return type(record.__name__, record.__bases__, {**same, **plain})
