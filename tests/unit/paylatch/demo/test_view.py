"""What a person sees, where output is no terminal."""

import pytest

from device_sim.identities import simulated_imei
from paylatch.demo.audit import Row
from paylatch.demo.result import Violation
from paylatch.demo.tally import Tally
from paylatch.demo.view import PlainView, QuietView, choose_view

ROWS = [
    Row(
        account=1, imei=simulated_imei(number), month="2005-04", required=level, applied=level, reported="", retained=""
    )
    for number, level in enumerate(("locked", "unlocked", "locked"))
]


def violations(count: int) -> list[Violation]:
    return [Violation(imei=simulated_imei(number), month="2005-04", differs="all") for number in range(count)]


def test_quiet_says_nothing_while_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with QuietView() as view:
        view.step("working")
        view.month("2005-04", ROWS, [])
        view.summary(Tally(phones=3).result(1.0))
    assert capsys.readouterr() == ("", "")


def test_quiet_names_violations_up_to_a_number_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    QuietView().month("2005-04", ROWS, violations(22))
    *named, rest = capsys.readouterr().out.splitlines()
    assert named == [f"violation: {simulated_imei(number)} in 2005-04: all" for number in range(20)]
    assert rest == "violation: 2 more in 2005-04"


def test_plain_tells_steps_and_months_on_stderr_and_figures_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        view.step("working")
        view.month("2005-04", ROWS, [])
        view.summary(Tally(phones=3).result(1.0))
    said = capsys.readouterr()
    assert [line.split(" s  ")[1] for line in said.err.splitlines()] == [
        "working",
        "2005-04: 1 unlocked, 2 locked; 0 violations",
    ]
    assert said.out.splitlines()[0].split() == ["phones", "3,", "0", "decisions"]


@pytest.mark.parametrize(("quiet", "kind"), [(True, QuietView), (False, PlainView)])
def test_the_view_fits_the_output(quiet: bool, kind: type) -> None:  # noqa: FBT001 - a parameter of the test
    assert type(choose_view(quiet=quiet)) is kind
