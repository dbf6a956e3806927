"""What every phone has to be, by the scenario's decisions alone, and what it was last seen to be."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random

from device_sim.fleet.journal import DOWN, UP, Entry
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.fleet.scenario import Who

_TRIES = 20
_FORGOTTEN_NS = 30 * 10**9
"""A change that nobody has seen for so long does not keep its phone from being chosen any more."""
_OPEN_MOST = Level.NOTICE


@dataclass(frozen=True, slots=True)
class Measured:
    """One time that was measured."""

    trend: str
    ns: int


@dataclass(slots=True)
class _Awaited:
    """A change of level that is on its way to a phone."""

    trend: str
    level: Level
    since_ns: int


class _Account:
    """One phone's page."""

    __slots__ = ("awaited", "decided_ms", "imei", "level", "occurred_ms", "online", "required", "under_way")

    def __init__(self, imei: Imei, level: Level) -> None:
        self.imei = imei
        self.required: tuple[Level, ...] = (level,)
        """Any of them is right: more than one after a decision of which nobody knows whether it was taken."""
        self.level = level
        """As it was last seen."""
        self.online = True
        self.awaited: _Awaited | None = None
        self.under_way = 0
        self.occurred_ms = 0
        self.decided_ms = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision under way."""

    imei: Imei
    level: Level
    occurred_ms: int
    """Seconds do not do: of two decisions about one phone the later one has to be dated later."""
    overtaken: Measured | None = None
    """What the change took at least that was forgotten and whose place this takes; None for none."""


class Book:
    """Keeps an account of each phone.

    Args:
        levels: what each phone has to be in the beginning.
    """

    def __init__(self, levels: Mapping[Imei, Level]) -> None:
        self._accounts = {imei: _Account(imei, level) for imei, level in levels.items()}
        self._order = list(self._accounts.values())

    # --- deciding ---

    def ask(self, imei: Imei, level: Level, due_ns: int) -> Asked:
        """Note that a decision after which a phone has to be at `level` is about to be reported."""
        account = self._accounts[imei]
        account.under_way += 1
        account.occurred_ms = max(account.occurred_ms + 1, time.time_ns() // 1_000_000)
        before = account.level if account.awaited is None else account.awaited.level
        overtaken = None
        if level is not before:
            overtaken = _overtaken(account, due_ns)
            account.awaited = _Awaited(_trend(account, before, level), level, due_ns)
        return Asked(imei, level, account.occurred_ms, overtaken)

    def taken(self, asked: Asked) -> None:
        """Note that the bridge has taken a decision: the phone has to be as it says from now on."""
        account = self._accounts[asked.imei]
        account.under_way -= 1
        if asked.occurred_ms >= account.decided_ms:
            account.decided_ms, account.required = asked.occurred_ms, (asked.level,)

    def refused(self, asked: Asked) -> None:
        """Note that the bridge has refused a decision: nothing follows from it."""
        account = self._accounts[asked.imei]
        account.under_way -= 1
        account.awaited = None

    def unknown(self, asked: Asked) -> None:
        """Note that nobody knows whether the bridge has taken a decision: both are right from now on."""
        account = self._accounts[asked.imei]
        account.under_way -= 1
        if asked.occurred_ms >= account.decided_ms and asked.level not in account.required:
            account.required = (*account.required, asked.level)

    def reset(self, imei: Imei, at_ns: int) -> Measured | None:
        """Note that a phone is about to be factory-reset: it has to come back to where it is.

        Return what the change took at least that was forgotten and whose place this takes; None for none.
        """
        account = self._accounts[imei]
        overtaken = _overtaken(account, at_ns)
        account.awaited = _Awaited("reset_ms", account.required[-1], at_ns)
        return overtaken

    def cut(self, imei: Imei) -> None:
        """Note that a phone is about to be taken off the network."""
        account = self._accounts[imei]
        account.online = False
        _be_away(account)

    # --- seeing ---

    def saw(self, entry: Entry) -> Measured | None:
        """Take one event of a phone; return the time that ends with it, if one does."""
        account = self._accounts[entry.imei]
        match entry.what:
            case what if what == UP:
                self._came_back(account, entry.at_ns)
            case what if what == DOWN:
                self.cut(entry.imei)
            case name:
                account.level = Level[name.upper()]
                return _arrived(account, entry.at_ns)
        return None

    @staticmethod
    def _came_back(account: _Account, at_ns: int) -> None:
        account.online = True
        if account.awaited is not None and account.awaited.trend == "back_ms":
            account.awaited.since_ns = max(account.awaited.since_ns, at_ns)

    # --- choosing ---

    def choose(self, who: Who, share: float, dice: Random) -> list[Imei]:
        """Return a share of those phones, in an order of chance."""
        fitting = [account.imei for account in self._order if _is(account, who)]
        return dice.sample(fitting, round(len(fitting) * share))

    def draw(self, who: Who, among: Sequence[Imei], dice: Random, *, idle: bool) -> Imei | None:
        """Return one of those phones; None if there is none.

        Args:
            who: what it has to be.
            among: one at least.
            dice: choose it.
            idle: whether nothing may be under way about it; else it only has to be connected.
        """
        now = time.monotonic_ns()

        def fits(imei: Imei) -> bool:
            account = self._accounts[imei]
            return _is(account, who) and (_is_idle(account, now) if idle else account.online)

        tries = (among[dice.randrange(len(among))] for _ in range(_TRIES))
        start = dice.randrange(len(among))
        everybody = (among[(start + n) % len(among)] for n in range(len(among)))
        return next(filter(fits, chain(tries, everybody)), None)

    # --- judging ---

    @property
    def imeis(self) -> Sequence[Imei]:
        """All phones, in their order."""
        return list(self._accounts)

    def required(self, imeis: Iterable[Imei] | None = None) -> dict[Imei, Level]:
        """Return what phones have to be; those are left out of which that is not known."""
        chosen = self._accounts if imeis is None else imeis
        accounts = (self._accounts[imei] for imei in chosen)
        return {one.imei: one.required[0] for one in accounts if len(one.required) == 1}

    def permitted(self, imei: Imei) -> Sequence[Level]:
        """Return where a phone may be: more than one level where nobody knows whether a decision was taken."""
        return self._accounts[imei].required

    def permits(self, imei: Imei, level: Level) -> bool:
        """Return whether a phone may be at this level."""
        return level in self._accounts[imei].required

    @property
    def under_way(self) -> bool:
        """Whether a decision is still to be answered for."""
        return any(account.under_way for account in self._order)

    def rest(self) -> None:
        """Note that everything has come to rest: what was awaited and not seen will not be seen any more."""
        for account in self._order:
            account.awaited = None


def _trend(account: _Account, before: Level, level: Level) -> str:
    if not account.online:
        return "back_ms"
    return "unlock_ms" if _opens(before, level) else "lock_ms"


def _opens(before: Level, level: Level) -> bool:
    return level is Level.RELEASED or level < before


def _be_away(account: _Account) -> None:
    # A factory reset takes the phone off the network itself, and is measured with that.
    if account.awaited is not None and account.awaited.trend != "reset_ms":
        account.awaited.trend = "back_ms"


def _arrived(account: _Account, at_ns: int) -> Measured | None:
    awaited = account.awaited
    if awaited is None or awaited.level is not account.level or at_ns < awaited.since_ns:
        return None
    account.awaited = None
    return Measured(awaited.trend, at_ns - awaited.since_ns)


def _overtaken(account: _Account, by_ns: int) -> Measured | None:
    """Return a lower bound of what a forgotten change takes: without it, the slowest would be missing."""
    awaited = account.awaited
    if awaited is None or by_ns - awaited.since_ns < _FORGOTTEN_NS:
        return None
    # A phone that was opened before it had locked shows nothing, and one that is away still has to come back.
    is_there = awaited.trend != "reset_ms" and awaited.level is account.level
    is_away = awaited.trend == "back_ms" and not account.online
    return None if is_there or is_away else Measured(awaited.trend, by_ns - awaited.since_ns)


def _is_idle(account: _Account, now_ns: int) -> bool:
    waits = account.awaited is not None and now_ns - account.awaited.since_ns < _FORGOTTEN_NS
    return not account.under_way and not waits


def _is(account: _Account, who: Who) -> bool:
    level = account.required[-1]
    if level is Level.RELEASED:
        return False
    match who:
        case "all":
            return True
        case "open":
            return level <= _OPEN_MOST
        case "closed":
            return level > _OPEN_MOST
    return level is Level[who.upper()]
