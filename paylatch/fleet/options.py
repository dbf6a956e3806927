"""What a person may choose about a run, beside its scenario."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paylatch.fleet.scenario import Scenario


class FleetUsageError(Exception):
    """A run cannot begin with these options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeAccess:
    """A bridge that is there, as a lender has it."""

    url: str
    api_key: str = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """How it proves itself; None where it is known by public CAs or the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run."""

    name: str
    """The scenario's, or its path."""
    scenario: Scenario
    """With what flags have changed."""
    bridge: BridgeAccess | None
    """None for a broker and a bridge of the run's own."""
    fleet_file: Path | None = None
    """Phones that are enrolled already; None to enrol new ones."""
    first: int = 0
    """The number of the first phone that is enrolled."""
    broker: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `BrokerAddress` that are other than the bridge says."""
    shards: int | None = None
    """Processes that hold phones; None for as many as are needed."""
    keep: Path | None = None
    """Where all files of the run are kept; None for a temporary directory."""
