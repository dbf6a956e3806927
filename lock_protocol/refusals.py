"""Why a message was refused: one type per reason, in the order in which the acceptance rules find them.

    Refusal
    ├── shape       TooLarge, Malformed, EmptyState, UnsupportedVersion, UnknownType
    ├── trust       BadRoot, RootNotNext, BadDelegation, DelegationRollback, UnknownKey, BadSignature
    ├── payload     NonCanonical, BadSchema, DelegationMismatch
    ├── address     WrongPhone, WrongLender
    ├── order       Rollback, Duplicate, Equivocation, VersionJump, WrongNonce, StaleSequence
    └── AuthorityRefusal
                    OperationNotAllowed, DelegationExpired, LevelNotAllowed, LeaseNotAllowed, NoticeNotAllowed,
                    AlreadyReleased

The class name is the error's name on the wire (`Reported.detail`), in the vectors and in metrics.
"""


class Refusal(Exception):  # noqa: N818 - the names are the protocol's error names, used verbatim on the wire
    """A message was refused; nothing of it was applied and no floor moved."""

    @property
    def name(self) -> str:
        """The error's name on the wire."""
        return type(self).__name__


class TooLarge(Refusal):
    """More than 4096 bytes. Checked first, so that size alone never costs a phone work."""


class Malformed(Refusal):
    """Not the canonical encoding of an envelope of the expected shape."""


class EmptyState(Refusal):
    """An empty message or an empty payload. Absence of a state never means unlocked."""


class UnsupportedVersion(Refusal):
    """An envelope version other than 1."""


class UnknownType(Refusal):
    """Not the message type that belongs on this topic."""


class BadRoot(Refusal):
    """A root that its own keys, or those of the root before it, have not signed as they must."""


class RootNotNext(Refusal):
    """A root that does not follow the pinned one by exactly one; roots are followed without gaps."""


class BadDelegation(Refusal):
    """A delegation not signed by the pinned root's threshold, or an equal version with other content."""


class DelegationRollback(Refusal):
    """A delegation older than one this phone has accepted for the same lender."""


class UnknownKey(Refusal):
    """A signature by a key that the delegation (or the enrolment) does not name."""


class BadSignature(Refusal):
    """A signature that does not verify."""


class NonCanonical(Refusal):
    """A payload that is not exactly one msgpack value of the allowed types in shortest form."""


class BadSchema(Refusal):
    """A payload that does not fit its message's table."""


class DelegationMismatch(Refusal):
    """A payload that names another lender, epoch or delegation version than the delegation it came with."""


class WrongPhone(Refusal):
    """A message for (or from) another IMEI."""


class WrongLender(Refusal):
    """A message of a lender to which this phone is not bound."""


class Rollback(Refusal):
    """A state older than the newest one accepted."""


class Duplicate(Refusal):
    """The state that was accepted already: apply it again, report it again, move nothing."""


class Equivocation(Refusal):
    """Two different states with one version: somebody signs with the lender's keys beside the bridge."""


class VersionJump(Refusal):
    """A version so far ahead that accepting it would shut out all honest ones (fast-forward attack)."""


class WrongNonce(Refusal):
    """A `Fresh` that does not answer the outstanding hello."""


class StaleSequence(Refusal):
    """A report or hello with a sequence number that is not above the last one accepted."""


class AuthorityRefusal(Refusal):
    """Proven to be the lender's newest word, and still not allowed: the bridge has to know at once.

    All other refusals may be somebody's noise, so a phone reports each of those at most once a minute.
    """


class OperationNotAllowed(AuthorityRefusal):
    """The keys that signed may not do what the state does."""


class DelegationExpired(AuthorityRefusal):
    """An expired delegation may still open and release, but no longer lock."""


class LevelNotAllowed(AuthorityRefusal):
    """A level above the delegation's cap."""


class LeaseNotAllowed(AuthorityRefusal):
    """A lease longer than the delegation's cap."""


class NoticeNotAllowed(AuthorityRefusal):
    """A link to a host that the delegation does not name."""


class AlreadyReleased(AuthorityRefusal):
    """The phone is released for good."""
