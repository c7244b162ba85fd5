"""Processes of this host: the unit of each, and who has a socket."""

from __future__ import annotations

import os
import re
from collections import defaultdict

from ox_deploy.remote.common.files import read


def unit_of(process: str) -> str | None:
    """Return the systemd unit of a process, without `.service`."""
    text = (read(f"/proc/{process}/cgroup") or b"").decode()
    names = [part for part in re.split(r"[/\n]", text) if part.endswith(".service")]
    return names[-1].removesuffix(".service") if names else None


def name_of(process: str) -> str:
    """Return what the program of a process is called."""
    return (read(f"/proc/{process}/comm") or b"").decode(errors="replace").strip()


def holders_of_sockets() -> dict[str, list[str]]:
    """Return the processes that have each socket, by its inode; those of the kernel have none."""
    found: dict[str, list[str]] = defaultdict(list)
    for process in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{process}/fd")]
        except OSError:
            continue  # It has ended meanwhile.
        for link in links:
            if link.startswith("socket:["):
                found[link[8:-1]].append(process)
    return found
