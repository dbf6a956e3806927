"""Policies as documents: faults name their lines, profiles keep their promises, docs/policy.md has every key."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from broker_bridge.adapters.policies.profiles import (
    UnknownProfileError,
    profile,
    profile_document,
    profile_names,
)
from broker_bridge.adapters.policies.reading import _Document, read_policy
from broker_bridge.domain.gates import GateCondition
from broker_bridge.domain.policy import OFFLINE_LOCK_DAYS, WARNING_DAYS, Policy, PolicyError
from lock_protocol.levels import Level

ROOT = Path(__file__).parents[3]
MANUAL = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
U, N, R, X, L = Level.UNLOCKED, Level.NOTICE, Level.REMINDER, Level.RESTRICTED, Level.LOCKED

GOOD = """\
name = "tried"
description = "What the others are changed from."
time_zone = "Asia/Kolkata"
max_level = "locked"
remind_every_minutes = 240

[[ladder]]
days_overdue = 3
level = "notice"

[[ladder]]
days_overdue = 15
level = "reminder"

[[ladder]]
days_overdue = 60
level = "restricted"

[gates]
consent = ["contract"]
notice_reached_hours = 72
cure_days = 7
final_notice_hours = 24
quiet_hours = ["21:00", "08:00"]

[leases]
offline_lock_days = 30
offline_level = "restricted"
warning_days = 2
lender_silent_days = 60

[signals]
sim_changed = "reminder"
tamper = "restricted"

[holds]
longest_grace_days = 30
longest_dispute_days = 90

[due]
notice_days = 3

[lost]
level = "locked"

[reset]
provisional_minutes = 1440
provisional_level = "restricted"
"""


def changed(before: str, after: str) -> str:
    """The good document with one thing written otherwise."""
    assert before in GOOD
    return GOOD.replace(before, after, 1)


def faults(document: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        read_policy(document)
    return str(caught.value).splitlines()


def test_a_document_with_every_key_is_a_policy() -> None:
    policy = read_policy(GOOD)
    assert (policy.rung(60), policy.leases.offline_level, policy.signals.tamper) == (X, X, X)


FAULTS = [
    # what is written instead of what, the line, and what is said of it
    ('name = "tried"', "", 1, "name: Field required"),
    ('name = "tried"', 'name = "Tried It"', 1, "name: String should match pattern"),
    ('name = "tried"', 'name = "tried"\nnmae = "x"', 2, "nmae: Extra inputs are not permitted"),
    ('"Asia/Kolkata"', '"Asia/Kalkutta"', 3, "time_zone: 'Asia/Kalkutta' is no IANA time zone"),
    ('"Asia/Kolkata"', '"../etc/passwd"', 3, "time_zone: '../etc/passwd' is no IANA time zone"),
    ('"Asia/Kolkata"', "5.5", 3, "time_zone: Input should be a valid string"),
    ('max_level = "locked"', 'max_level = "released"', 4, "max_level: Input should be 'notice'"),
    ('max_level = "locked"', 'max_level = "Locked"', 4, "max_level: Input should be 'notice'"),
    ("= 240", "= 0", 5, "remind_every_minutes: Input should be greater than or equal to 1"),
    ("= 240", "= 240.0", 5, "remind_every_minutes: Input should be a valid integer"),
    ("= 240", "= true", 5, "remind_every_minutes: Input should be a valid integer"),
    ("= 240", '= "240"', 5, "remind_every_minutes: Input should be a valid integer"),
    ("= 240", "= 240\nsupport_phone = 'call me'", 6, "support_phone: String should match pattern"),
    ("= 240", "= 240\nappeal_url = 'http://help.example'", 6, "appeal_url: String should match pattern"),
    ("= 240", "= 240\ndevelopment_only = 'yes'", 6, "development_only: Input should be a valid boolean"),
    ("days_overdue = 3", "days_overdue = 0", 8, "ladder.0.days_overdue: Input should be greater than or equal to 1"),
    ("days_overdue = 15", "days_overdue = 3", 7, "the ladder must rise in days and in levels: 3 notice, 3 reminder"),
    ('level = "reminder"\n\n[[', 'level = "notice"\n\n[[', 7, "the ladder must rise in days and in levels"),
    ('level = "reminder"\n\n[[', 'level = "unlocked"\n\n[[', 13, "ladder.1.level: Input should be 'notice'"),
    ("days_overdue = 60", "days = 60", 15, "ladder.2.days_overdue: Field required"),
    ("days_overdue = 60", "days = 60", 16, "ladder.2.days: Extra inputs are not permitted"),
    ("notice_reached_hours = 72\n", "", 19, "must wait until the phone itself has reported a notice"),
    ('["contract"]', '["Contract"]', 20, "gates.consent.0: String should match pattern"),
    ('["contract"]', '"contract"', 20, "gates.consent: Input should be a valid tuple"),
    ("= 72", "= -1", 21, "gates.notice_reached_hours: Input should be greater than or equal to 0"),
    ("cure_days = 7", "cure_days = 4000", 22, "gates.cure_days: Input should be less than or equal to 3650"),
    (
        "final_notice_hours = 24",
        'final_notice_hours = "1d"',
        23,
        "gates.final_notice_hours: Input should be a valid int",
    ),
    ('["21:00", "08:00"]', '["21:00", "21:00"]', 24, "gates.quiet_hours: quiet hours must not begin when they end"),
    ('["21:00", "08:00"]', '["9pm", "8am"]', 24, 'gates.quiet_hours: must be a time like "21:00"'),
    ('["21:00", "08:00"]', '["21:\u0660\u0660", "08:00"]', 24, 'gates.quiet_hours: must be a time like "21:00"'),
    ('["21:00", "08:00"]', '["1:030", "08:00"]', 24, 'gates.quiet_hours: must be a time like "21:00"'),
    ('["21:00", "08:00"]', '["24:00", "08:00"]', 24, "gates.quiet_hours: hour must be in 0..23"),
    ('["21:00", "08:00"]', '["21:60", "08:00"]', 24, "gates.quiet_hours: minute must be in 0..59"),
    ('["21:00", "08:00"]', '["21:00"]', 24, "gates.quiet_hours.1: Field required"),
    ('["21:00", "08:00"]', '["21:00", "22:00", "08:00"]', 24, "gates.quiet_hours: Tuple should have at most 2 items"),
    ('["21:00", "08:00"]', "[21, 8]", 24, "gates.quiet_hours.0: Input should be a valid string"),
    (
        "offline_lock_days = 30",
        "offline_lock_days = 2",
        27,
        "offline_lock_days: Input should be greater than or equal to 3",
    ),
    (
        "offline_lock_days = 30",
        "offline_lock_days = 201",
        27,
        "offline_lock_days: Input should be less than or equal to 200",
    ),
    ("warning_days = 2", "warning_days = 0", 29, "leases.warning_days: Input should be greater than or equal to 1"),
    ("warning_days = 2", "warning_days = 11", 29, "leases.warning_days: Input should be less than or equal to 10"),
    ("offline_lock_days = 30\n", "", 28, "the warning must be shorter than the time until the offline lock"),
    ("lender_silent_days = 60", "lender_silent_days = 0", 30, "leases.lender_silent_days: Input should be greater"),
    ('sim_changed = "reminder"', 'sim_changed = "released"', 33, "signals.sim_changed: Input should be 'unlocked'"),
    ("longest_grace_days = 30", "longest_grace_days = 0", 37, "holds.longest_grace_days: Input should be greater"),
    ("notice_days = 3", "notice_days = 61", 41, "due.notice_days: Input should be less than or equal to 60"),
    ("notice_days = 3\n", "", 40, "due.notice_days: Field required"),
    ('level = "locked"\n\n[reset]', 'level = "unlocked"\n\n[reset]', 44, "lost.level: Input should be 'notice'"),
    ("minutes = 1440", "minutes = 10081", 47, "reset.provisional_minutes: Input should be less than or equal to 10080"),
    (
        'provisional_level = "restricted"',
        'provisional_level = "locked"',
        48,
        "reset.provisional_level: Input should be 'unlocked'",
    ),
    ("[lost]", "[found]", 43, "found: Extra inputs are not permitted"),
    ("[holds]", "[holds", 36, "Expected ']' at the end of a table declaration"),
    ("[holds]", "[leases]", 36, "Cannot declare ('leases',) twice"),
    ("cure_days = 7", "cure_days = 7\ncure_days = 8", 23, "Cannot overwrite a value"),
    ("cure_days = 7", "cure_days = 7 days", 22, "Expected newline or end of document"),
    ('name = "tried"', 'name = "tried', 1, "Illegal character"),
]


@pytest.mark.parametrize(("before", "after", "line", "text"), FAULTS, ids=[f"{one[2]}: {one[1]}" for one in FAULTS])
def test_every_fault_names_its_line(before: str, after: str, line: int, text: str) -> None:
    found = faults(changed(before, after))
    assert any(one.startswith(f"line {line}: ") and text in one for one in found), found


def test_several_faults_come_in_the_order_of_their_lines() -> None:
    document = GOOD.replace("= 240", "= 0").replace("= 72", "= -1").replace("= 1440", "= -1")
    assert [one.split(":")[0] for one in faults(document)] == ["line 5", "line 21", "line 47"]


def test_a_policys_name_misleads_nobody_about_the_line() -> None:
    document = changed('"tried"', '"warning"').replace("days_overdue = 15", "days_overdue = 3")
    assert faults(document)[0].startswith("line 7: policy warning: the ladder must rise")


def test_a_warning_as_long_as_the_time_before_it_is_refused() -> None:
    short = changed("offline_lock_days = 30", "offline_lock_days = 3")
    assert read_policy(short).leases.warn_s == 2 * 86_400
    fault = "line 29: the warning must be shorter than the time until the offline lock"
    assert faults(short.replace("warning_days = 2", "warning_days = 3")) == [fault]


def test_an_empty_document_and_an_endless_one_are_refused() -> None:
    assert "line 1: ladder: Field required" in faults("")
    assert faults("#" * 70_000) == ["line 1: a policy has at most 65536 bytes"]


@pytest.mark.parametrize("content", ["a = 1\n", "[[ladder]]\n", "a.b.c = {}\n", "a = [" + "1," * 5000 + "]"])
def test_a_document_that_would_take_long_to_read_is_not_read(content: str) -> None:
    assert faults(content * (60_000 // len(content))) == ["line 1: more than 3000 of the characters =,[{. in all"]


def test_no_more_faults_are_told_than_somebody_reads() -> None:
    found = faults(
        GOOD.replace("[signals]", "".join(f"x{n} = 1\n" for n in range(1000)) + "y" * 5000 + " = 1\n[signals]")
    )
    assert len(found) == 21
    assert found[-1] == "line 52: and more"
    assert len("".join(faults("y" * 60_000 + " = 1\n"))) < 1000


@pytest.mark.parametrize(
    ("gates", "ladder", "fault"),
    [
        ("notice_reached_hours = 1", [(60, "restricted")], "the ladder has no notice below its first restriction"),
        (
            "notice_reached_hours = 1\nfinal_notice_hours = 1",
            [(3, "notice"), (60, "restricted")],
            "the ladder has no reminder, which the final notice is",
        ),
    ],
)
def test_a_gate_that_waits_for_a_rung_that_is_not_there_is_refused(
    gates: str, ladder: list[tuple[int, str]], fault: str
) -> None:
    rungs = "".join(f'[[ladder]]\ndays_overdue = {days}\nlevel = "{level}"\n' for days, level in ladder)
    assert fault in faults(f'name = "odd"\n{rungs}[gates]\n{gates}\n')[0]
    assert faults(f'name = "odd"\n{rungs}[gates]\n{gates}\n')[0].startswith("line 2: ")


def test_a_policy_that_restricts_nothing_needs_no_gate() -> None:
    assert not read_policy('name = "mild"\n[[ladder]]\ndays_overdue = 3\nlevel = "notice"\n').restricts
    capped = changed('max_level = "locked"', 'max_level = "reminder"').replace("notice_reached_hours = 72\n", "")
    assert not read_policy(capped).restricts


def test_the_limits_of_offline_locks_are_those_of_others() -> None:
    assert (OFFLINE_LOCK_DAYS, WARNING_DAYS) == ((3, 200), (1, 10))


# --- profiles ------------------------------------------------------------------------------------------------------


def test_these_profiles_ship() -> None:
    assert profile_names() == ["default", "gentle", "in-rbi-draft-2026", "replay"]
    with pytest.raises(UnknownProfileError, match="'none' is none of default, gentle"):
        profile_document("none")


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_has_its_own_name_and_a_line_in_the_manual(name: str) -> None:
    assert profile(name).name == name
    assert f"| `{name}` |" in MANUAL


@pytest.mark.parametrize("name", [name for name in profile_names() if name != "replay"])
def test_a_profile_for_borrowers_gives_notice_nights_holds_and_an_end_to_silence(name: str) -> None:
    policy = profile(name)
    assert policy.gates.notice_s is not None
    assert policy.gates.notice_s >= 72 * 3600
    assert policy.gates.quiet is not None
    assert "contract" in policy.gates.consent
    assert policy.leases.silent_s
    assert not policy.leases.offline_lock_s
    assert not policy.development_only
    assert (policy.signals.sim_changed, policy.signals.tamper) == (U, U)


def test_replay_has_exactly_the_histories_ladder() -> None:
    manual = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert "`payment_overdue`, with `days_overdue` 30 times `late`" in manual
    required = dict(re.findall(r"^\| `late` is (\d).*? \| (\w+) \|$", manual, re.MULTILINE))
    replay = profile("replay")
    assert {late: replay.rung(30 * int(late)).name.lower() for late in required} == required
    assert replay.rung(30 * 8) is L
    assert replace(replay, name="", ladder=(), development_only=False) == Policy(name="", ladder=())


def test_the_indian_draft_is_marked_as_a_draft_and_no_legal_advice() -> None:
    document = profile_document("in-rbi-draft-2026")
    assert document.startswith("# A DRAFT AND NO LEGAL ADVICE.")
    assert read_policy(document).max_level is X
    assert "DRAFT, no legal advice" in document


def test_the_indian_draft_restricts_at_ninety_days_and_says_so_at_sixty() -> None:
    policy = profile("in-rbi-draft-2026")
    assert [policy.rung(days) for days in (59, 60, 80, 89, 90, 36_500)] == [U, N, N, R, X, X]
    gates = policy.gates
    assert (gates.notice_s, gates.cure_s, gates.final_notice_s) == (21 * 86_400, 21 * 86_400, 7 * 86_400)
    assert policy.lost_level is X


# --- the manual ----------------------------------------------------------------------------------------------------


def tables(model: type[BaseModel] = _Document) -> Iterator[tuple[str, str]]:
    """Every key of the format, with the heading that it stands under."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        table = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if table is None:
            yield "The document", name
            continue
        heading = "`[[ladder]]`" if name == "ladder" else f"`[{name}]`"
        for key in table.model_fields:
            yield heading, key


@pytest.mark.parametrize(("heading", "key"), list(tables()), ids=str)
def test_every_key_is_in_the_manual(heading: str, key: str) -> None:
    section = MANUAL.split(f"### {heading}\n")[1].split("\n#")[0]
    assert f"| `{key}` |" in section


def test_the_manual_names_no_key_that_is_not_there() -> None:
    body = MANUAL.split("## The format\n")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z_]+)` \|", body, re.MULTILINE))
    assert named - set(GateCondition) == {key for _, key in tables()} - set(GateCondition)


@pytest.mark.parametrize("condition", GateCondition, ids=str)
def test_every_condition_is_in_the_manual(condition: GateCondition) -> None:
    assert f"| `{condition}` |" in MANUAL


def test_the_manuals_example_is_a_policy() -> None:
    examples = re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)
    assert [read_policy(example).name for example in examples] == ["acme-2026"]
