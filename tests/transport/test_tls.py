"""A connection over TLS, to a server that proves itself and to one that does not."""

import asyncio
import ssl
from pathlib import Path

import pytest

from mqtt_transport import Connector, UnprovenServerError
from tests.certificates import new_authority
from tests.transport.peer import Peer
from tests.transport.scripted import LOGIN
from tests.transport.test_connection import TOPIC, Ear


async def test_only_a_server_that_proves_itself_is_spoken_to(tmp_path: Path) -> None:
    authority, certfile = new_authority(tmp_path / "ca"), tmp_path / "server.pem"
    authority.issue(certfile, name="DNS:localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certfile, certfile.with_suffix(".key"))
    peer, ear = Peer(), Ear()
    peer.reading.set()
    server = await asyncio.start_server(peer.serve, "localhost", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        proof = ssl.create_default_context(cafile=authority.cafile)
        connection = await Connector("localhost", port, proof).connect(LOGIN, ear)
        await connection.publish(TOPIC, b"x" * 50_000, retain=False)
        await connection.close()
        with pytest.raises(UnprovenServerError, match="certificate is signed by an unknown CA"):
            await Connector("localhost", port, ssl.create_default_context()).connect(LOGIN, ear)
        await asyncio.wait_for(peer.until_nobody_is_connected(), 10)
    assert [packet.payload for packet in peer.published()] == [b"x" * 50_000]
