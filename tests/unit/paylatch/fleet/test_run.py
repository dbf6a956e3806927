"""How a run begins: with a book of its phones, which have to be this lender's."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.client import Bridge
from paylatch.fleet.options import FleetUsageError
from paylatch.fleet.run import book_of

IMEIS = [simulated_imei(number) for number in range(3)]


@dataclass
class Lenders:
    """A bridge that knows these phones of a lender, all locked."""

    imeis: Sequence[Imei]

    async def phones(self) -> AsyncIterator[Any]:
        for imei in sorted(self.imeis):
            yield SimpleNamespace(imei=imei, desired=SimpleNamespace(level=Level.LOCKED))


async def test_it_has_every_phone_where_the_bridge_has_it() -> None:
    book = await book_of(cast("Bridge", Lenders([*IMEIS, simulated_imei(7)])), IMEIS)
    assert book.required() == dict.fromkeys(IMEIS, Level.LOCKED)


async def test_phones_of_another_lender_are_counted() -> None:
    with pytest.raises(FleetUsageError, match="2 of 3 phones are not this lender's"):
        await book_of(cast("Bridge", Lenders(IMEIS[:1])), IMEIS)
