"""Mount the filestore, now and at boot, over a directory that nobody can write to."""

import time

# A server that was started just now may not listen yet.
REFUSED, PATIENCE_SECONDS = "Connection refused", 30

PROTECT = """
set -e
mkdir -p "$1"
while umount -l "$1" 2>/dev/null; do :; done
chattr -i "$1" 2>/dev/null || :
chown root:root "$1"
chmod 000 "$1"
chattr +i "$1" 2>/dev/null || :
"""


def filestore_mount(job):
    """Do all of it; the files of the mount come first, so that systemd knows it."""
    path = job["path"]
    if job["stale"]:
        run_or_fail(["umount", "-l", path])
    os.makedirs(path, exist_ok=True)
    # In a mount name space of its own, so that a mounted filestore stays mounted for everybody else.
    run_or_fail(["unshare", "--mount", "sh", "-c", PROTECT, "protect", path])
    service_configure(job["service"])
    if job["mount"]:
        mount(path)


def mount(path):
    """Mount it as fstab says; wait a while for a server that takes no connections yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    done = run(["mount", path])
    while REFUSED in done.stderr and time.monotonic() < deadline:
        time.sleep(0.5)
        done = run(["mount", path])
    if done.returncode:
        fail("`mount {}` failed with exit code {}: {}".format(path, done.returncode, done.stderr.strip()))
