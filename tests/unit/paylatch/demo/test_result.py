"""Figures: how they are counted, and how they are told."""

import json

from device_sim.identities import simulated_imei
from paylatch.demo.audit import Row
from paylatch.demo.intruder import Attack
from paylatch.demo.result import Violation
from paylatch.demo.summary import summary_of
from paylatch.demo.tally import Tally

IMEIS = [simulated_imei(number) for number in range(3)]
MS = 1_000_000


def month(name: str, *levels: str, required: tuple[str, ...] | None = None) -> list[Row]:
    return [
        Row(account=1, imei=imei, month=name, required=wanted, applied=level, reported=level, retained=level)
        for imei, level, wanted in zip(IMEIS, levels, required or levels, strict=True)
    ]


def test_months_are_counted_by_what_the_phones_applied() -> None:
    tally = Tally(phones=3)
    tally.take_month(month("2005-04", "locked", "restricted", "locked"))
    tally.take_month(month("2005-05", "unlocked", "unlocked", "locked"))
    tally.take_month(month("2005-06", "released", "locked", "unlocked"))
    result = tally.result(1.0)
    assert (result.locked, result.unlocked_by_payment, result.released) == (3, 2, 1)


def test_a_months_violations_are_kept_and_returned() -> None:
    tally = Tally(phones=3)
    wrong = month("2005-04", "notice", "locked", "locked", required=("locked", "locked", "locked"))
    found = tally.take_month(wrong)
    assert [violation.imei for violation in found] == [IMEIS[0]]
    assert list(tally.result(1.0).violations) == found


def test_attacks_add_up() -> None:
    tally = Tally(phones=3)
    for changed in ([], [IMEIS[0]]):
        tally.take_attack(Attack(sent=3, refused={"Malformed": 2, "Rollback": 1}, changed=changed, unanswered={}))
    result = tally.result(1.0)
    assert (result.hostile_sent, result.hostile_applied) == (6, 1)
    assert result.hostile_refused == {"Malformed": 4, "Rollback": 2}


def test_the_json_file_can_be_read_back() -> None:
    tally = Tally(phones=3, violations=[Violation(imei=IMEIS[0], month="2005-04", differs="everything")])
    read = json.loads(json.dumps(tally.result(1.2345).to_json()))
    assert read["violations"] == [{"imei": IMEIS[0], "month": "2005-04", "differs": "everything"}]
    assert read["unlock_ms"] == {"p50": None, "p99": None, "max": None}
    assert read["wall_s"] == 1.234


def test_the_summary_tells_every_figure() -> None:
    tally = Tally(phones=3, unlock_ns=[2 * MS], resets=4, relocked=4, hostile_sent=2)
    tally.hostile_refused.update({"Malformed": 2})
    lines = dict(summary_of(tally.result(1.0)))
    assert lines["opened by payment"] == "0, in 2.0 ms (p50), 2.0 ms (p99), 2.0 ms (max)"
    assert lines["paid while offline"] == "0 opened, no measured time after their reconnect"
    assert lines["factory resets"] == "4, 4 locked again"
    assert lines["hostile messages"] == "2, 2 refused by phones"
    assert lines["violations"] == "0"
