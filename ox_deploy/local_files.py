"""Files on the control machine that are sent to hosts: read, and the repository's key looked at."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from ox_deploy.errors import InputError

GROUP_DATA = "group_data/all.py"
_LONGEST = 1_000_000
_ARMOUR = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[A-Za-z]+: .*\r?\n)*\s*\r?\n(?P<data>[A-Za-z0-9+/=\s]+?)"
    r"(?:\r?\n=(?P<sum>[A-Za-z0-9+/]{4}))?\s*-----END PGP PUBLIC KEY BLOCK-----"
)
_PUBLIC_KEY = 6


def read_text(path: str, where: str, key: str) -> str:
    """Return a file's text.

    + where, key: the file and the setting that name it, for the sentence

    Raises InputError if it cannot be read or is no text.
    """
    try:
        data = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InputError(f"{where}: the file of `{key}` cannot be read ({error.strerror}); make it readable.") from None
    if not data.strip():
        raise InputError(f"{where}: the file of `{key}` is empty; put the {_what(key)} into it.")
    if len(data) > _LONGEST:
        raise InputError(
            f"{where}: the file of `{key}` has {len(data)} bytes, which is too long for a {_what(key)}; use the "
            "right file."
        )
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError(f"{where}: the file of `{key}` is binary; {_as_text(key)}.")
    if re.match(r"\s*<(!doctype|html|\?xml|head|body)", text, re.IGNORECASE):
        raise InputError(f"{where}: the file of `{key}` is a web page; it should be {_a(key)}; download it again.")
    return text


def _what(key: str) -> str:
    return "signing key" if key == "ox_repository_key" else "key" if key.endswith("key") else "certificate"


def _a(key: str) -> str:
    return f"a {_what(key)}"


def _as_text(key: str) -> str:
    if key == "ox_repository_key":
        return "it should be ASCII-armoured, as `gpg --export --armor` writes it"
    return "it should be in PEM format, which `openssl` writes with `-outform PEM`"


def check_repository_key(text: str) -> None:
    """Raise InputError unless a text is an ASCII-armoured OpenPGP public key."""
    where = f"{GROUP_DATA}: the file of `ox_repository_key`"
    if "PRIVATE KEY" in text:
        raise InputError(f"{where} holds a private key, which would be sent to all hosts; use the public key.")
    blocks = list(_ARMOUR.finditer(text))
    if not blocks:
        raise InputError(
            f"{where} has no complete PGP public key block; it should be ASCII-armoured, as `gpg --export --armor` "
            "writes it."
        )
    if _ARMOUR.sub("", text).strip():
        raise InputError(f"{where} has something besides its PGP public key block; remove the rest.")
    for block in blocks:
        if not _is_whole(re.sub(r"\s", "", block["data"]), block["sum"]):
            raise InputError(
                f"{where} is damaged: its checksum is wrong, or it is not a public key; download it again."
            )


def _is_whole(data: str, checksum: str | None) -> bool:
    try:
        packets = base64.b64decode(data, validate=True)
    except binascii.Error:
        return False
    if checksum and base64.b64decode(checksum) != _crc24(packets).to_bytes(3, "big"):
        return False
    if not packets or not packets[0] & 0x80:
        return False
    tag = packets[0] & 0x3F if packets[0] & 0x40 else packets[0] >> 2 & 0x0F
    return tag == _PUBLIC_KEY


def _crc24(data: bytes) -> int:
    """Return the checksum of RFC 4880, section 6.1."""
    value = 0xB704CE
    for byte in data:
        value ^= byte << 16
        for _ in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= 0x1864CFB
    return value & 0xFFFFFF
