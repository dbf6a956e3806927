"""Free TCP ports on loopback."""

import secrets
import socket

LOOPBACK = "127.0.0.1"

# Below every system's range for outgoing connections (Linux from 32768, macOS from 49152). A listener's port inside
# that range can be taken by an outgoing connection while the listener restarts; worse, a client that hammers the
# closed port may be given that very port as its own and connect to itself.
_FIRST, _LAST = 20_000, 32_767
_ATTEMPTS_PER_PORT = 100


def free_ports(count: int) -> tuple[int, ...]:
    """Return `count` distinct loopback ports that nothing listens on just now.

    Raises:
        OSError: no free port was found in a fair number of tries.
    """
    held: list[socket.socket] = []
    try:
        for _ in range(count * _ATTEMPTS_PER_PORT):
            if len(held) == count:
                break
            if (held_socket := _bind(_FIRST + secrets.randbelow(_LAST - _FIRST + 1))) is not None:
                held.append(held_socket)
        else:
            raise OSError(f"no {count} free ports found between {_FIRST} and {_LAST} on {LOOPBACK}")
        return tuple(held_socket.getsockname()[1] for held_socket in held)
    finally:
        for held_socket in held:
            held_socket.close()


def _bind(port: int) -> socket.socket | None:
    """Hold a port, so that the same call cannot find it twice; None if someone else has it."""
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        candidate.bind((LOOPBACK, port))
    except OSError:
        candidate.close()
        return None
    return candidate
