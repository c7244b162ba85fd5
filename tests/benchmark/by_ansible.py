"""A run with nothing to change on five hosts, against one of Ansible that does less; both by SSH.

Ansible looks after packages, the main configuration files and the services. It leaves out database accounts and
replication, Apache's modules and certificate, the mount, and all of Open-Xchange.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from ox_deploy.deploys.filestore import GANESHA_EXPORTS, GANESHA_MAIN
from ox_deploy.deploys.web import SITE
from ox_deploy.mysql.servers import DATABASE_SERVERS
from tests.benchmark.builds import SSH_INVENTORY, Build
from tests.benchmark.deploys import FLOOR
from tests.benchmark.figures import Figures, in_turn, ratio
from tests.integration.deployment import deploy, make_bare_lab
from tests.lab import state
from tests.lab.hosts import ssh_host
from tests.lab.nodes import run
from tests.lab.state import Node

PLAYBOOK = Path(__file__).parent / "ansible" / "site.yml"
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
ROUNDS = 3
DATABASE_FILE = DATABASE_SERVERS["mariadb"].configuration
FILES = {
    "web": [SITE],
    "groupware": ["/etc/fstab"],
    "db_master": [DATABASE_FILE, GANESHA_EXPORTS, GANESHA_MAIN],
    "db_slave": [DATABASE_FILE],
}
SERVICES = {
    "web": ["apache2"],
    "groupware": ["open-xchange-admin", "open-xchange-groupware"],
    "db_master": ["mariadb", "nfs-ganesha"],
    "db_slave": ["mariadb"],
}
# As many hosts at the same time as there are, and no file of a module is copied first.
SETTINGS = {"ANSIBLE_FORKS": "10", "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOWS": "1"}


def variables(node: Node, folder: Path) -> dict[str, Any]:
    """Return what Ansible has to know of a host; its files are to be as they are now."""
    _, data = ssh_host(node)
    files = []
    for number, path in enumerate(["/etc/hosts", *FILES[node.role]]):
        copy = folder / f"{node.name}-{number}"
        copy.write_text(run(node, ["cat", path]))
        files.append({"source": str(copy), "path": path, "mode": "0" + run(node, ["stat", "-c", "%a", path]).strip()})
    return {
        "ansible_host": data["ssh_hostname"],
        "ansible_port": data["ssh_port"],
        "ansible_user": data["ssh_user"],
        "ansible_ssh_private_key_file": data["ssh_key"],
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={data['ssh_known_hosts_file']}",
        "ansible_python_interpreter": "/usr/bin/python3",
        "packages": FLOOR[node.role][0].split(),
        "files": files,
        "services": SERVICES[node.role],
    }


def play(inventory: Path) -> float:
    """Run the playbook; return the seconds. Nothing may change."""
    begin = time.monotonic()
    argv = [str(PROGRAM), "-i", str(inventory), str(PLAYBOOK)]
    done = subprocess.run(argv, env=os.environ | SETTINGS, capture_output=True, text=True, check=False)
    taken = time.monotonic() - begin
    assert done.returncode == 0, done.stdout + done.stderr
    recap = done.stdout.partition("PLAY RECAP")[2]
    assert recap.count("changed=0") == len(state.load().nodes), recap
    return taken


def prepare(folder: Path) -> Path:
    """Write Ansible's inventory and have its own needs installed; return the inventory."""
    hosts = {node.name: variables(node, folder) for node in state.load().nodes.values()}
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    for node in state.load().nodes.values():
        run(node, "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-apt")
    return inventory


def measure(builds: Sequence[Build]) -> Figures:
    """Return the figures by name, of all in turn."""
    if not PROGRAM.exists():
        sys.exit("Ansible is not installed: run `pip install -e '.[benchmark]'`.")
    make_bare_lab()
    deploy()
    return compare(builds)


def compare(builds: Sequence[Build]) -> Figures:
    """Return the figures of the lab that is up and deployed."""
    with tempfile.TemporaryDirectory() as folder:
        inventory = prepare(Path(folder))
        works = {build.name: partial(build.deploy, SSH_INVENTORY) for build in builds}
        taken = in_turn(works | {"Ansible": partial(play, inventory)}, ROUNDS)
    figures = {"Ansible: nothing to change by SSH, s": median(taken["Ansible"])}
    for build in builds:
        figures[f"{build.name}: nothing to change by SSH, s"] = median(taken[build.name])
        figures[f"Ansible / {build.name}"] = ratio(taken["Ansible"], taken[build.name])
    return figures
