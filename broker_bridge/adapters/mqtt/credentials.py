"""Phones' credentials in the broker: its password file, written from the database and reloaded."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from broker_bridge.adapters.mqtt.passwords import PasswordEntryError, new_credential, password_line
from broker_bridge.adapters.mqtt.reloading import BrokerNotOursError, reload_broker
from broker_bridge.adapters.mqtt.replacing import replacing
from broker_bridge.app.pauses import pauses
from broker_bridge.app.ports.credentials import CredentialsError
from broker_bridge.app.ports.queries import Credentials
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.ports.surroundings import Log
from lock_protocol.imei import Imei

T = TypeVar("T")

PAGE = 5_000
"""Credentials that are in memory at a time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""How long after a failure the file is tried again: a disk that was full once must not lock phones out for good."""
REST_S_PER_LINE = 10e-6
"""How long the broker is told of no other file after one, for each of its lines.

Mosquitto takes 2 to 5 µs to read a line and carries no message meanwhile: with a million phones it stands for two
seconds. So that payers meet that seldom, it stands for a fifth of the time with so many, however fast more come.
"""


@dataclass(slots=True)
class PasswordFile:
    """Keeps the broker's password file equal to the database. Many changes share one rewrite and one reload."""

    path: Path
    pid_file: Path | None
    """Where the broker's process id stands; None where something else tells the broker to reload."""
    credentials: Credentials
    log: Log
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _behind: bool = False
    """Whether the database holds what the file does not."""
    _size: int = 0
    """Lines of the file as it was last written."""
    _round: "asyncio.Future[None] | None" = None

    async def run(self) -> None:
        """Write the file whenever something has changed, the first time at once; after a failure until it is done."""
        self._changed.set()
        while True:
            await self._changed.wait()
            for tries, pause in enumerate(pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)):
                if await self._bring_in_force():
                    if tries:
                        self.log.info("credentials_in_force", path=str(self.path))
                    await asyncio.sleep(self._size * REST_S_PER_LINE)
                    break
                # Whoever enrols a phone meanwhile does not wait for the pause to be told how it stands.
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()

    async def _bring_in_force(self) -> bool:
        """Do what is left to do until the broker has the file, tell those who wait, and return whether it was done."""
        if self._changed.is_set():
            self._changed.clear()
            self._behind = True
        waiting, self._round = self._round, None
        done = await self._write() and await self._tell()
        _settle(waiting, None if done else CredentialsError("the broker cannot be told of new credentials"))
        return done

    async def _write(self) -> bool:
        """Write the file unless it holds what the database does; return whether it does now."""
        try:
            if self._behind:
                await self._rewrite()
        except (OSError, StoreUnavailableError) as error:
            self.log.critical("credentials_not_written", path=str(self.path), error=str(error))
            return False
        self._behind = False
        return True

    async def _tell(self) -> bool:
        """Have the broker read the file; return whether it does, or will when it starts."""
        try:
            await asyncio.to_thread(self._reload)
        except (BrokerNotOursError, OSError) as error:
            self.log.critical("broker_not_reloaded", pid_file=str(self.pid_file), error=str(error))
            return False
        return True

    def new(self) -> tuple[str, str]:
        """Return a new password, and its hash as the file has it."""
        return new_credential()

    async def publish(self) -> None:
        """Return when the broker has been told of everything that was committed before this call.

        That can take as long as the broker is left alone between two files, and twice the time that it takes to write
        one: one that was begun before this call, and the one that holds what it asks for.

        Raises:
            CredentialsError: the file cannot be written, or the broker not be told.
        """
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
        self._changed.set()
        await asyncio.shield(self._round)

    async def _rewrite(self) -> None:
        """Write the file page by page: the bridge holds as much of it for a million phones as for a thousand."""
        async with _in_threads(replacing(self.path)) as file:
            after, size = "", 0
            while page := await self.credentials.page(after, PAGE):
                await asyncio.to_thread(file.writelines, self._lines(page))
                after, size = page[-1][0], size + len(page)
        self._size = size

    def _lines(self, page: Iterable[tuple[Imei, str]]) -> Iterator[bytes]:
        """Yield the lines of credentials; one that cannot be read locks out its own phone, and nobody else."""
        for imei, credential in page:
            try:
                yield password_line(imei, credential)
            except PasswordEntryError as error:
                self.log.critical("credential_not_usable", imei=imei, error=str(error))

    def _reload(self) -> None:
        if self.pid_file is not None and not reload_broker(self.pid_file):
            self.log.warning("broker_not_reloaded", pid_file=str(self.pid_file))


@asynccontextmanager
async def _in_threads(opened: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager that waits for the disk."""
    given = await asyncio.to_thread(opened.__enter__)
    try:
        yield given
    except BaseException as error:
        await asyncio.to_thread(opened.__exit__, type(error), error, error.__traceback__)
        raise
    await asyncio.to_thread(opened.__exit__, None, None, None)


def _settle(waiting: "asyncio.Future[None] | None", error: Exception | None) -> None:
    if waiting is None or waiting.done():
        return
    if error is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(error)
