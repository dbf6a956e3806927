"""What is read off the running parts when somebody asks."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker_bridge.adapters.metrics.unlock_clock import UnlockClock
from broker_bridge.app.confirm import SIGNS_OF_ANOTHER
from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import REFUSED_BY_BRIDGE, REFUSED_BY_PHONES, Listener
from broker_bridge.app.key_conflicts import KeyConflicts
from broker_bridge.app.ports.broker import Link
from broker_bridge.app.ports.metrics import Backlog
from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.app.results import Results
from broker_bridge.app.standby import Standby
from broker_bridge.domain.lanes import Lane

OTHER = "other"


class CommitQueue(Protocol):
    """What jobs wait in for the next commit."""

    @property
    def waiting(self) -> int:
        """How many submissions wait."""


class BacklogQuery(Protocol):
    """Tells how far the bridge is behind."""

    async def read(self) -> Backlog:
        """Return how far it is behind now.

        Raises:
            StoreUnavailableError: the database does not answer.
        """


class Database(Protocol):
    """The store, as far as it is looked at."""

    @property
    def kind(self) -> str:
        """Which database it is."""

    @property
    def commits(self) -> CommitQueue:
        """Its commits."""

    @property
    def backlog(self) -> BacklogQuery:
        """How far the bridge is behind."""


class Refusing(Protocol):
    """Where something can be refused."""

    @property
    def refusals(self) -> Mapping[str, int]:
        """How often, by why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that are looked at."""

    store: Database
    deliverer: Deliverer
    listener: Listener
    link: Link
    lenders: Link
    standby: Standby
    intake: Refusing
    intake_refuses: Collection[str]
    """Why it can refuse something."""
    results: Results
    key_conflicts: KeyConflicts


class Live(Collector):
    """Reads queues, connections and counters of the running parts."""

    def __init__(
        self, parts: Parts, clock: Clock, unlock_clock: UnlockClock, backlog: Callable[[], Backlog | None]
    ) -> None:
        """Take the parts, and what tells how far the bridge is behind (None when the database does not say)."""
        self._parts = parts
        self._clock = clock
        self._unlock_clock = unlock_clock
        self._backlog = backlog

    def collect(self) -> Iterator[Metric]:
        """Return everything as it is now."""
        yield from self._outbox()
        yield from self._waiting()
        yield from self._broker()
        yield from self._refusals()
        yield from self._over_mqtt()
        waiting = self._parts.store.commits.waiting
        yield GaugeMetricFamily("paylatch_commit_jobs_waiting", "Submissions that wait for the next commit.", waiting)

    def _outbox(self) -> Iterator[Metric]:
        outbox = self._parts.deliverer.outbox
        depth = GaugeMetricFamily("paylatch_outbox_depth", "States that wait to be published.", labels=["lane"])
        full = GaugeMetricFamily(
            "paylatch_outbox_overflowed", "Whether more wait in the database than the lane holds.", labels=["lane"]
        )
        for lane in Lane:
            depth.add_metric([_name(lane)], outbox.depth(lane))
            full.add_metric([_name(lane)], lane in outbox.overflowed)
        yield depth
        yield full
        yield GaugeMetricFamily("paylatch_outbox_in_flight", "States that wait for their PUBACK.", outbox.in_flight)

    def _waiting(self) -> Iterator[Metric]:
        pending = GaugeMetricFamily(
            "paylatch_command_oldest_pending_seconds",
            "Age of the oldest command that its phone has not proven.",
            labels=["lane"],
        )
        overdue = GaugeMetricFamily(
            "paylatch_command_overdue_seconds",
            "For how long the longest waiting command has been due to be published.",
            labels=["lane"],
        )
        lag = GaugeMetricFamily(
            "paylatch_scheduler_lag_seconds", "For how long the longest waiting phone has been due to be judged again."
        )
        now, backlog = self._clock.now(), self._backlog()
        if backlog is not None:
            lag.add_metric([], _age(now, backlog.to_judge_since))
            for lane, oldest in backlog.commands.items():
                pending.add_metric([_name(lane)], _age(now, oldest.pending_since))
                overdue.add_metric([_name(lane)], _age(now, oldest.due_since))
        yield from (pending, overdue, lag)
        running = self._unlock_clock.running
        yield GaugeMetricFamily("paylatch_unlocks_running", "Openings accepted and not yet proven.", running)

    def _broker(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily("paylatch_broker_connected", "Whether there is a connection.", labels=["of"])
        made = CounterMetricFamily("paylatch_broker_connections", "Connections made.", labels=["of"])
        for name, link in (("phones", self._parts.link), ("lenders", self._parts.lenders)):
            connected.add_metric([name], link.connected)
            made.add_metric([name], link.connections)
        waits = self._parts.standby.standing_by
        standby = GaugeMetricFamily("paylatch_standing_by", "Whether another bridge has the broker.", waits)
        yield from (connected, made, standby)
        publishes = CounterMetricFamily("paylatch_publishes", "States published, by outcome.", labels=["outcome"])
        for outcome, count in self._parts.deliverer.outcomes.items():
            publishes.add_metric([outcome.value], count)
        yield publishes

    def _refusals(self) -> Iterator[Metric]:
        here = CounterMetricFamily("paylatch_refusals", "Messages of phones that were refused.", labels=["error"])
        yield _filled(here, self._parts.listener.refusals, REFUSED_BY_BRIDGE)
        there = CounterMetricFamily("paylatch_phone_refusals", "Refusals that phones reported.", labels=["error"])
        yield _filled(there, self._parts.listener.phone_refusals, REFUSED_BY_PHONES)
        another = CounterMetricFamily(
            "paylatch_foreign_versions", "Words of phones that hold what this database never gave.", labels=["sign"]
        )
        yield _filled(another, self._parts.listener.judge.signs_of_another, SIGNS_OF_ANOTHER)
        offers = self._parts.key_conflicts.count
        yield CounterMetricFamily("paylatch_device_key_conflicts", "Other keys offered for enrolled phones.", offers)

    def _over_mqtt(self) -> Iterator[Metric]:
        refused = CounterMetricFamily("paylatch_intake_refusals", "What lenders sent in vain.", labels=["problem"])
        yield _filled(refused, self._parts.intake.refusals, self._parts.intake_refuses)
        lost = CounterMetricFamily("paylatch_results_lost", "Results that no lender got.", labels=["outcome"])
        lost.add_metric(["dropped"], self._parts.results.dropped)
        lost.add_metric(["refused"], self._parts.results.refused)
        yield lost


def _filled(family: CounterMetricFamily, counts: Mapping[str, int], known: Collection[str]) -> Metric:
    """Return a family with every known value of its label, zeros too: what comes from nowhere is no increase."""
    counted = dict(counts)
    for name in sorted(known):
        family.add_metric([name], counted.pop(name, 0))
    family.add_metric([OTHER], sum(counted.values()))
    return family


def _name(lane: Lane) -> str:
    return lane.name.lower()


def _age(now: int, since: int | None) -> int:
    return 0 if since is None else max(now - since, 0)
