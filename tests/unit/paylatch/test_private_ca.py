"""Commands and a bridge whose certificate is of a private CA: only what proves itself is told the API key."""

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from paylatch.cli import app
from paylatch.local.ports import LOOPBACK
from tests.certificates import DAY, Authority, new_authority

ANSWER = (
    b'{"type": "urn:paylatch:problem:not-found", "title": "Not found", "status": 404, "detail": "that is not here"}'
)


class Bridge(ThreadingHTTPServer):
    """Says that nothing is there, by TLS, and notes what it was asked."""

    def __init__(self, certfile: Path) -> None:
        self.asked: list[str] = []
        super().__init__((LOOPBACK, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certfile, certfile.with_suffix(".key"))
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Bridge

    def do_GET(self) -> None:
        self.server.asked.append(self.headers["Authorization"])
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(404)
        self.send_header("Content-Length", f"{len(ANSWER)}")
        self.end_headers()
        self.wfile.write(ANSWER)

    do_POST = do_GET  # noqa: N815 - the name that `http.server` looks for

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path / "ca")


@pytest.fixture
def certificate() -> dict[str, Any]:
    """What the bridge's is issued with."""
    return {}


@pytest.fixture
def bridge(authority: Authority, certificate: dict[str, Any], tmp_path: Path) -> Iterator[Bridge]:
    certfile = tmp_path / "server.pem"
    authority.issue(certfile, **certificate)
    with Bridge(certfile) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def commands(tmp_path: Path) -> list[tuple[str, ...]]:
    """One that asks by httpx's own connections, and one by a load generator's."""
    return [("phone", "list"), ("fleet", "enrol", "--phones", "1", "--out", str(tmp_path / "fleet.jsonl"))]


def run(command: tuple[str, ...], bridge: Bridge, *more: str) -> Result:
    return CliRunner(env={"PAYLATCH_KEY": "pl_secret"}).invoke(app, [*command, "--url", bridge.url, *more])


def test_a_bridge_is_asked_that_a_private_ca_vouches_for(
    bridge: Bridge, authority: Authority, commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in commands:
        done = run(command, bridge, "--cafile", str(authority.cafile))
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, "paylatch: that is not here")
    monkeypatch.setenv("PAYLATCH_CAFILE", str(authority.cafile))
    assert "that is not here" in run(commands[0], bridge).stderr
    assert bridge.asked == ["Bearer pl_secret"] * 3


def test_a_ca_that_the_system_knows_need_not_be_named(
    bridge: Bridge, authority: Authority, commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cafile))
    for command in commands:
        assert "that is not here" in run(command, bridge).stderr


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"begins": -2 * DAY, "ends": -DAY}, "certificate has expired"),
    "another address": ({"name": "IP:192.0.2.1"}, f"certificate is not valid for '{LOOPBACK}'"),
    "another name": ({"name": "DNS:bridge.example"}, f"certificate is not valid for '{LOOPBACK}'"),
}


@pytest.mark.parametrize(("certificate", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_with_a_certificate_is_said_and_the_key_is_not(
    bridge: Bridge, authority: Authority, commands: list[tuple[str, ...]], fault: str
) -> None:
    for command in commands:
        done = run(command, bridge, "--cafile", str(authority.cafile))
        assert done.exit_code == 1
        assert f"{bridge.url} has not proven that it is the bridge" in done.stderr
        assert fault in done.stderr
    assert bridge.asked == []


def test_who_answers_under_another_ca_is_told_nothing(
    bridge: Bridge, commands: list[tuple[str, ...]], tmp_path: Path
) -> None:
    other = new_authority(tmp_path / "other")
    for command in commands:
        for more in ((), ("--cafile", str(other.cafile))):
            assert "unable to get local issuer certificate" in run(command, bridge, *more).stderr
    assert "--cafile or PAYLATCH_CAFILE" in run(("phone", "list"), bridge).stderr
    assert bridge.asked == []


@pytest.mark.parametrize(("holds", "told"), [("no certificate", "holds no certificate in PEM form"), ("", "No such")])
def test_a_file_without_a_certificate_is_a_usage_error(holds: str, told: str, tmp_path: Path) -> None:
    cafile = tmp_path / "ca.pem"
    if holds:
        cafile.write_text(holds)
    arguments = ["phone", "list", "--cafile", str(cafile)]
    done = CliRunner(env={"PAYLATCH_KEY": "pl_secret"}).invoke(app, arguments)
    assert done.exit_code == 2
    assert f"paylatch: {cafile}: {told}" in done.stderr
