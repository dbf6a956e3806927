"""The local control channel: a UNIX domain socket that only the fleet's own user can open."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from pydantic import ValidationError

from device_sim.fleet.control_messages import MAX_LINE_BYTES, REQUEST, Response
from device_sim.fleet.fleet import Fleet, UnknownPhoneError
from device_sim.fleet.operations import perform
from device_sim.phone.storage import StorageError

_OWNER_ALONE = 0o177


class ControlSocketError(Exception):
    """Nobody can come to command a fleet; the message says why."""


@contextmanager
def control_socket(path: Path) -> Iterator[socket.socket]:
    """Give the socket of a control channel; its file is gone afterwards.

    Args:
        path: of the socket; one that a dead process has left there is replaced.

    Raises:
        ControlSocketError: it cannot be made.
    """
    try:
        listener = _bind(path)
    except OSError as error:
        raise ControlSocketError(f"{path}: no socket can be made there: {error.strerror or error}") from error
    try:
        yield listener
    finally:
        listener.close()
        _remove_socket(path)


@asynccontextmanager
async def control_channel(fleet: Fleet, listener: socket.socket, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
    """Answer requests while inside.

    Args:
        fleet: whom the requests are about.
        listener: as `control_socket` makes it.
        tasks: the group in which connections are served.
    """

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(task := tasks.create_task(_serve(fleet, reader, writer), name="control connection"))
        task.add_done_callback(serving.discard)

    serving: set[asyncio.Task[None]] = set()
    server = await asyncio.start_unix_server(serve, sock=listener, limit=MAX_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        for task in serving:
            task.cancel()


def _remove_socket(path: Path) -> None:
    # Only a socket: a path given by mistake must not cost anybody a file.
    if path.is_socket():
        path.unlink()


def _bind(path: Path) -> socket.socket:
    _remove_socket(path)
    listener = socket.socket(socket.AF_UNIX)
    # The mode must be right from the first moment: whoever connects commands every phone.
    before = os.umask(_OWNER_ALONE)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


async def _serve(fleet: Fleet, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection's requests, one after the other, until it ends."""
    try:
        while line := await _read_line(reader):
            response = await _answer(fleet, line)
            writer.write(response.model_dump_json().encode() + b"\n")
            await writer.drain()
    except ConnectionError:
        pass  # whoever asked has gone, and wants no answer any more
    finally:
        writer.close()


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next request; nothing when the connection ends, or when what comes next is too long to be one."""
    try:
        return await reader.readline()
    except ValueError:
        return b""


async def _answer(fleet: Fleet, line: bytes) -> Response:
    try:
        return Response(ok=True, result=await perform(fleet, REQUEST.validate_json(line)))
    except ValidationError as error:
        return Response(ok=False, error=_explain(error))
    except (UnknownPhoneError, StorageError) as error:
        return Response(ok=False, error=str(error))


def _explain(error: ValidationError) -> str:
    faults = (f"{'.'.join(map(str, fault['loc'])) or 'request'}: {fault['msg']}" for fault in error.errors())
    return "; ".join(faults)
