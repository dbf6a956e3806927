"""The chain of trust: roots, and the delegations they sign."""

import pytest

from lock_protocol.messages import Delegation, Root
from lock_protocol.refusals import Refusal
from lock_protocol.trust import follow_root, pinned_root, verify_delegation
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.golden import Vector, message_of


def believed_root(vector: Vector) -> Root:
    pinned = vector["pinned"]
    message = message_of(vector)
    return pinned_root(message) if pinned is None else follow_root(pinned_root(bytes.fromhex(pinned)), message)


def believed_delegation(vector: Vector) -> Delegation:
    return verify_delegation(pinned_root(bytes.fromhex(vector["root"])), message_of(vector))


@golden.every("roots", valid=True)
def test_a_root_is_believed(vector: Vector) -> None:
    assert golden.fields_of(believed_root(vector)) == vector["result"]


@golden.every("roots", valid=False)
def test_a_root_with_a_defect_is_refused(vector: Vector) -> None:
    with pytest.raises(Refusal) as caught:
        believed_root(vector)
    assert caught.value.name == vector["error"]


@golden.every("delegations", valid=True)
def test_a_delegation_is_believed(vector: Vector) -> None:
    assert golden.fields_of(believed_delegation(vector)) == vector["result"]


@golden.every("delegations", valid=False)
def test_a_delegation_with_a_defect_is_refused_each_time(vector: Vector) -> None:
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            believed_delegation(vector)
        assert caught.value.name == vector["error"]
