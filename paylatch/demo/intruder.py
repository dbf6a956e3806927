"""Somebody who holds the bridge's broker credentials and no signing key: may read and write every state, sign nothing.

Each hostile message is retained over the bridge's own state, and counts as refused only when the phone that it was for
has counted one more refusal by exactly the expected name.
"""

import asyncio
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiomqtt

from device_sim.fleet.control_client import FleetControl
from device_sim.fleet.control_messages import PhoneDump
from lock_protocol.imei import Imei
from lock_protocol.keys import SEED_BYTES, SigningKey
from lock_protocol.topics import PhoneTopic, Topics
from paylatch.demo.forgeries import Forgery, Loot, forgeries
from paylatch.demo.options import DemoError
from paylatch.demo.retained import RetainedStates
from paylatch.demo.services import connection
from paylatch.local.site import ServiceAccess

VICTIMS = 20
"""How many phones are attacked at a time."""

_READ_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What became of one attack."""

    sent: int
    refused: Mapping[str, int]
    """By the error's name."""
    changed: Sequence[Imei]
    """Phones whose applied state is another one than before."""
    unanswered: Mapping[Imei, str]
    """Phones that have not refused all that was sent to them, and what is missing."""


class Intruder:
    """Overhears states, and attacks phones with what can be made of them.

    Args:
        access: the stolen credentials.
        topics: under which prefix the bridge publishes.
        fleet: asked what the phones made of it; an intruder could not, the demo can.
    """

    def __init__(self, access: ServiceAccess, topics: Topics, fleet: FleetControl) -> None:
        self._access = access
        self._topics = topics
        self._fleet = fleet
        self._states = RetainedStates(access, topics)
        self._key = SigningKey.from_seed(secrets.token_bytes(SEED_BYTES))
        self._overheard: defaultdict[Imei, list[bytes]] = defaultdict(list)

    async def overhear(self, imeis: Sequence[Imei]) -> None:
        """Remember what is on these phones' topics now, for replaying it later."""
        for imei, state in (await self._states.read(imeis, _READ_S)).items():
            if state not in self._overheard[imei]:
                self._overheard[imei].append(state)

    def victims(self, candidates: Sequence[Imei]) -> list[Imei]:
        """Return whom to attack: those first for whom there is an old state to replay."""
        return sorted(candidates, key=lambda imei: len(self._overheard[imei]) < 2)[:VICTIMS]  # noqa: PLR2004 - old and new

    async def attack(self, victims: Sequence[Imei], timeout_s: float) -> Attack:
        """Send every forgery to each victim and wait until all are refused, or time is up.

        Raises:
            DemoError: the broker did not let the intruder in or through.
        """
        await self.overhear(victims)
        arsenal = {imei: self._arsenal(imei) for imei in victims}
        before = await self._dump(victims)
        await self._publish(arsenal)
        expected = {imei: Counter(each.refusal.__name__ for each in made) for imei, made in arsenal.items()}
        after = await self._await_refusals(before, expected, timeout_s)
        return _outcome(expected, before, after)

    def _arsenal(self, imei: Imei) -> list[Forgery]:
        *older, newest = self._overheard[imei]
        foreign = next((states[-1] for other, states in self._overheard.items() if other != imei), None)
        loot = Loot(newest=newest, older=older[-1] if older else None, foreign=foreign)
        return list(forgeries(loot, self._key))

    async def _publish(self, arsenal: Mapping[Imei, Sequence[Forgery]]) -> None:
        """Put one message after the other on each victim's topic, all victims at the same time."""

        async def bombard(client: aiomqtt.Client, imei: Imei, messages: Sequence[Forgery]) -> None:
            topic = self._topics.phone(imei, PhoneTopic.DESIRED)
            for each in messages:
                await client.publish(topic, each.message, qos=1, retain=True)

        try:
            async with connection(self._access) as client, asyncio.TaskGroup() as tasks:
                for imei, messages in arsenal.items():
                    tasks.create_task(bombard(client, imei, messages), name=f"intruder {imei}")
        except* aiomqtt.MqttError as errors:
            raise DemoError(f"the intruder could not publish: {errors.exceptions[0]}") from errors

    async def _await_refusals(
        self, before: Mapping[Imei, PhoneDump], expected: Mapping[Imei, Counter[str]], timeout_s: float
    ) -> dict[Imei, PhoneDump]:
        """Wait until every victim has refused what it was sent; return the phones as they are then."""
        deadline = time.monotonic() + timeout_s
        while True:
            total = (await self._fleet.counters()).refusals
            after = await self._dump(list(expected))
            missing = sum(_missing(before[imei], after[imei], expected[imei]).total() for imei in expected)
            left = deadline - time.monotonic()
            if not missing or left <= 0:
                return after
            await self._fleet.await_refusals(sum(total.values()) + missing, left)

    async def _dump(self, imeis: Sequence[Imei]) -> dict[Imei, PhoneDump]:
        return {phone.imei: phone for phone in await self._fleet.dump(imeis)}


def _outcome(
    expected: Mapping[Imei, Counter[str]], before: Mapping[Imei, PhoneDump], after: Mapping[Imei, PhoneDump]
) -> Attack:
    refused: Counter[str] = Counter()
    unanswered: dict[Imei, str] = {}
    for imei, wanted in expected.items():
        missing = _missing(before[imei], after[imei], wanted)
        refused += wanted - missing
        if missing:
            unanswered[imei] = ", ".join(f"{count} {name}" for name, count in sorted(missing.items()))
    return Attack(
        sent=sum(wanted.total() for wanted in expected.values()),
        refused=dict(sorted(refused.items())),
        changed=[imei for imei in expected if _applied(before[imei]) != _applied(after[imei])],
        unanswered=unanswered,
    )


def _missing(before: PhoneDump, after: PhoneDump, expected: Counter[str]) -> Counter[str]:
    """Return the refusals that have not come yet."""
    return expected - (Counter(after.refusals) - Counter(before.refusals))


def _applied(phone: PhoneDump) -> tuple[object, ...]:
    return phone.level, phone.condition, phone.epoch, phone.version
