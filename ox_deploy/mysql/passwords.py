"""Passwords as MySQL and MariaDB store them, so that no statement holds one in clear."""

from __future__ import annotations

import hashlib
import secrets
import string

NATIVE, SHA2 = "mysql_native_password", "caching_sha2_password"
# What `caching_sha2_password` puts before the digest: the number of rounds in thousands as three hexadecimal digits,
# and a salt of twenty characters.
_BEGIN, _ROUNDS, _SALT = "$A$", "005", 20
_PREFIX = len(f"{_BEGIN}{_ROUNDS}$") + _SALT
_CHARACTERS = string.ascii_letters + string.digits


def stored(password: str, plugin: str, like: str = "") -> str:
    """Return what a server stores of a password.

    + plugin: the account's way of logging in
    + like: the part before the digest of what is stored already, to compare with; "" for a new salt
    """
    return _sha2(password, like or _new_prefix()) if plugin == SHA2 else _native(password)


def _native(password: str) -> str:
    first = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(first, usedforsecurity=False).hexdigest().upper()


def _new_prefix() -> str:
    salt = "".join(secrets.choice(_CHARACTERS) for _ in range(_SALT))
    return f"{_BEGIN}{_ROUNDS}${salt}"


def _sha2(password: str, prefix: str) -> str:
    rounds, salt = prefix.removeprefix(_BEGIN).split("$", 1)
    return prefix + sha256_crypt(password.encode(), salt.encode(), int(rounds, 16) * 1000)


# --- SHA-crypt -------------------------------------------------------------------------------------------
# U. Drepper's specification "Unix crypt using SHA-256 and SHA-512". The libraries have it for salts of 16 characters at
# most, and MySQL's are longer.

_BASE64 = "./" + string.digits + string.ascii_uppercase + string.ascii_lowercase
# Which bytes of the digest make four characters.
_GROUPS = [(0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14)]
_GROUPS += [(15, 25, 5), (6, 16, 26), (27, 7, 17), (18, 28, 8), (9, 19, 29)]


def sha256_crypt(password: bytes, salt: bytes, rounds: int) -> str:
    """Return the digest of SHA-crypt with SHA-256, in its own base 64."""
    alternate = _sha256(password, salt, password)
    text = password + salt + _stretched(alternate, len(password))
    bits = len(password)
    while bits:
        text += alternate if bits & 1 else password
        bits >>= 1
    digest = _sha256(text)
    own = _stretched(_sha256(password * len(password)), len(password))
    salted = _stretched(_sha256(salt * (16 + digest[0])), len(salt))
    for number in range(rounds):
        digest = _sha256(
            own if number % 2 else digest,
            salted if number % 3 else b"",
            own if number % 7 else b"",
            digest if number % 2 else own,
        )
    groups = [digest[a] << 16 | digest[b] << 8 | digest[c] for a, b, c in _GROUPS]
    return "".join(_base64(group, 4) for group in groups) + _base64(digest[31] << 8 | digest[30], 3)


def _sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _base64(value: int, length: int) -> str:
    return "".join(_BASE64[value >> 6 * place & 63] for place in range(length))
