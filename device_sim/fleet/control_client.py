"""The other end of the control channel, for whoever directs a fleet: the demo, tests, benchmarks."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from device_sim.fleet import control_messages as ask
from device_sim.fleet.control_messages import CountersDump, JournalDump, Mismatch, PhoneDump, Response, TransitionDump
from device_sim.fleet.journal import Entry
from lock_protocol.imei import Imei
from lock_protocol.levels import Level, Signals

_PHONES = TypeAdapter(list[PhoneDump])
_TRANSITIONS = TypeAdapter(dict[Imei, list[TransitionDump]])
_MISMATCHES = TypeAdapter(list[Mismatch])
_IMEIS = TypeAdapter(list[Imei])
_COUNT = TypeAdapter(int)


class FleetControlError(Exception):
    """The fleet said that it did not do what it was asked, and why; or it ended before it answered."""


class FleetControl:
    """Directs a running fleet. Every request opens a connection of its own, so any number may wait at once.

    All methods raise `FleetControlError` when the fleet refuses, and `OSError` when nobody listens on the socket.

    Args:
        path: the control socket of the fleet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._missed = 0
        self._reading = asyncio.Lock()

    async def dump(self, imeis: Iterable[Imei] | None = None) -> list[PhoneDump]:
        """Return what these phones (None: all) are."""
        return _PHONES.validate_python(await self._ask(ask.Dump(imeis=_listed(imeis))))

    async def transitions(self, imeis: Iterable[Imei] | None = None) -> dict[Imei, list[TransitionDump]]:
        """Return the last changes of level of these phones (None: all), oldest first."""
        return _TRANSITIONS.validate_python(await self._ask(ask.Transitions(imeis=_listed(imeis))))

    async def counters(self) -> CountersDump:
        """Return the fleet's totals."""
        return CountersDump.model_validate(await self._ask(ask.ReadCounters()))

    async def factory_reset(self, imeis: Iterable[Imei]) -> None:
        """Erase these phones; done, and reconnecting, when this returns."""
        await self._ask(ask.FactoryReset(imeis=list(imeis)))

    async def power_cycle(self, imeis: Iterable[Imei]) -> None:
        """Take the power from these phones and give it back."""
        await self._ask(ask.PowerCycle(imeis=list(imeis)))

    async def cut(self, imeis: Iterable[Imei]) -> None:
        """Drop these phones' connections; they are offline when this returns, and stay so."""
        await self._ask(ask.Cut(imeis=list(imeis)))

    async def reconnect(self, imeis: Iterable[Imei]) -> None:
        """Let these phones connect again; they are about to when this returns."""
        await self._ask(ask.Reconnect(imeis=list(imeis)))

    async def clock(self, imeis: Iterable[Imei], shift_s: int) -> None:
        """Set these phones' wall clocks forward or back by so many seconds."""
        await self._ask(ask.Clock(imeis=list(imeis), shift_s=shift_s))

    async def signal(self, imeis: Iterable[Imei], signals: Signals) -> None:
        """Let these phones notice something about themselves."""
        await self._ask(ask.RaiseSignals(imeis=list(imeis), signals=signals))

    async def check(self, imeis: Iterable[Imei]) -> None:
        """Press "check payment status" on these phones."""
        await self._ask(ask.Check(imeis=list(imeis)))

    async def tamper(self, imei: Imei, level: Level | None) -> None:
        """Make this handset show `level` whatever its agent applies; None undoes that."""
        await self._ask(ask.Tamper(imei=imei, level=level))

    async def await_levels(self, levels: Mapping[Imei, Level], timeout_s: float) -> list[Mismatch]:
        """Wait until each of these phones shows its level; return those that do not in time."""
        answer = await self._ask(ask.AwaitLevels(levels=dict(levels), timeout_s=timeout_s))
        return _MISMATCHES.validate_python(answer)

    async def await_connected(self, timeout_s: float, imeis: Iterable[Imei] | None = None) -> list[Imei]:
        """Wait until these phones (None: all that are not cut) are connected; return the others."""
        return _IMEIS.validate_python(await self._ask(ask.AwaitConnected(imeis=_listed(imeis), timeout_s=timeout_s)))

    async def await_settled(
        self, timeout_s: float, imeis: Iterable[Imei] | None = None, *, each_once: bool = False
    ) -> list[Imei]:
        """Wait until a `Fresh` has confirmed these phones (None: all that are not cut); return the others.

        All of them are waited for to be confirmed at one moment, or `each_once`.
        """
        request = ask.AwaitSettled(imeis=_listed(imeis), timeout_s=timeout_s, each_once=each_once)
        return _IMEIS.validate_python(await self._ask(request))

    async def await_refusals(self, total: int, timeout_s: float) -> int:
        """Wait until so many messages have been refused since the fleet started; return how many were."""
        return _COUNT.validate_python(await self._ask(ask.AwaitRefusals(total=total, timeout_s=timeout_s)))

    async def news(self) -> list[Entry]:
        """Return what has happened to the phones since this was asked last, in the order of time.

        Events are kept from the first time on that this is asked, for one reader alone.
        """
        # One question at a time: two that begin at the same event would both be told of it.
        async with self._reading:
            dump = JournalDump.model_validate(await self._ask(ask.ReadJournal(start=self._read)))
            self._missed += dump.first - self._read
            self._read = dump.first + len(dump.events)
        return [Entry(*event) for event in dump.events]

    @property
    def missed(self) -> int:
        """How many events were lost because `news` was asked too seldom."""
        return self._missed

    async def stop(self) -> None:
        """Tell the fleet to disconnect all phones and end."""
        await self._ask(ask.Stop())

    async def _ask(self, request: BaseModel) -> Any:
        reader, writer = await asyncio.open_unix_connection(str(self._path), limit=ask.MAX_LINE_BYTES)
        try:
            writer.write(request.model_dump_json().encode() + b"\n")
            await writer.drain()
            line = await reader.readline()
        finally:
            writer.close()
        return _result(line)


def _result(line: bytes) -> Any:
    if not line.endswith(b"\n"):
        raise FleetControlError("the fleet ended before it answered")
    response = Response.model_validate_json(line)
    if not response.ok:
        raise FleetControlError(response.error)
    return response.result


def _listed(imeis: Iterable[Imei] | None) -> list[Imei] | None:
    return None if imeis is None else list(imeis)
