"""Move aside what was made by hand, and keep it as it was."""

from __future__ import annotations

import hashlib
import os

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import STATE_DIRECTORY, read, read_present
from ox_deploy.remote.common.types import Document

# Nothing reads it, and only root may.
KEPT = os.path.join(STATE_DIRECTORY, "before")


def check_unchanged(parts: list[Document]) -> None:
    """Stop if somebody has changed a file since it was looked at: its lines may be others by now."""
    for part in parts:
        if hashlib.sha256(read(part["path"]) or b"").hexdigest() != part["digest"]:
            fail("{} was changed while this run looked; nothing was changed here; run again".format(part["path"]))


def copy_of(path: str) -> str:
    """Return where a file or a link is kept: no copy of another time is replaced."""
    copy, number = KEPT + path, 0
    while os.path.lexists(copy) and not is_same(path, copy):
        number += 1
        copy = f"{KEPT}.{number}{path}"
    return copy


def is_same(path: str, copy: str) -> bool:
    """Tell whether two files, or two links, are equal."""
    if os.path.islink(path) or os.path.islink(copy):
        return os.path.islink(path) and os.path.islink(copy) and os.readlink(path) == os.readlink(copy)
    return read(path) == read(copy)


def keep(path: str, copy: str) -> None:
    """Keep a file or a link as it is, unless it is kept already."""
    if os.path.lexists(copy):
        return
    os.makedirs(STATE_DIRECTORY, mode=0o700, exist_ok=True)
    os.makedirs(os.path.dirname(copy), exist_ok=True)
    # Takes longer to import than it takes to find that there is nothing to keep.
    import shutil

    shutil.copy2(path, copy, follow_symlinks=False)
    entry = os.lstat(path)
    os.chown(copy, entry.st_uid, entry.st_gid, follow_symlinks=False)


def remaining(part: Document) -> bytes:
    """Return a file without some of its lines, which become comments."""
    own = {number for first, last in part["lines"] for number in range(first, last + 1)}
    lines = read_present(part["path"]).splitlines(keepends=True)
    return b"".join(b"# " + line if number in own else line for number, line in enumerate(lines, 1))
