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
    compiled_init,
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


class TestCompiledInit:
    """What `compiled_init` gives a class."""

    def quick(self) -> type[Place]:
        @compiled_init
        @dataclass(frozen=True, slots=True, kw_only=True)
        class Quick(Place):
            """Inherits frozen fields."""

        return Quick

    def test_it_takes_the_same_arguments(self) -> None:
        assert signature(self.quick()) == signature(Place)
        assert vars(Place)["__init__"].__annotations__.items() <= self.quick().__init__.__annotations__.items()
        with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'x'"):
            self.quick()(name="a")  # type: ignore[call-arg]  # that is the point

    def test_it_sets_every_field_given_or_not(self) -> None:
        quick = self.quick()(x=1, name="a")
        assert (quick.x, quick.y, quick.name, quick.made) == (1, None, "a", 0)

    def test_nothing_can_be_set_afterwards(self) -> None:
        quick = self.quick()(x=1, name="a")
        with pytest.raises(FrozenInstanceError):
            quick.x = 2  # type: ignore[misc]  # that is the point

    def test_arguments_by_place_stay_so(self) -> None:
        @compiled_init
        @dataclass(frozen=True, slots=True)
        class Mixed:
            a: int
            b: int = 2
            c: int = field(default=3, kw_only=True)

        assert Mixed(1) == Mixed(a=1, b=2, c=3)
        with pytest.raises(TypeError, match="positional argument"):
            Mixed(1, 2, 3)  # type: ignore[call-arg]  # that is the point

    def test_the_madestill_judges_its_values(self) -> None:
        with pytest.raises(AssertionError):
            compiled_init(Even)(3)

    def test_a_madethat_inherits_it_makes_its_own_instances(self) -> None:
        class Slower(self.quick()):  # type: ignore[misc]  # made for this test
            __slots__ = ()

        assert type(Slower(x=1, name="a")) is Slower

    def test_a_field_that_is_made_anew_each_time_is_refused(self) -> None:
        @dataclass(frozen=True, slots=True)
        class Listed:
            those: list[int] = field(default_factory=list)

        with pytest.raises(TypeError, match="not simply taken and set"):
            compiled_init(Listed)


def test_source_refers_to_its_constants_by_names_of_their_own() -> None:
    constants = Constants()
    one, other = object(), object()
    source = f"return value is {constants.name(one)} or value is {constants.name(other)}"
    either = compile_function("either(value)", [source], constants)
    assert [either(value) for value in (one, other, object())] == [True, True, False]
