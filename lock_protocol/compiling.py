"""Functions made from source text: how a table becomes one function, as `dataclasses` makes each `__init__`.

A loop over a table's kinds calls a method for every field of every message, which costs several times what the tests
themselves do. The text is made from our own tables at import time, never from anything that was received.
"""

from collections.abc import Callable, Sequence
from typing import Any


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
