"""IMEI and topic names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lock_protocol.imei import InvalidImeiError, luhn_digit, parse_imei
from lock_protocol.topics import InvalidTopicError, PhoneTopic, Topics
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.golden import Vector

MADE = [one for one in golden.read("topics") if "make" in one and "result" in one]
NOT_MADE = [one for one in golden.read("topics") if "make" in one and "error" in one]
PARSED = [one for one in golden.read("topics") if "topic" in one and "result" in one]
NOT_PARSED = [one for one in golden.read("topics") if "topic" in one and "error" in one]


@golden.every("imei", valid=True)
def test_an_imei_is_taken_as_it_is(vector: Vector) -> None:
    assert parse_imei(vector["input"]) == vector["result"]


@golden.every("imei", valid=False)
def test_what_is_no_imei_is_refused(vector: Vector) -> None:
    with pytest.raises(InvalidImeiError):
        parse_imei(vector["input"])


@given(st.from_regex(r"[0-9]{14}", fullmatch=True).filter(lambda body: body != "0" * 14), st.integers(0, 9))
def test_exactly_one_of_ten_check_digits_is_right(body: str, other: int) -> None:
    right = luhn_digit(body)
    assert parse_imei(body + right) == body + right
    if str(other) != right:
        with pytest.raises(InvalidImeiError, match=f"expected {right}"):
            parse_imei(f"{body}{other}")


def test_an_error_shows_no_more_of_its_input_than_a_log_can_bear() -> None:
    with pytest.raises(InvalidImeiError) as caught:
        parse_imei("9" * 1_000_000)
    assert len(str(caught.value)) < 200


def made(vector: Vector) -> str:
    """Return the topic that an entry asks for."""
    topics, arguments = Topics(vector["prefix"]), vector["arguments"]
    makers = {
        "root": lambda: topics.root(arguments["root_version"]),
        "decisions": lambda: topics.decisions(arguments["lender"]),
        "results": lambda: topics.results(arguments["lender"]),
        "status": lambda: topics.status,
        "canary": lambda: topics.canary,
        "barrier": lambda: topics.barrier,
        "all_phones": lambda: topics.all_phones(PhoneTopic(arguments["kind"])),
    }
    return makers[vector["make"]]()


@pytest.mark.parametrize("vector", MADE, ids=[one["name"] for one in MADE])
def test_a_topic_is_made_as_the_golden_file_says(vector: Vector) -> None:
    assert made(vector) == vector["result"]["topic"]


@pytest.mark.parametrize("vector", NOT_MADE, ids=[one["name"] for one in NOT_MADE])
def test_no_topic_is_made_of_what_does_not_belong_in_one(vector: Vector) -> None:
    with pytest.raises(ValueError, match=r"prefix|lender|numbered|PhoneTopic"):
        made(vector)


@pytest.mark.parametrize("vector", PARSED, ids=[one["name"] for one in PARSED])
def test_a_phones_topic_is_parsed_and_made_again(vector: Vector) -> None:
    topics = Topics(vector["prefix"])
    imei, kind = topics.parse_phone(vector["topic"])
    assert (imei, kind) == (vector["result"]["imei"], vector["result"]["kind"])
    assert topics.phone(imei, kind) == vector["topic"]


@pytest.mark.parametrize("vector", NOT_PARSED, ids=[one["name"] for one in NOT_PARSED])
def test_what_is_no_topic_of_a_phone_is_refused(vector: Vector) -> None:
    with pytest.raises(InvalidTopicError):
        Topics(vector["prefix"]).parse_phone(vector["topic"])


@given(st.text())
def test_any_text_is_a_phones_topic_or_refused(text: str) -> None:
    with pytest.raises(InvalidTopicError):
        Topics().parse_phone(text)
