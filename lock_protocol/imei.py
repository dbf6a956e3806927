"""IMEI: the only name a phone has on the wire (3GPP TS 23.003, section 6; GSMA TS.06 for the check digit)."""

from typing import NewType, TypeGuard

Imei = NewType("Imei", str)
"""Exactly 15 ASCII digits with a valid Luhn digit, not all zeros. Made by `parse_imei` and by nothing else."""

_SHOWN = 40
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_DIGITS = 15
_ZEROS = "0" * _DIGITS


class InvalidImeiError(ValueError):
    """The text is not an IMEI; the message says which of the three conditions failed."""


def luhn_digit(body: str) -> str:
    """Return the check digit that makes `body` (14 digits) a valid IMEI."""
    return str(-_luhn_sum(body + "0") % 10)


def is_imei(value: object) -> TypeGuard[Imei]:
    """Return whether `parse_imei` takes `value`."""
    return isinstance(value, str) and _is_fifteen_digits(value) and value != _ZEROS and _luhn_sum(value) == 0


def parse_imei(text: object) -> Imei:
    """Return `text` as an `Imei`.

    Raises:
        InvalidImeiError: not 15 ASCII digits, all zeros, or a wrong check digit.
    """
    if is_imei(text):
        return text
    if not isinstance(text, str) or not _is_fifteen_digits(text):
        msg = f"an IMEI is exactly 15 ASCII digits, without spaces or dashes: {_shown(text)}"
        raise InvalidImeiError(msg)
    if text == _ZEROS:
        msg = "an IMEI of zeros only names no phone"
        raise InvalidImeiError(msg)
    msg = f"IMEI {text} has check digit {text[-1]}, expected {luhn_digit(text[:-1])}"
    raise InvalidImeiError(msg)


def _is_fifteen_digits(text: str) -> bool:
    # `isdigit` alone takes the digits of other scripts.
    return len(text) == _DIGITS and text.isascii() and text.isdigit()


def _luhn_sum(digits: str) -> int:
    """Sum, modulo 10, of 15 digits with every second one, counted from the right, doubled and reduced to one digit.

    What is summed are the characters' codes: those of 15 digits exceed the digits by 15 * 48, which is 0 modulo 10.
    """
    codes = digits.encode()
    return sum(codes[::2] + codes[1::2].translate(_DOUBLED)) % 10


def _shown(value: object) -> str:
    """Return `value` for an error message, cut to a length that cannot flood a log."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
