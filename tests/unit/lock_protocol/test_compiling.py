"""Functions made from source."""

from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from lock_protocol.compiling import Constants, compile_function, compile_replace, quick


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int | None = None


@dataclass(frozen=True, slots=True)
class Even:
    value: int

    def __post_init__(self) -> None:
        assert self.value % 2 == 0


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


def test_a_quick_record_is_made_as_any_other_is() -> None:
    made = Quick("a", more="b")
    assert made == Quick(name="a", size=3, tags=[], extra=0, more="b")
    assert repr(made) == "Quick(name='a', size=3, tags=[], extra=0, more='b')"
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


def test_a_record_that_judges_its_values_is_not_made_past_its_judgement() -> None:
    with pytest.raises(TypeError, match="Even has a __post_init__"):
        quick(Even)


def test_source_refers_to_its_constants_by_names_of_their_own() -> None:
    constants = Constants()
    one, other = object(), object()
    source = f"return value is {constants.name(one)} or value is {constants.name(other)}"
    either = compile_function("either(value)", [source], constants)
    assert [either(value) for value in (one, other, object())] == [True, True, False]
