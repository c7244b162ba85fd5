"""Print what an earlier run, or somebody else, left here that is in the way of what is wanted today."""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Iterator
from contextlib import suppress

from ox_deploy.remote.common.commands import run_for
from ox_deploy.remote.common.files import block_in, read
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.preconditions.names import other_addresses, rewritten_by
from ox_deploy.remote.preconditions.ports import taken_ports, unreachable

# The mode that we give to a filestore.
MODE = 0o750
EXPORTS = {
    "/etc/exports.d/ox-deploy.exports": r"^(/\S+) ",
    "/etc/ganesha/ox-deploy.conf": r"^\s*Path = (\S+);",
}


def preconditions_state(wanted: Document) -> Document:
    """Return all of it; `wanted` has the filestore's path ("" if it is not served here), the user, and so on."""
    return {
        "directory": directory_of(wanted["filestore"]) if wanted["filestore"] else None,
        "taken": [path for path in system_directories(wanted) if is_taken(path, wanted["user"])],
        "exported": [path for file, pattern in EXPORTS.items() for path in found_in(file, pattern)],
        "mounted": mounted_by_us(),
        "port": next(iter(found_in(wanted["configuration"], r"^port = (\d+)$")), None),
        "node_port": next(iter(found_in(wanted["configdb"], r"^writeUrl=jdbc:mysql://[\d.]+:(\d+)/")), None),
        "server_name": next(iter(found_in(wanted["system"], r"^SERVER_NAME=(\S+)\s*$")), None),
        "taken_ports": taken_ports(wanted["ports"]),
        "unreachable": unreachable(wanted["needed"]),
        "names": other_addresses(wanted["names"]),
        "names_rewritten_by": rewritten_by(),
        "memory": int(found_in("/proc/meminfo", r"^MemTotal:\s+(\d+)")[0]) // 1024,
    }


def directory_of(path: str) -> Document:
    """Return what is where the filestore should be; somebody else's only if it has an owner and is not empty."""
    real, ids, entries = os.path.realpath(path), None, []
    if os.path.isdir(real) and not answers_late(real):
        entry = os.stat(real)
        ids = [entry.st_uid, entry.st_gid]
        entries = sorted(name for name in os.listdir(real) if name != "lost+found")[:3]
    other = os.path.lexists(path) and not os.path.isdir(path)
    return {"real": real, "other": other, "ids": ids, "entries": entries}


def answers_late(path: str) -> bool:
    """Tell whether a dead file system would hang us."""
    return run_for(3, ["stat", "-t", path]) is None


def system_directories(wanted: Document) -> Iterator[str]:
    """Return the directories that no filestore can have, as far as they are here, and those right below."""
    yield from wanted["shared"]
    for tree in wanted["trees"]:
        yield tree
        # Hundreds of files need not be looked at.
        with suppress(OSError), os.scandir(tree) as entries:
            yield from sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))


def is_taken(path: str, user: str) -> bool:
    """Tell whether a directory looks as if it had been made the filestore."""
    if "open-xchange" in path:
        return False
    try:
        entry = os.lstat(path)
        # Looked at first: hundreds of names of users would take longer than all else.
        is_candidate = stat.S_ISDIR(entry.st_mode) and stat.S_IMODE(entry.st_mode) == MODE
        return is_candidate and pwd.getpwuid(entry.st_uid)[0] == user
    except (OSError, KeyError):
        return False


def found_in(file: str | None, pattern: str) -> list[str]:
    """Return what a pattern finds in a file, line by line."""
    text = (read(file) or b"").decode(errors="replace") if file else ""
    return sorted(set(re.findall(pattern, text, re.MULTILINE)))


def mounted_by_us() -> str | None:
    """Return the mount point in our lines of fstab, or None."""
    block = block_in((read("/etc/fstab") or b"").decode(errors="replace"), "filestore") or ""
    fields = block.split()
    return fields[1] if len(fields) > 2 else None
