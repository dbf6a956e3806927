"""Scenario files: those that are shipped, and what is said of those that cannot be."""

from pathlib import Path

import pytest

from lock_protocol.levels import Level
from paylatch.fleet.reading import ScenarioError, changed, read_scenario, scenario_of, shipped, text_of
from paylatch.fleet.scenario import Decide, KillBroker, Pause, Settle

OWN = """\
about = "Mine"
phones = 20
rate = 12.5
ramp = "1m30s"

[thresholds]
"unlock_ms.p99" = "< 250"
"lost" = "== 0"

[[step]]
do = "decide"
who = "open"
share = 0.25
pace = "at-once"
decisions = [
  { type = "payment_overdue", days_overdue = 90, expect = "locked", weight = 2 },
  { type = "payment_received", cures = true, expect = "unlocked" },
]
with_next = true

[[step]]
do = "kill_broker"
down = "500ms"

[[step]]
do = "settle"
"""


def fault_in(document: str) -> str:
    with pytest.raises(ScenarioError) as refused:
        scenario_of(document, "mine.toml")
    return str(refused.value)


def test_these_scenarios_are_shipped() -> None:
    expected = ["flaky-network", "midnight-batch", "payday", "reconnect-storm", "replay", "reset-wave", "soak"]
    assert shipped() == expected


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_can_be_read_is_limited_and_says_why_it_is(name: str) -> None:
    scenario = read_scenario(name)
    assert scenario.thresholds
    assert text_of(name).startswith("# ")
    assert scenario.about


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_that_may_skip_arrivals_is_limited_in_that(name: str) -> None:
    scenario = read_scenario(name)
    repeats = any(getattr(step, "repeat", False) for step in scenario.step)
    assert repeats == ("skipped_share" in {threshold.metric for threshold in scenario.thresholds})


def test_a_file_becomes_what_it_says() -> None:
    scenario = scenario_of(OWN, "mine.toml")
    assert (scenario.phones, scenario.rate, scenario.ramp, scenario.jitter) == (20, 12.5, 90.0, 0.5)
    assert [str(one) for one in scenario.thresholds] == ["unlock_ms.p99 < 250", "lost == 0", "decisions_failed == 0"]
    (decide, kill), (settle,) = scenario.groups()
    assert isinstance(decide, Decide)
    assert [choice.expect for choice in decide.decisions] == [Level.LOCKED, Level.UNLOCKED]
    assert decide.decisions[0].fields() == {"type": "payment_overdue", "days_overdue": 90}
    assert isinstance(kill, KillBroker)
    assert kill.down == 0.5
    assert isinstance(settle, Settle)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("phones = 20", "phone = 20", "line 2: phone: there is no such key"),
        ("phones = 20", "phones = 0", "line 2: phones: Input should be greater than or equal to 1"),
        ("phones = 20", "phones = true", "line 2: phones: Input should be a valid integer"),
        ("rate = 12.5", "rate = -1", "line 3: rate: Input should be greater than 0"),
        ('ramp = "1m30s"', "ramp = 90", "line 4: ramp: expected a length of time"),
        ('"< 250"', '"250"', "line 6: thresholds: 'unlock_ms.p99250' is no threshold"),
        ('"lost" = "== 0"', '"found" = "== 0"', "line 6: thresholds: 'found' is not measured"),
        ('do = "decide"', 'do = "decode"', "line 10: step.1: Input tag 'decode' found using 'do' does not match"),
        ('do = "decide"', "", "line 10: step.1: Unable to extract tag using discriminator 'do'"),
        ('who = "open"', 'who = "poor"', "line 12: step.1.who: Input should be 'all', 'open', 'closed'"),
        ("share = 0.25", "share = 25", "line 13: step.1.share: Input should be less than or equal to 1"),
        ('pace = "at-once"', "pace = inf", "line 14: step.1.pace: Input should be less than or equal to 1000"),
        ('pace = "at-once"', 'pace = "at-once"\nrepeat = true', "step.1: what repeats needs a pace"),
        ("weight = 2", "weight = inf", "line 15: step.1.decisions.1.weight: Input should be less than or equal to"),
        ('pace = "at-once"', 'pace = "fast"', "line 14: step.1.pace: Input should be a valid number"),
        ('"locked"', '"shut"', "line 15: step.1.decisions.1.expect: a level is one of unlocked, notice"),
        ("days_overdue = 90, ", "", "line 15: step.1.decisions.1: payment_overdue needs days_overdue"),
        ("cures = true", 'cures = "yes"', "line 15: step.1.decisions.2.cures: Input should be a valid boolean"),
        ("cures = true", 'cures = true, currency = "inr"', "step.1.decisions.2.currency: String should match pattern"),
        ('down = "500ms"', 'up = "500ms"', "line 23: step.2.up: there is no such key"),
        ('do = "settle"', 'do = "settle"\nwith_next = true', "line 10: step: the last step has no next one"),
        ('about = "Mine"', "", "line 1: about: is missing"),
        ("phones = 20", "phones = ", "Invalid value (at line 2, column 10)"),
    ],
)
def test_what_cannot_be_is_named_with_its_file_line_and_key(before: str, after: str, fault: str) -> None:
    assert before in OWN
    told = fault_in(OWN.replace(before, after))
    assert told.startswith("mine.toml")
    assert fault in told
    assert "\n" not in told


def test_all_faults_are_named_at_once() -> None:
    told = fault_in(OWN.replace("phones = 20", "phones = 0").replace('who = "open"', 'who = "poor"'))
    assert [line.partition(":")[0] for line in told.splitlines()] == ["mine.toml, line 2", "mine.toml, line 12"]


def test_an_import_cannot_go_on_for_a_time() -> None:
    told = fault_in(OWN.replace('pace = "at-once"', 'by = "import"\nrepeat = true'))
    assert "step.1: an import is one file: it cannot repeat" in told


def test_a_scenario_without_steps_is_none() -> None:
    assert "step: is missing" in fault_in('about = "nothing"')


def test_flags_take_the_place_of_its_numbers_and_thresholds() -> None:
    scenario = changed(
        scenario_of(OWN, "mine.toml"), {"phones": 7, "ramp": "2s"}, ["unlock_ms.p99<10", "lock_ms.p50<3"]
    )
    assert (scenario.phones, scenario.ramp, scenario.rate) == (7, 2.0, 12.5)
    expected = ["lost == 0", "decisions_failed == 0", "unlock_ms.p99 < 10", "lock_ms.p50 < 3"]
    assert [str(one) for one in scenario.thresholds] == expected


def test_the_bridge_may_refuse_nothing_unless_a_limit_says_otherwise() -> None:
    without = scenario_of('about = "Mine"\n[[step]]\ndo = "pause"\ntime = "1s"\n', "mine.toml")
    assert [str(one) for one in without.thresholds] == ["decisions_failed == 0"]
    other = scenario_of(OWN.replace('"lost" = "== 0"', '"decisions_failed" = "< 3"'), "mine.toml")
    assert [str(one) for one in other.thresholds] == ["unlock_ms.p99 < 250", "decisions_failed < 3"]
    assert [str(one) for one in changed(without, {}, ["decisions_failed<9"]).thresholds] == ["decisions_failed < 9"]


@pytest.mark.parametrize(
    ("fields", "limits", "fault"),
    [
        ({"ramp": "soon"}, [], "--ramp: expected a length of time"),
        ({"rate": 0.0}, [], "--rate: Input should be greater than 0"),
        ({"jitter": 2.0}, [], "--jitter: Input should be less than or equal to 1"),
        ({}, ["speed<3"], "--threshold: 'speed' is not measured"),
    ],
)
def test_a_flag_that_cannot_be_is_named(fields: dict[str, object], limits: list[str], fault: str) -> None:
    with pytest.raises(ScenarioError, match=fault):
        changed(scenario_of(OWN, "mine.toml"), fields, limits)


def test_an_own_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('about = "Mine"\n[[step]]\ndo = "pause"\ntime = "1s"\n', encoding="utf-8")
    (step,) = read_scenario(str(path)).step
    assert isinstance(step, Pause)


@pytest.mark.parametrize(("name", "fault"), [("payda", "there are flaky-network, "), ("no.toml", "No such file")])
def test_a_scenario_that_is_not_there_is_told_so(name: str, fault: str) -> None:
    with pytest.raises(ScenarioError, match=fault):
        read_scenario(name)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        read_scenario(str(path))
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(ScenarioError, match="300000 bytes"):
        read_scenario(str(path))
