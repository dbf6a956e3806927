"""What the core costs, in microseconds a call: codec, signing, verifying, accepting, and one decision on each database.

    python benchmarks/core.py            a table
    python benchmarks/core.py --json     the same for a program

Machines differ and are shared, so compare figures of one run with one another: a ratio says more than a time.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from broker_bridge.adapters.policies.profiles import profile
from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.adapters.signing.keys import FileSigner, init_development_keys
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.decide import Decide
from broker_bridge.app.enrol import Enrol
from broker_bridge.app.policies import Policies
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.sign import Queue, SigningClock
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType
from broker_bridge.main import SystemClock
from lock_protocol.acceptance import PhoneStanding, accept_state
from lock_protocol.codec import decode, encode
from lock_protocol.envelope import pre_authentication
from lock_protocol.imei import Imei, luhn_digit, parse_imei
from lock_protocol.keys import PublicKey, SigningKey, verifies
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import DesiredState, LenderId, Notice
from paylatch.postgres_process import PostgresProcess

LENDER = LenderId("bench")
ROUNDS, CALLS = 7, 300
COMMITS, BATCHED = 200, 1000


def imei(serial: int) -> Imei:
    """Return an IMEI with reporting body 00: no real handset has it."""
    body = f"00999901{serial:06d}"
    return parse_imei(body + luhn_digit(body))


def microseconds(call: Callable[[], object]) -> float:
    """Return the median over rounds of the mean time of one call."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        rounds.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(rounds)


def core(signer: FileSigner) -> dict[str, float]:
    """Return what the pure core costs."""
    state = DesiredState(
        lender=LENDER,
        imei=imei(1),
        epoch=1,
        version=7,
        delegation_version=1,
        level=Level.LOCKED,
        reason=Reason.OVERDUE,
        issued_at=1_800_000_000,
        lease_until=0,
        lease_then=Level.LOCKED,
        warn_s=0,
        remind_s=0,
        command_id="cmd_0123456789abcdefghijklmn",
        notice=Notice(title="Payment overdue", body="b" * 200, amount_due=129_900, currency="TWD"),
    )
    payload, envelope = encode(state), signer.sign_state(state)
    key = SigningKey.from_seed(bytes(range(32)))
    signed = pre_authentication("application/vnd.paylatch.desired.v1+msgpack", payload)
    signature = key.sign(signed)
    standing = PhoneStanding(
        imei=imei(1), root=signer.root, floor=None, released=False, trusted_now=signer.root.issued_at, nonce=None
    )
    return {
        "encode": microseconds(lambda: encode(state)),
        "decode": microseconds(lambda: decode(DesiredState, payload)),
        "ed25519_sign": microseconds(lambda: key.sign(signed)),
        "ed25519_verify": microseconds(lambda: verifies(key.public, signed, signature)),
        "sign_state": microseconds(lambda: signer.sign_state(state)),
        "accept_state": microseconds(lambda: accept_state(envelope, standing)),
    }


async def durable(signer: FileSigner, url: str) -> dict[str, float]:
    """Return what a durable decision costs in this database, alone and in company."""
    clock = SystemClock()
    queue = Queue(signer, SigningClock(clock), clock)
    reconsider = Reconsider(Policies(profile("replay"), read_policy), queue, clock)

    def enrol(serial: int) -> Enrol:
        return Enrol(
            lender=LENDER,
            imei=imei(serial),
            loan_id=f"loan-{serial}",
            device_key=PublicKey(bytes(32)),
            consent="benchmark",
            credential="none",
            reconsider=reconsider,
        )

    def decide(serial: int, number: int) -> Decide:
        decision = Decision(
            lender=LENDER,
            decision_id=DecisionId(f"dec-{number}"),
            imei=imei(serial),
            type=DecisionType.PAYMENT_OVERDUE,
            occurred_at=number,
            days_overdue=30 + number % 60,
        )
        return Decide(decision, reconsider)

    async with SqlStore(url) as store:
        await store.add_lender(LENDER, bytes(32), clock.now())
        await asyncio.gather(*(store.commit(enrol(serial)) for serial in range(BATCHED)))
        start = time.perf_counter()
        for number in range(COMMITS):
            await store.commit(decide(number, number))
        alone = (time.perf_counter() - start) / COMMITS * 1e6
        start = time.perf_counter()
        await asyncio.gather(*(store.commit(decide(serial, COMMITS + serial)) for serial in range(BATCHED)))
        together = (time.perf_counter() - start) / BATCHED * 1e6
    return {"decide_alone": alone, "decide_together": together}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        init_development_keys(directory / "keys", LENDER, now=int(time.time()), hosts=["pay.example.com"])
        signer = FileSigner(directory / "keys", development=True)
        figures = core(signer)
        with PostgresProcess() as server:
            for database, url in (
                ("sqlite", f"sqlite:///{directory / 'bench.db'}"),
                ("postgresql", server.create("bench")),
            ):
                found = asyncio.run(durable(signer, url))
                figures |= {f"{name}_{database}": value for name, value in found.items()}
    if arguments.json:
        print(json.dumps({name: round(value, 1) for name, value in figures.items()}))
        return
    for name, value in figures.items():
        print(f"{name:<25} {value:9.1f} µs   {1e6 / value:9.0f} /s")


if __name__ == "__main__":
    main()
