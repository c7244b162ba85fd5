"""Print the state of a service's files and units."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Callable, Sequence
from typing import Any

from ox_deploy.remote.common.files import block_in, pending_path, place_of, read
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.common.units import unit_states
from ox_deploy.remote.hand_made.find import hand_made, kept_values


def name_of(lookup: Callable[[int], Sequence[Any]], number: int) -> str:
    """Return a user's or group's name, or its number if it has none."""
    try:
        name: str = lookup(number)[0]
        return name
    except KeyError:
        return str(number)


def state_of(path: str, block: str | None) -> Document | None:
    """Return what is at a path; for a file we share, the digest is that of our block."""
    path = place_of(path, block)
    try:
        entry = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    state = {
        "mode": f"{stat.S_IMODE(entry.st_mode):04o}",
        "owner": name_of(pwd.getpwuid, entry.st_uid),
        "group": name_of(grp.getgrgid, entry.st_gid),
        "target": os.readlink(path) if stat.S_ISLNK(entry.st_mode) else None,
        "digest": None,
    }
    if stat.S_ISREG(entry.st_mode):
        content = read(path)
        if block and content is not None:
            inner = block_in(content.decode(errors="surrogateescape"), block)
            content = None if inner is None else inner.encode(errors="surrogateescape")
        state["digest"] = None if content is None else hashlib.sha256(content).hexdigest()
    return state


def service_state(wanted: Document) -> Document:
    """Return files, units and the pending mark of one service, and what was made by hand for the same purpose."""
    asked = wanted.get("hand_made")
    found = {"hand_made": hand_made(asked), "kept": kept_values(asked)} if asked else {}
    return {
        **found,
        "files": {path: state_of(path, block) for path, block in wanted["files"].items()},
        "units": unit_states(wanted["units"]),
        "pending": os.path.exists(pending_path(wanted["name"])),
    }
