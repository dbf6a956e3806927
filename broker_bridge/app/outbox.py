"""The outbox: which signed state goes out next. A data structure; it neither waits nor sends.

Three lanes. An opening goes out as long as the in-flight window has room. A keeping or closing state goes out only
when no opening is ready, and never uses more than half of the window, so that an opening finds room at any moment.
Within a lane, lenders take turns. Per phone one message is in flight, and only its newest version goes out next.

Bounded: each lane holds so many states at most, and one place for each phone. What does not fit stays in the database,
which is the truth anyway; the lane remembers that it overflowed and is filled again from there.

What is read from the database may be overtaken before it is offered, so the outbox remembers what went out last: an
older version never follows a newer one.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass

from broker_bridge.app.records import Outgoing
from broker_bridge.domain.lanes import Lane
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId

FIRST_BACKOFF_S = 1.0
MAX_TRIES = 5
SET_ASIDE_S = 300.0
_PAGES_REMEMBERED = 4

_Turns = OrderedDict[LenderId, deque[Imei]]
"""Phones that have a place in a lane, by their lenders, the one whose turn it is first."""


@dataclass(slots=True)
class _Entry:
    """A state that waits, or is in flight."""

    state: Outgoing
    tries: int = 0
    ready: bool = True


class Outbox:
    """States on their way to the broker. All times are monotonic seconds."""

    def __init__(self, *, window: int, lane_limit: int) -> None:
        """Take the in-flight window and how many states one lane may hold.

        Raises:
            ValueError: a window too small to be halved, or a lane smaller than the window.
        """
        if window < 2 or lane_limit < window:  # noqa: PLR2004 - half of it has to be at least one
            raise ValueError(f"window {window} must be at least 2, lane limit {lane_limit} at least the window")
        self.window = window
        self._room = window
        self.lane_limit = lane_limit
        # At the start nobody knows what the database still holds, which is the same as having overflowed.
        self.overflowed = set(Lane)
        self._waiting: dict[Imei, _Entry] = {}
        self._in_flight: dict[Imei, _Entry] = {}
        self._went_out: OrderedDict[Imei, tuple[int, int]] = OrderedDict()
        self._turns: dict[Lane, _Turns] = {lane: OrderedDict() for lane in Lane}
        self._placed: dict[Lane, set[Imei]] = {lane: set() for lane in Lane}
        self._held: dict[Lane, int] = dict.fromkeys(Lane, 0)
        self._slow_in_flight = 0
        self._later: list[tuple[float, Imei, tuple[int, int]]] = []

    def offer(self, state: Outgoing) -> bool:
        """Take a state to publish; return False when its lane is full and it has to stay in the database.

        A state no newer than the one that waits or is in flight, or older than what went out last, changes nothing,
        unless it is a repetition of the one in flight, or more urgent by now than the same one that waits.
        """
        if self._is_known(state):
            return True
        if state.imei not in self._waiting and self._held[state.lane] >= self.lane_limit:
            self.overflowed.add(state.lane)
            return False
        self._drop_waiting(state.imei)
        self._wait(_Entry(state))
        return True

    def take(self, now: float, *, only_openings: bool = False) -> Outgoing | None:
        """Return the state to publish now and count it as in flight, or None when there is none or no room."""
        slow = 0 if only_openings else self._room // 2
        if self._later:
            self._wake(now)
        if len(self._in_flight) >= self._room:
            return None
        for lane, turns in self._turns.items():
            if lane is not Lane.OPENING and self._slow_in_flight >= slow:
                return None
            entry = self._next_of(lane, turns) if turns else None
            if entry is not None:
                self._in_flight[entry.state.imei] = entry
                self._remember(entry.state)
                self._slow_in_flight += lane is not Lane.OPENING
                return entry.state
        return None

    def limit(self, most: int) -> None:
        """Have no more in flight than a connection takes at a time: what waits behind it, no opening overtakes."""
        self._room = max(2, min(self.window, most))

    def acknowledged(self, state: Outgoing) -> None:
        """Forget a state that the broker has acknowledged; a newer one of that phone becomes ready."""
        self._land(state)

    def connection_lost(self) -> None:
        """Take back all that is in flight: nothing is known of it any more, so it is ready at once."""
        for entry in list(self._in_flight.values()):
            self._land(entry.state)
            if entry.state.imei not in self._waiting:
                self._wait(entry)
        # The next connection may be to a broker that takes what this one refused.
        self._later.clear()
        for imei in self._waiting:
            self.try_once_more(imei)

    def refused(self, state: Outgoing, now: float) -> bool:
        """Take back a state that the broker refused; return whether it is set aside for longer.

        It backs off, so that a poison message never holds up others.
        """
        entry = self._land(state)
        if entry is None or state.imei in self._waiting:
            return False
        entry.tries += 1
        set_aside = entry.tries >= MAX_TRIES
        delay = SET_ASIDE_S if set_aside else FIRST_BACKOFF_S * 2 ** (entry.tries - 1)
        if set_aside:
            entry.tries = 0
        entry.ready = False
        self._wait(entry)
        heapq.heappush(self._later, (now + delay, state.imei, state.order))
        return set_aside

    def is_overtaken(self, state: Outgoing) -> bool:
        """Return whether the broker has acknowledged a newer version already, so that this one never goes out."""
        newer = self._went_out.get(state.imei, state.order) > state.order
        return newer and state.imei not in self._in_flight and state.imei not in self._waiting

    def has_gone(self, state: Outgoing) -> bool:
        """Return whether this state has been published and need not be again.

        Openings are, until they are proven, and so are repetitions.
        """
        again = state.repetition or state.lane is Lane.OPENING
        return not again and self._went_out.get(state.imei) == state.order

    def try_once_more(self, imei: Imei) -> None:
        """Have a phone's state go out once more although the broker refuses it; another refusal sets it aside again.

        What was refused may have been mended: there is a new connection, or the phone asks and its user waits.
        """
        entry = self._waiting.get(imei)
        if entry is not None and not entry.ready:
            entry.ready, entry.tries = True, MAX_TRIES - 1
            if imei not in self._in_flight:
                self._enqueue(entry.state)

    def next_wake(self) -> float | None:
        """Return when a state that backs off becomes ready, if one does."""
        return self._later[0][0] if self._later else None

    def has_room(self, lane: Lane) -> bool:
        """Return whether at least half of a lane is free: the moment to fill it again from the database."""
        return self._held[lane] <= self.lane_limit // 2

    def depth(self, lane: Lane) -> int:
        """Return how many states wait in a lane."""
        return self._held[lane]

    @property
    def waiting(self) -> Collection[Imei]:
        """The phones of which a state waits."""
        return list(self._waiting)

    @property
    def in_flight(self) -> int:
        """How many states are in flight."""
        return len(self._in_flight)

    def _remember(self, state: Outgoing) -> None:
        """Remember what went out last, for as many phones as a page read from the database can be late for."""
        self._went_out[state.imei] = state.order
        self._went_out.move_to_end(state.imei)
        if len(self._went_out) > _PAGES_REMEMBERED * self.lane_limit:
            self._went_out.popitem(last=False)

    def _is_known(self, state: Outgoing) -> bool:
        waiting = self._waiting.get(state.imei)
        if waiting is not None and waiting.state.order >= state.order:
            # A renewal becomes an opening when its phone has been locked by its lease meanwhile.
            is_same = waiting.state.order == state.order
            return not (is_same and waiting.ready and state.lane < waiting.state.lane)
        went_out = self._went_out.get(state.imei)
        if went_out is None or went_out < state.order:
            return False  # whatever is in flight has gone out, so this is newer
        if went_out > state.order:
            return True
        return state.imei in self._in_flight and not state.repetition

    def _wait(self, entry: _Entry) -> None:
        state = entry.state
        self._waiting[state.imei] = entry
        self._held[state.lane] += 1
        if entry.ready and state.imei not in self._in_flight:
            self._enqueue(state)

    def _enqueue(self, state: Outgoing) -> None:
        """Give a phone a place in its lane; a newer version takes over the one that it has."""
        placed = self._placed[state.lane]
        if state.imei not in placed:
            placed.add(state.imei)
            self._turns[state.lane].setdefault(state.lender, deque()).append(state.imei)

    def _drop_waiting(self, imei: Imei) -> None:
        entry = self._waiting.pop(imei, None)
        if entry is not None:
            self._held[entry.state.lane] -= 1

    def _next_of(self, lane: Lane, turns: _Turns) -> _Entry | None:
        """Return the next ready state of a lane, of the lender whose turn it is."""
        while turns:
            lender, queue = turns.popitem(last=False)
            entry = self._first_ready(lane, queue)
            if queue:
                turns[lender] = queue
            if entry is not None:
                return entry
        return None

    def _first_ready(self, lane: Lane, queue: deque[Imei]) -> _Entry | None:
        """Return the first entry of a lender's queue that still stands; places that nothing waits at are dropped."""
        while queue:
            imei = queue.popleft()
            self._placed[lane].discard(imei)
            entry = self._waiting.get(imei)
            if entry is not None and entry.state.lane is lane and entry.ready and imei not in self._in_flight:
                self._drop_waiting(imei)
                return entry
        return None

    def _land(self, state: Outgoing) -> _Entry | None:
        entry = self._in_flight.pop(state.imei, None)
        if entry is None:
            return None
        self._slow_in_flight -= entry.state.lane is not Lane.OPENING
        newer = self._waiting.get(state.imei)
        if newer is not None and newer.ready:
            self._enqueue(newer.state)
        return entry

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, imei, order = heapq.heappop(self._later)
            entry = self._waiting.get(imei)
            if entry is not None and entry.state.order == order and not entry.ready:
                entry.ready = True
                if imei not in self._in_flight:
                    self._enqueue(entry.state)
