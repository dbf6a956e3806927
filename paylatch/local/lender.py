"""The lender's side: its system, talking to the bridge as every lender's may."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import IO

from device_sim.identities import FleetLine, ToldBroker, add_phones, new_device_seed
from lock_protocol.keys import PublicKey, SigningKey
from paylatch.client import Bridge, Enrolled, MqttAccess, Patience, PaylatchError, connect
from paylatch.facts import Borrower
from paylatch.local.kept_connections import KeptConnections

_TIMEOUT_S = 30.0
_ENROLMENTS_AT_A_TIME = 128
_AT_ONCE = Patience(total_s=0)
"""Whoever plays or measures wants to see that the bridge takes everything the first time."""


async def enrol_fleet(bridge: Bridge, borrowers: Sequence[Borrower], file: IO[str]) -> list[Enrolled]:
    """Enrol a new phone for each borrower and write them to a fleet's file; return what the bridge has answered.

    Where it has refused one, those that were enrolled are in the file all the same: nobody else has their keys.

    Args:
        bridge: where.
        borrowers: one at least.
        file: as `create_fleet` has opened it.

    Raises:
        PaylatchError: the bridge has refused one, or did not answer; no other was begun after that.
    """
    seeds = {borrower.imei: new_device_seed() for borrower in borrowers}
    places = asyncio.Semaphore(_ENROLMENTS_AT_A_TIME)
    answers: dict[str, Enrolled] = {}
    failed: list[PaylatchError] = []

    async def enrol_one(borrower: Borrower) -> None:
        async with places:
            if failed:
                return
            try:
                key = SigningKey.from_seed(seeds[borrower.imei]).public
                answers[borrower.imei] = await _enrol(bridge, borrower, key)
            except PaylatchError as error:
                # What is under way is waited for: its phones may be enrolled, and would have lost their keys.
                failed.append(error)

    try:
        async with asyncio.TaskGroup() as tasks:
            for borrower in borrowers:
                tasks.create_task(enrol_one(borrower), name=f"enrol {borrower.imei}")
    finally:
        enrolled = [answers[borrower.imei] for borrower in borrowers if borrower.imei in answers]
        add_phones(
            file,
            (
                FleetLine(
                    imei=one.imei,
                    device_seed=seeds[one.imei],
                    password=one.mqtt.password,
                    root=one.root,
                    broker=broker_told(one.mqtt),
                )
                for one in enrolled
            ),
        )
    if failed:
        raise failed[0]
    return enrolled


def broker_told(told: MqttAccess) -> ToldBroker:
    """Return where a phone connects, as the bridge said."""
    return ToldBroker(host=told.host, port=told.port, topic_prefix=told.topic_prefix, tls=told.tls, ca=told.ca)


async def _enrol(bridge: Bridge, borrower: Borrower, device_key: PublicKey) -> Enrolled:
    """Bind a phone to its loan."""
    return await bridge.enrol(
        imei=borrower.imei,
        loan_id=borrower.loan_id,
        device_key=device_key,
        consent=f"contract of {borrower.loan_id}",
    )


@asynccontextmanager
async def connected(base_url: str, api_key: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Bridge]:
    """Give the bridge to a lender that does not try again, over connections that cost little; `tls` as in `connect`."""
    transport = KeptConnections(tls)
    async with connect(base_url, api_key, patience=_AT_ONCE, timeout_s=_TIMEOUT_S, transport=transport) as bridge:
        yield bridge
