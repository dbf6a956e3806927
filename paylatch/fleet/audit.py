"""What every phone is at the end of a run, laid beside what the scenario's decisions require."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.client import Bridge, Phone
from paylatch.fleet.cast import Cast

# The bridge's API has no way to be told of a change yet, so it is asked again.
_ASK_AGAIN_S = 0.1
_NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One phone that is not as it has to be, by level names."""

    imei: Imei
    required: str
    shows: str
    reported: str
    """By the bridge: what the phone has told it under its signature."""
    lost: bool
    """Whether the phone shows another level than it has to; else only its word is missing at the bridge."""

    def __str__(self) -> str:
        return f"{self.imei} has to be {self.required}, shows {self.shows}, and has told the bridge {self.reported}"


async def audit(cast: Cast, within_s: float) -> list[Finding]:
    """Wait until everything has come to rest, for so long at most, and return what is not as it has to be then."""
    deadline = time.monotonic() + within_s
    await cast.settle(within_s)
    phones = {phone.imei: phone async for phone in known_phones(cast.lender.bridge, cast.book.imeis)}
    await _await_proofs(cast.lender.bridge, phones, deadline)
    shown = {phone.imei: phone.level for phone in await cast.fleet.dump()}
    return list(_findings(cast, shown, phones))


async def known_phones(bridge: Bridge, imeis: Iterable[Imei]) -> AsyncIterator[Phone]:
    """Yield those of the lender's phones that are of this fleet; others may be many more."""
    wanted = set(imeis)
    last = max(wanted)
    async for phone in bridge.phones():
        if phone.imei > last:
            return
        if phone.imei in wanted:
            yield phone


async def _await_proofs(bridge: Bridge, phones: dict[Imei, Phone], deadline: float) -> None:
    """Wait until the bridge has each phone's word on its newest state."""
    unproven = [imei for imei, phone in phones.items() if not phone.is_proven]
    while unproven and time.monotonic() < deadline:
        await asyncio.sleep(_ASK_AGAIN_S)
        for imei in unproven:
            phones[imei] = await bridge.phone(imei)
        unproven = [imei for imei in unproven if not phones[imei].is_proven]


def _findings(cast: Cast, shown: Mapping[Imei, Level], phones: Mapping[Imei, Phone]) -> Iterator[Finding]:
    for imei in cast.book.imeis:
        level, phone = shown[imei], phones.get(imei)
        reported = None if phone is None or phone.reported is None else phone.reported.level
        lost = not cast.book.permits(imei, level)
        if lost or phone is None or not phone.is_proven or reported is not level:
            yield Finding(
                imei=imei,
                required=" or ".join(one.name.lower() for one in cast.book.permitted(imei)),
                shows=level.name.lower(),
                reported=_NONE if reported is None else reported.name.lower(),
                lost=lost,
            )
