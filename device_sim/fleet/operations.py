"""What can be done with a fleet: one function per request, and the table of them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from device_sim.fleet import control_messages as ask
from device_sim.fleet.fleet import Fleet
from device_sim.fleet.process import resident_bytes
from device_sim.fleet.simulated_phone import SimulatedPhone
from lock_protocol.imei import Imei


async def perform(fleet: Fleet, request: ask.Request) -> Any:
    """Do what is asked; return the answer.

    Raises:
        UnknownPhoneError: the request names a phone that is not here; nothing was done.
        StorageError: a phone's storage failed on the way.
    """
    return await OPERATIONS[type(request)](fleet, request)


# --- looking -------------------------------------------------------------------------------------------------------


async def _dump(fleet: Fleet, request: ask.Dump) -> list[ask.PhoneDump]:
    return [_describe(fleet, phone) for phone in fleet.some(request.imeis)]


def _describe(fleet: Fleet, phone: SimulatedPhone) -> ask.PhoneDump:
    handset, (epoch, version) = phone.handset, phone.order
    return ask.PhoneDump(
        imei=phone.imei,
        level=handset.level,
        applied=handset.applied,
        condition=handset.condition,
        epoch=epoch,
        version=version,
        connected=phone.online,
        wanted=fleet.connections.wanted(phone),
        last_failure=_failure(fleet, phone),
        confirmed=phone.confirmed,
        settled=phone.settled,
        last_transition_ns=handset.transitions[-1].at_ns if handset.transitions else 0,
        applies=handset.applies,
        refusals=dict(phone.refusals),
    )


def _failure(fleet: Fleet, phone: SimulatedPhone) -> ask.FailureDump | None:
    failure = fleet.connections.last_failure(phone)
    return None if failure is None else ask.FailureDump(**failure._asdict())


async def _transitions(fleet: Fleet, request: ask.Transitions) -> dict[Imei, list[ask.TransitionDump]]:
    return {
        phone.imei: [
            ask.TransitionDump(at_ns=one.at_ns, level=one.level, epoch=one.epoch, version=one.version)
            for one in phone.handset.transitions
        ]
        for phone in fleet.some(request.imeis)
    }


async def _counters(fleet: Fleet, _: ask.ReadCounters) -> ask.CountersDump:
    counters = fleet.around.counters
    return ask.CountersDump(
        refusals=dict(counters.refusals),
        happenings={happening.value: count for happening, count in counters.happenings.items()},
        applies=counters.applies,
        locks=counters.locks,
        unlocks=counters.unlocks,
        connects=counters.connects,
        online=counters.online,
        rss_bytes=resident_bytes(),
        empty_bytes=counters.empty_bytes,
        storage_failures=counters.storage_failures,
    )


async def _journal(fleet: Fleet, request: ask.ReadJournal) -> ask.JournalDump:
    first, events = fleet.around.journal.read(request.start)
    return ask.JournalDump.model_construct(first=first, events=events)


# --- doing ---------------------------------------------------------------------------------------------------------


async def _factory_reset(fleet: Fleet, request: ask.FactoryReset) -> None:
    await fleet.while_disconnected(fleet.some(request.imeis), SimulatedPhone.factory_reset)


async def _power_cycle(fleet: Fleet, request: ask.PowerCycle) -> None:
    await fleet.while_disconnected(fleet.some(request.imeis), SimulatedPhone.power_cycle)


async def _cut(fleet: Fleet, request: ask.Cut) -> None:
    await fleet.connections.drop(fleet.some(request.imeis))


async def _reconnect(fleet: Fleet, request: ask.Reconnect) -> None:
    fleet.connections.start(fleet.some(request.imeis))


async def _clock(fleet: Fleet, request: ask.Clock) -> None:
    for phone in fleet.some(request.imeis):
        phone.change_wall_clock()


async def _signal(fleet: Fleet, request: ask.RaiseSignals) -> None:
    for phone in fleet.some(request.imeis):
        phone.raise_signals(request.signals)


async def _check(fleet: Fleet, request: ask.Check) -> None:
    for phone in fleet.some(request.imeis):
        phone.press_check()


async def _tamper(fleet: Fleet, request: ask.Tamper) -> None:
    for phone in fleet.some([request.imei]):
        phone.tamper(request.level)


async def _stop(fleet: Fleet, _: ask.Stop) -> None:
    fleet.stopping.set()


# --- waiting -------------------------------------------------------------------------------------------------------


async def _await_levels(fleet: Fleet, request: ask.AwaitLevels) -> list[ask.Mismatch]:
    lacking = await fleet.around.watches.until_all(
        fleet.some(request.levels), lambda phone: phone.handset.level is request.levels[phone.imei], request.timeout_s
    )
    return [
        ask.Mismatch(imei=phone.imei, wanted=request.levels[phone.imei], level=phone.handset.level)
        for phone in fleet.some(lacking)
    ]


async def _await_connected(fleet: Fleet, request: ask.AwaitConnected) -> list[Imei]:
    phones = _wanted(fleet, request.imeis)
    return await fleet.around.watches.until_all(phones, lambda phone: phone.online, request.timeout_s)


async def _await_settled(fleet: Fleet, request: ask.AwaitSettled) -> list[Imei]:
    phones = _wanted(fleet, request.imeis)
    return await fleet.around.watches.until_all(
        phones, lambda phone: phone.settled, request.timeout_s, each_once=request.each_once
    )


def _wanted(fleet: Fleet, imeis: Iterable[Imei] | None) -> list[SimulatedPhone]:
    """Return the phones that are named, or all that are not cut."""
    phones = fleet.some(imeis)
    return [phone for phone in phones if imeis is not None or fleet.connections.wanted(phone)]


async def _await_refusals(fleet: Fleet, request: ask.AwaitRefusals) -> int:
    counters = fleet.around.counters
    await fleet.around.watches.until(lambda: counters.refused >= request.total, request.timeout_s)
    return counters.refused


OPERATIONS: Mapping[type[ask.Request], Callable[[Fleet, Any], Awaitable[Any]]] = MappingProxyType(
    {
        ask.Dump: _dump,
        ask.Transitions: _transitions,
        ask.ReadCounters: _counters,
        ask.ReadJournal: _journal,
        ask.FactoryReset: _factory_reset,
        ask.PowerCycle: _power_cycle,
        ask.Cut: _cut,
        ask.Reconnect: _reconnect,
        ask.Clock: _clock,
        ask.RaiseSignals: _signal,
        ask.Check: _check,
        ask.Tamper: _tamper,
        ask.Stop: _stop,
        ask.AwaitLevels: _await_levels,
        ask.AwaitConnected: _await_connected,
        ask.AwaitSettled: _await_settled,
        ask.AwaitRefusals: _await_refusals,
    }
)
