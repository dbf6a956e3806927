"""One run of a scenario, from enrolment to the audit."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, NoReturn

from device_sim.fleet.control_messages import CountersDump
from lock_protocol.imei import Imei
from paylatch.client import Bridge
from paylatch.fleet.actions import perform
from paylatch.fleet.audit import Finding, audit, known_phones
from paylatch.fleet.book import Book
from paylatch.fleet.cast import Cast, StepError
from paylatch.fleet.histories import require_accounts
from paylatch.fleet.interrupting import first_interrupt
from paylatch.fleet.lender import Lender
from paylatch.fleet.options import FleetUsageError, Options
from paylatch.fleet.result import Result, judge
from paylatch.fleet.scenario import Replay, Scenario, Step
from paylatch.fleet.sources import Source, source
from paylatch.fleet.tally import Sample, Tally
from paylatch.fleet.view import Moment, View
from paylatch.local.files import directory_of
from paylatch.local.phones import Knocking, RunningPhones, confirm_all, connect_all, patience_for, phones_running
from paylatch.local.processes import watched
from paylatch.machine import machine

_FOLLOW_S = 0.1
_SAMPLE_S = 0.5
_RATE_OVER = 4
"""Samples over which a present rate is told."""


async def run(options: Options, view: View) -> Result:
    """Play a scenario and return what it has shown.

    Args:
        options: which, to whom.
        view: shows what happens; it has been entered.

    Raises:
        FleetUsageError, ScenarioError: it cannot be played with these options.
        LocalRunError, PaylatchError, FleetControlError: something did not start, or ended by itself.
    """
    scenario, began = options.scenario, datetime.now(UTC)
    if any(isinstance(step, Replay) for step in scenario.step):
        require_accounts(scenario.phones)
    knocking = Knocking(
        connects_per_s=scenario.network.connects_per_s,
        backoff_cap_s=scenario.network.backoff_cap,
        seed=scenario.seed,
    )
    async with (
        directory_of(options.keep) as files,
        source(options, files, view) as there,
        phones_running(there.fleet_file, files.directory, there.address, knocking, shards=options.shards) as phones,
        watched([*there.processes, *phones.processes]),
    ):
        tally = Tally()
        cast = await _assembled(scenario, there, phones, tally, view)
        stopped_by, findings = await _played(cast, view)
        view.step("stopping everything")
        counters = await phones.control.counters()
    return _result(options, began, cast, counters, stopped_by, findings, shards=len(phones.processes))


async def _assembled(scenario: Scenario, there: Source, phones: RunningPhones, tally: Tally, view: View) -> Cast:
    """Wait until all phones are connected and confirmed, and return all who take part."""
    among = len(phones.processes)
    view.step(f"connecting {scenario.phones} phones in {'one process' if among == 1 else f'{among} processes'}")
    patience = patience_for(scenario.phones)
    await connect_all(phones.control, patience)
    tally.first_connected_s = time.monotonic() - phones.began_s
    await confirm_all(phones.control, patience)
    await phones.control.news()
    imeis = [phone.imei for phone in await phones.control.dump()]
    book = await book_of(there.bridge, imeis)
    return Cast(
        scenario=scenario,
        fleet=phones.control,
        lender=Lender(there.bridge, book, tally),
        book=book,
        tally=tally,
        broker=there.broker,
        say=_sayer(tally, view),
        dice=Random(scenario.seed),  # noqa: S311 - see `Cast.dice`
    )


async def book_of(bridge: Bridge, imeis: Sequence[Imei]) -> Book:
    """Return the book of these phones, as the bridge has them in the beginning.

    Raises:
        FleetUsageError: some are not this lender's.
    """
    book = Book({phone.imei: phone.desired.level async for phone in known_phones(bridge, imeis)})
    if others := len(imeis) - len(book.imeis):
        raise FleetUsageError(f"{others} of {len(imeis)} phones are not this lender's; use the key that enrolled them")
    return book


def _sayer(tally: Tally, view: View) -> Any:
    def say(text: str) -> None:
        tally.mark(text)
        view.step(text)

    return say


async def _played(cast: Cast, view: View) -> tuple[str | None, list[Finding]]:
    """Play all steps and audit every phone; return what has stopped the steps, if anything, and what was found."""
    stopped_by = None
    cast.tally.begin()
    async with asyncio.TaskGroup() as tasks:
        watching = [
            tasks.create_task(_follow(cast), name="follow"),
            tasks.create_task(_sample(cast, view), name="sample"),
        ]
        try:
            await _play_steps(cast)
        except* StepError as errors:
            stopped_by = str(errors.exceptions[0])
        if cast.stopping.is_set() and stopped_by is None:
            stopped_by = "interrupted"
        cast.say("auditing every phone" if stopped_by is None else f"{stopped_by}; auditing every phone")
        findings = await audit(cast, cast.scenario.audit_within)
        for task in watching:
            task.cancel()
    await cast.follow()
    cast.tally.sample_last(**await _phones_now(cast))
    cast.tally.end()
    return stopped_by, findings


async def _play_steps(cast: Cast) -> None:
    """Play one step after the other, those together that belong together, until the last or the first Ctrl-C."""

    def interrupted() -> None:
        cast.say("interrupted: finishing what is under way; Ctrl-C again leaves at once, without an outcome")
        cast.stopping.set()

    with first_interrupt(interrupted):
        for group in cast.scenario.groups():
            if not cast.stopping.is_set():
                await _together(cast, group)


async def _together(cast: Cast, steps: Sequence[Step]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for step in steps:
            tasks.create_task(perform(cast, step), name=f"step {step.do}")


async def _follow(cast: Cast) -> NoReturn:
    while True:
        await cast.follow()
        await asyncio.sleep(_FOLLOW_S)


async def _phones_now(cast: Cast) -> dict[str, int]:
    """Return what a sample says of the phones."""
    counters = await cast.fleet.counters()
    refusals = sum(counters.refusals.values())
    return {"connected": counters.online, "refusals": refusals, "rss_bytes": counters.rss_bytes}


async def _sample(cast: Cast, view: View) -> NoReturn:
    last: deque[Sample] = deque(maxlen=_RATE_OVER)
    while True:
        last.append(cast.tally.sample(**await _phones_now(cast)))
        over_s = max(last[-1].at_s - last[0].at_s, _SAMPLE_S)
        view.moment(
            Moment(
                sample=last[-1],
                phones=cast.scenario.phones,
                decisions_per_s=(last[-1].decisions - last[0].decisions) / over_s,
                transitions_per_s=(last[-1].transitions - last[0].transitions) / over_s,
            )
        )
        await asyncio.sleep(_SAMPLE_S)


def _result(
    options: Options,
    began: datetime,
    cast: Cast,
    counters: CountersDump,
    stopped_by: str | None,
    findings: Sequence[Finding],
    *,
    shards: int,
) -> Result:
    scenario, tally = options.scenario, cast.tally
    figures = _figures(cast, counters, findings)
    trends = {name: histogram for name, histogram in tally.trends.items() if histogram.count}
    return Result(
        scenario=options.name,
        about=scenario.about,
        began=began,
        parameters={
            **scenario.model_dump(include={"phones", "rate", "ramp", "jitter", "duration", "seed", "network"}),
            "processes": shards,
            "bridge": "its own" if options.bridge is None else options.bridge.url,
        },
        environment=machine(),
        figures=figures,
        trends=trends,
        refusals=dict(sorted(counters.refusals.items())),
        failed=dict(sorted(tally.failed.items())),
        pushed_back=dict(sorted(tally.pushed_back.items())),
        thresholds=judge(scenario.thresholds, figures, trends),
        samples=tally.samples,
        marks=tally.marks,
        findings=findings,
        stopped_by=stopped_by,
        interrupted=cast.stopping.is_set(),
    )


def _figures(cast: Cast, counters: CountersDump, findings: Sequence[Finding]) -> Mapping[str, float]:
    tally, phones = cast.tally, cast.scenario.phones
    measured = {
        "phones": phones,
        "decisions": tally.decisions,
        "decisions_failed": tally.failed.total(),
        "pushed_back": tally.pushed_back.total(),
        "skipped": tally.skipped,
        "skipped_share": tally.skipped / tally.drawn if tally.drawn else None,
        "overtaken": tally.overtaken,
        "transitions": tally.transitions,
        "refusals": sum(counters.refusals.values()),
        "connects": counters.connects,
        "resets": tally.resets,
        "cuts": tally.cuts,
        "outages": tally.outages,
        "lost": sum(finding.lost for finding in findings),
        "unproven": sum(not finding.lost for finding in findings),
        "wall_s": tally.wall_s,
        "decisions_per_s": busy_rate(tally.samples, "decisions"),
        "transitions_per_s": busy_rate(tally.samples, "transitions"),
        "connects_per_s": phones / tally.first_connected_s if tally.first_connected_s else None,
        "reconnected_s": max(tally.reconnected_s, default=None),
        "right_again_s": max(tally.right_again_s, default=None),
        "confirmed_again_s": max(tally.confirmed_again_s, default=None),
        "rss_per_phone_bytes": _most(tally.samples, counters) / phones,
        "missed_events": cast.fleet.missed,
    }
    return {name: round(value, 3) for name, value in measured.items() if value is not None}


def _most(samples: Sequence[Sample], counters: CountersDump) -> int:
    """Return how much memory all phones together took at most, beside that of processes without phones."""
    return max((one.rss_bytes for one in samples), default=counters.rss_bytes) - counters.empty_bytes


def busy_rate(samples: Sequence[Sample], what: str) -> float | None:
    """Return how many there were a second, from the first to the last: what stood still in between counts."""
    busy = [
        (before, after)
        for before, after in itertools.pairwise(samples)
        if getattr(after, what) != getattr(before, what)
    ]
    if not busy:
        return None
    first, last = busy[0][0], busy[-1][1]
    return float((getattr(last, what) - getattr(first, what)) / (last.at_s - first.at_s))
