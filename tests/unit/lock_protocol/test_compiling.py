"""Functions made from source."""

from dataclasses import dataclass, replace

import pytest

from lock_protocol.compiling import Constants, compile_function, compile_replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int | None = None


@dataclass(frozen=True, slots=True)
class Even:
    value: int

    def __post_init__(self) -> None:
        assert self.value % 2 == 0


changed = compile_replace(Point)


@pytest.mark.parametrize("changes", [{}, {"x": 3}, {"y": None}, {"x": 0, "y": 5}])
def test_a_copy_is_what_dataclasses_would_have_made(changes: dict[str, int | None]) -> None:
    point = Point(x=1, y=2)
    assert changed(point, **changes) == replace(point, **changes)  # type: ignore[arg-type]  # the values do not matter
    assert point == Point(x=1, y=2)


def test_a_field_that_is_not_there_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        changed(Point(x=1), z=1)


def test_a_record_that_judges_its_values_is_not_copied_past_its_judgement() -> None:
    with pytest.raises(TypeError, match="Even has a __post_init__"):
        compile_replace(Even)


def test_source_refers_to_its_constants_by_names_of_their_own() -> None:
    constants = Constants()
    one, other = object(), object()
    source = f"return value is {constants.name(one)} or value is {constants.name(other)}"
    either = compile_function("either(value)", [source], constants)
    assert [either(value) for value in (one, other, object())] == [True, True, False]
