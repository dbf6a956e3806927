"""The control channel: who may speak to it, and what it says to nonsense."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from device_sim.adapters.storage import MemoryStorage
from device_sim.fleet.alarms import Alarms
from device_sim.fleet.connections import Connections, Pace
from device_sim.fleet.control import ControlSocketError, control_channel, control_socket
from device_sim.fleet.control_client import FleetControl, FleetControlError
from device_sim.fleet.control_messages import Response
from device_sim.fleet.counters import Counters
from device_sim.fleet.fleet import Fleet
from device_sim.fleet.link import LinkError, Session
from device_sim.fleet.simulated_phone import SimulatedPhone, Surroundings
from device_sim.fleet.watches import Watches
from device_sim.identities import FleetPhone, simulated_imei
from lock_protocol.levels import Level
from tests.loopback.handset import IMEI, Handset


class NoNetwork:
    """A dialler whose every connection fails."""

    async def dial(self, phone: FleetPhone, root_version: int, session: Session) -> None:
        del root_version, session
        raise LinkError(f"{phone.imei} has no network")


@asynccontextmanager
async def fleet_of(handset: Handset, path: Path) -> AsyncIterator[Fleet]:
    around = Surroundings(
        storage=MemoryStorage(), alarms=Alarms(lambda _: None), counters=Counters(), watches=Watches()
    )
    phone = SimulatedPhone(FleetPhone(identity=handset.phone.identity, password="unused"), around)
    with control_socket(path) as listener:
        async with asyncio.TaskGroup() as tasks:
            fleet = Fleet([phone], Connections(NoNetwork(), Pace(backoff_cap_s=0.01), tasks), around)
            async with control_channel(fleet, listener, tasks):
                fleet.start()
                yield fleet
            await fleet.stop()


async def say(path: Path, *lines: bytes) -> list[Response]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.writelines(line + b"\n" for line in lines)
    writer.write_eof()
    answers = (await reader.read()).splitlines()
    writer.close()
    return [Response.model_validate_json(answer) for answer in answers]


@pytest.mark.parametrize(
    ("request_line", "fault"),
    [
        (b"", "Invalid JSON"),
        (
            b'{"op": "signal", "imeis": ["%b"], "signals": 128}' % IMEI.encode(),
            "signal.signals: Input should be less than",
        ),
        (b"{", "Invalid JSON"),
        (b'{"op": "explode"}', "does not match any of the expected tags"),
        (b'{"op": "dump", "verbose": true}', "verbose: Extra inputs are not permitted"),
        (b'{"op": "cut", "imeis": ["490154203237510"]}', "has check digit 0, expected 8"),
        (b'{"op": "cut"}', "cut.imeis: Field required"),
        (b'{"op": "tamper", "imei": "001017000000011", "level": 4}', "a level is one of unlocked, notice"),
        (b'{"op": "await_settled", "timeout_s": -1}', "greater than or equal to 0"),
    ],
)
async def test_nonsense_is_explained(tmp_path: Path, fresh_phone: Handset, request_line: bytes, fault: str) -> None:
    async with fleet_of(fresh_phone, tmp_path / "sock"):
        (response,) = await say(tmp_path / "sock", request_line)
    assert not response.ok
    assert fault in response.error


async def test_a_connection_takes_many_requests(tmp_path: Path, fresh_phone: Handset) -> None:
    async with fleet_of(fresh_phone, tmp_path / "sock"):
        responses = await say(tmp_path / "sock", b'{"op": "counters"}', b"nonsense", b'{"op": "dump"}')
    assert [response.ok for response in responses] == [True, False, True]


async def test_a_phone_of_another_fleet_is_an_error(tmp_path: Path, fresh_phone: Handset) -> None:
    async with fleet_of(fresh_phone, tmp_path / "sock"):
        with pytest.raises(FleetControlError, match=f"no phone of this fleet has the IMEI {simulated_imei(9)}"):
            await FleetControl(tmp_path / "sock").factory_reset([IMEI, simulated_imei(9)])


async def test_only_the_fleets_user_can_open_the_socket(tmp_path: Path, fresh_phone: Handset) -> None:
    path = tmp_path / "sock"
    async with fleet_of(fresh_phone, path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


async def test_a_socket_left_by_a_dead_process_is_replaced(tmp_path: Path, fresh_phone: Handset) -> None:
    path = tmp_path / "sock"
    (await asyncio.start_unix_server(lambda *_: None, path)).close()
    async with fleet_of(fresh_phone, path):
        assert len(await FleetControl(path).dump()) == 1


async def test_a_file_in_the_sockets_place_is_not(tmp_path: Path, fresh_phone: Handset) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("keep me", encoding="utf-8")
    with pytest.raises(ControlSocketError, match="Address already in use"):
        async with fleet_of(fresh_phone, path):
            pass
    assert path.read_text(encoding="utf-8") == "keep me"


async def test_waiting_for_what_does_not_come_ends_in_time(tmp_path: Path, fresh_phone: Handset) -> None:
    async with fleet_of(fresh_phone, tmp_path / "sock"):
        control = FleetControl(tmp_path / "sock")
        (mismatch,) = await control.await_levels({IMEI: Level.LOCKED}, 0)
        assert (mismatch.imei, mismatch.wanted) == (IMEI, Level.LOCKED)
        assert await control.await_settled(0) == [IMEI]
        assert await control.await_refusals(1, 0) == 0


async def test_waiting_ends_with_the_change(tmp_path: Path, fresh_phone: Handset) -> None:
    async with fleet_of(fresh_phone, tmp_path / "sock") as fleet:
        control = FleetControl(tmp_path / "sock")
        waiting = asyncio.ensure_future(control.await_levels({IMEI: Level.NOTICE}, 10))
        await control.tamper(IMEI, Level.NOTICE)
        assert await waiting == []
        assert fleet.phones[IMEI].handset.level is Level.NOTICE


async def test_stop_is_answered_before_the_fleet_ends(tmp_path: Path, fresh_phone: Handset) -> None:
    async with fleet_of(fresh_phone, tmp_path / "sock") as fleet:
        await FleetControl(tmp_path / "sock").stop()
        assert fleet.stopping.is_set()
