"""Hypothesis strategies for everything the tables allow."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from lock_protocol.imei import luhn_digit, parse_imei
from lock_protocol.levels import Condition, Level, Ops, Reason, Result, Signals
from lock_protocol.messages import (
    NO_HASH,
    DelegatedKey,
    Delegation,
    DesiredState,
    Fresh,
    Hello,
    Notice,
    Reported,
    Root,
)
from lock_protocol.schema import MAX_INTEGER, MAX_TIME

Draw = Callable[[st.SearchStrategy[Any]], Any]

times = st.integers(0, MAX_TIME)
epochs = st.integers(1, 2**31 - 1)
versions = st.integers(1, MAX_INTEGER)
counts = st.integers(0, MAX_INTEGER)
hashes = st.binary(min_size=32, max_size=32)
nonces = st.binary(min_size=16, max_size=16)
lenders = st.from_regex(r"[a-z0-9-]{3,32}", fullmatch=True)
imeis = (
    st.from_regex(r"[0-9]{14}", fullmatch=True)
    .filter(lambda body: body != "0" * 14)
    .map(lambda body: parse_imei(body + luhn_digit(body)))
)
_hosts = st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True)
_links = st.one_of(
    st.just(""), st.builds("https://{}/{}".format, _hosts, st.from_regex(r"[!-~]{0,50}", fullmatch=True))
)
_bidi = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def texts(limit: int, also: str = "") -> st.SearchStrategy[str]:
    """Return text that the wire allows, of at most `limit` bytes, with some control characters if they are given."""
    plain = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=_bidi)
    letters = st.one_of(plain, st.sampled_from(also)) if also else plain
    # A character has at most four bytes.
    return st.text(letters, max_size=limit // 4)


notices = st.builds(
    Notice,
    title=texts(96),
    body=texts(640, also="\n"),
    amount_due=st.integers(0, 10**12),
    currency=st.from_regex(r"[A-Z]{3}", fullmatch=True),
    pay_url=_links,
    support_phone=st.from_regex(r"(\+?[0-9]{3,19})?", fullmatch=True),
    appeal_url=_links,
)


@st.composite
def roots(draw: Draw) -> Root:
    """Any root that can be."""
    keys = tuple(sorted(draw(st.sets(hashes, min_size=1, max_size=9))))
    return Root(
        root_version=draw(epochs),
        issued_at=draw(times),
        threshold=draw(st.integers(1, min(5, len(keys)))),
        keys=keys,
        provisional_s=draw(st.integers(0, 604_800)),
        provisional_level=draw(st.sampled_from([level for level in Level if level <= Level.RESTRICTED])),
    )


@st.composite
def delegations(draw: Draw) -> Delegation:
    """Any delegation that can be."""
    publics = sorted(draw(st.sets(hashes, min_size=1, max_size=8)))
    issued_at = draw(st.integers(0, MAX_TIME - 1))
    return Delegation(
        lender=draw(lenders),
        root_version=draw(epochs),
        epoch=draw(epochs),
        version=draw(epochs),
        issued_at=issued_at,
        expires_at=draw(st.integers(issued_at + 1, MAX_TIME)),
        keys=tuple(DelegatedKey(public, Ops(draw(st.integers(0, 15)))) for public in publics),
        max_level=draw(st.sampled_from([level for level in Level if level <= Level.LOCKED])),
        max_lease_s=draw(times),
        hosts=tuple(draw(st.lists(_hosts, min_size=1, max_size=4))),
    )


@st.composite
def states(draw: Draw) -> DesiredState:
    """Any state that can be."""
    level = draw(st.sampled_from(Level))
    issued_at = draw(st.integers(0, MAX_TIME - 1))
    leased = level is not Level.RELEASED and draw(st.booleans())
    return DesiredState(
        lender=draw(lenders),
        imei=draw(imeis),
        epoch=draw(epochs),
        version=draw(versions),
        delegation_version=draw(epochs),
        level=level,
        reason=draw(st.sampled_from(Reason)),
        issued_at=issued_at,
        lease_until=draw(st.integers(issued_at + 1, MAX_TIME)) if leased else 0,
        lease_then=draw(st.sampled_from([one for one in Level if one <= Level.LOCKED])) if leased else level,
        warn_s=draw(st.integers(0, 864_000)),
        remind_s=draw(st.just(0) | st.integers(3, 86_400)) if level is Level.REMINDER else 0,
        command_id=draw(texts(32).filter(bool)),
        notice=draw(notices),
    )


freshes = st.builds(
    Fresh,
    lender=lenders,
    imei=imeis,
    nonce=nonces,
    epoch=epochs,
    version=versions,
    delegation_version=epochs,
    state_hash=hashes,
    sequence=counts,
    now=times,
)
_holdings = st.one_of(st.just((0, 0, NO_HASH)), st.tuples(epochs, versions, hashes))


@st.composite
def hellos(draw: Draw) -> Hello:
    """Any hello that can be."""
    epoch, version, state_hash = draw(_holdings)
    return Hello(
        lender=draw(st.just("") | lenders),
        imei=draw(imeis),
        nonce=draw(nonces),
        boot_count=draw(times),
        sequence=draw(counts),
        root_version=draw(epochs),
        delegation_version=draw(st.just(0) | epochs),
        epoch=epoch,
        version=version,
        state_hash=state_hash,
        effective_level=draw(st.sampled_from(Level)),
        condition=draw(st.sampled_from(Condition)),
        signals=Signals(draw(st.integers(0, 127))),
        trusted_now=draw(times),
    )


@st.composite
def reports(draw: Draw) -> Reported:
    """Any report that can be."""
    epoch, version, state_hash = draw(_holdings)
    return Reported(
        lender=draw(st.just("") | lenders),
        imei=draw(imeis),
        epoch=epoch,
        version=version,
        state_hash=state_hash,
        effective_level=draw(st.sampled_from(Level)),
        condition=draw(st.sampled_from(Condition)),
        result=draw(st.sampled_from(Result)),
        about_epoch=draw(st.just(0) | epochs),
        about_version=draw(st.just(0) | versions),
        about_hash=draw(hashes),
        detail=draw(st.from_regex(r"[ -~]{0,64}", fullmatch=True)),
        applied_at=draw(times),
        boot_count=draw(times),
        sequence=draw(counts),
        signals=Signals(draw(st.integers(0, 127))),
    )


messages = st.one_of(roots(), delegations(), states(), freshes, hellos(), reports())
