"""Print whether the filestore is mounted here, by which line of fstab, and what lies under the mount."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from ox_deploy.remote.common.commands import run, run_for
from ox_deploy.remote.common.files import block_in, read, read_present
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.hand_made.find import same_source
from ox_deploy.remote.service.state import service_state

# How long the file system at the mount point is waited for.
SECONDS = 3
# Where units are that nobody makes of fstab, in the order in which systemd prefers them.
UNIT_FOLDERS = [f"{place}/systemd/system" for place in ("/etc", "/run", "/usr/local/lib", "/usr/lib")]
KINDS = ("mount", "automount")


def filestore_state(wanted: Document) -> Document:
    """Return all of it, with the state of the files that belong to the mount."""
    path = real_path(wanted["path"])
    service = service_state(wanted["service"])
    parts = service.get("hand_made", [])
    taken = {number for part in parts for first, last in part["lines"] for number in range(first, last + 1)}
    return {
        "real": path,
        "service": service,
        "foreign_line": foreign_line(wanted["path"], taken) or foreign_line(path, taken),
        "foreign_unit": foreign_unit(path),
        "mount": mount_of(path, wanted.get("source", "")),
        "answers": answers(path),
        "bare": bare_state(path),
    }


def real_path(path: str) -> str:
    """Return what a mount point is where a link leads there; the kernel and systemd know it by that name only."""
    if mount_of(path):
        return path
    done = run_for(SECONDS, ["readlink", "-m", "--", path])
    return done.stdout.rstrip("\n") if done and not done.returncode else path


def foreign_line(path: str, taken: Collection[int] = ()) -> str | None:
    """Return a line of fstab for this mount point that is neither ours nor `taken` over (numbers of lines)."""
    text = (read("/etc/fstab") or b"").decode(errors="replace")
    ours = (block_in(text, "filestore") or "").splitlines()
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if number in taken or line in ours:
            continue
        if len(fields) > 2 and not line.lstrip().startswith("#") and fields[1].rstrip("/") == path:
            return line
    return None


def foreign_unit(path: str) -> str | None:
    """Return the file of a unit that mounts something here at boot: those that systemd makes of fstab are elsewhere."""
    files = [os.path.join(folder, f"{unit_name(path)}.{kind}") for folder in UNIT_FOLDERS for kind in KINDS]
    # One that is masked is a link to /dev/null.
    return next((file for file in files if os.path.isfile(file)), None)


def unit_name(path: str) -> str:
    """Return a path as it is part of the name of a unit (systemd-escape --path)."""
    inner = "/".join(part for part in path.split("/") if part)
    plain = re.sub(rb"[^\w:./]|^\.", lambda found: b"\\x%02x" % found[0][0], os.fsencode(inner))
    return os.fsdecode(plain.replace(b"/", b"-"))


def mount_of(path: str, wanted: str = "") -> Document | None:
    """Return source and type of what is mounted at a path; read from the kernel's table, which cannot hang.

    + wanted: the source as it should be; one that is the same by another name is called so
    """
    found = None
    for line in read_present("/proc/self/mounts").decode(errors="surrogateescape").splitlines():
        source, target, kind = line.split()[:3]
        if target == path:
            found = {"source": source, "type": kind}
    if found and wanted and same_source(found["source"], wanted):
        found["source"] = wanted
    return found


def answers(path: str) -> bool:
    """Tell whether the file system at a path answers within some seconds; a dead NFS server would hang us."""
    done = run_for(SECONDS, ["stat", "-t", path])
    return done is not None and done.returncode == 0


def bare_state(path: str) -> Document | None:
    """Return what the directory under the mount is like, seen from a name space where it is not mounted."""
    look = 'while umount -l "$1" 2>/dev/null; do :; done; stat -c "%a %U" "$1"; lsattr -d "$1"; ls -A "$1" | head -n 3'
    done = run(["unshare", "--mount", "sh", "-c", look, "look", path])
    lines = done.stdout.splitlines()
    if not lines:
        return None
    mode, owner = lines[0].split()
    attributes = lines[1].split()[0] if len(lines) > 1 and lines[1].endswith(path) else None
    entries = lines[2:] if attributes is not None else lines[1:]
    return {
        "protected": mode == "0" and owner == "root" and (attributes is None or "i" in attributes),
        "entries": entries,
    }
