"""A deploy that dies in the middle is put right by the next one. By SSH, as a user who may use sudo."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass

import pytest

from tests.integration.deployment import SSH_INVENTORY, command, deploy
from tests.lab import state
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, wait_for

pytestmark = pytest.mark.lab

NOW = "true"
COUNT = "[ $(mariadb -N -e 'SELECT COUNT(*) FROM configdb.{}') -ge 1 ]"


@dataclass(frozen=True)
class Kill:
    """Where a run is killed: in an operation, as soon as a shell line succeeds on a node.

    On `dying_node` the program that the run started dies, too; elsewhere that goes on alone.
    """

    operation: str
    node: str
    condition: str = NOW
    dying_node: str | None = None


KILLS = [
    Kill("Hosts | Names, user", "oxgw02", "pgrep -x dpkg", "oxgw02"),
    Kill("Master/Slave database setup | Configure the server", "dbslave", NOW, "dbslave"),
    Kill("Master/Slave database setup | Replicate from the master", "dbslave", NOW, "dbslave"),
    Kill("Distributed file storage | Mount the filestore", "oxgw01", NOW, "oxgw01"),
    Kill("Session load balancing | Balance sessions", "web", NOW, "web"),
    Kill("Clustering: network configuration | Route multicast", "oxgw01"),
    Kill("Configuring Open-Xchange Server | Configure the node", "oxgw02", NOW, "oxgw02"),
    Kill("Configuring Open-Xchange Server | Create configdb", "dbmaster", "mariadb -e 'USE configdb'", "oxgw01"),
    Kill("Configuring Open-Xchange Server | Create configdb", "dbmaster", COUNT.format("filestore"), "oxgw01"),
    Kill("Configuring Open-Xchange Server | Create configdb", "dbmaster", COUNT.format("context")),
    Kill("Clustering Open-Xchange Server | Start the daemons", "oxgw02", NOW, "oxgw02"),
]


def slow_down_dpkg(node: str) -> None:
    """Keep the next dpkg of a node running once it has unpacked its packages, so that a slow machine sees it, too."""
    path = "/etc/dpkg/dpkg.cfg.d/slow"
    exec_in(node, ["sh", "-c", f"""echo 'post-invoke="rm {path}; exec sleep 60"' > {path}"""])


def run_and_kill(kill: Kill) -> None:
    """Start a deploy and kill it in the middle of an operation."""
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
        if "Starting" in line and kill.operation in line:
            wait_for(kill.node, kill.condition, 120)
            break
    assert process.poll() is None, f"{kill}: the run ended before it could be killed:\n{seen}"
    os.killpg(process.pid, signal.SIGKILL)
    if kill.dying_node:
        exec_in(kill.dying_node, ["pkill", "-KILL", "-f", "STATE_DIRECTORY|/opt/open-xchange/sbin/|apt-get|dpkg"])
    process.wait()
    process.stdout.close()


@pytest.mark.usefixtures("bare_hosts")
def test_killed_once_in_each_chapter_and_run_again() -> None:
    slow_down_dpkg("oxgw02")
    for kill in KILLS:
        run_and_kill(kill)
    deploy(inventory=SSH_INVENTORY)
    assert deploy(inventory=SSH_INVENTORY).changed() == []
    routes = set()
    for _ in range(4):
        browser = Browser()
        assert browser.login()["user_id"] == 3
        routes.add(browser.route)
    assert routes == {"OX-1", "OX-2"}
    # By SSH and by Docker, the cluster is the same.
    assert deploy().changed() == []
