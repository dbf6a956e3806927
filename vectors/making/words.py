"""imei.json and topics.json: the names on the wire."""

from typing import Any

from lock_protocol.imei import luhn_digit
from lock_protocol.topics import DEFAULT_PREFIX
from vectors.making import cast
from vectors.making.acceptance import bad_imeis
from vectors.making.parts import Vector, vector


def imeis() -> list[Vector]:
    """Return the entries of imei.json."""
    good = {
        "a test IMEI, reporting body 00": cast.PHONE,
        "the example of 3GPP and Wikipedia": "490154203237518",
        "a check digit of 0": _checked("35209900176148"),
        "the largest body": _checked("9" * 14),
        "one above zero": _checked("0" * 13 + "1"),
    }
    more: dict[str, Any] = {
        "an empty string": "",
        "spaces around it": f" {cast.PHONE} ",
        "slashes": "49-015420-323751-8".replace("-", "/"),
        "Arabic-Indic digits": "".join(chr(ord(digit) + 0x630) for digit in cast.PHONE),
        "superscript digits": "²" * 15,
        "a NUL behind it": cast.PHONE + "\x00",
        "scientific notation": "4.90154E+14",
        "a sign": "+49015420323751",
        "hexadecimal": "49015420323751A",
        "two neighbours swapped": cast.PHONE[:4] + cast.PHONE[5] + cast.PHONE[4] + cast.PHONE[6:],
        "null": None,
        "true": True,
        "a list": [cast.PHONE],
    }
    items = bad_imeis()
    return [
        *(vector(name, input=text, result=text) for name, text in good.items()),
        *(vector(name, defects=["InvalidImei"], item=name, input=text) for name, text in items.items()),
        *(vector(name, defects=["InvalidImei"], input=text) for name, text in more.items()),
    ]


def _checked(body: str) -> str:
    return body + luhn_digit(body)


def topics() -> list[Vector]:
    """Return the entries of topics.json."""
    return [*_made(), *_not_made(), *_parsed(), *_not_parsed(), *_bad_prefixes()]


def _made() -> list[Vector]:
    base = DEFAULT_PREFIX
    names = {
        "root": ("root", {"root_version": 7}, f"{base}/roots/7"),
        "decisions": ("decisions", {"lender": cast.LENDER}, f"{base}/lenders/{cast.LENDER}/decisions"),
        "results": ("results", {"lender": cast.LENDER}, f"{base}/lenders/{cast.LENDER}/results"),
        "status": ("status", {}, f"{base}/bridge/status"),
        "canary": ("canary", {}, f"{base}/bridge/canary"),
        "barrier": ("barrier", {}, f"{base}/bridge/barrier"),
        "all phones' hellos": ("all_phones", {"kind": "hello"}, f"{base}/phones/+/hello"),
    }
    return [
        vector(f"make: {name}", prefix=base, make=make, arguments=arguments, result={"topic": topic})
        for name, (make, arguments, topic) in names.items()
    ]


def _not_made() -> list[Vector]:
    base = DEFAULT_PREFIX
    names: dict[str, tuple[str, str, Vector]] = {
        "root 0": (base, "root", {"root_version": 0}),
        "the decisions of a lender of two letters": (base, "decisions", {"lender": "ab"}),
        "the decisions of every lender": (base, "decisions", {"lender": "+"}),
        "the results of a lender in capitals": (base, "results", {"lender": "ACME"}),
        "the results of a lender with a line feed": (base, "results", {"lender": f"{cast.LENDER}\n"}),
        "all phones' topics of an unknown kind": (base, "all_phones", {"kind": "state"}),
        "all phones' topics of every kind": (base, "all_phones", {"kind": "+"}),
        "the status under a wildcard": ("paylatch/+", "status", {}),
        "a root under no prefix": ("", "root", {"root_version": 7}),
    }
    return [
        vector(f"make: {name}", defects=["InvalidTopic"], prefix=prefix, make=make, arguments=arguments)
        for name, (prefix, make, arguments) in names.items()
    ]


def _parsed() -> list[Vector]:
    kinds = ("desired", "fresh", "hello", "reported", "presence")
    cases = [(prefix, kind) for prefix in (DEFAULT_PREFIX, "eu-1/Paylatch_v1") for kind in kinds]
    return [
        vector(
            f"a phone's {kind} under {prefix}",
            prefix=prefix,
            topic=f"{prefix}/phones/{cast.PHONE}/{kind}",
            result={"imei": cast.PHONE, "kind": kind},
        )
        for prefix, kind in cases
    ]


def _not_parsed() -> list[Vector]:
    phones = f"{DEFAULT_PREFIX}/phones"
    topics_ = {
        "another prefix": f"paylatch/v2/phones/{cast.PHONE}/hello",
        "an unknown kind": f"{phones}/{cast.PHONE}/state",
        "a wildcard for the IMEI": f"{phones}/+/hello",
        "an IMEI that is none": f"{phones}/000000000000000/hello",
        "a level too many": f"{phones}/{cast.PHONE}/hello/x",
        "a level too few": f"{phones}/{cast.PHONE}",
        "a leading slash": f"/{phones}/{cast.PHONE}/hello",
        "a kind in capitals": f"{phones}/{cast.PHONE}/HELLO",
        "an empty topic": "",
        "a system topic": "$SYS/broker/version",
    }
    return [
        vector(name, defects=["InvalidTopic"], prefix=DEFAULT_PREFIX, topic=topic) for name, topic in topics_.items()
    ]


def _bad_prefixes() -> list[Vector]:
    prefixes = {
        "empty": "",
        "a leading slash": "/paylatch",
        "a trailing slash": "paylatch/",
        "an empty level": "paylatch//v1",
        "a wildcard": "paylatch/+",
        "a hash": "paylatch/#",
        "a system tree": "$SYS/paylatch",
        "a space": "pay latch",
        "a letter that is not ASCII": "paylätch",
        "a line feed at the end": "paylatch\n",
    }
    return [
        vector(f"prefix: {name}", defects=["InvalidTopic"], prefix=prefix, topic=f"{prefix}/phones/{cast.PHONE}/hello")
        for name, prefix in prefixes.items()
    ]
