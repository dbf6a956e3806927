"""What can go wrong.

```
TransportError
├── RefusedError              one request was refused; the connection goes on
└── ConnectionEndedError      the connection is over, or was never made; what had no answer may have arrived
    ├── UnknownServerError    the server's name has no address
    ├── UnprovenServerError   the server's certificate is no good
    ├── ConnectRefusedError   the server does not let this client in
    │   └── LoginRefusedError because of its name or its password
    └── ProtocolError         the server has sent what MQTT does not allow
```
"""


class TransportError(Exception):
    """Something did not come about; the message says what and why."""


class RefusedError(TransportError):
    """A publish or a subscription was refused, by the server or because it could not take it. Nothing came of it."""


class ConnectionEndedError(TransportError):
    """The connection could not be made, or is over. What it left unanswered may have arrived, or not."""


class UnknownServerError(ConnectionEndedError):
    """The server's name has no address, as far as is known here."""


class UnprovenServerError(ConnectionEndedError):
    """The server has not proven by its certificate who it is. Nothing was said to it."""


class ConnectRefusedError(ConnectionEndedError):
    """The server refused the connection, by the reason in the message."""


class LoginRefusedError(ConnectRefusedError):
    """The server does not take this user name and password."""


class ProtocolError(ConnectionEndedError):
    """The server sent something that MQTT 5 does not allow, or that is larger than this client has allowed."""
