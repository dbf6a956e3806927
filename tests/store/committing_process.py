"""A process that commits decisions until it is killed, and says of each on standard output that it is acknowledged.

With `--small-disk` it works until its files cannot grow any more, then gives them room again and goes on.
"""

import asyncio
import resource
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.store import StoreUnavailableError
from device_sim.identities import simulated_imei
from tests.bridge_rig import ACME, Office
from tests.unit.broker_bridge.facts import overdue

PHONES = 20
ROOM_BYTES = 100_000
AFTERWARDS = 20


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201 - what it is for


@dataclass
class Committer:
    """Commits decisions for a few phones and tells of each."""

    store: SqlStore
    office: Office

    async def one(self, number: int) -> None:
        imei = simulated_imei(number % PHONES)
        decision = overdue(1 + number % 90, at=number, imei=imei, name=f"d{number}")
        decided = await self.store.commits.commit(self.office.decide(decision))
        say("acknowledged", decided.decision_id, decided.command_id)

    async def until_killed(self) -> None:
        numbers = count(1)
        while True:
            await asyncio.gather(*(self.one(next(numbers)) for _ in range(PHONES)))

    async def on_a_small_disk(self, directory: Path) -> None:
        written = await asyncio.to_thread(_largest_in, directory)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (written + ROOM_BYTES, most))
        numbers = count(1)
        failed = 0
        while failed < AFTERWARDS:
            number = next(numbers)
            try:
                await self.one(number)
            except StoreUnavailableError as error:
                failed += 1
                say("unavailable", f"d{number}", error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        for _ in range(AFTERWARDS):
            await self.one(next(numbers))


def _largest_in(directory: Path) -> int:
    return max(path.stat().st_size for path in directory.iterdir())


async def main(url: str, *, small_disk: Path | None) -> None:
    office = Office()
    async with SqlStore(url) as store:
        await store.lenders.add(ACME, b"k" * 32, at=1)
        for number in range(PHONES):
            await store.commits.commit(office.enrol(simulated_imei(number)))
        committer = Committer(store, office)
        await (committer.until_killed() if small_disk is None else committer.on_a_small_disk(small_disk))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], small_disk=Path(sys.argv[3]) if "--small-disk" in sys.argv else None))
