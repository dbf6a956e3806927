"""roots.json and delegations.json: what a phone believes because the root has signed it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lock_protocol.envelope import DELEGATION, ROOT
from lock_protocol.keys import SigningKey
from lock_protocol.levels import Level, Ops
from lock_protocol.messages import Delegation, LenderId, Root
from vectors.making import cast, curve
from vectors.making.acceptance import broken
from vectors.making.parts import Parts, Vector, parts, payload, vector

_OLD, _NEW = cast.ROOT_KEYS, cast.NEXT_ROOT_KEYS
_BOTH = (*_OLD[:2], *_NEW[:2])
_SHARED = replace(cast.ROOT_2, keys=cast.publics((*_OLD[:2], _NEW[0])))
"""The next root when only one key is replaced."""


def roots() -> list[Vector]:
    """Return the entries of roots.json."""
    return [*_pinned(), *_followed(), *_out_of_turn(), *_bad_tables(), *_bad_outsides()]


def _root(by: Iterable[SigningKey], root: Root = cast.ROOT_1, **fields: Any) -> Parts:
    return parts(ROOT.media_type, payload(root, **fields), by)


def _pin(name: str, message: Parts | bytes, root: Root | None = None, item: str = "") -> Vector:
    """Return a root as firmware pins it: good when `root` is given."""
    return _entry(name, None, message, root, "BadRoot", item)


def _follow(
    name: str, message: Parts, root: Root | None = None, error: str = "BadRoot", item: str = "", after: bytes = b""
) -> Vector:
    """Return a root that is to follow root 1, or the one `after` holds: good when `root` is given."""
    return _entry(name, after or cast.PINNED, message, root, error, item)


def _entry(name: str, pinned: bytes | None, message: Parts | bytes, root: Root | None, error: str, item: str) -> Vector:
    verdict: Vector = {} if root is None else {"result": root}
    data = message.pack() if isinstance(message, Parts) else message
    return vector(name, defects=[] if root else [error], item=item, pinned=pinned, message=data, **verdict)


def _pinned() -> list[Vector]:
    alone = replace(cast.ROOT_1, threshold=1, keys=cast.publics(_OLD[:1]))
    two = _root(_OLD[:2])
    (id_, one), other = two.signatures
    item = "one key under two ids"
    return [
        _pin("2 of 3", two, cast.ROOT_1),
        _pin("3 of 3", _root(_OLD), cast.ROOT_1),
        _pin("1 of 1, as in development", _root(_OLD[:1], alone), alone),
        *_limits_of_roots(),
        _pin("1 signature, threshold 2", _root(_OLD[:1])),
        _pin(
            "the same signature twice for threshold 2",
            replace(two, signatures=two.signatures[:1] * 2),
            item="the same signature twice for threshold 2",
        ),
        _pin(
            "one key under two ids, the second made up",
            replace(two, signatures=_ascending((id_, one), (bytes(8), one))),
            item=item,
        ),
        _pin(
            "one key under two ids, the second another key's",
            replace(two, signatures=((id_, one), (other[0], one))),
            item=item,
        ),
        _pin("two good signatures and a stranger's", _root((*_OLD[:2], cast.STRANGER))),
        _pin("two good signatures and a broken one", broken(_root(_OLD))),
        _pin("a malleated signature", broken(two, curve.malleated)),
        _pin("signatures not ascending by key id", replace(two, signatures=two.signatures[::-1])),
        _pin("signed by a lender's keys", _root((cast.LOCK, cast.UNLOCK))),
    ]


def _limits_of_roots() -> list[Vector]:
    """Return roots with a field at the last value that its table allows, and one beyond with signers enough."""
    many = tuple(cast.key(f"root 1 {letter}") for letter in "abcdefghi")
    nine = replace(cast.ROOT_1, threshold=5, keys=cast.publics(many), provisional_s=604_800)
    none = replace(
        cast.ROOT_1, root_version=2**31 - 1, issued_at=2**32 - 1, provisional_s=0, provisional_level=Level.UNLOCKED
    )
    return [
        _pin("5 of 9, provisional for a week", _root(many[:5], nine), nine),
        _pin("9 of 9", _root(many, nine), nine),
        _pin("the last root there can be, at the end of time, with no provisional time", _root(_OLD[:2], none), none),
        _pin("4 of 9, threshold 5", _root(many[:4], nine)),
        _pin("threshold 6, signed by 6 of 9", _root(many[:6], nine, threshold=6)),
        _pin("issued_at 2^32", _root(_OLD[:2], issued_at=2**32)),
    ]


def _ascending(*signatures: tuple[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(sorted(signatures))


def _followed() -> list[Vector]:
    next_root, root_3 = cast.ROOT_2, replace(cast.ROOT_2, root_version=3)
    pinned_2 = cast.root_envelope(cast.ROOT_2, _BOTH[2:])
    stricter = replace(cast.ROOT_2, threshold=3)
    return [
        _follow("2 of the old and 2 of the new", _root(_BOTH, next_root), next_root),
        _follow("all of the old and all of the new", _root((*_OLD, *_NEW), next_root), next_root),
        _follow("two keys that are in both roots count for both", _root(_OLD[:2], _SHARED), _SHARED),
        _follow("3 after 2", _root(_NEW[:2], root_3), root_3, after=pinned_2),
        _follow("the old threshold is missing", _root(_NEW[:2], next_root)),
        _follow("one below the old threshold", _root((_OLD[0], *_NEW[:2]), next_root)),
        _follow("the new threshold is missing", _root(_OLD[:2], next_root)),
        _follow("one below the new threshold", _root((*_OLD[:2], _NEW[0]), next_root)),
        _follow("one below a new threshold of 3", _root(_BOTH, stricter)),
        _follow("a stranger's signature beside enough good ones", _root((*_BOTH, cast.STRANGER), next_root)),
        _follow("one broken signature beside enough good ones", broken(_root((*_OLD, *_NEW), next_root))),
        _follow("a delegation typed as a root", parts(ROOT.media_type, payload(cast.GRANT), _OLD[:2])),
    ]


def _out_of_turn() -> list[Vector]:
    """Return roots that are rightly signed, and not next."""
    numbers = {"root N+2": 3, "root N again": 1, "root 2^31-1": 2**31 - 1}
    before = cast.root_envelope(cast.ROOT_2, _NEW[:2])
    unsigned = _root((cast.STRANGER,), cast.ROOT_2, root_version=3)
    return [
        *(
            _follow(
                name,
                _root(_BOTH, cast.ROOT_2, root_version=number),
                error="RootNotNext",
                item=name if name == "root N+2" else "",
            )
            for name, number in numbers.items()
        ),
        _follow("root N-1", _root(_BOTH), error="RootNotNext", after=before),
        _follow("root N+2, signed by nobody known: the number is judged first", unsigned, error="RootNotNext"),
    ]


def _bad_tables() -> list[Vector]:
    """Return payloads that do not fit the table of a root."""
    ascending = cast.ROOT_1.keys
    wrong: dict[str, Vector] = {
        "threshold 0": {"threshold": 0},
        "threshold 6": {"threshold": 6},
        "threshold above the number of keys": {"threshold": 4},
        "no keys": {"keys": (), "threshold": 1},
        "ten keys, the signers' among them": {
            "keys": tuple(sorted((*ascending, *(bytes([one]) * 32 for one in range(7)))))
        },
        "keys not ascending": {"keys": ascending[::-1]},
        "one key twice": {"keys": (ascending[0], *ascending)},
        "a key of 31 bytes beside the signers'": {"keys": tuple(sorted((*ascending, bytes(31))))},
        "root_version 0": {"root_version": 0},
        "root_version 2^31": {"root_version": 2**31},
        "provisional for a week and a second": {"provisional_s": 604_801},
        "provisional_level 4": {"provisional_level": 4},
        "provisional_level 9": {"provisional_level": 9},
    }
    return [_pin(name, _root(_OLD[:2], **fields)) for name, fields in wrong.items()]


def _bad_outsides() -> list[Vector]:
    good = _root(_OLD[:2])
    content = payload(cast.ROOT_1)
    return [
        _pin("a trailing byte", good.pack() + b"\x00"),
        _pin("a trailing byte in the payload", parts(ROOT.media_type, content + b"\x00", _OLD[:2])),
        _pin("envelope version 2", replace(good, version=2)),
        _pin("typed as a delegation", parts(DELEGATION.media_type, content, _OLD[:2])),
        _pin("a delegation beside it", replace(good, delegation=cast.GRANTED)),
        _pin("an empty payload", parts(ROOT.media_type, b"", _OLD[:2])),
        _pin("zero bytes", b""),
        _pin("4097 bytes", good.pack().ljust(4097, b"\x00")),
    ]


def delegations() -> list[Vector]:
    """Return the entries of delegations.json."""
    return [*_granted(), *_not_granted(), *_bad_grants()]


def _grant(by: Iterable[SigningKey], grant: Delegation = cast.GRANT, **fields: Any) -> Parts:
    return parts(DELEGATION.media_type, payload(grant, **fields), by)


def _believed(name: str, message: Parts | bytes, grant: Delegation | None = None, root: bytes = cast.PINNED) -> Vector:
    """Return a delegation as it comes with a state: good when `grant` is given."""
    verdict: Vector = {} if grant is None else {"result": grant}
    data = message.pack() if isinstance(message, Parts) else message
    return vector(name, defects=[] if grant else ["BadDelegation"], root=root, message=data, **verdict)


def _granted() -> list[Vector]:
    smallest = replace(cast.GRANT, keys=cast.GRANT.keys[:1], hosts=("a",), max_level=Level.UNLOCKED, max_lease_s=0)
    under_2 = replace(cast.GRANT, root_version=2)
    return [
        _believed("2 of 3", _grant(_OLD[:2]), cast.GRANT),
        _believed("3 of 3", _grant(_OLD), cast.GRANT),
        _believed("the least that can be granted", _grant(_OLD[1:], smallest), smallest),
        *(_believed(name, _grant(_OLD[:2], grant), grant) for name, grant in _limits_of_grants().items()),
        _believed("under the next root", _grant(_NEW[:2], under_2), under_2, cast.root_envelope(cast.ROOT_2, _NEW[:2])),
    ]


def _limits_of_grants() -> dict[str, Delegation]:
    """Return delegations with a field at the last value that its table allows."""
    everything = cast.delegated({cast.key(f"online {number}"): Ops(15) for number in range(8)})
    powerless = cast.delegated({cast.LOCK: Ops(0)})
    longest = "a" * 64
    return {
        "a lender of 3 characters": replace(cast.GRANT, lender=LenderId("a-1")),
        "a lender of 32 characters": replace(cast.GRANT, lender=LenderId("l" * 32)),
        "8 keys that may do everything": replace(cast.GRANT, keys=everything),
        "a key that may do nothing": replace(cast.GRANT, keys=powerless),
        "max_lease_s 2^32-1": replace(cast.GRANT, max_lease_s=2**32 - 1),
        "4 hosts, in no order, one of 64 bytes": replace(cast.GRANT, hosts=("z.example", longest, "-", "1.2.3.4")),
        "one host twice": replace(cast.GRANT, hosts=("pay.acme.example", "pay.acme.example")),
        "epoch and version 2^31-1": replace(cast.GRANT, epoch=2**31 - 1, version=2**31 - 1),
    }


def _not_granted() -> list[Vector]:
    good = _grant(_OLD[:2])
    (id_, one), other = good.signatures
    return [
        _believed("1 signature, threshold 2", _grant(_OLD[:1])),
        _believed("the same signature twice for threshold 2", replace(good, signatures=good.signatures[:1] * 2)),
        _believed("one key under two ids", replace(good, signatures=((id_, one), (other[0], one)))),
        _believed("signed by keys it delegates itself", _grant((cast.LOCK, cast.UNLOCK))),
        _believed("signed by the next root's keys", _grant(_NEW[:2])),
        _believed("two good signatures and a stranger's", _grant((*_OLD[:2], cast.STRANGER))),
        _believed("one of three signatures broken", broken(_grant(_OLD))),
        _believed("made under root 2", _grant(_OLD[:2], root_version=2)),
        _believed(
            "the root of before, after the root was replaced", good, root=cast.root_envelope(cast.ROOT_2, _NEW[:2])
        ),
        _believed("made under root 1, by keys that root 2 has kept", good, root=cast.root_envelope(_SHARED, _OLD[:2])),
        _believed("typed as a root", parts(ROOT.media_type, payload(cast.GRANT), _OLD[:2])),
        _believed("a delegation within the delegation", replace(good, delegation=cast.GRANTED)),
        _believed("a trailing byte", good.pack() + b"\x00"),
        _believed(
            "a trailing byte in the payload", parts(DELEGATION.media_type, payload(cast.GRANT) + b"\0", _OLD[:2])
        ),
        _believed("envelope version 2", replace(good, version=2)),
        _believed("zero bytes", b""),
    ]


def _bad_grants() -> list[Vector]:
    """Return payloads that do not fit the table of a delegation."""
    keys = tuple((one.public, int(one.ops)) for one in cast.GRANT.keys)
    wrong: dict[str, Vector] = {
        "a lender of two letters": {"lender": "ab"},
        "a lender of 33 letters": {"lender": "a" * 33},
        "a lender with an underscore": {"lender": "acme_credit"},
        "epoch 0": {"epoch": 0},
        "epoch 2^31": {"epoch": 2**31},
        "version 0": {"version": 0},
        "expires when it is issued": {"expires_at": cast.GRANT.issued_at},
        "expires before it is issued": {"expires_at": cast.GRANT.issued_at - 1},
        "no keys": {"keys": ()},
        "nine keys": {"keys": tuple((bytes([number]) * 32, 1) for number in range(9))},
        "keys not ascending": {"keys": keys[::-1]},
        "one key twice": {"keys": (keys[0], keys[0])},
        "one key twice, with other operations": {"keys": ((keys[0][0], 1), (keys[0][0], 2))},
        "operations 16": {"keys": ((keys[0][0], 16),)},
        "a key with a third element": {"keys": ((*keys[0], 0),)},
        "max_lease_s 2^32": {"max_lease_s": 2**32},
        "expires_at 2^32": {"expires_at": 2**32},
        "max_level 5": {"max_level": 5},
        "max_level 9": {"max_level": 9},
        "no hosts": {"hosts": ()},
        "five hosts": {"hosts": ("a", "b", "c", "d", "e")},
        "a host in capitals": {"hosts": ("Pay.example",)},
        "a host with a port": {"hosts": ("pay.example:443",)},
        "a host of 65 bytes": {"hosts": ("x" * 65,)},
        "an empty host": {"hosts": ("",)},
    }
    return [_believed(name, _grant(_OLD[:2], **fields)) for name, fields in wrong.items()]
