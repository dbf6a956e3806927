"""Writes the page of all settings: `python -m broker_bridge.settings_document FILE` (`make settings`)."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from broker_bridge.settings import ENV_PREFIX, Section, Settings

_WORDS: dict[type, str] = {
    bool: "`true` or `false`",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}

_HEAD = f"""\
<!-- Made by `make settings`; do not edit. -->

# Settings of the bridge

They stand in a TOML file, which `--config` names.
A variable in the environment stands above the file: `{ENV_PREFIX}HTTP__PORT` is `port` in `[http]`.
A flag of `paylatch bridge run` stands above both.
Paths are relative to the directory that the bridge is started in.

`paylatch config show` tells every setting and where it comes from.
`paylatch config check` tells whether a bridge could start with them.
An option that is not on this page is refused.
[access.md](access.md#whether-a-bridge-is-safe-to-start) says what a bridge refuses outside development mode.
"""


def text() -> str:
    """Return the page as it is committed."""
    parts = [_HEAD, part("At the top of the file", Settings)]
    for name, field in Settings.model_fields.items():
        if (kind := _section_of(field)) is not None:
            parts.append(part(f"`[{name}]`", kind))
    return "\n".join(parts)


def part(heading: str, kind: type[BaseModel]) -> str:
    """Return what the page says of a table of the file.

    Raises:
        KeyError: the code does not say what an option means.
    """
    meanings = _meanings(kind)
    options = {name: field for name, field in kind.model_fields.items() if _section_of(field) is None}
    rows = "\n".join(_row(name, field, meanings[name]) for name, field in options.items())
    about = inspect.getdoc(kind)
    return f"## {heading}\n\n{about}\n\n| option | value | default | meaning |\n|---|---|---|---|\n{rows}\n"


def _section_of(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _meanings(kind: type[BaseModel]) -> Mapping[str, str]:
    """Return the text that stands below each option in the code.

    Pydantic would keep it in the model, but would read the source for it at each start of each command.
    """
    definitions = ast.parse(inspect.getsource(kind)).body
    statements = [one for definition in definitions if isinstance(definition, ast.ClassDef) for one in definition.body]
    found = {}
    for above, below in pairwise(statements):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                found[name] = " ".join(meaning.split())
    return found


def _row(name: str, field: FieldInfo, meaning: str) -> str:
    value = ", ".join([_WORDS[_kind_of(field.annotation)], *_bounds(field)])
    return f"| `{name}` | {value} | {_default(field)} | {meaning} |"


def _kind_of(annotation: Any) -> type:
    """Return what an option is when it is given; without what checks it, which Pydantic keeps as annotations."""
    given = [one for one in get_args(annotation) or (annotation,) if one is not NoneType]
    kind = given[0]
    return kind if isinstance(kind, type) else _kind_of(get_args(kind)[0])


def _bounds(field: FieldInfo) -> Iterator[str]:
    for bound in field.metadata:
        match bound:
            case Ge(ge=least):
                yield f"at least {least}"
            case Gt(gt=below):
                yield f"above {below}"
            case Le(le=most):
                yield f"at most {most}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "has to be given"
    match field.default:
        case None:
            return "none"
        case bool(value):
            return f"`{str(value).lower()}`"
        case int(value) | float(value):
            return f"`{value}`"
        case value:
            return f'`"{value}"`'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
