"""Functions made from source text: how a table becomes one function, as `dataclasses` makes each `__init__`.

A loop over a table's kinds calls a method for every field of every message, which costs several times what the tests
themselves do. The text is made from our own tables at import time, never from anything that was received.
"""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
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


def compile_replace(record: type[D]) -> Callable[..., D]:
    """Return what `dataclasses.replace` is for this one frozen and slotted dataclass, many times as fast.

    Called with an instance and by keyword with what is to be different. `__post_init__` is not called: this is for
    records that have none.

    Raises:
        TypeError: the record has one.
    """
    if hasattr(record, "__post_init__"):
        msg = f"{record.__name__} has a __post_init__, which its copies would not pass"
        raise TypeError(msg)
    constants = Constants()
    names = [field.name for field in fields(record)]  # type: ignore[arg-type]  # stated above
    same = constants.name(object())
    return compile_function(
        f"replace(record, *, {', '.join(f'{name}={same}' for name in names)})",
        [
            f"copy = {constants.name(object.__new__)}({constants.name(_thawed(record))})",
            *(f"copy.{name} = record.{name} if {name} is {same} else {name}" for name in names),
            f"copy.__class__ = {constants.name(record)}",
            "return copy",
        ],
        constants,
    )


def quick(record: type[D]) -> type[D]:
    """Give a frozen and slotted dataclass an `__init__` that costs half as much, and return it.

    To be written above `@dataclass`. The one that `dataclasses` makes calls `object.__setattr__` for each field.

    Raises:
        TypeError: the record has a `__post_init__`, which this one does not call.
    """
    if hasattr(record, "__post_init__"):
        msg = f"{record.__name__} has a __post_init__"
        raise TypeError(msg)
    constants = Constants()
    made: list[str] = []
    body = [f"{constants.name(_CLASS.__set__)}(self, {constants.name(_thawed(record))})"]
    for field in fields(record):  # type: ignore[arg-type]  # stated above
        given = value = field.name
        if field.default is not MISSING:
            given = f"{field.name}={constants.name(field.default)}"
        elif field.default_factory is not MISSING:
            missing = constants.name(object())
            given = f"{field.name}={missing}"
            value = f"{constants.name(field.default_factory)}() if {field.name} is {missing} else {field.name}"
        made += ["*"] if field.kw_only and "*" not in made else []
        made.append(given)
        body.append(f"self.{field.name} = {value}")
    body.append(f"self.__class__ = {constants.name(record)}")
    record.__init__ = compile_function(f"__init__(self, {', '.join(made)})", body, constants)  # type: ignore[method-assign]  # what this is for
    return record


_CLASS: Any = object.__dict__["__class__"]


def _thawed(record: type) -> type:
    """Return a class with the same slots whose attributes can be set: an instance is filled as one, then frozen.

    Python compiles `self.name = value` for such a class to one store; each field of a frozen one is a call.
    """
    body = {"__slots__": record.__dict__["__slots__"], "__setattr__": object.__setattr__}
    return type(f"Thawed{record.__name__}", record.__bases__, body)
