"""All metrics together: what is counted, and the page that Prometheus reads."""

from collections.abc import Collection
from dataclasses import dataclass, field

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from broker_bridge.adapters.metrics.live import Live, Parts
from broker_bridge.adapters.metrics.meters import Meters
from broker_bridge.app.ports.metrics import Backlog
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each counter began: half the page, and nobody reads it

AGES_KEPT_S = 5.0
"""For how long the database is not asked again how old its commands are, however many ask."""


@dataclass(slots=True)
class Metrics:
    """The registry of one bridge, and its page."""

    clock: Clock
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))
    meters: Meters = field(init=False)
    content_type: str = field(default=CONTENT_TYPE_LATEST, init=False)
    _parts: Parts | None = None
    _backlog: Backlog | None = None
    _asked_at: float | None = None

    def __post_init__(self) -> None:
        """Register what is told as it happens, and the process itself."""
        self.meters = Meters(self.registry, self.clock)
        ProcessCollector(registry=self.registry)

    def watch(self, parts: Parts, version: str) -> None:
        """Read these parts from now on, and say what is running."""
        self._parts = parts
        build = Info("paylatch_build", "Version of the bridge, and the kind of its database.", registry=self.registry)
        build.info({"version": version, "database": parts.store.kind})
        self.registry.register(Live(parts, self.clock, self.meters.unlock_clock, lambda: self._backlog))

    async def page(self, names: Collection[str] = ()) -> bytes:
        """Return everything, or what has these names, in Prometheus' text format.

        It never fails: what the database does not say is left out, and so are names that nothing has.
        """
        await self._ask_for_ages()
        return generate_latest(self.registry.restricted_registry(names) if names else self.registry)

    async def _ask_for_ages(self) -> None:
        now = self.clock.monotonic()
        if self._parts is None or (self._asked_at is not None and now - self._asked_at < AGES_KEPT_S):
            return
        self._asked_at = now
        try:
            self._backlog = await self._parts.store.backlog.read()
        except StoreUnavailableError:
            self._backlog = None
