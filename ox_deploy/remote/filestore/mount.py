"""Mount the filestore, now and at boot, over a directory that nobody can write to."""

from __future__ import annotations

import os
import time

from ox_deploy.remote.common.commands import run, run_for, run_or_fail
from ox_deploy.remote.common.files import block_in, read
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.service.configure import service_configure

# A server that was started just now may not listen yet.
REFUSED, PATIENCE_SECONDS = "Connection refused", 30
# How long the server may take to list a directory that was just mounted; one that is in use, and may be busy.
LIST_SECONDS, BUSY_SECONDS = 10, 60
# mount itself tries for two minutes.
MOUNT_SECONDS = 150

PROTECT = """
set -e
mkdir -p "$1"
while umount -l "$1" 2>/dev/null; do :; done
chattr -i "$1" 2>/dev/null || :
chown root:root "$1"
chmod 000 "$1"
chattr +i "$1" 2>/dev/null || :
"""


def filestore_mount(job: Document) -> None:
    """Do all of it; the files of the mount come first, so that systemd knows it."""
    path = job["path"]
    if job["stale"]:
        run_or_fail(["umount", "-l", path])
    os.makedirs(path, exist_ok=True)
    # In a mount name space of its own, so that a mounted filestore stays mounted for everybody else.
    run_or_fail(["unshare", "--mount", "sh", "-c", PROTECT, "protect", path])
    service_configure(job["service"], lambda: use(path, job["user"]))


def use(path: str, user: str) -> str | None:
    """Mount it as fstab says, if it does, and look at what is in it as its user; return what is wrong, or None."""
    text = (read("/etc/fstab") or b"").decode(errors="surrogateescape")
    if block_in(text, "filestore") is None:
        return None
    in_use = os.path.ismount(path)
    problem = None if in_use else mount(path)
    if problem:
        return problem
    seconds = BUSY_SECONDS if in_use else LIST_SECONDS
    looked = run_for(seconds, ["runuser", "-u", user, "--", "ls", "-AU", path])
    if looked and not looked.returncode:
        return None
    # What others work in stays: a server that comes back lets them go on.
    if not in_use:
        run(["umount", "-l", path])
    said = looked.stderr.strip() if looked else f"no answer within {seconds} s"
    return f"{path} is mounted, but user {user} cannot list it: {said}"


def mount(path: str) -> str | None:
    """Mount it as fstab says; wait a while for a server that takes no connections yet; return what is wrong."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    done = run(["mount", path], seconds=MOUNT_SECONDS)
    while REFUSED in done.stderr and time.monotonic() < deadline:
        time.sleep(0.5)
        done = run(["mount", path], seconds=MOUNT_SECONDS)
    if done.returncode:
        return f"`mount {path}` failed with exit code {done.returncode}: {done.stderr.strip()}"
    return None
