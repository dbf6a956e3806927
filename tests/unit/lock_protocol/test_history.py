"""A phone that hears a history in any order and any number of times ends with the newest state it heard."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lock_protocol.acceptance import PhoneStanding, accept_state, floor_after_state, raised_by_state
from lock_protocol.codec import decode
from lock_protocol.envelope import DELEGATION, DESIRED, seal
from lock_protocol.keys import SigningKey
from lock_protocol.levels import Level
from lock_protocol.messages import Delegation, DesiredState, Notice, Root
from lock_protocol.refusals import Refusal
from tests.unit.lock_protocol import golden

WORKED = {one["name"]: one for one in golden.read("envelope")}
GRANT = decode(Delegation, bytes.fromhex(WORKED["a delegation, 2 of 3"]["payload"]))
PINNED = decode(Root, bytes.fromhex(WORKED["a root, 2 of 3"]["payload"]))
LOCK = decode(DesiredState, bytes.fromhex(WORKED["a lock"]["payload"]))


def keys_of(example: str) -> list[SigningKey]:
    return [SigningKey.from_seed(bytes.fromhex(one["seed"])) for one in WORKED[example]["signers"]]


BOTH_KEYS = keys_of("open, locked by lease: two keys")
LEVELS = (Level.UNLOCKED, Level.REMINDER, Level.LOCKED, Level.NOTICE)


def history() -> list[bytes]:
    """Return two epochs of states: in each, versions from 1 on with levels that go up and down."""
    messages = []
    for step, epoch in enumerate((GRANT.epoch, GRANT.epoch + 1)):
        grant = replace(GRANT, epoch=epoch, version=GRANT.version + step)
        delegation = seal(DELEGATION, grant, keys_of("a delegation, 2 of 3"))
        for version in range(1, 7):
            level = LEVELS[version % len(LEVELS)]
            state = replace(
                LOCK, epoch=epoch, version=version, delegation_version=grant.version, level=level, lease_then=level
            )
            messages.append(seal(DESIRED, state, BOTH_KEYS, delegation))
    return messages


HISTORY = history()


def unfloored() -> PhoneStanding:
    return PhoneStanding(
        imei=LOCK.imei, root=PINNED, floor=None, released=False, trusted_now=LOCK.issued_at, nonce=None
    )


def after(standing: PhoneStanding, message: bytes) -> PhoneStanding:
    """Return what the phone knows once it has heard a message, whatever became of it."""
    try:
        accepted = accept_state(message, standing)
    except Refusal:
        return standing
    return replace(
        standing,
        floor=floor_after_state(standing.floor, accepted),
        trusted_now=raised_by_state(standing.trusted_now, standing.floor, accepted),
    )


def after_all(messages: list[bytes]) -> PhoneStanding:
    standing = unfloored()
    for message in messages:
        standing = after(standing, message)
    return standing


@given(st.lists(st.integers(0, len(HISTORY) - 1), min_size=1, max_size=40))
def test_any_order_and_repetition_ends_in_the_newest_state_heard(heard: list[int]) -> None:
    newest = HISTORY[max(heard)]
    kept = after_all([HISTORY[index] for index in heard]).floor
    accepted = accept_state(newest, unfloored())
    assert kept is not None
    assert (kept.epoch, kept.version) == (accepted.message.epoch, accepted.message.version)
    assert kept.state_hash == accepted.payload_hash


@given(st.lists(st.integers(0, len(HISTORY) - 1), min_size=1, max_size=40))
def test_the_floor_never_falls(heard: list[int]) -> None:
    standing, kept = unfloored(), (0, 0)
    for index in heard:
        standing = after(standing, HISTORY[index])
        assert standing.floor is not None
        assert (standing.floor.epoch, standing.floor.version) >= kept
        kept = (standing.floor.epoch, standing.floor.version)


def test_a_second_state_of_the_newest_version_changes_nothing() -> None:
    other = replace(LOCK, version=1, notice=Notice(title="Another"))
    standing = after(unfloored(), HISTORY[0])
    delegation = seal(DELEGATION, GRANT, keys_of("a delegation, 2 of 3"))
    again = after(standing, seal(DESIRED, other, BOTH_KEYS, delegation))
    assert again == standing
