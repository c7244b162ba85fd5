"""A deploy that dies in the middle is put right by the next one. By SSH, as a user who may use sudo."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.integration.cuts import CUTS, OURS
from tests.integration.deployment import SSH_INVENTORY, begun, command, deploy, make_bare_lab
from tests.lab import state
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, run, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mariadb-11.8")]

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
    Kill("Databases | Configure the server", "dbslave", NOW, "dbslave"),
    Kill("Databases | Replicate from the master", "dbslave", NOW, "dbslave"),
    Kill("Distributed file storage | Mount the filestore", "oxgw01", NOW, "oxgw01"),
    Kill("Session load balancing | Balance sessions", "web", NOW, "web"),
    Kill("Clustering: network configuration | Route multicast", "oxgw01"),
    Kill("Configuring Open-Xchange Server | Configure the node", "oxgw02", NOW, "oxgw02"),
    Kill("Configuring Open-Xchange Server | Create configdb", "dbmaster", "mariadb -e 'USE configdb'", "oxgw01"),
    Kill("Configuring Open-Xchange Server | Create configdb", "dbmaster", COUNT.format("filestore"), "oxgw01"),
    Kill("Configuring Open-Xchange Server | Create configdb", "dbmaster", COUNT.format("context")),
    Kill("Clustering Open-Xchange Server | Start the daemons", "oxgw02", NOW, "oxgw02"),
]


# What takes long, and what the software of others does in several steps.
SAMPLE = [KILLS[0], KILLS[2], KILLS[7], KILLS[8], KILLS[10]]


@pytest.fixture
def bare_hosts() -> None:
    """The filestore is a host of its own, which no other test of a cold deploy has."""
    make_bare_lab("--filestore")


def slow_down_dpkg(node: str) -> None:
    """Keep the next dpkg of a node running once it has unpacked its packages, so that a slow machine sees it, too."""
    path = "/etc/dpkg/dpkg.cfg.d/slow"
    exec_in(node, ["sh", "-c", f"""echo 'post-invoke="rm {path}; exec sleep 60"' > {path}"""])


def reached(kill: Kill) -> subprocess.Popen[str]:
    """Start a deploy; it is in the middle of the operation."""
    process, seen = begun(command(inventory=SSH_INVENTORY), kill.operation)
    wait_for(kill.node, kill.condition, 120)
    assert process.poll() is None, f"{kill}: the run ended before it could be killed:\n{seen}"
    return process


def run_and_kill(kill: Kill) -> None:
    """Start a deploy and kill it in the middle of an operation."""
    process = reached(kill)
    os.killpg(process.pid, signal.SIGKILL)
    if kill.dying_node:
        exec_in(kill.dying_node, ["pkill", "-KILL", "-f", OURS])
    process.communicate()


def assert_deployed() -> None:
    """The next run completes the cluster, and the one after that has nothing to do."""
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
    source = f"{state.load().nodes['filestore'].address}:/var/opt/filestore"
    for node in ("oxgw01", "oxgw02"):
        assert run(node, "findmnt -n -o SOURCE /var/opt/filestore").strip() == source
    assert exec_in("dbmaster", "systemctl is-active nfs-ganesha").code


@pytest.mark.usefixtures("bare_hosts")
@pytest.mark.parametrize(
    "kills", [SAMPLE, pytest.param(KILLS, marks=pytest.mark.thorough)], ids=["at five steps", "in each chapter"]
)
def test_killed_again_and_again_it_completes(kills: Sequence[Kill]) -> None:
    slow_down_dpkg("oxgw02")
    for kill in kills:
        run_and_kill(kill)
    assert_deployed()


@pytest.mark.thorough
@pytest.mark.usefixtures("bare_hosts")
@pytest.mark.parametrize("cut", [cut for cut in CUTS if "run" not in cut])
def test_host_is_lost_once_in_each_chapter_and_run_again(cut: str) -> None:
    slow_down_dpkg("oxgw02")
    for kill in KILLS:
        CUTS[cut](reached(kill), kill.dying_node or kill.node)
    assert_deployed()
