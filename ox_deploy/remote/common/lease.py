"""One program at a time changes this host, and only for the run that has the lease."""

from __future__ import annotations

import fcntl
import json
import os
from typing import TextIO

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import STATE_DIRECTORY, read, read_present
from ox_deploy.remote.common.types import Document


def host_lock() -> TextIO:
    """Wait for the work of a run that was given up on the other side but goes on here; returns the lock."""
    os.makedirs(STATE_DIRECTORY, mode=0o700, exist_ok=True)
    lock = open(os.path.join(STATE_DIRECTORY, "lock"), "w")  # noqa: SIM115 - who has the lock closes it
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def only_one(number: int | None = None, run_id: str | None = None) -> TextIO:
    """Take the lock, then stop unless the run that gives the order still has the lease, under this number."""
    lock = host_lock()
    check_lease(number, run_id)
    return lock


def check_lease(number: int | None, run_id: str | None) -> None:
    """Stop if another run has the lease; who gives an order without one may do so while nobody has it."""
    lease = read_lease()
    if run_id is None:
        if lease.get("run") and seconds_left(lease) > 0:
            fail(f"another run is at work: {who(lease)}; nothing was changed here; run again when it has ended")
    elif (lease.get("run"), lease.get("number")) != (run_id, str(number)):
        taken = "it was taken over by " + who(lease) if lease.get("run") else "it was released"
        fail(f"this run has lost the lease of the cluster ({taken}); nothing was changed here; run again")


def read_lease() -> dict[str, str]:
    """Return what lease.sh wrote: {} if nobody ever had it."""
    text = (read(os.path.join(STATE_DIRECTORY, "lease")) or b"").decode()
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def seconds_left(lease: dict[str, str]) -> float:
    """Return for how long a lease still lasts, by the time since this host was started."""
    now = float(read_present("/proc/uptime").split()[0])
    if lease["boot"] != read_present("/proc/sys/kernel/random/boot_id").decode().strip():
        return int(lease["seconds"]) - now
    return int(lease["until"]) - now


def held_lease() -> Document | None:
    """Return who has the lease of this host, as lease.sh wrote it, and for how many seconds; None if nobody."""
    lease = read_lease()
    left = seconds_left(lease) if lease.get("run") else 0
    return {"holder": json.loads(lease["info"]), "left": left} if left > 0 else None


def who(lease: dict[str, str]) -> str:
    """Return who has a lease."""
    return "{doing}, by {user} on {machine} (process {process})".format(**json.loads(lease["info"]))
