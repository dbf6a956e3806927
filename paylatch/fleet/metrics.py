"""The names of what a run measures: thresholds are written in them, figures and reports are told in them."""

from collections.abc import Mapping
from types import MappingProxyType

TRENDS: Mapping[str, str] = MappingProxyType(
    {
        "unlock_ms": "from when a decision was due to be sent until its phone was open, phones that were connected",
        "lock_ms": "from when a decision was due to be sent until its phone was closed, phones that were connected",
        "back_ms": "from when a phone was connected again until it was as it should be, decided while it was away",
        "reset_ms": "from a factory reset until the phone was as it should be again",
        "answer_ms": "from when a decision was due to be sent until the bridge had answered for it",
        "late_ms": "from when a decision was due to be sent until a connection was free for it: how late it was sent",
    }
)
"""Times in milliseconds, each with what it is."""

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "phones": "phones of the run",
        "decisions": "decisions that the bridge has taken",
        "decisions_failed": "decisions that the bridge has refused, or not answered in time",
        "pushed_back": "answers that told to come again later (429, 503), or never came",
        "skipped": "arrivals for which there was no phone left that could take them",
        "skipped_share": "those, by all arrivals of steps that repeat",
        "overtaken": "changes unseen for 30 s or more when the next began; measured as if they had ended then",
        "transitions": "changes of the level that phones show",
        "refusals": "messages that phones have refused",
        "connects": "connections made",
        "resets": "factory resets",
        "cuts": "times that a phone was taken off the network",
        "outages": "times that the broker was killed",
        "lost": "phones that were not, at the end, as the decisions require",
        "unproven": "phones whose own signed word on that the bridge did not have at the end",
        "wall_s": "seconds from the first step to the audit's end",
        "decisions_per_s": "decisions taken, by the seconds from the first to the last",
        "transitions_per_s": "changes of level, by the seconds from the first to the last",
        "connects_per_s": "phones connected at first, by the seconds since their first process was started",
        "reconnected_s": "from when the broker was back until all phones were connected, the worst outage",
        "right_again_s": "from when the broker was back until each phone had been as it should be, the worst outage",
        "confirmed_again_s": "the same until the bridge had confirmed to each phone that it holds the newest state",
        "rss_per_phone_bytes": "memory that a phone takes, beside its process itself, the most that was seen",
        "missed_events": "events that were not measured because the generator came too late for them",
    }
)
"""Single numbers, each with what it is."""

PERCENTILES: Mapping[str, float] = MappingProxyType({"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99.9": 99.9})
STATISTICS = ("count", "min", "mean", *PERCENTILES, "max")
"""What is known of a trend."""
