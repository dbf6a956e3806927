"""Functions made from source."""

from dataclasses import FrozenInstanceError, dataclass, field, replace
from inspect import signature

import pytest

from lock_protocol.compiling import (
    Constants,
    compile_copy,
    compile_function,
    compile_make,
    compile_replace,
    quick,
    setters,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int | None = None


@dataclass(frozen=True, slots=True)
class Even:
    value: int

    def __post_init__(self) -> None:
        assert self.value % 2 == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Point):
    name: str
    made: int = 0


@dataclass(frozen=True, slots=True)
class Usual:
    name: str
    size: int = 3
    tags: list[str] = field(default_factory=list)
    extra: int = field(kw_only=True, default=0)


@quick
@dataclass(frozen=True, slots=True)
class Quick(Usual):
    more: str = field(kw_only=True)
    own: int = field(kw_only=True, default=0)


class Derived(Quick):
    __slots__ = ()


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


@pytest.mark.parametrize("place", [Place(x=1, name="a"), Place(x=1, y=2, name="b", made=3)])
def test_what_is_compiled_makes_what_the_constructor_makes(place: Place) -> None:
    assert compile_make(Place)(place.x, place.y, place.name, place.made) == place
    assert compile_copy(Place)(place) == place
    assert compile_copy(Place)(place) is not place


def test_what_is_made_past_the_constructor_is_not_judged_by_it() -> None:
    assert compile_make(Even)(3).value == 3


def test_what_is_made_is_frozen() -> None:
    made = compile_make(Point)(1, 2)
    with pytest.raises(FrozenInstanceError):
        made.x = 3  # type: ignore[misc]  # that is the point


def test_a_setter_sets_its_own_field() -> None:
    point = Point(x=1)
    setters(Point)["y"](point, 2)
    assert point == Point(x=1, y=2)


def test_a_quick_record_is_made_as_any_other_is() -> None:
    made = Quick("a", more="b")
    assert made == Quick(name="a", size=3, tags=[], extra=0, more="b", own=0)
    assert repr(made) == "Quick(name='a', size=3, tags=[], extra=0, more='b', own=0)"
    assert Quick("a", more="b").tags is not made.tags
    assert replace(made, size=4, extra=1) == Quick("a", 4, extra=1, more="b")


def test_a_quick_record_is_frozen() -> None:
    made = Quick("a", more="b")
    assert type(made) is Quick
    with pytest.raises(FrozenInstanceError):
        made.name = "c"  # type: ignore[misc]  # that is what it must refuse


@pytest.mark.parametrize(("given", "told"), [((), "missing"), (("a", 1, [], 0), "positional")])
def test_a_quick_record_refuses_what_any_other_refuses(given: tuple[str, ...], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        Quick(*given, more="b")  # type: ignore[arg-type]  # the same


def test_a_quick_record_tells_its_arguments() -> None:
    assert list(signature(Quick).parameters) == ["name", "size", "tags", "extra", "more", "own"]


def test_a_quick_record_still_judges_its_values() -> None:
    with pytest.raises(AssertionError):
        quick(Even)(3)


def test_what_inherits_a_quick_record_is_made_as_itself() -> None:
    assert type(Derived("a", more="b")) is Derived


def test_a_record_with_a_field_of_its_own_making_is_not_made_quickly() -> None:
    @dataclass(frozen=True, slots=True)
    class Sized:
        size: int = field(init=False, default=0)

    with pytest.raises(TypeError, match="Sized has a field that its __init__ does not take"):
        quick(Sized)


def test_source_refers_to_its_constants_by_names_of_their_own() -> None:
    constants = Constants()
    one, other = object(), object()
    source = f"return value is {constants.name(one)} or value is {constants.name(other)}"
    either = compile_function("either(value)", [source], constants)
    assert [either(value) for value in (one, other, object())] == [True, True, False]
