"""Looks for passwords where others could see them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.nodes import run

# Containers' processes are in the host's process list, so one watcher sees those of all nodes and our own.
# Young ones are looked at each time, since a shell becomes the program that it starts; old ones now and then.
_WATCHER = """
import itertools, os, sys, time
seen, born = set(), {}
with open(sys.argv[1], "wb", buffering=0) as log:
    for look in itertools.count():
        pids = list(filter(str.isdigit, os.listdir("/proc")))
        born = {pid: born.get(pid, look) for pid in pids}
        for pid in pids:
            if look - born[pid] > 50 and look % 10:
                continue
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read()
            except OSError:
                continue
            if line and line not in seen:
                seen.add(line)
                log.write(line + b"\\n")
        time.sleep(0.004)
"""


@contextmanager
def watched_process_list() -> Iterator[Path]:
    """Write down every command line of this machine and of all nodes; yields the file."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "command-lines")
        watcher = subprocess.Popen([sys.executable, "-c", _WATCHER, str(log)])
        try:
            yield log
        finally:
            watcher.kill()
            watcher.wait()


def names_in(text: str, secrets: dict[str, str]) -> list[str]:
    """Return the names of the passwords that a text holds."""
    return [name for name, value in secrets.items() if value in text]


def readable_files(node: str, secrets: dict[str, str]) -> list[str]:
    """Return the files of a node that hold a password and can be read by everybody."""
    patterns = "\n".join(secrets.values()) + "\n"
    look = (
        "umask 077; cat > /root/patterns; "
        "find / /var/opt -xdev -path /proc -prune -o -type f -perm -004 -print0 | "
        "xargs -0 grep -lF -f /root/patterns; rm /root/patterns"
    )
    return run(node, look, patterns).split()


def journal(node: str) -> str:
    """Return all that a node has logged."""
    logs = "/var/log/apache2 /var/log/open-xchange /var/log/dpkg.log /var/log/apt"
    return run(node, f"journalctl --no-pager; for log in {logs}; do [ ! -e $log ] || grep -rH '' $log; done")
