"""The ways in which a run is cut off: it dies, or a host of its."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

from tests.lab import nodes, state
from tests.lab.nodes import exec_in, wait_for

# Bounded: by then a run has ended of itself, whatever became of its host.
LONGEST_SECONDS = 120
# The programs on the hosts.
OURS = "ox_deploy/remote/loader|/opt/open-xchange/sbin/|apt-get|dpkg"


def kill_run(process: subprocess.Popen[str], node: str) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # The program that it started goes on alone for a while.
    time.sleep(3)


def kill_run_and_program(process: subprocess.Popen[str], node: str) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    exec_in(node, ["pkill", "-KILL", "-f", OURS])
    process.communicate()


def kill_host(process: subprocess.Popen[str], node: str) -> None:
    nodes.kill(node)
    end(process)
    nodes.start(node)


def restart_host(process: subprocess.Popen[str], node: str) -> None:
    nodes.restart(node)
    end(process)


def freeze_host(process: subprocess.Popen[str], node: str) -> None:
    nodes.pause(node)
    try:
        end(process)
    finally:
        nodes.unpause(node)


def cut_connection(process: subprocess.Popen[str], node: str) -> None:
    nodes.disconnect(node)
    try:
        end(process)
    finally:
        nodes.reconnect(node)


def end(process: subprocess.Popen[str]) -> None:
    """Wait until a run whose host is gone has ended, in time and without a traceback."""
    said = process.communicate(timeout=LONGEST_SECONDS)[0]
    assert "Traceback" not in said, said


CUTS: dict[str, Callable[[subprocess.Popen[str], str], None]] = {
    "run killed": kill_run,
    "run and program killed": kill_run_and_program,
    "host killed": kill_host,
    "host restarted": restart_host,
    "host frozen": freeze_host,
    "connection lost": cut_connection,
}


def wait_until_hosts_are_back() -> None:
    for name, node in state.load().nodes.items():
        if node.role in ("db_master", "db_slave"):
            wait_for(name, "mariadb -e 'SELECT 1'", 60)
