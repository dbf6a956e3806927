"""The ceiling: whole round trips a second of this machine with nothing but what cannot be left out.

One process publishes signed states through Mosquitto, QoS 1 and retained, to phones that are connected from a second
process. Each phone verifies its state, signs a report and publishes it; the first process verifies that. There is no
database, no policy, no HTTP and no rule of acceptance, and the MQTT client is a codec on a socket. What Paylatch does
beside that is what the benchmark's ratio tells.

    python -m paylatch.bench.ceiling --phones 10000 --trips 30000      prints one line of JSON
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import mqtt5
import msgpack
import uvloop
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from paylatch.bench.gauges import cpu_s
from paylatch.local.broker_config import BrokerFiles
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.ports import LOOPBACK, free_ports

UP, DOWN = "up/", "down/"
WINDOW = 2000
"""Round trips under way at a time."""
STATE_BYTES = 413
"""How large a signed state is unless another size is asked for: as it was when a ceiling was first measured."""
_CONNECTS_AT_A_TIME = 200
_STALLED_S = 30.0
_TERMINATED = 143
_PUBLIC, _SECRET = crypto_sign_seed_keypair(bytes([1]) * 32)
_QOS = mqtt5.QoS.AT_LEAST_ONCE
_ANSWERS = (mqtt5.ConnAckPacket, mqtt5.SubAckPacket)
_NOTICE = (
    "Payment overdue",
    129_900,
    "INR",
    "https://pay.example.com/abc",
    "+911234567890",
    "https://help.example.com",
)
_BROKER = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 0
"""

OnPublish = Callable[["Connection", bytes], None]


class Connection(asyncio.Protocol):
    """The least of an MQTT 5 client: it acknowledges what comes, and keeps nothing of what goes.

    Args:
        on_publish: takes each payload.
    """

    __slots__ = ("_on_publish", "_packet_id", "_rest", "_transport", "answered")

    def __init__(self, on_publish: OnPublish) -> None:
        self._on_publish = on_publish
        self._packet_id = 0
        self._rest = b""
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the packets that are complete."""
        if self._rest:
            data = self._rest + data
        view, at = memoryview(data), 0
        while at < len(data):
            try:
                packet, size = mqtt5.read(view[at:])
            except IndexError:  # the rest of it is still on its way
                break
            at += size
            if type(packet) is mqtt5.PublishPacket and packet.packet_id is not None:
                self._transport.write(mqtt5.PubAckPacket(packet.packet_id).write())
                self._on_publish(self, bytes(packet.payload))
            elif type(packet) in _ANSWERS:
                self.answered.set_result(None)
        self._rest = data[at:]

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message."""
        self._packet_id = self._packet_id % 65_535 + 1
        packet = mqtt5.PublishPacket(topic, payload, qos=_QOS, retain=retain, packet_id=self._packet_id)
        self._transport.write(packet.write())

    async def ask(self, packet: Any) -> None:
        """Send a packet and wait for its answer."""
        self.answered = asyncio.get_running_loop().create_future()
        self._transport.write(packet.write())
        await self.answered


async def connect(port: int, client_id: str, topic: str, on_publish: OnPublish) -> Connection:
    """Return a connection that has subscribed to a topic."""
    loop = asyncio.get_running_loop()
    _, one = await loop.create_connection(lambda: Connection(on_publish), LOOPBACK, port)
    await one.ask(mqtt5.ConnectPacket(client_id=client_id, clean_start=True, keep_alive=600, receive_max=1000))
    await one.ask(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(topic, max_qos=_QOS)]))
    return one


async def be_phones(port: int, phones: int, on_state: OnPublish) -> None:
    """Connect phones, say how fast that went, and have each answer what comes until standard input ends."""
    gate = asyncio.Semaphore(_CONNECTS_AT_A_TIME)

    async def connect_one(number: int) -> Connection:
        async with gate:
            return await connect(port, f"p{number}", f"{DOWN}{number:015d}", on_state)

    start = time.perf_counter()
    connections = await asyncio.gather(*map(connect_one, range(phones)))
    sys.stdout.write(json.dumps({"connect_per_s": round(phones / (time.perf_counter() - start))}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    del connections


def report(phone: Connection, signed: bytes) -> None:
    """Verify a state and report it."""
    _, imei, version, sent_at, *_ = msgpack.unpackb(crypto_sign_open(signed, _PUBLIC))
    word = (1, imei, version, 1, 4, 0, bytes(32), sent_at, 0)
    phone.publish(UP + imei, crypto_sign(msgpack.packb(word), _SECRET))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What the first process does."""

    port: int
    phones: int
    trips: int
    body_bytes: int

    def state(self, trip: int) -> tuple[str, bytes]:
        """Return the topic and the signed state of a round trip."""
        imei = f"{trip % self.phones:015d}"
        fields = (1, imei, trip + 1, time.perf_counter(), 4, 0, 4, "cmd_" + imei, *_NOTICE, "b" * self.body_bytes)
        return DOWN + imei, crypto_sign(msgpack.packb(fields), _SECRET)

    async def run(self) -> float:
        """Return whole round trips a second."""
        proven, moved = 0, asyncio.Event()

        def confirm(_: Connection, signed: bytes) -> None:
            nonlocal proven
            msgpack.unpackb(crypto_sign_open(signed, _PUBLIC))
            proven += 1
            moved.set()

        async def until_proven(count: int) -> None:
            while proven < count:
                moved.clear()
                # Not `wait_for`: before Python 3.12 it loses a cancellation that comes with what it waits for.
                async with asyncio.timeout(_STALLED_S):
                    await moved.wait()

        down = await connect(self.port, "down", "none", confirm)
        await connect(self.port, "up", f"{UP}+", confirm)
        start = time.perf_counter()
        for trip in range(self.trips):
            topic, signed = self.state(trip)
            down.publish(topic, signed, retain=True)
            await until_proven(trip + 2 - WINDOW)
        await until_proven(self.trips)
        return self.trips / (time.perf_counter() - start)


def body_for(state_bytes: int) -> int:
    """Return how long a notice's body has to be for a signed state to have so many bytes."""
    usual = 256
    found = Drive(port=0, phones=10**6, trips=0, body_bytes=usual).state(100_000)[1]
    return max(0, state_bytes - len(found) + usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What was found; the fields are what is printed."""

    ceiling_per_s: float
    cpu_us: float
    """Microseconds of processor time a round trip: driver, broker and phones together."""
    connect_per_s: float


@contextmanager
def bare_broker() -> Iterator[MosquittoProcess]:
    """Give a broker that keeps nothing, knows nobody, and has one listener on loopback."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="paylatch-broker-") as name:
        directory = Path(name)
        BrokerFiles(directory).conf.write_text(_BROKER.format(port=port), encoding="utf-8")
        directory.chmod(0o755)  # a broker that was started as root drops to its own account
        with MosquittoProcess(directory, port, port) as broker:
            yield broker


def measure(phones: int, trips: int, state_bytes: int) -> Ceiling:
    """Run broker, phones and driver; return what was found."""
    with bare_broker() as broker:
        port = broker.phones_port
        command = [sys.executable, "-m", __spec__.name, "--phones", str(phones), "--be-phones", str(port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fleet:
            found = json.loads(cast("IO[str]", fleet.stdout).readline())
            drive = Drive(port=port, phones=phones, trips=trips, body_bytes=body_for(state_bytes))
            pids = (os.getpid(), broker.pid, fleet.pid)
            before = sum(map(cpu_s, pids))
            per_s = uvloop.run(_cancelled_by_sigterm(drive.run()))
            used = sum(map(cpu_s, pids)) - before
            fleet.communicate()
    return Ceiling(ceiling_per_s=round(per_s), cpu_us=round(used / trips * 1e6, 1), **found)


def _leave(number: int, frame: object) -> NoReturn:
    del number, frame
    sys.exit(_TERMINATED)


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, float]) -> float:
    # What a signal's own handler raises inside of a callback, the loop only logs.
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print; or, for the second process, be the phones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, default=10_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--trips", type=int, default=30_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--state-bytes", type=int, default=STATE_BYTES, metavar="N", help="default: %(default)s")
    parser.add_argument("--be-phones", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.be_phones:
        uvloop.run(be_phones(options.be_phones, options.phones, report))
        return
    # Leaving in order ends the broker, the phones and their directory too.
    signal.signal(signal.SIGTERM, _leave)
    try:
        found = measure(options.phones, options.trips, options.state_bytes)
    except asyncio.CancelledError:
        sys.exit(_TERMINATED)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main()
