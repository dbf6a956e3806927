"""Where a fleet's processes are told to connect."""

from dataclasses import replace
from pathlib import Path

from device_sim.identities import ToldBroker
from paylatch.local.phones import BrokerAddress, address_told

TOLD = ToldBroker(host="broker.example", port=8883, topic_prefix="paylatch/v1", tls=True, ca="PEM")
WHERE = ["--host", "broker.example", "--port", "8883", "--prefix", "paylatch/v1"]


def test_the_ca_that_phones_were_given_is_in_a_file(tmp_path: Path) -> None:
    address = address_told(TOLD, tmp_path)
    assert address.cafile is not None
    assert address.cafile.read_text() == "PEM"
    assert address.flags() == [*WHERE, "--tls", "--cafile", str(address.cafile)]


def test_without_a_ca_of_their_own_the_systems_count(tmp_path: Path) -> None:
    assert address_told(replace(TOLD, ca=None), tmp_path).flags() == [*WHERE, "--tls"]


def test_who_is_not_to_use_tls_is_told_of_no_ca(tmp_path: Path) -> None:
    assert replace(address_told(TOLD, tmp_path), tls=False).flags() == WHERE


def test_a_fleet_that_was_told_nothing_stays_on_this_machine() -> None:
    assert BrokerAddress().flags()[:4] == ["--host", "127.0.0.1", "--port", "1883"]
