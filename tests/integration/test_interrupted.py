"""A deploy that dies in the middle is put right by the next one. By SSH, as a user who may use sudo."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.integration.browser import Browser
from tests.integration.deployment import SSH_INVENTORY, command, deploy, make_bare_lab
from tests.lab import state
from tests.lab.nodes import exec_in

pytestmark = pytest.mark.lab

# Where the run is killed: the operation, how long it has been at it (seconds), and the node on which the program
# that it started dies, too; elsewhere that goes on alone.
KILLS = [
    ("Hosts | Names, user", 9.0, None),
    ("Hosts | Names, user", 4.0, "oxgw02"),
    ("Master/Slave database setup | Configure the server", 0.3, "dbmaster"),
    ("Master/Slave database setup | Configure the server", 0.1, None),
    ("Master/Slave database setup | Replicate from the master", 0.15, "dbslave"),
    ("Distributed file storage | Mount the filestore", 0.15, "oxgw01"),
    ("Session load balancing | Balance sessions", 0.1, "web"),
    ("Clustering: network configuration | Route multicast", 0.1, None),
    ("Configuring Open-Xchange Server | Configure the node", 0.3, "oxgw02"),
    ("Configuring Open-Xchange Server | Create configdb", 0.3, "oxgw01"),
    ("Configuring Open-Xchange Server | Create configdb", 5.5, "oxgw01"),
    ("Configuring Open-Xchange Server | Create configdb", 0.3, None),
    ("Clustering Open-Xchange Server | Start the daemons", 0.5, "oxgw02"),
]


def run_and_kill(operation: str, seconds: float, dying_node: str | None) -> None:
    """Start a deploy and kill it some time after an operation began."""
    process = subprocess.Popen(
        command(inventory=SSH_INVENTORY),
        cwd=state.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYINFRA_PROGRESS": "off", "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    assert process.stdout
    seen = ""
    for line in process.stdout:
        seen += line
        if "Starting" in line and operation in line:
            time.sleep(seconds)
            break
    assert process.poll() is None, f"it ended before it could be killed:\n{seen}"
    os.killpg(process.pid, signal.SIGKILL)
    if dying_node:
        exec_in(dying_node, ["pkill", "-KILL", "-f", "STATE_DIRECTORY|/opt/open-xchange/sbin/"])
    process.wait()
    process.stdout.close()


def test_killed_once_in_each_chapter_and_run_again() -> None:
    make_bare_lab()
    for operation, seconds, dying_node in KILLS:
        run_and_kill(operation, seconds, dying_node)
    deploy(inventory=SSH_INVENTORY)
    assert deploy(inventory=SSH_INVENTORY).changed() == []
    routes = set()
    for _ in range(4):
        browser = Browser()
        assert browser.login()["user_id"] == 3
        routes.add(browser.route)
    assert routes == {"OX-1", "OX-2"}


def test_by_ssh_and_by_docker_the_cluster_is_the_same() -> None:
    assert deploy().changed() == []
