"""What a person sees of a run."""

import pytest

from paylatch.fleet.view import RichView


def test_a_step_is_shown_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    RichView().step("[/half] of the [red]book")
    assert "[/half] of the [red]book" in capsys.readouterr().err
