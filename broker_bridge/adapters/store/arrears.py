"""What was announced, granted and disputed about a loan, and its episode of arrears, as text in a phone's row.

Most phones have none of it, so it is one column each: nothing is selected by what is in there.
"""

import json
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from broker_bridge.domain.episode import Episode
from broker_bridge.domain.holds import NO_HOLDS, Hold, Holds
from broker_bridge.domain.loans import Due, Loan
from lock_protocol.levels import Level

NOTHING = "{}"
"""What stands in such a column when there is nothing to tell."""

_NO_EPISODE = Episode()
_REMEMBERED = 4096
"""How many episodes are kept with their texts: a lender's evaluation begins many in the same second, and each is read
and written several times."""


def holds_text(loan: Loan) -> str:
    """Return the column of a loan's holds and announced payment."""
    if loan.due is None and loan.holds == NO_HOLDS:
        return NOTHING
    return json.dumps({"due": None if loan.due is None else asdict(loan.due), **asdict(loan.holds)})


def holds_of(text: str) -> dict[str, Any]:
    """Return `due` and `holds` of the loan that a column tells of."""
    if text == NOTHING:
        return {}
    values = json.loads(text)
    due = values.pop("due")
    grace, dispute = _hold(values.pop("grace")), _hold(values.pop("dispute"))
    return {"due": None if due is None else Due(**due), "holds": Holds(grace=grace, dispute=dispute, **values)}


def _hold(value: dict[str, Any] | None) -> Hold | None:
    return None if value is None else Hold(**{**value, "cap": Level(value["cap"])})


@lru_cache(maxsize=_REMEMBERED)
def episode_text(episode: Episode) -> str:
    """Return the column of an episode."""
    return NOTHING if episode == _NO_EPISODE else json.dumps(asdict(episode))


@lru_cache(maxsize=_REMEMBERED)
def episode_of(text: str) -> Episode:
    """Return the episode that a column tells of."""
    if text == NOTHING:
        return _NO_EPISODE
    values = json.loads(text)
    levels = {name: Level(values[name]) for name in ("granted", "escalated_from")}
    return Episode(**{**values, **levels})
