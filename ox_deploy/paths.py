"""Which directories of a host the filestore may have."""

from __future__ import annotations

import re

LONGEST = 240
# What lies in these belongs to the system, to a package, or to nobody for long.
TREES = (
    "/bin", "/boot", "/dev", "/etc", "/lost+found", "/proc", "/root", "/run", "/sbin", "/snap", "/sys", "/tmp", "/usr",  # noqa: S108 - compared only
    "/opt/open-xchange",
    "/var/backups", "/var/cache", "/var/crash", "/var/lock", "/var/log", "/var/mail", "/var/run", "/var/snap",
    "/var/spool", "/var/tmp", "/var/www",  # noqa: S108 - compared only
    "/var/lib/apache2", "/var/lib/apt", "/var/lib/containerd", "/var/lib/dbus", "/var/lib/docker", "/var/lib/dpkg",
    "/var/lib/ganesha", "/var/lib/mariadb", "/var/lib/misc", "/var/lib/mysql", "/var/lib/mysql-files",
    "/var/lib/mysql-keyring", "/var/lib/mysql-upgrade", "/var/lib/nfs", "/var/lib/ox-deploy", "/var/lib/pam",
    "/var/lib/postgresql", "/var/lib/private", "/var/lib/python", "/var/lib/sudo", "/var/lib/systemd",
    "/var/lib/ucf", "/var/lib/vim",
)  # fmt: skip
# These are for many; a directory within them is fine.
SHARED = frozenset(
    {"/", "/export", "/home", "/media", "/mnt", "/opt", "/srv", "/var", "/var/lib", "/var/local", "/var/opt"}
)
# Where packages and programs make directories of any owner all the time.
_BUSY = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/tmp", "/var/lock", "/opt/open-xchange")  # noqa: S108 - compared only
PERMANENT_TREES = tuple(tree for tree in TREES if tree not in _BUSY)
EXAMPLE = "/var/opt/filestore"


def form(path: str) -> str | None:
    """Return "" if a text is no absolute path in its only spelling, or None."""
    fine = re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) and len(path) <= LONGEST
    return None if fine and not {".", ".."} & set(path.split("/")) else ""


def find_reason_against_filestore(path: str) -> str | None:
    """Return why a path cannot be that of the filestore: "" for its spelling, else words. None if it can."""
    if path not in SHARED and form(path) is not None:
        return ""
    tree = next((tree for tree in TREES if path == tree or path.startswith(f"{tree}/")), None)
    library = re.match(r"/lib(32|64|x32|o32)?(?=/|$)", path)
    if library:
        tree = library[0]
    if tree is not None:
        return f"{tree} belongs to the system or to a package; choose a separate directory, such as {EXAMPLE}"
    if path in SHARED:
        return f"many programs share that directory; choose a separate one, such as {EXAMPLE}"
    return None
