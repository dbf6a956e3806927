"""A fleet: its phones, their connections, and what they share."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from device_sim.fleet.connections import Connections
from device_sim.fleet.simulated_phone import SimulatedPhone, Surroundings
from lock_protocol.imei import Imei


class UnknownPhoneError(LookupError):
    """An IMEI that is no phone of this fleet."""


class Fleet:
    """The phones of one process, by IMEI.

    Args:
        phones: in the order in which they connect.
        connections: keeps them connected.
        around: what they share.
    """

    def __init__(self, phones: Iterable[SimulatedPhone], connections: Connections, around: Surroundings) -> None:
        self.phones = {phone.imei: phone for phone in phones}
        self.connections = connections
        self.around = around
        self.stopping = asyncio.Event()
        """Set when the process is to end."""

    def start(self) -> None:
        """Connect all phones."""
        self.connections.start(self.phones.values())

    async def stop(self) -> None:
        """Disconnect all phones."""
        await self.connections.drop(self.phones.values())

    def some(self, imeis: Iterable[Imei] | None) -> list[SimulatedPhone]:
        """Return these phones; all of them for None.

        Raises:
            UnknownPhoneError: one of them is not here.
        """
        if imeis is None:
            return list(self.phones.values())
        try:
            return [self.phones[imei] for imei in imeis]
        except KeyError as error:
            raise UnknownPhoneError(f"no phone of this fleet has the IMEI {error.args[0]}") from error

    async def while_disconnected(self, phones: Sequence[SimulatedPhone], act: Callable[[SimulatedPhone], None]) -> None:
        """Do something that no connection outlives, then reconnect the phones that are to be connected.

        Raises:
            StorageError: of the first phone on which `act` failed; the phones reconnect all the same.
        """
        connected = [phone for phone in phones if self.connections.wanted(phone)]
        await self.connections.drop(connected)
        try:
            for phone in phones:
                act(phone)
        finally:
            self.connections.start(connected)
