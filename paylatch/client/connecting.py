"""Connecting to a bridge, over HTTP."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from paylatch.client.bridge import Bridge
from paylatch.client.patience import PATIENT, Patience
from paylatch.client.requests import Requests
from paylatch.client.tls import proof_of_bridge

TIMEOUT_S = 10.0
CONNECTIONS = 128
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@asynccontextmanager
async def connect(
    url: str,
    api_key: str,
    *,
    patience: Patience = PATIENT,
    timeout_s: float = TIMEOUT_S,
    tls: ssl.SSLContext | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Bridge]:
    """Give the bridge at this address to the holder of this key, over connections that are kept open.

    Args:
        url: like `https://paylatch.example`.
        api_key: `pl_…`; read it from a file or a secret store.
        patience: how long what is safe to repeat is tried again.
        timeout_s: how long one try may take.
        tls: like `ssl.create_default_context(cafile=…)`; None where the bridge's certificate is of a public CA, or of
            one that the system knows.
        transport: other connections than httpx's own, with what they know of TLS.

    Raises:
        ValueError: the address is none of HTTP, or the key has characters that no key has.
    """
    address = _address_of_bridge(url)
    if not api_key.isascii() or not api_key.isprintable() or not api_key:
        raise ValueError("the API key is empty, or holds what no API key holds")
    async with httpx.AsyncClient(
        base_url=address,
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=timeout_s,
        verify=tls or _proof_for(address),
        transport=transport,
        limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        trust_env=address.host not in _LOOPBACK,  # a proxy from the environment has no business there
    ) as http:
        yield Bridge(Requests(http, patience))


def _address_of_bridge(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host or (address.port or 0) not in range(2**16):
        raise ValueError(f"{url!r} is no address of a bridge: expected one like https://paylatch.example")
    return address


def _proof_for(address: httpx.URL) -> ssl.SSLContext:
    """Return how the bridge there proves itself. In the clear nobody does, and looking the CAs up costs 0.1 s."""
    return proof_of_bridge() if address.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
