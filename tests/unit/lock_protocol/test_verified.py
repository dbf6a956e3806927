"""Only the acceptance rules make a `Verified`."""

from dataclasses import fields, replace
from typing import Any

import pytest

from lock_protocol.acceptance import Verified
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.test_acceptance import state_in

GOOD = next(one for one in golden.read("states") if one["name"] == "locked")


def parts_of(verified: Verified[Any]) -> dict[str, Any]:
    return {field.name: getattr(verified, field.name) for field in fields(verified)}


def test_a_verified_message_cannot_be_made_from_its_parts() -> None:
    with pytest.raises(TypeError, match="only the acceptance rules"):
        Verified(**parts_of(state_in(GOOD)))


def test_a_verified_message_cannot_be_changed_into_another_one() -> None:
    forged: dict[str, Any] = {"message": None}
    with pytest.raises(TypeError, match="only the acceptance rules"):
        replace(state_in(GOOD), **forged)


def test_a_verified_message_tells_what_it_was_verified_from() -> None:
    verified = state_in(GOOD)
    assert verified.envelope == golden.message_of(GOOD)
    assert verified.delegation is not None
    assert verified.delegation.lender == verified.message.lender
