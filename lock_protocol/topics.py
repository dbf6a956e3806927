"""MQTT topic names: made and parsed here and nowhere else."""

import re
from dataclasses import dataclass
from enum import StrEnum

from lock_protocol.imei import Imei, InvalidImeiError, parse_imei
from lock_protocol.messages import LENDER, LenderId

DEFAULT_PREFIX = "paylatch/v1"
_TOPIC_LEVELS = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*", re.ASCII)


class PhoneTopic(StrEnum):
    """The last level of a topic below `…/phones/{imei}/`."""

    DESIRED = "desired"
    FRESH = "fresh"
    HELLO = "hello"
    REPORTED = "reported"
    PRESENCE = "presence"


class InvalidTopicError(ValueError):
    """A prefix or a topic that is not of this protocol."""


@dataclass(frozen=True, slots=True)
class Topics:
    """All topic names under one prefix.

    Invariant: every level matches `[A-Za-z0-9_-]+`, so no name can hold a wildcard or a `$`.
    """

    prefix: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        """Refuse a prefix with wildcards, empty levels or other characters."""
        if not _TOPIC_LEVELS.fullmatch(self.prefix):
            msg = f"topic prefix {self.prefix!r}: levels of [A-Za-z0-9_-] joined by '/', no leading or trailing '/'"
            raise InvalidTopicError(msg)

    def phone(self, imei: Imei, kind: PhoneTopic) -> str:
        """Return the topic of one phone."""
        return f"{self.prefix}/phones/{imei}/{kind}"

    def all_phones(self, kind: PhoneTopic) -> str:
        """Return the filter that matches this topic of every phone."""
        return f"{self.prefix}/phones/+/{kind}"

    def parse_phone(self, topic: str) -> tuple[Imei, PhoneTopic]:
        """Return the IMEI and kind of a phone's topic.

        Raises:
            InvalidTopicError: not a phone's topic under this prefix, or no valid IMEI in it.
        """
        head, _, kind = topic.rpartition("/")
        base, _, imei = head.rpartition("/")
        try:
            if base == f"{self.prefix}/phones":
                return parse_imei(imei), PhoneTopic(kind)
        except (InvalidImeiError, ValueError) as error:
            raise InvalidTopicError(str(error)) from error
        msg = f"{topic!r} is not below {self.prefix}/phones"
        raise InvalidTopicError(msg)

    def root(self, root_version: int) -> str:
        """Return the topic of root number `root_version`.

        Raises:
            InvalidTopicError: a number below 1.
        """
        if root_version < 1:
            raise InvalidTopicError(f"roots are numbered from 1, not {root_version}")
        return f"{self.prefix}/roots/{root_version}"

    def decisions(self, lender: str) -> str:
        """Return the topic on which a lender publishes decisions.

        Raises:
            InvalidTopicError: not a lender's name.
        """
        return self._of_lender(lender, "decisions")

    @property
    def all_decisions(self) -> str:
        """The filter that matches the decisions of every lender."""
        return f"{self.prefix}/lenders/+/decisions"

    def parse_decisions(self, topic: str) -> LenderId:
        """Return whose decisions come on a topic.

        Raises:
            InvalidTopicError: not a decisions topic under this prefix, or no lender's name in it.
        """
        lender = topic.removeprefix(f"{self.prefix}/lenders/").removesuffix("/decisions")
        if self.decisions(lender) != topic:
            raise InvalidTopicError(f"{topic!r} is not the decisions topic of a lender below {self.prefix}")
        return LenderId(lender)

    def results(self, lender: str) -> str:
        """Return the topic on which a lender hears what became of its decisions.

        Raises:
            InvalidTopicError: not a lender's name.
        """
        return self._of_lender(lender, "results")

    @property
    def status(self) -> str:
        """The bridge's retained status: online with its version, offline as its will."""
        return f"{self.prefix}/bridge/status"

    @property
    def canary(self) -> str:
        """The bridge's retained canary: how much of what was published the broker still has."""
        return f"{self.prefix}/bridge/canary"

    @property
    def barrier(self) -> str:
        """The bridge's own echo: what comes after it on a connection was not there before."""
        return f"{self.prefix}/bridge/barrier"

    def _of_lender(self, lender: str, kind: str) -> str:
        if not LENDER.fullmatch(lender):
            raise InvalidTopicError(f"{lender!r} is no lender: 3 to 32 of [a-z0-9-]")
        return f"{self.prefix}/lenders/{lender}/{kind}"
