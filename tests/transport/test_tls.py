"""A connection over TLS, to a server that proves itself and to one that does not."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from mqtt_transport import ConnectionEndedError, Connector
from tests.transport.peer import Peer
from tests.transport.scripted import LOGIN
from tests.transport.test_connection import TOPIC, Ear

_OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(_OPENSSL is None, reason="needs the openssl command to make a certificate")


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate of localhost, and its key."""
    assert _OPENSSL is not None
    made, key = directory / "server.pem", directory / "server.key"
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost")
    subprocess.run([_OPENSSL, *new, *names, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


async def test_only_a_server_that_proves_itself_is_spoken_to(tmp_path: Path) -> None:
    made, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    peer, ear = Peer(), Ear()
    peer.reading.set()
    server = await asyncio.start_server(peer.serve, "localhost", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        connection = await Connector("localhost", port, ssl.create_default_context(cafile=made)).connect(LOGIN, ear)
        await connection.publish(TOPIC, b"x" * 50_000, retain=False)
        await connection.close()
        with pytest.raises(ConnectionEndedError, match="certificate is signed by an unknown CA"):
            await Connector("localhost", port, ssl.create_default_context()).connect(LOGIN, ear)
        await asyncio.wait_for(peer.until_nobody_is_connected(), 10)
    assert [packet.payload for packet in peer.published()] == [b"x" * 50_000]
