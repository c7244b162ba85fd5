"""Try the filestore as the daemons use it, on all nodes at the same time: one step of it.

Each node goes through `write` (a file of its own), `see` (the files of all nodes) and `remove` (the file of the
next node, then waits until all are gone). If a node dies in between, its systemd removes its file.
"""

from __future__ import annotations

import time

from ox_deploy.remote.common.commands import run_for
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.verify.common import attempt, guard, release

USER = "open-xchange"
# A dead NFS server would hang us: no command gets more time, nor the files to go away.
COMMAND_SECONDS = 5
PATIENCE_SECONDS = 10
# How `timeout` ends a command, and itself.
KILLED = (137, -9)

WRITE = 'set -C; umask 027; echo "$2" > "$1"'
# Opened, not only looked at: an NFS client remembers what a file was like.
READ = 'for file in "$@"; do text=$(cat "$file") && echo "$file $(stat -c %u:%g "$file") $text"; done; true'


def verify_filestore(job: Document) -> Document:
    """Go through a step."""
    return attempt({"write": write, "see": see, "remove": remove}[job["step"]], job)


def path_of(job: Document, node: str) -> str:
    """Return the file of a node."""
    return "{}/.ox-verify-{}-{}".format(job["path"], job["run"], node)


def unit_of(job: Document) -> str:
    """Return the name of the systemd unit that removes this node's file in any case."""
    return "ox-verify-{}-filestore".format(job["run"])


def as_user(argv: list[str]) -> list[str]:
    """Return the command that does something as the user of the daemons, for some seconds at most."""
    return ["runuser", "-u", USER, "--", "timeout", "-s", "KILL", str(COMMAND_SECONDS), *argv]


def run_as_user(argv: list[str]) -> str:
    """Run it and return what it printed."""
    done = run_for(COMMAND_SECONDS + 1, as_user(argv))
    if done is None or done.returncode in KILLED:
        raise RuntimeError(f"the filestore does not answer within {COMMAND_SECONDS} seconds")
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def write(job: Document) -> Document:
    """Write this node's file."""
    path = path_of(job, job["node"])
    guard(unit_of(job), as_user(["rm", "-f", path]))
    run_as_user(["sh", "-c", WRITE, "write", path, job["node"]])
    return {}


def see(job: Document) -> Document:
    """Return owner and text of each file that can be read, by node."""
    nodes = {path_of(job, node): node for node in job["nodes"]}
    lines = run_as_user(["sh", "-c", READ, "read", *nodes]).splitlines()
    found = [line.split(" ", 2) for line in lines]
    return {"files": {nodes[path]: {"owner": owner, "text": text} for path, owner, text in found}}


def remove(job: Document) -> Document:
    """Remove the file of the next node; return the nodes whose file stays."""
    nodes = job["nodes"]
    after = nodes[(nodes.index(job["node"]) + 1) % len(nodes)]
    run_as_user(["rm", "-f", path_of(job, after)])
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = list(see(job)["files"])
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = list(see(job)["files"])
    if job["node"] in left:
        run_as_user(["rm", "-f", path_of(job, job["node"])])
    release(unit_of(job))
    return {"left": left}
