"""On which file systems do the services of this host write, by what is in force?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Literal

from ox_deploy.remote.common.files import read, read_present
from ox_deploy.remote.common.processes import unit_of
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.mysql.session import connect

# How long the database server is waited for.
SERVER_SECONDS = 1
# Their disk is another host's, and a path there may hang.
REMOTE = ("nfs", "fuse", "cifs")
# Variables of a database server that name a directory, and those that name a file.
DIRECTORIES = (
    "datadir",
    "tmpdir",
    "slave_load_tmpdir",
    "replica_load_tmpdir",
    "innodb_tmpdir",
    "innodb_data_home_dir",
    "innodb_log_group_home_dir",
    "innodb_undo_directory",
)
FILES = ("log_bin_basename", "relay_log_basename", "relay_log", "general_log_file", "slow_query_log_file", "log_error")
WRITING = (os.O_WRONLY, os.O_RDWR)


def separate_places(
    known: list[str], others: list[str], units: list[str], option_file: str | Literal[False] | None
) -> list[str]:
    """Return the directories that services write to on other file systems than the `known` ones.

    `others` are written to now and then; `option_file` is that of a database server, False on a host without one.
    """
    places = places_of_units(units)
    if option_file is not False:
        places.update(places_of_server(option_file))
    mounts = mount_points()
    separate, covered = [], {mount_of_path(place, mounts) for place in known}
    for place in [*others, *sorted(places)]:
        mount = mount_of_path(place, mounts)
        if mount not in covered and (place in others or not mounts.get(mount, "").startswith(REMOTE)):
            covered.add(mount)
            separate.append(place)
    return separate


def places_of_server(option_file: str | None) -> list[str]:
    """Return the directories that a running database server names."""
    try:
        with connect(option_file, read_timeout=SERVER_SECONDS) as session:
            names = ", ".join(f"'{name}'" for name in DIRECTORIES + FILES)
            found = rows(session, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    except Exception:
        return []
    variables = {row["Variable_name"]: row["Value"] for row in found}
    base = variables.get("datadir") or "/"
    places = []
    for name, value in variables.items():
        # `tmpdir` may have several.
        for path in value.split(":") if value else []:
            path = os.path.join(base, path)
            places.append(os.path.dirname(path) if name in FILES else os.path.normpath(path))
    return places


def places_of_units(units: list[str]) -> set[str]:
    """Return the directories of all files that the processes of systemd units have open for writing."""
    places: set[str] = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if unit_of(process) in units:
                places.update(open_directories("/proc/" + process))
        except OSError:
            continue  # It has ended meanwhile.
    return places


def open_directories(process: str) -> Iterator[str]:
    """Return the directories of the files that a process writes to; the kernel's table cannot hang."""
    for number in os.listdir(process + "/fd"):
        try:
            path = os.readlink(f"{process}/fd/{number}")
            flags = re.search(rb"^flags:\s*(\d+)", read(f"{process}/fdinfo/{number}") or b"", re.MULTILINE)
        except OSError:
            continue
        writes = flags and int(flags[1], 8) & os.O_ACCMODE in WRITING
        if writes and path.startswith("/") and not path.startswith(("/dev/", "/proc/", "/sys/")):
            yield os.path.dirname(path)


def mount_points() -> dict[str, str]:
    """Return the kinds of all file systems of this host by their mount points."""
    mounts = {}
    for line in read_present("/proc/self/mountinfo").decode(errors="surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), fields.split()[4])
        mounts[point] = rest.split()[0]
    return mounts


def mount_of_path(path: str, mounts: dict[str, str]) -> str:
    """Return the mount point of a path, be it there or not. Links are followed, but not on what may hang."""
    found = deepest(path, mounts)
    return found if mounts.get(found, "").startswith(REMOTE) else deepest(os.path.realpath(path), mounts)


def deepest(path: str, mounts: dict[str, str]) -> str:
    """Return the mount point that a path lies under by its name."""
    fits = [mount for mount in mounts if path == mount or path.startswith(mount.rstrip("/") + "/")]
    return max(fits, key=len, default="/")
