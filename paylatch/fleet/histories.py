"""The real repayment histories as months of a run: what is reported, and what the oracle requires after it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch import resources
from paylatch.facts import Fact, facts_of
from paylatch.fleet.book import Book
from paylatch.fleet.lender import Order
from paylatch.fleet.reading import ScenarioError
from paylatch.histories import Account, read_histories
from paylatch.oracle import required_levels


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryMonth:
    """One month of all accounts."""

    name: str
    """As `YYYY-MM`."""
    accounts: Sequence[Sequence[Order]]
    """What is reported about each account of which anything is, in its order."""
    required: dict[Imei, Level]
    """By the oracle, at the month's end."""

    @property
    def decisions(self) -> int:
        """How many there are."""
        return sum(map(len, self.accounts))

    def differing(self, book: Book) -> list[Imei]:
        """Return the phones that the book has somewhere else than the oracle."""
        return [imei for imei, level in self.required.items() if not book.permits(imei, level)]


def require_accounts(phones: int) -> list[Account]:
    """Return an account for each of so many phones.

    Raises:
        ScenarioError: there are fewer.
    """
    accounts = list(read_histories(resources.HISTORIES, limit=phones))
    if len(accounts) < phones:
        raise ScenarioError(f"{phones} phones, but the histories have {len(accounts)} accounts")
    return accounts


def months_of(book: Book, months: int) -> Iterator[HistoryMonth]:
    """Yield month after month; each of the book's phones, in their order, plays one account.

    Raises:
        ScenarioError: there are more phones than accounts.
    """
    imeis = book.imeis
    accounts = require_accounts(len(imeis))
    names = [month.name for month in accounts[0].months[:months]]
    required: dict[str, dict[Imei, Level]] = {name: {} for name in names}
    for row, _, month, level in required_levels(resources.HISTORIES, len(imeis), months):
        required[month][imeis[row - 1]] = Level[level.upper()]
    rows = {account.number: row for row, account in enumerate(accounts)}
    facts: dict[str, list[Fact]] = {name: [] for name in names}
    for fact in facts_of(accounts, months):
        facts[fact.month].append(fact)
    for name in names:
        by_account = groupby(facts[name], key=lambda fact: rows[fact.borrower.account])
        levels = required[name]
        orders = [_orders(imeis[row], list(of_account), levels, book) for row, of_account in by_account]
        yield HistoryMonth(name=name, accounts=orders, required=levels)


def _orders(imei: Imei, facts: Sequence[Fact], levels: dict[Imei, Level], book: Book) -> list[Order]:
    """Return what is reported about one account in one month; only the last of it changes what the phone has to be."""
    before = book.required([imei]).get(imei, levels[imei])
    expected = [*[before] * (len(facts) - 1), levels[imei]]
    return [Order(imei, level, _said(fact)) for fact, level in zip(facts, expected, strict=True)]


def _said(fact: Fact) -> dict[str, object]:
    # The id is left to the run: a bridge that has played the histories before would answer for that time.
    return {name: value for name, value in fact.body().items() if name not in ("decision_id", "imei")}
