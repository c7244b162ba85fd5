"""Waits until a deployed cluster that has just started serves its users: replication, mounts, daemons, caches."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from ox_deploy.products import PRODUCTS
from tests.lab.state import Node, State

SECONDS = 60
MOUNTED = "mountpoint -q /var/opt/filestore"
LISTENS = "[ -n \"$(ss -Htln 'sport = :{port}')\" ]"
# Each cache holds a connection with each other node.
CONNECTED = "[ \"$(ss -Htn state established '( dport = :{port} or sport = :{port} )' | wc -l)\" -ge {others} ]"
CACHE_PORTS = (57461, 58849)
REPLICATES = {
    "mariadb": "mariadb -E -e 'SHOW SLAVE STATUS' | grep -c 'Slave_.*_Running: Yes' | grep -q 2",
    # 9.7's client takes no backslash G behind a statement.
    "mysql": "mysql -E -e 'SHOW REPLICA STATUS' | grep -c 'Replica_.*_Running: Yes' | grep -q 2",
}
# A replica that was there before its master asks again only after a minute.
ASK_AGAIN = {
    "mariadb": "mariadb -e 'STOP SLAVE IO_THREAD; START SLAVE IO_THREAD'",
    "mysql": "mysql -e 'STOP REPLICA IO_THREAD; START REPLICA IO_THREAD'",
}


class NotReady(Exception):
    """A host does not serve in time, in one sentence."""


def wait(current: State) -> None:
    """Wait until all hosts serve. Raises NotReady after a minute."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda node: _wait(node, current), current.nodes.values()))


def _wait(node: Node, current: State) -> None:
    deadline = time.monotonic() + SECONDS
    left = conditions(node, current)
    while left:
        if _succeeds(node, left[0]):
            left.pop(0)
            continue
        if time.monotonic() > deadline:
            raise NotReady(f"{node.name} is not ready within {SECONDS} seconds: {left[0]}")
        if node.role == "db_slave":
            _succeeds(node, ASK_AGAIN[current.database_server])
        time.sleep(0.3)


def conditions(node: Node, current: State) -> list[str]:
    """Return the command lines that all succeed on a host that serves."""
    if node.role == "db_slave":
        return [REPLICATES[current.database_server]]
    if node.role == "groupware":
        others = len(current.with_role("groupware")) - 1
        listen = [LISTENS.format(port=port) for port in PRODUCTS["ox6"].ports.values()]
        return [MOUNTED, *listen, *(CONNECTED.format(port=port, others=others) for port in CACHE_PORTS)]
    return []


def _succeeds(node: Node, line: str) -> bool:
    command = ["docker", "exec", node.container, "bash", "-c", line]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
