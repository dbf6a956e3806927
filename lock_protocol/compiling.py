"""Functions made from source text: how a table becomes one function, as `dataclasses` makes each `__init__`.

A loop over a table's kinds calls a method for every field of every message, which costs several times what the tests
themselves do. The text is made from our own tables at import time, never from anything that was received.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
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
    names = [field.name for field in fields(record)]  # type: ignore[arg-type]  # stated above
    same = constants.name(object())
    return compile_function(
        f"replace(record, *, {', '.join(f'{name}={same}' for name in names)})",
        [
            f"copy = {constants.name(object.__new__)}({constants.name(record)})",
            *(
                f"{constants.name(getattr(record, name).__set__)}(copy, record.{name} if {name} is {same} else {name})"
                for name in names
            ),
            "return copy",
        ],
        constants,
    )
