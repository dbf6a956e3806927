"""A small MQTT 5 client for connections that carry much, or of which there are thousands.

It knows clean starts and QoS 1, which is all that Paylatch uses, and puts the application in charge of what a client
library usually decides:

- nothing is ever sent again: what was not acknowledged when a connection ended is reported, and is the caller's;
- a message is acknowledged when the application says so, and not before;
- no more is unacknowledged at a time than the server's Receive Maximum; what waits behind that is bounded.

`session` is the protocol without any input or output; `connection` ties it to asyncio. It has no task, future or timer
of its own for a message or a connection.

Not here, because nothing needs it: QoS 2, sending with QoS 0, durable sessions, topic aliases, enhanced authentication.
"""

from mqtt_transport.connecting import Connector
from mqtt_transport.connection import Connection, Receiver
from mqtt_transport.errors import (
    ConnectionEndedError,
    ConnectRefusedError,
    LoginRefusedError,
    ProtocolError,
    RefusedError,
    TransportError,
    UnknownServerError,
    UnprovenServerError,
)
from mqtt_transport.options import Login, Subscription, Will
from mqtt_transport.tls import why_unconnected

__all__ = [
    "ConnectRefusedError",
    "Connection",
    "ConnectionEndedError",
    "Connector",
    "Login",
    "LoginRefusedError",
    "ProtocolError",
    "Receiver",
    "RefusedError",
    "Subscription",
    "TransportError",
    "UnknownServerError",
    "UnprovenServerError",
    "Will",
    "why_unconnected",
]
