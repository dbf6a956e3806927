"""Real repayment histories: read strictly, and turned into the decisions a lender would report.

The format, its source and its rules are described in `data/README.md`. Standard library only, and nothing of the
oracle's: the two read the same file independently, so that neither can repeat the other's mistake.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Literal

DAYS_PER_MONTH_LATE = 30
SETTLED_EVERY = 50
SETTLED_AFTER_MONTHS = 3

_FIXED_COLUMNS = ("account", "credit_limit")
_PER_MONTH_COLUMNS = ("status", "billed", "paid")
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])", re.ASCII)
_ACCOUNT = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_STATUS = re.compile(r"-[12]|[0-8]", re.ASCII)
_MONEY = re.compile(r"-?[0-9]{1,13}|-?[0-9](?:\.[0-9]{1,12})?E\+[0-9]{1,2}", re.ASCII)
_MOST_MONEY = 10**12

DecisionKind = Literal["payment_overdue", "payment_received", "loan_settled"]


class HistoryError(ValueError):
    """A file of histories that is not what `data/README.md` describes; says where and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month of one account. Money is in whole New Taiwan dollars."""

    name: str
    """As `YYYY-MM`."""
    status: int
    """-2 nothing consumed, -1 paid in full, 0 revolving, 1 to 8 months late."""
    billed: int
    """Negative for a credit balance."""
    paid: int

    @property
    def months_late(self) -> int:
        """How many months the payment is late; 0 is current."""
        return max(self.status, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, with its months in time order."""

    number: int
    credit_limit: int
    months: tuple[Month, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryDecision:
    """What a lender would report about one account in one month."""

    month_index: int
    """0 for the file's first month."""
    kind: DecisionKind
    days_overdue: int
    """Of `payment_overdue`: days since the oldest unpaid instalment was due; else 0."""
    cures: bool | None
    """Of `payment_received`: whether nothing is overdue any more; else None."""
    amount: int
    """Whole New Taiwan dollars: what is due, what was paid, or 0 for a settled loan. Only for people to read."""


def read_histories(path: Path, *, limit: int | None = None) -> Iterator[Account]:
    """Yield the accounts of a `.csv` or `.csv.gz` file in its order, one at a time.

    Args:
        path: the file.
        limit: stop after this many accounts, without looking at the rest.

    Raises:
        HistoryError: the file, from its start to where reading stops, is not in the format; or it holds no account.
        OSError: the file cannot be read.
    """
    with _open(path) as file:
        try:
            yield from islice(_accounts(file, path), limit)
        except csv.Error as error:
            raise HistoryError(f"{path}: not well-formed CSV: {error}") from error
        except UnicodeDecodeError as error:
            raise HistoryError(f"{path}: not UTF-8 text: {error}") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise HistoryError(f"{path}: not a whole gzip file: {error}") from error


def decisions_of(account: Account, row_number: int, months: int) -> Iterable[HistoryDecision]:
    """Yield what the lender reports about an account over its first `months` months, in order.

    A loan is settled only with the file's last month: a shorter play ends before any settlement.

    Args:
        account: the account.
        row_number: its position in the file, the first being 1; every 50th account may be settled.
        months: how many of the account's months are played.

    Raises:
        ValueError: `months` is not within 1 and the account's number of months.
    """
    if not 1 <= months <= len(account.months):
        raise ValueError(f"{months} months asked for; account {account.number} has 1 to {len(account.months)}")
    late_before = 0
    for index, month in enumerate(account.months[:months]):
        yield from _decisions_of_month(index, month, late_before)
        late_before = month.months_late
    if months == len(account.months) and _is_settled(account, row_number):
        yield HistoryDecision(month_index=months - 1, kind="loan_settled", days_overdue=0, cures=None, amount=0)


def _decisions_of_month(index: int, month: Month, late_before: int) -> Iterator[HistoryDecision]:
    late = month.months_late
    if late < late_before:
        yield HistoryDecision(
            month_index=index, kind="payment_received", days_overdue=0, cures=late == 0, amount=month.paid
        )
    if late > 0:
        yield HistoryDecision(
            month_index=index,
            kind="payment_overdue",
            days_overdue=DAYS_PER_MONTH_LATE * late,
            cures=None,
            amount=max(month.billed, 0),
        )


def _is_settled(account: Account, row_number: int) -> bool:
    last = account.months[-SETTLED_AFTER_MONTHS:]
    return (
        row_number % SETTLED_EVERY == 0
        and len(last) == SETTLED_AFTER_MONTHS
        and all(month.months_late == 0 for month in last)
    )


def _open(path: Path) -> IO[str]:
    if path.name.endswith(".csv.gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    if path.name.endswith(".csv"):
        return path.open(encoding="utf-8", newline="")
    raise HistoryError(f"{path}: expected a name that ends in .csv or .csv.gz")


def _accounts(file: Iterable[str], path: Path) -> Iterator[Account]:
    rows = csv.reader(file, strict=True)
    header = next(rows, None)
    if header is None:
        raise HistoryError(f"{path}: empty; expected a header line")
    names = _month_names(header, path)
    seen: set[int] = set()
    for cells in rows:
        account = _Row(path, rows.line_num, header, cells).account(names)
        if account.number in seen:
            raise HistoryError(f"{path}, line {rows.line_num}: account {account.number} is there twice")
        seen.add(account.number)
        yield account
    if not seen:
        raise HistoryError(f"{path}: a header, but no account below it")


def _month_names(header: list[str], path: Path) -> list[str]:
    """Return the months that the header names, after checking that it is exactly the header for those months."""
    names = [column.removeprefix("status_") for column in header if column.startswith("status_")]
    for name in names:
        if not _MONTH.fullmatch(name):
            raise HistoryError(f"{path}, line 1: column 'status_{name}'; expected status_YYYY-MM")
    if not names or names != sorted(set(names)):
        raise HistoryError(f"{path}, line 1: status columns for {names}; expected one or more months in time order")
    expected = [*_FIXED_COLUMNS, *(f"{kind}_{name}" for kind in _PER_MONTH_COLUMNS for name in names)]
    if header != expected:
        found, wanted = next(pair for pair in zip_longest(header, expected) if pair[0] != pair[1])
        raise HistoryError(f"{path}, line 1: column {found!r}; expected {wanted!r}")
    return names


class _Row:
    """One line of the file, and where it stands."""

    def __init__(self, path: Path, line: int, header: list[str], cells: list[str]) -> None:
        self._where = f"{path}, line {line}"
        if len(cells) != len(header):
            raise HistoryError(f"{self._where}: {len(cells)} cells; expected {len(header)}")
        self._cells = dict(zip(header, cells, strict=True))

    def account(self, month_names: Iterable[str]) -> Account:
        return Account(
            number=self._integer("account", _ACCOUNT, "a positive integer"),
            credit_limit=self._money("credit_limit", least=0),
            months=tuple(self._month(name) for name in month_names),
        )

    def _month(self, name: str) -> Month:
        return Month(
            name=name,
            status=self._integer(f"status_{name}", _STATUS, "an integer from -2 to 8"),
            billed=self._money(f"billed_{name}", least=-_MOST_MONEY),
            paid=self._money(f"paid_{name}", least=0),
        )

    def _integer(self, column: str, pattern: re.Pattern[str], expected: str) -> int:
        text = self._cells[column]
        if not pattern.fullmatch(text):
            raise self._unexpected(column, expected)
        return int(text)

    def _money(self, column: str, *, least: int) -> int:
        """Read whole dollars, plain or as a spreadsheet writes them (`5.00E+05`), exactly: never through a float."""
        expected = f"whole dollars from {least} to {_MOST_MONEY}, like 500000 or 5.00E+05"
        text = self._cells[column]
        if not _MONEY.fullmatch(text):
            raise self._unexpected(column, expected)
        amount = Decimal(text)
        if amount != amount.to_integral_value() or not least <= amount <= _MOST_MONEY:
            raise self._unexpected(column, expected)
        return int(amount)

    def _unexpected(self, column: str, expected: str) -> HistoryError:
        return HistoryError(f"{self._where}, column {column}: {self._cells[column]!r}; expected {expected}")
