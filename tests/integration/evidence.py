"""Keeps journals, configuration and state files of the lab's nodes after a test has failed."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import state
from tests.lab.state import Node

FOLDER = state.TOP / "failures"
MOST = 20
SECONDS = 60
# The folder of the lab is closed to others: configuration holds passwords.
COLLECT = """
cd /tmp && d=$(mktemp -d) && cd "$d"
journalctl --no-pager --since=@{since:.0f} >journal.txt 2>&1
systemctl --failed --no-pager >failed-units.txt 2>&1
ps -eo pid,ppid,etimes,stat,args >processes.txt 2>&1
ss -Htanp >sockets.txt 2>&1
tar -czf - --ignore-failed-read --exclude=/opt/open-xchange/lib . /etc/hosts /etc/fstab /etc/mysql /etc/apache2 \
    /etc/ganesha /etc/apt /var/lib/ox-deploy /run/ox-deploy /opt/open-xchange/etc /var/log/open-xchange \
    /var/log/apache2 /var/log/ganesha 2>/dev/null
rm -r "$d"
"""


def collect(test: str, since: float) -> Path | None:
    """Keep what there is of each node of this lab; returns the folder, or None if there is no lab."""
    try:
        nodes = state.load().nodes.values()
    except state.LabDown:
        return None
    folder = FOLDER / f"{state.NAME}-{re.sub('[^A-Za-z0-9_.-]+', '-', test.partition('::')[2])[:100]}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda node: _collect(node, folder, since), nodes))
    _forget_oldest()
    return folder


def _collect(node: Node, folder: Path, since: float) -> None:
    command = ["docker", "exec", node.container, "bash", "-c", COLLECT.format(since=since)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        content = done.stdout or done.stderr
    except subprocess.TimeoutExpired:
        content = b""
    target = folder / f"{node.name}.tar.gz"
    target.touch(0o600)
    target.write_bytes(content)


def _forget_oldest() -> None:
    kept = sorted(FOLDER.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in kept[MOST:]:
        shutil.rmtree(folder)
