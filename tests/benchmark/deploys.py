"""Deploys, verify and status of five hosts: cold, and with nothing to change."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

from ox_deploy.products import PRODUCTS
from tests.benchmark.builds import Build
from tests.benchmark.figures import Figures, console, in_turn, ratio, seconds
from tests.integration.deployment import (
    INVENTORY,
    PYINFRA,
    SSH_INVENTORY,
    command,
    deployed_lab,
    make_bare_lab,
    pyinfra,
)
from tests.integration.status import status
from tests.lab import state
from tests.lab.nodes import disconnect, reconnect, run
from tests.lab.state import Node

COLD_ROUNDS = 2

# What the packages alone cost: by hand, on all hosts at once, then one restart of each service.
DATABASE = ("mariadb-server python3-pymysql", "systemctl restart mariadb")
MASTER = ("mariadb-server python3-pymysql nfs-ganesha nfs-ganesha-vfs", "systemctl restart mariadb nfs-ganesha")
WEB = ("apache2 " + " ".join(PRODUCTS["ox6"].gui_packages), "systemctl restart apache2")
# The daemons cannot run without a configuration, so their part of the floor is left out.
GROUPWARE = ("nfs-common python3-pymysql " + " ".join(PRODUCTS["ox6"].groupware_packages), "true")
FLOOR = {"web": WEB, "groupware": GROUPWARE, "db_master": MASTER, "db_slave": DATABASE}

SOURCES = """
set -e
cat > /etc/apt/auth.conf.d/ox.conf
echo 'deb [trusted=yes] http://{repository}/ ./' > /etc/apt/sources.list.d/ox.list
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends {packages}
{restart}
"""

SHIM = """#!/bin/sh
[ "$1" != exec ] || echo "$3" >> {log}
exec {docker} "$@"
"""


def install_by_hand(node: Node) -> None:
    """Install on one node what the deploy installs there, and nothing else."""
    packages, restart = FLOOR[node.role]
    script = SOURCES.format(repository=state.REPO_NAME, packages=packages, restart=restart)
    credentials = json.loads(state.REPO_CREDENTIALS.read_text())
    login = f"machine http://{state.REPO_NAME}/ login {credentials['user']} password {credentials['password']}\n"
    run(node, script, login)


def floor() -> float:
    """Return the seconds that packages and restarts alone take on all hosts at once."""
    hosts = list(state.load().nodes.values())
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        return seconds(lambda: list(pool.map(install_by_hand, hosts)))


def commands_per_host() -> float:
    """Return how many commands a run with nothing to change sends to the busiest host."""
    docker = shutil.which("docker")
    assert docker
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        shim = Path(folder, "docker")
        shim.write_text(SHIM.format(log=log, docker=docker))
        shim.chmod(stat.S_IRWXU)
        done = pyinfra(command(), env={"PATH": f"{folder}:{os.environ['PATH']}"})
        assert done.code == 0, done.output
        names = log.read_text().split()
    return max(names.count(name) for name in set(names))


def unchanged() -> float:
    """Return the seconds of a run with nothing to change, the best of three."""
    runs = []
    for _ in range(3):
        begin = time.monotonic()
        done = pyinfra(command("--json"))
        runs.append(time.monotonic() - begin)
        assert done.changed() == [], done.changed()
    return min(runs)


def verify_seconds() -> float:
    """Return the seconds of all of the guide's tests."""
    argv = [*PYINFRA, "-y", INVENTORY, "ox_deploy.deploys.verify.verify"]
    begin = time.monotonic()
    done = pyinfra(argv)
    assert done.code == 0, done.output
    return time.monotonic() - begin


def status_figures() -> Figures:
    """Return the seconds of a status, also with a host that drops all packets."""
    figures = {"status, s": min(status().seconds for _ in range(3))}
    figures["status by SSH, s"] = min(status(inventory=SSH_INVENTORY).seconds for _ in range(3))
    disconnect("oxgw02")
    figures["status by SSH, one host drops all packets, s"] = status(inventory=SSH_INVENTORY).seconds
    reconnect("oxgw02")
    return figures


def cold(builds: Sequence[Build]) -> Figures:
    """Return the seconds from five bare hosts, and the ratio to the floor, one right after the other."""
    works: dict[str, Callable[[], float]] = {"floor": floor} | {build.name: build.deploy for build in builds}
    bare = {name: partial(_on_bare_hosts, work) for name, work in works.items()}
    taken = in_turn(bare, COLD_ROUNDS)
    figures = {"floor, s": median(taken["floor"])}
    for build in builds:
        figures[f"{build.name}: cold deploy, s"] = median(taken[build.name])
        figures[f"{build.name}: cold deploy / floor"] = ratio(taken[build.name], taken["floor"])
    return figures


def _on_bare_hosts(work: Callable[[], float]) -> float:
    make_bare_lab()
    return work()


def measure(builds: Sequence[Build]) -> Figures:
    """Return the figures by name; the lab is left with five deployed hosts."""
    console.print("floor: packages and restarts by hand; cold deploy")
    figures = cold(builds)
    deployed_lab()
    console.print("nothing to change")
    figures["nothing to change, s"] = unchanged()
    figures["commands on the busiest host"] = commands_per_host()
    console.print("verify and status")
    figures["verify, s"] = verify_seconds()
    return figures | status_figures()
