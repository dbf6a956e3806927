"""The log of what phones bring about: as often as somebody has to know, and no phone fills the disk."""

import pytest

from broker_bridge.app.phones_log import LOG_AGAIN_S, MOST_REMEMBERED, PhonesLog
from tests.bridge_rig import KeptLog, SetClock


class Phones:
    """A log, its clock, and what stands in it."""

    def __init__(self) -> None:
        self.clock, self.kept = SetClock(), KeptLog()
        self.log = PhonesLog(self.kept, self.clock)


@pytest.fixture
def phones() -> Phones:
    return Phones()


def test_the_same_of_the_same_phone_is_logged_once_a_minute(phones: Phones) -> None:
    for second in range(3 * int(LOG_AGAIN_S)):
        phones.log.about("490154203237518").warning("state_refused", number=second)
        phones.clock.advance(1)
    assert [fields["number"] for _, _, fields in phones.kept.entries] == [0, 60, 120]


def test_neither_another_phone_nor_another_event_is_held_back(phones: Phones) -> None:
    for about in ("490154203237518", "356938035643809"):
        for event in ("state_refused", "foreign_state"):
            phones.log.about(about).warning(event, imei=about)
    assert [(event, fields["imei"]) for _, event, fields in phones.kept.entries] == [
        ("state_refused", "490154203237518"),
        ("foreign_state", "490154203237518"),
        ("state_refused", "356938035643809"),
        ("foreign_state", "356938035643809"),
    ]


def test_each_level_is_the_logs_own(phones: Phones) -> None:
    phones.log.about("1").info("late_report", imei="1")
    phones.log.about("1").warning("state_refused", imei="1")
    phones.log.about("1").critical("opening_refused", imei="1")
    assert phones.kept.entries == [
        ("info", "late_report", {"imei": "1"}),
        ("warning", "state_refused", {"imei": "1"}),
        ("critical", "opening_refused", {"imei": "1"}),
    ]


def test_what_is_remembered_has_a_bound_and_the_rest_is_logged_all_the_same(phones: Phones) -> None:
    for number in range(MOST_REMEMBERED + 1):
        phones.log.about(str(number)).warning("message_refused")
    phones.log.about(str(MOST_REMEMBERED)).warning("message_refused")
    phones.log.about("0").warning("message_refused")
    assert len(phones.kept.entries) == MOST_REMEMBERED + 2
