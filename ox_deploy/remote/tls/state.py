"""Print what this host's database server has for encrypted connections. The private key stays here."""

from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.types import Document

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


def public_key_of(path: str) -> str:
    """Return the public half of a private key."""
    try:
        return run(["openssl", "pkey", "-in", path, "-pubout"], stdin=subprocess.DEVNULL).stdout
    except FileNotFoundError:
        return ""


def is_private(path: str, owner: str) -> bool:
    """Tell whether only the server (and root) can read a file."""
    entry = os.stat(path)
    return stat.S_IMODE(entry.st_mode) == 0o600 and entry.st_uid == pwd.getpwnam(owner).pw_uid


def certificates_in(path: str) -> str:
    """Return the certificates of a file, without anything else that is in it."""
    return "".join(CERTIFICATE.findall((read(path) or b"").decode(errors="replace")))


def tls_state(wanted: Document) -> Document:
    """Return all of it."""
    pair = wanted["pair"]
    if not os.path.isfile(pair):
        return {"trusted": certificates_in(wanted["trusted"])}
    return {
        "certificate": certificates_in(pair),
        "public_key": public_key_of(pair),
        "private": is_private(pair, wanted["owner"]),
        "trusted": certificates_in(wanted["trusted"]),
    }
