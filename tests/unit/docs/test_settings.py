"""docs/settings.md is what the code makes, and says something of every option."""

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, Field

from broker_bridge.setting_sources import options
from broker_bridge.settings import BrokerSettings, Section, Settings
from broker_bridge.settings_document import part, text

_DOCUMENT = (Path(__file__).parents[3] / "docs" / "settings.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)


def test_the_committed_page_is_what_the_code_makes() -> None:
    assert text() == _DOCUMENT, "run `make settings`"


def test_every_option_is_on_the_page_with_its_meaning() -> None:
    settings = Settings(broker=BrokerSettings(password_file=Path("a"), phones_passwords=Path("b")))
    names = [name.rpartition(".")[2] for name, _ in options(settings.model_dump())]
    rows = _ROW.findall(_DOCUMENT)
    assert sorted(row[0] for row in rows) == sorted(names)
    assert all(meaning.endswith((".", "`")) for *_, meaning in rows)


class Checked(Section):
    """Options of every kind."""

    ratio: float = Field(default=0.5, gt=0)
    """A number."""
    file: Annotated[Path, AfterValidator(Path.absolute)] | None = None
    """A file that is looked at."""


class Silent(Section):
    """An option of which nothing is said."""

    silent: bool = False


def test_an_option_that_is_checked_is_what_it_was_given_as() -> None:
    assert _ROW.findall(part("`[checked]`", Checked)) == [
        ("ratio", "a number, above 0", "`0.5`", "A number."),
        ("file", "a path", "none", "A file that is looked at."),
    ]


def test_an_option_has_to_have_a_meaning() -> None:
    with pytest.raises(KeyError, match="silent"):
        part("`[silent]`", Silent)
