"""The audit: every phone is what its last decision requires, and every decision has had its round trip."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from device_sim.fleet.control_messages import PhoneDump
from device_sim.fleet.shards import ShardedControl
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.bench.lender import Lender
from paylatch.client import Bridge, NotFoundError, Phone
from paylatch.client.answers import Desired


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found wrong; each is one thing lost."""

    faults: list[str]

    @property
    def lost(self) -> int:
        """How many there are."""
        return len(self.faults)


async def audit(lender: Lender, phones: ShardedControl, levels: Mapping[Imei, Level]) -> Audit:
    """Look at every phone, at what the bridge holds of it, and at what became of every row.

    Args:
        lender: knows what was reported.
        phones: the fleet.
        levels: what each phone has to be.
    """
    shown = {phone.imei: phone for phone in await phones.dump()}
    known = await _known(lender.bridge, levels)
    faults = [*wrong_phones(levels, shown, known)]
    faults += [
        f"{import_id}: {fault}" for import_id in lender.imports async for fault in _rows(lender.bridge, import_id)
    ]
    finished = (await lender.proven()).since(lender.start).finished
    faults += ["a decision's command is neither proven nor superseded"] * max(0, lender.sent - finished)
    return Audit(faults)


async def _known(bridge: Bridge, imeis: Iterable[Imei]) -> dict[Imei, Phone]:
    """Return what the bridge holds of phones, asked for one by one: it may know a hundred times as many."""

    async def ask(imei: Imei) -> Phone | None:
        try:
            return await bridge.phone(imei)
        except NotFoundError:
            return None

    phones = await asyncio.gather(*map(ask, imeis))
    return {phone.imei: phone for phone in phones if phone is not None}


def wrong_phones(
    levels: Mapping[Imei, Level], shown: Mapping[Imei, PhoneDump], known: Mapping[Imei, Phone]
) -> Iterator[str]:
    """Yield what is wrong with phones: by their own screens, and by their signed words that the bridge holds."""
    for imei, level in levels.items():
        screen, phone = shown.get(imei), known.get(imei)
        if screen is None or screen.level is not level:
            yield f"{imei}: required {level.name.lower()}, shows {_name(screen)}"
        elif phone is None:
            yield f"{imei}: the bridge does not know it"
        elif phone.desired.level is not level:
            yield f"{imei}: required {level.name.lower()}, the bridge has {_name(phone.desired)}"
        elif not phone.is_proven:
            yield f"{imei}: its newest state is not proven"


async def _rows(bridge: Bridge, import_id: str) -> AsyncIterator[str]:
    """Yield which rows of an import did not change what they were to change."""
    one, rows = await bridge.imports.status(import_id), 0
    async for row in _results(bridge, import_id):
        rows += 1
        if row["row"] != rows or row.get("effect") != "applied" or row.get("command_id") is None:
            yield f"row {row['row']}: {row.get('effect') or row.get('problem')}"
    if rows != one.rows or one.state != "done":
        yield f"{one.state}, with {rows} results for {one.rows} rows"


async def _results(bridge: Bridge, import_id: str) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for piece in bridge.imports.results(import_id, "ndjson"):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _name(one: PhoneDump | Desired | None) -> str:
    return "nothing" if one is None else one.level.name.lower()
