"""Keys in files: what is missing, unsafe or does not fit is refused at the start."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from broker_bridge.adapters.signing.keys import FileSigner, KeyFileError, init_development_keys, usable_delegation
from broker_bridge.app.ports.signing import UnknownLenderError
from lock_protocol.acceptance import PhoneStanding, accept_state
from lock_protocol.levels import Level, Ops
from lock_protocol.messages import LenderId
from lock_protocol.trust import pinned_root, verify_delegation
from tests.loopback.lender import EPOCH_BEGIN, Lender, RootAuthority
from tests.unit.broker_bridge.facts import IMEI

ACME, OTHER = LenderId("acme-mobile"), LenderId("other-lender")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A directory with development keys for one lender."""
    directory = tmp_path / "keys"
    make(directory, ACME)
    return directory


def make(directory: Path, lender: LenderId) -> None:
    init_development_keys(directory, lender, now=EPOCH_BEGIN, hosts=["pay.example"])


def signer(directory: Path) -> FileSigner:
    return FileSigner(directory, development=True)


def test_what_is_made_can_be_loaded_and_names_its_lender(keys: Path) -> None:
    assert signer(keys).delegation(ACME).lender == ACME


def test_every_key_is_for_its_owner_alone(keys: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in keys.rglob("*.key")} == {0o600}


@pytest.mark.parametrize("level", list(Level))
def test_a_phone_accepts_what_is_signed_at_every_level(keys: Path, level: Level) -> None:
    signing = signer(keys)
    delegation = signing.delegation(ACME)
    state = Lender(now=EPOCH_BEGIN + 60).state(IMEI, level, delegation_version=delegation.version)
    envelope = signing.sign_state(state)
    standing = PhoneStanding(
        imei=IMEI, root=signing.root, floor=None, released=False, trusted_now=EPOCH_BEGIN, nonce=None
    )
    assert accept_state(envelope, standing).message == state


def test_a_second_lender_is_under_the_same_root(keys: Path) -> None:
    make(keys, OTHER)
    signing = signer(keys)
    assert {one.lender for one in signing.delegations()} == {ACME, OTHER}
    assert {one.root_version for one in signing.delegations()} == {1}


@pytest.mark.parametrize("host", ["NOT-A-HOST", "https://pay.example", ""])
def test_a_host_that_cannot_be_leaves_nothing_in_the_way_of_the_next_try(tmp_path: Path, host: str) -> None:
    directory = tmp_path / "keys"
    with pytest.raises(ValueError, match="hosts"):
        init_development_keys(directory, ACME, now=EPOCH_BEGIN, hosts=[host])
    make(directory, ACME)
    assert signer(directory).delegation(ACME).hosts == ("pay.example",)


def test_no_key_opens_for_two_lenders(keys: Path) -> None:
    make(keys, OTHER)
    acme, other = ({key.public for key in signer(keys).delegation(one).keys} for one in (ACME, OTHER))
    assert acme.isdisjoint(other)


def test_keys_are_never_overwritten(keys: Path) -> None:
    before = (keys / ACME / "lock.key").read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        make(keys, ACME)
    assert (keys / ACME / "lock.key").read_bytes() == before


def test_a_lender_without_keys_is_unknown(keys: Path) -> None:
    with pytest.raises(UnknownLenderError, match=OTHER):
        signer(keys).delegation(OTHER)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666, 0o610])
def test_a_key_that_others_can_read_is_refused(keys: Path, mode: int) -> None:
    (keys / ACME / "unlock.key").chmod(mode)
    with pytest.raises(KeyFileError, match=rf"unlock\.key has mode {mode:o}.*chmod 600"):
        signer(keys)


def test_the_roots_private_key_has_no_place_in_production(keys: Path) -> None:
    with pytest.raises(KeyFileError, match=r"root\.key.*must not be"):
        FileSigner(keys, development=False)


def test_a_phone_without_a_root_can_pin_the_one_that_has_followed_another(tmp_path: Path) -> None:
    first = RootAuthority()
    second = first.successor()
    (tmp_path / "root.envelope").write_bytes(first.envelope)
    (tmp_path / "root.2.envelope").write_bytes(second.envelope)
    signing = signer(tmp_path)
    assert pinned_root(signing.root_to_pin) == signing.root == second.root


def test_a_delegation_in_another_lenders_directory_is_refused(keys: Path) -> None:
    (keys / ACME).rename(keys / OTHER)
    with pytest.raises(KeyFileError, match=f"is for lender {ACME}"):
        signer(keys)


def test_a_delegation_of_another_root_is_refused(keys: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    make(elsewhere, ACME)
    shutil.copy(elsewhere / ACME / "delegation.envelope", keys / ACME / "delegation.envelope")
    with pytest.raises(KeyFileError, match=r"delegation\.envelope: .*no key of the root"):
        signer(keys)


def test_keys_of_another_delegation_are_refused(keys: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    make(elsewhere, ACME)
    shutil.copy(elsewhere / ACME / "lock.key", keys / ACME / "lock.key")
    with pytest.raises(KeyFileError, match="no delegated key for lock"):
        signer(keys)


@pytest.mark.parametrize("name", ["lock", "unlock", "fresh"])
def test_a_key_that_is_missing_is_named_by_what_it_is_for(keys: Path, name: str) -> None:
    (keys / ACME / f"{name}.key").unlink()
    with pytest.raises(KeyFileError, match=f"no delegated key for .*{name}"):
        signer(keys)


@pytest.mark.parametrize("content", ["", "not hexadecimal", "00" * 31, "00" * 33, "é" * 64])
def test_a_key_file_that_holds_no_seed_is_refused(keys: Path, content: str) -> None:
    (keys / ACME / "lock.key").write_text(content, encoding="utf-8")
    with pytest.raises(KeyFileError, match="32 bytes in hexadecimal"):
        signer(keys)


@pytest.mark.parametrize("name", ["root.envelope", f"{ACME}/delegation.envelope"])
def test_a_document_that_was_altered_is_refused(keys: Path, name: str) -> None:
    path = keys / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=path.name.replace(".", r"\.")):
        signer(keys)


def test_without_any_keys_it_is_said_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="paylatch keys init"):
        signer(tmp_path)


def test_each_key_may_do_its_own_work_only(keys: Path) -> None:
    root = pinned_root((keys / "root.envelope").read_bytes())
    delegation = verify_delegation(root, (keys / ACME / "delegation.envelope").read_bytes())
    assert sorted(int(key.ops) for key in delegation.keys) == [
        Ops.LOCK,
        Ops.UNLOCK | Ops.RELEASE,
        Ops.FRESH,
    ]


# --- lenders that come later ---------------------------------------------------------------------------------------


def test_a_lender_that_is_added_while_the_bridge_runs_needs_no_restart(keys: Path) -> None:
    running = signer(keys)
    with pytest.raises(UnknownLenderError):
        running.delegation(OTHER)
    make(keys, OTHER)
    assert running.delegation(OTHER).lender == OTHER
    assert {one.lender for one in running.delegations()} == {ACME, OTHER}


def test_threads_that_meet_a_new_lender_at_once_load_it_once(keys: Path) -> None:
    running = signer(keys)
    make(keys, OTHER)
    together = Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return id(running.delegation(OTHER))

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1


def test_keys_that_cannot_be_used_are_no_fault_of_the_others_and_may_be_mended(keys: Path) -> None:
    running = signer(keys)
    make(keys, OTHER)
    (keys / OTHER / "lock.key").chmod(0o644)
    with pytest.raises(UnknownLenderError, match="paylatch config check") as caught:
        running.delegation(OTHER)
    assert str(keys) not in str(caught.value), "lenders read this"
    assert "chmod 600" in str(caught.value.__cause__)
    assert running.delegation(ACME).lender == ACME
    (keys / OTHER / "lock.key").chmod(0o600)
    assert running.delegation(OTHER).lender == OTHER


def test_a_lender_whose_phones_are_enrolled_gets_no_delegation_without_a_start(keys: Path) -> None:
    running = signer(keys)
    running.load_at_start_only([OTHER])
    make(keys, OTHER)
    with pytest.raises(UnknownLenderError, match=OTHER):
        running.delegation(OTHER)
    assert signer(keys).delegation(OTHER).lender == OTHER


def test_whether_a_lender_can_be_signed_for_is_told(keys: Path) -> None:
    usable = usable_delegation(keys, ACME)
    assert usable == signer(keys).delegation(ACME)
    assert usable_delegation(keys, OTHER) is None
    (keys / ACME / "lock.key").unlink()
    with pytest.raises(KeyFileError, match="no delegated key for lock"):
        usable_delegation(keys, ACME)
