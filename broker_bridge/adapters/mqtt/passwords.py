"""Mosquitto's password files: made in full, checked, and swapped in whole.

A reload with an unreadable password file throws every client out, and one with a garbled line locks out whoever
stood on it. So nothing reaches the broker's path that was not first checked, written beside it and made durable.
"""

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from broker_bridge.adapters.mqtt.replacing import replace_file, replacing
from broker_bridge.app.secret import new_secret
from lock_protocol.messages import LenderId

SALT_BYTES = 12
"""The length that `mosquitto_passwd` uses; the broker refuses any other."""

MIN_SECRET_CHARACTERS = 16

SERVICE_USERS = ("bridge", "auditor")
"""Who has rights of its own in services.acl, so that no lender may be called so."""

_ITERATIONS = 1
_USERNAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LINE = re.compile(r"#.*|[^:]{1,64}:\$[67]\$.+")
_HASH = re.compile(r"\$7\$[1-9][0-9]*\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==", re.ASCII)


class PasswordEntryError(ValueError):
    """A secret, salt, username or hash that must not reach a password file."""


def new_credential() -> tuple[str, str]:
    """Return a new secret, and its hash as a password file has it."""
    secret = new_secret()
    return secret, hash_password(secret, os.urandom(SALT_BYTES))


def hash_password(secret: str, salt: bytes) -> str:
    """Return `secret` as Mosquitto stores it: `$7$1$salt$hash`, PBKDF2 with HMAC-SHA-512 (RFC 8018).

    One iteration is enough, and only because secrets here are made by machines: stretching helps guessable
    passwords, while a random one of 96 bits and more cannot be searched for at any speed. In return the broker
    admits thousands of reconnecting phones a second.

    Args:
        secret: a random secret, at least `MIN_SECRET_CHARACTERS` long (`new_secret` makes good ones).
        salt: `SALT_BYTES` random bytes, new for each hash.

    Raises:
        PasswordEntryError: the secret is too short to be random, or the salt has another length.
    """
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise PasswordEntryError(
            f"secret of {len(secret)} characters; at least {MIN_SECRET_CHARACTERS} random ones needed"
        )
    if len(salt) != SALT_BYTES:
        raise PasswordEntryError(f"salt of {len(salt)} bytes; Mosquitto takes {SALT_BYTES}")
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${_base64(salt)}${_base64(digest)}"


def write_password_file(path: Path, entries: Mapping[str, str]) -> None:
    """Replace the password file at `path` by one with exactly these entries; the broker reads it on SIGHUP.

    The file is readable by its owner alone. Written by root it belongs to the owner of its directory, because a
    broker started as root reads it only after dropping to its own account.

    Args:
        path: the file that `password_file` names.
        entries: username to hash, as `hash_password` makes it. None at all is fine: nobody gets in.

    Raises:
        PasswordEntryError: an entry is not safe to write; the old file stays.
        OSError: the file cannot be written; the old file stays.
    """
    with replacing(path) as file:
        file.writelines(password_line(username, entries[username]) for username in sorted(entries))


def password_line(username: str, hashed: str) -> bytes:
    """Return an entry's line.

    Raises:
        PasswordEntryError: it is not safe to write.
    """
    return f"{username}:{_checked_hash(username, hashed)}\n".encode()


def put_lender_password(path: Path, lender: LenderId, hashed: str) -> None:
    """Give a lender another password in the services' file, and leave every other line as it stands.

    Args:
        path: the file that `password_file` names for the services' listener. It has to be there: a new one would hold
            the lender alone, and throw the bridge out.
        lender: its username, too.
        hashed: as `hash_password` makes it.

    Raises:
        PasswordEntryError: the name is a service's, or a line of the file is none that Mosquitto takes.
        OSError: the file cannot be read or written; the old file stays.
    """
    if lender in SERVICE_USERS:
        raise PasswordEntryError(f"{lender}: is the name of a service at the broker, not of a lender")
    # One byte a character: lines that are not ours go back as they came.
    lines = path.read_bytes().decode("latin-1").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if line and not _LINE.fullmatch(line):
            raise PasswordEntryError(f"{path}: line {number} is no entry of a password file (name:$7$...); left alone")
    kept = [line for line in lines if line and line.partition(":")[0] != lender]
    content = "".join(f"{line}\n" for line in [*kept, f"{lender}:{_checked_hash(lender, hashed)}"])
    replace_file(path, content.encode("latin-1"))


def _checked_hash(username: str, hashed: str) -> str:
    # `+` and `#` would turn an ACL pattern into a wildcard (CVE-2017-7650); `:` and line feeds would make new entries.
    if not _USERNAME.fullmatch(username):
        raise PasswordEntryError(f"username {username!r}; expected 1 to 64 of A-Z a-z 0-9 _ -")
    if not _HASH.fullmatch(hashed):
        raise PasswordEntryError(f"hash of {username!r} has not the form $7$iterations$salt$hash")
    return hashed


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
