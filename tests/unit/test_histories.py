"""The repayment histories and the oracle: two independent readers of one file, held against known figures."""

import gzip
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from paylatch.histories import Account, HistoryDecision, HistoryError, Month, decisions_of, read_histories
from paylatch.oracle import required_levels
from paylatch.resources import HISTORIES

HEADER = "account,credit_limit,status_2005-04,status_2005-05,billed_2005-04,billed_2005-05,paid_2005-04,paid_2005-05"
GOOD = "1,20000,0,2,100,-5,0,7"

FIGURES = [(500, 141, 80, 6, 540), (3000, 839, 443, 36, 3258), (20000, 5811, 3004, 275, 22483)]
"""Phones, ever two months late or more, cures from there, settled, decisions."""


def write(directory: Path, *lines: str) -> Path:
    path = directory / "histories.csv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def account_of(*statuses: int) -> Account:
    months = tuple(
        Month(name=f"2005-{number:02}", status=status, billed=number, paid=100 + number)
        for number, status in enumerate(statuses, start=4)
    )
    return Account(number=1, credit_limit=1000, months=months)


def overdue(month_index: int, *, days: int, amount: int) -> HistoryDecision:
    return HistoryDecision(
        month_index=month_index, kind="payment_overdue", days_overdue=days, cures=None, amount=amount
    )


def received(month_index: int, *, cures: bool, amount: int) -> HistoryDecision:
    return HistoryDecision(month_index=month_index, kind="payment_received", days_overdue=0, cures=cures, amount=amount)


@pytest.mark.parametrize(("phones", "locked", "cured", "released", "decisions"), FIGURES)
def test_histories_give_the_known_figures(phones: int, locked: int, cured: int, released: int, decisions: int) -> None:
    accounts = list(read_histories(HISTORIES, limit=phones))
    made = [each for row, account in enumerate(accounts, start=1) for each in decisions_of(account, row, 6)]
    late = [[0, *(month.months_late for month in account.months)] for account in accounts]
    assert len(accounts) == phones
    assert sum(max(months) >= 2 for months in late) == locked
    assert sum(a >= 2 and b == 0 for months in late for a, b in pairwise(months)) == cured
    assert sum(each.kind == "loan_settled" for each in made) == released
    assert len(made) == decisions


@pytest.mark.parametrize(("phones", "locked", "cured", "released"), [figures[:4] for figures in FIGURES])
def test_the_oracle_gives_the_same_figures(phones: int, locked: int, cured: int, released: int) -> None:
    levels: dict[int, list[str]] = defaultdict(list)
    for row, _, _, level in required_levels(HISTORIES, phones, 6):
        levels[row].append(level)
    pairs = [pair for months in levels.values() for pair in pairwise(months)]
    assert {len(months) for months in levels.values()} == {6}
    assert sum("locked" in months for months in levels.values()) == locked
    assert sum(pair == ("locked", "unlocked") for pair in pairs) == cured
    assert sum(months[-1] == "released" for months in levels.values()) == released


def test_the_oracle_names_rows_accounts_and_months() -> None:
    assert list(required_levels(HISTORIES, 2, 6))[4:8] == [
        (1, "1", "2005-08", "locked"),
        (1, "1", "2005-09", "locked"),
        (2, "2", "2005-04", "locked"),
        (2, "2", "2005-05", "unlocked"),
    ]


def test_the_oracle_reads_plain_csv_and_fewer_months(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, GOOD, "9,1,1,0,0,0,0,0")
    assert [level for *_, level in required_levels(path, 2, 1)] == ["unlocked", "restricted"]


@pytest.mark.parametrize(("phones", "months"), [(3, 2), (1, 3), (1, 0)])
def test_the_oracle_refuses_to_judge_what_is_not_there(tmp_path: Path, phones: int, months: int) -> None:
    with pytest.raises(ValueError, match="asked for"):
        list(required_levels(write(tmp_path, HEADER, GOOD, "9,1,1,0,0,0,0,0"), phones, months))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((0, -1, -2), []),
        ((1,), [overdue(0, days=30, amount=4)]),
        (
            (2, 2),
            [
                overdue(0, days=60, amount=4),
                overdue(1, days=60, amount=5),
            ],
        ),
        (
            (3, 1, -1),
            [
                overdue(0, days=90, amount=4),
                received(1, cures=False, amount=105),
                overdue(1, days=30, amount=5),
                received(2, cures=True, amount=106),
            ],
        ),
    ],
)
def test_decisions_follow_the_months(statuses: tuple[int, ...], expected: list[HistoryDecision]) -> None:
    assert list(decisions_of(account_of(*statuses), 1, len(statuses))) == expected


def test_a_credit_balance_is_nothing_due() -> None:
    month = Month(name="2005-04", status=2, billed=-50, paid=0)
    account = Account(number=1, credit_limit=0, months=(month,))
    assert [each.amount for each in decisions_of(account, 1, 1)] == [0]


def test_only_every_fiftieth_account_that_ends_current_is_settled_and_only_at_the_end() -> None:
    current = account_of(2, 0, 0, 0)
    kinds = [[each.kind for each in decisions_of(current, row, months)] for row, months in ((50, 4), (49, 4), (50, 3))]
    unsettled = ["payment_overdue", "payment_received"]
    assert kinds == [[*unsettled, "loan_settled"], unsettled, unsettled]
    assert [each.kind for each in decisions_of(account_of(0, 1, 0, 0), 50, 4)] == unsettled
    assert list(decisions_of(account_of(0, 0), 50, 2)) == []


@pytest.mark.parametrize("months", [0, 3])
def test_months_that_are_not_there_are_refused(months: int) -> None:
    with pytest.raises(ValueError, match="1 to 2"):
        list(decisions_of(account_of(0, 0), 1, months))


def test_a_row_is_read_in_full(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, "7,5.00E+05,-2,8,1.2E+1,-159,0,1.00E+06")
    months = (
        Month(name="2005-04", status=-2, billed=12, paid=0),
        Month(name="2005-05", status=8, billed=-159, paid=1_000_000),
    )
    assert list(read_histories(path)) == [Account(number=7, credit_limit=500_000, months=months)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "empty; expected a header"),
        ([HEADER], "no account below"),
        (["\ufeff" + HEADER, GOOD], r"line 1: column '\\ufeffaccount'; expected 'account'"),
        ([HEADER.replace("status_2005-05", "status_2005-13"), GOOD], "line 1: column 'status_2005-13'; expected"),
        ([HEADER.replace("2005-04", "2005-06"), GOOD], "line 1: status columns .* time order"),
        (["account,credit_limit", "1,1"], "line 1: status columns"),
        ([HEADER.replace("paid_2005-05", "paid_2005-06"), GOOD], "column 'paid_2005-06'; expected 'paid_2005-05'"),
        ([HEADER + ",sex", GOOD + ",1"], "column 'sex'; expected None"),
        ([HEADER, GOOD, "2,1,0,0,0,0,0"], "line 3: 7 cells; expected 8"),
        ([HEADER, GOOD, ""], "line 3: 0 cells"),
        ([HEADER, GOOD, GOOD], "line 3: account 1 is there twice"),
        ([HEADER, "0,1,0,0,0,0,0,0"], "line 2, column account: '0'; expected a positive integer"),
        ([HEADER, "=cmd|x,1,0,0,0,0,0,0"], "line 2, column account"),
        ([HEADER, "\uff11,1,0,0,0,0,0,0"], "line 2, column account"),
        ([HEADER, "1,1,9,0,0,0,0,0"], "line 2, column status_2005-04: '9'; expected an integer from -2 to 8"),
        ([HEADER, "1,1,0,,0,0,0,0"], "line 2, column status_2005-05: ''"),
        ([HEADER, "1,1.234E+02,0,0,0,0,0,0"], "column credit_limit: '1.234E\\+02'; expected whole dollars"),
        ([HEADER, "1,1e309,0,0,0,0,0,0"], "column credit_limit"),
        ([HEADER, "1,9.0E+99,0,0,0,0,0,0"], "column credit_limit"),
        ([HEADER, "1,-1,0,0,0,0,0,0"], "column credit_limit: '-1'; expected whole dollars from 0"),
        ([HEADER, "1,1,0,0,NaN,0,0,0"], "column billed_2005-04: 'NaN'"),
        ([HEADER, "1,1,0,0,0,0,0,0.5"], "column paid_2005-05: '0.5'"),
        ([HEADER, '"1,1,0,0,0,0,0,0'], "not well-formed CSV"),
    ],
)
def test_a_bad_file_says_where_and_what_was_expected(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        list(read_histories(write(tmp_path, *lines)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("histories.csv", (HEADER + "\n").encode("utf-16"), "not UTF-8"),
        ("histories.csv.gz", b"plain", "not a whole gzip file"),
        ("histories.csv.gz", gzip.compress(f"{HEADER}\n{GOOD}\n".encode(), mtime=0)[:-9], "not a whole gzip file"),
        ("histories.xlsx", b"", "ends in .csv or .csv.gz"),
    ],
)
def test_what_is_not_csv_at_all_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HistoryError, match=message):
        list(read_histories(tmp_path / name))


def test_good_rows_are_yielded_before_a_bad_one_is_reached(tmp_path: Path) -> None:
    rows = read_histories(write(tmp_path, HEADER, GOOD, "bad"))
    assert next(rows).number == 1
    with pytest.raises(HistoryError, match="line 3"):
        next(rows)
