"""What will be done each month: all facts of the histories, each once, whatever the dice say."""

from collections import Counter
from random import Random

import pytest

from device_sim.identities import simulated_imei
from paylatch.demo.plan import MonthPlan, Outage, choose_resets, plan_months
from paylatch.facts import Fact
from paylatch.histories import Account, Month, decisions_of, read_histories
from paylatch.resources import HISTORIES

ACCOUNTS = list(read_histories(HISTORIES, limit=500))


def dice(seed: int = 0) -> Random:
    return Random(seed)  # noqa: S311 - the demo's dice, which guard nothing


def plan(months: int = 6, seed: int = 0) -> list[MonthPlan]:
    return plan_months(ACCOUNTS, months, dice(seed))


def facts_of(month: MonthPlan) -> list[Fact]:
    payments = (*month.partials, *month.cures, *month.cures_while_cut, *month.cures_during_outage)
    return [*month.overdues, *payments, *month.settlements]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_fact_is_reported_once(seed: int) -> None:
    planned = Counter(fact.body()["decision_id"] for month in plan(seed=seed) for fact in facts_of(month))
    reported = sum(len(list(decisions_of(account, row, 6))) for row, account in enumerate(ACCOUNTS, start=1))
    assert set(planned.values()) == {1}
    assert planned.total() == reported == sum(month.decisions for month in plan(seed=seed)) == 540


def test_the_same_seed_gives_the_same_plan_and_another_one_other_outages() -> None:
    assert plan(seed=3) == plan(seed=3)
    assert len({tuple(tuple(month.outages) for month in plan(seed=seed)) for seed in range(10)}) > 1


@pytest.mark.parametrize("months", [1, 2, 6])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_broker_comes_back_once_with_old_and_once_with_no_states(months: int, seed: int) -> None:
    outages = [kind for month in plan(months, seed) for kind in month.outages]
    assert sorted(outages) == [Outage.NONE, Outage.OLD]


def test_old_states_come_back_in_a_month_in_which_phones_open() -> None:
    for seed in range(20):
        (month,) = (month for month in plan(seed=seed) if Outage.OLD in month.outages)
        assert month.cures


def test_some_payments_come_while_their_phone_is_cut_off() -> None:
    assert all(month.cures_while_cut for month in plan()[1:])


def test_only_payments_during_an_outage_wait_for_one() -> None:
    assert all(bool(month.cures_during_outage) <= bool(month.outages) for month in plan())


def test_a_partial_payment_and_what_is_left_are_in_time_order() -> None:
    statuses = (3, 1)
    months = tuple(
        Month(name=f"2005-{number:02}", status=status, billed=70, paid=30)
        for number, status in enumerate(statuses, start=4)
    )
    account = Account(number=9, credit_limit=1, months=months)
    _, second = plan_months([account], 2, dice())
    (partial,), (overdue,) = second.partials, second.overdues
    assert partial.body() == {
        "decision_id": "2005-05-9-payment_received",
        "imei": simulated_imei(0),
        "type": "payment_received",
        "occurred_at": "2005-05-10T09:00:00+08:00",
        "cures": False,
    }
    assert overdue.body() == {
        "decision_id": "2005-05-9-payment_overdue",
        "imei": simulated_imei(0),
        "type": "payment_overdue",
        "occurred_at": "2005-05-20T09:00:00+08:00",
        "days_overdue": 30,
        "amount_due": 7000,
        "currency": "TWD",
    }


@pytest.mark.parametrize(("locked", "reset"), [(0, 0), (3, 3), (40, 5), (100, 10)])
def test_a_share_of_the_locked_phones_is_reset(locked: int, reset: int) -> None:
    phones = [simulated_imei(number) for number in range(locked)]
    chosen = choose_resets(phones, dice())
    assert len(set(chosen)) == reset
    assert set(chosen) <= set(phones)
