"""What every phone must be at the end of every month: the judge of the whole system.

It knows repayment histories and the four rules below, and nothing else. It imports neither the bridge nor its
policy, nor the module that makes the decisions: a test keeps it so. What it reads from a row is how many
months late the account is; the money columns decide nothing.

    late 0          unlocked
    late 1          restricted
    late 2 or more  locked
    settled         released

An account is settled at the end of the file's last month when its row number is a multiple of 50 and it was current
in each of the last three months.
"""

import csv
import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_STATUS_COLUMN = "status_"
_SETTLED_EVERY = 50
_SETTLED_AFTER_MONTHS = 3
_LEVELS = ("unlocked", "restricted")  # by months late; anything later is locked


def required_levels(path: Path, phones: int, months: int) -> Iterator[tuple[int, str, str, str]]:
    """Yield `(row number, account, month, level name)`: account by account, each in time order.

    Args:
        path: a `.csv`, or a `.csv.gz`, in the format of `data/README.md`.
        phones: how many accounts, from the first.
        months: how many months, from the first.

    Raises:
        ValueError: the file has fewer accounts or months than asked for.
    """
    row_number = 0
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        for row_number, row in enumerate(islice(csv.DictReader(file), phones), start=1):
            late = {
                column.removeprefix(_STATUS_COLUMN): max(int(status), 0)
                for column, status in row.items()
                if column.startswith(_STATUS_COLUMN)
            }
            if not 1 <= months <= len(late):
                raise ValueError(f"{months} months asked for; {path} has 1 to {len(late)}")
            for month, level in islice(_levels(late, row_number), months):
                yield row_number, row["account"], month, level
    if row_number < phones:
        raise ValueError(f"{phones} phones asked for; {path} has {row_number} accounts")


def _levels(late: dict[str, int], row_number: int) -> Iterator[tuple[str, str]]:
    *earlier, last = late
    for month in earlier:
        yield month, _level(late[month])
    yield last, "released" if _is_settled(list(late.values()), row_number) else _level(late[last])


def _is_settled(late: list[int], row_number: int) -> bool:
    lately = late[-_SETTLED_AFTER_MONTHS:]
    return row_number % _SETTLED_EVERY == 0 and len(lately) == _SETTLED_AFTER_MONTHS and not any(lately)


def _level(months_late: int) -> str:
    return _LEVELS[months_late] if months_late < len(_LEVELS) else "locked"
