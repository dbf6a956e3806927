"""A server of the test's own on loopback: it answers as it is told, and keeps what it was sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import mqtt5

from mqtt_transport.framing import Frames
from paylatch.local.ports import LOOPBACK

ACCEPTED = mqtt5.ConnAckPacket().write()
_TURNS_TO_ACCEPT = 5
"""Turns of the event loop until what has just connected has a transport. A server of Python 3.13 that is closed in
between leaves its socket open."""


@dataclass
class Peer:
    """What it says to whom, and what it has heard. One test's clients are all the same to it."""

    connack: bytes = ACCEPTED
    """What it says to a CONNECT; nothing for silence."""
    before_suback: bytes = b""
    """What it says just before it grants a subscription,"""
    with_suback: bytes = b""
    """and in the same breath."""
    puts_back: bool = True
    """Whether it acknowledges what is published."""
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether it reads at all."""
    port: int = 0
    heard: list[mqtt5.Packet] = field(default_factory=list)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def published(self) -> list[mqtt5.PublishPacket]:
        return [packet for packet in self.heard if isinstance(packet, mqtt5.PublishPacket)]

    async def until_published(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.published()) >= count)

    async def until_nobody_is_connected(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: not self.writers)

    async def until_heard(self, kind: type[mqtt5.Packet]) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: any(isinstance(packet, kind) for packet in self.heard))

    def say(self, data: bytes) -> None:
        for writer in self.writers:
            writer.write(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        frames = Frames(largest=1 << 20)
        with suppress(ConnectionError):
            while data := await self._read(reader):
                for packet in frames.packets(data):
                    self._answer(packet, writer)
                async with self.changed:
                    self.changed.notify_all()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()  # a transport that outlives the test's event loop is never closed
        self.writers.discard(writer)
        async with self.changed:
            self.changed.notify_all()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        await self.reading.wait()
        return await reader.read(1 << 16)

    def _answer(self, packet: mqtt5.Packet, writer: asyncio.StreamWriter) -> None:
        self.heard.append(packet)
        match packet:
            case mqtt5.ConnectPacket():
                writer.write(self.connack)
            case mqtt5.PublishPacket(packet_id=int(packet_id)) if self.puts_back:
                writer.write(mqtt5.PubAckPacket(packet_id).write())
            case mqtt5.SubscribePacket():
                granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
                suback = mqtt5.SubAckPacket(packet.packet_id, [granted] * len(packet.topic_filters))
                writer.write(self.before_suback + suback.write() + self.with_suback)


@asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[Peer]:
    peer.reading.set()
    server = await asyncio.start_server(peer.serve, LOOPBACK, 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        server.close()
        for writer in tuple(peer.writers):
            writer.transport.abort()
        peer.reading.set()
        await server.wait_closed()
        await asyncio.wait_for(peer.until_nobody_is_connected(), 10)
