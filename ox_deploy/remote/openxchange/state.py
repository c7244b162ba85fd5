"""Print what the configuration files of Open-Xchange on this host say. Secrets come as fingerprints only."""

from __future__ import annotations

import grp
import os
import pwd

from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.fingerprints import fingerprint
from ox_deploy.remote.common.types import Document

BASE = "/opt/open-xchange/etc"
USER = "open-xchange"
# An administrator may keep such files beside those that the daemons read.
COPIES = ("~", ".bak", ".old", ".orig", ".save")


def values_in(path: str) -> dict[str, str]:
    """Return the keys and values of a properties file; commented lines do not count."""
    values = {}
    for line in (read(path) or b"").decode().splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.lstrip().startswith("#"):
            values[key.strip()] = value.strip()
    return values


def openxchange_state(wanted: Document) -> Document:
    """Return the asked keys of the asked files, and the stored administrator's password hash."""
    plain, secret = {}, {}
    for file, keys in wanted["keys"].items():
        values = values_in(os.path.join(BASE, file))
        plain[file] = {key: values.get(key) for key in keys}
    for file, keys in wanted["secret_keys"].items():
        values = values_in(os.path.join(BASE, file))
        secret[file] = {key: fingerprint(values[key]) for key in keys if key in values}
    administrator = wanted["administrator"]
    hidden = [*wanted["secret_keys"], *([administrator["file"]] if administrator else [])]
    return {
        "exposed": [file for file in hidden if is_exposed(os.path.join(BASE, file))],
        "unreadable": unreadable(),
        "installed": os.path.exists("/opt/open-xchange/sbin/oxinstaller"),
        "values": plain,
        "secrets": secret,
        "administrator": administrator_in(**administrator) if administrator else None,
    }


def is_exposed(path: str) -> bool:
    """Tell whether a file with passwords is not just for root and the daemons."""
    if not os.path.exists(path):
        return False
    entry = os.stat(path)
    return (entry.st_mode & 0o7777, entry.st_uid, grp.getgrgid(entry.st_gid)[0]) != (0o640, 0, USER)


def unreadable() -> list[str]:
    """Return directories and files of the configuration that are closed to the daemons; a closed umask leaves such."""
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return []
    groups = os.getgrouplist(USER, user.pw_gid)
    found = []
    for folder, _, files in os.walk(BASE):
        paths = [os.path.join(folder, file) for file in files if not file.endswith(COPIES)]
        needed = [(folder, 0o5), *((path, 0o4) for path in paths if os.path.isfile(path))]
        found += [path for path, bits in needed if not may(os.stat(path), bits, user.pw_uid, groups)]
    return [os.path.relpath(path, BASE) for path in found]


def may(entry: os.stat_result, bits: int, uid: int, groups: list[int]) -> bool:
    """Tell whether a user has these rights (4 to read, 1 to enter) by what is to be seen of a file."""
    shift = 6 if entry.st_uid == uid else 3 if entry.st_gid in groups else 0
    return entry.st_mode >> shift & bits == bits


def administrator_in(file: str, name: str, salt_length: int) -> Document | None:
    """Return the salt with which an administrator's password hash begins, and the hash's fingerprint."""
    for line in (read(os.path.join(BASE, file)) or b"").decode().splitlines():
        user, _, hashed = line.partition(":")
        if user == name:
            return {"salt": hashed[:salt_length], "hash": fingerprint(hashed)}
    return None
