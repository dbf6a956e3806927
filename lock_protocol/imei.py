"""IMEI: the only name a phone has on the wire (3GPP TS 23.003, section 6; GSMA TS.06 for the check digit)."""

import re
from typing import NewType

Imei = NewType("Imei", str)
"""Exactly 15 ASCII digits with a valid Luhn digit, not all zeros. Made by `parse_imei` and by nothing else."""

# re.ASCII and fullmatch: `\d` alone takes full-width digits, `$` alone takes a trailing newline.
_FIFTEEN_DIGITS = re.compile(r"[0-9]{15}", re.ASCII)
_SHOWN = 40
_DOUBLED = str.maketrans("0123456789", "0246813579")


class InvalidImeiError(ValueError):
    """The text is not an IMEI; the message says which of the three conditions failed."""


def luhn_digit(body: str) -> str:
    """Return the check digit that makes `body` (14 digits) a valid IMEI."""
    return str(-_luhn_sum(body + "0") % 10)


def parse_imei(text: object) -> Imei:
    """Return `text` as an `Imei`.

    Raises:
        InvalidImeiError: not 15 ASCII digits, all zeros, or a wrong check digit.
    """
    if not isinstance(text, str) or not _FIFTEEN_DIGITS.fullmatch(text):
        msg = f"an IMEI is exactly 15 ASCII digits, without spaces or dashes: {_shown(text)}"
        raise InvalidImeiError(msg)
    if text == "0" * 15:
        msg = "an IMEI of zeros only names no phone"
        raise InvalidImeiError(msg)
    if _luhn_sum(text) % 10:
        msg = f"IMEI {text} has check digit {text[-1]}, expected {luhn_digit(text[:-1])}"
        raise InvalidImeiError(msg)
    return Imei(text)


def _luhn_sum(digits: str) -> int:
    """Sum of the digits with every second one, counted from the right, doubled and reduced to one digit."""
    return sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))


def _shown(value: object) -> str:
    """Return `value` for an error message, cut to a length that cannot flood a log."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
