"""The lab's hosts with their data, for the two inventories."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tests.lab import state
from tests.lab.state import Node

ROLES = ("web", "groupware", "db_master", "db_slave", "filestore")
SSH_PORT = 22
LOAD_FACTOR = 50

Data = dict[str, Any]
Host = tuple[str, Data]


def docker_host(node: Node) -> Host:
    return f"@docker/{node.container}", {}


def ssh_host(node: Node) -> Host:
    """The same host as one reaches a real one: by SSH as a user who may use sudo."""
    return node.name, {
        "ssh_hostname": node.address,
        "ssh_port": SSH_PORT,
        "ssh_user": "admin",
        "ssh_key": str(state.SSH_KEY),
        "ssh_known_hosts_file": str(state.KNOWN_HOSTS),
        "ssh_strict_host_key_checking": "yes",
        "_sudo": True,
    }


def groups(connect: Callable[[Node], Host]) -> dict[str, list[Host]]:
    """Inventory groups by role, and one for each host by its plain name, so that `--limit oxgw01` works."""
    try:
        current = state.load()
    except state.LabDown as error:
        sys.exit(str(error))
    by_role: dict[str, list[Host]] = {}
    by_name: dict[str, list[Host]] = {}
    for role in ROLES:
        nodes = sorted(current.with_role(role), key=_order)
        hosts = [_with_data(connect(node), node, number) for number, node in enumerate(nodes, 1)]
        if hosts:
            by_role[role] = hosts
        by_name |= {node.name: [host] for node, host in zip(nodes, hosts, strict=True)}
    return by_name | by_role


def _order(node: Node) -> tuple[int, str]:
    """Names end in numbers: dbslave10 comes after dbslave9."""
    return len(node.name), node.name


def _with_data(host: Host, node: Node, number: int) -> Host:
    name, data = host
    data = {"hostname": node.name, "address": node.address, **data}
    if node.role == "groupware":
        data |= {"route": f"OX-{number}", "load_factor": LOAD_FACTOR}
    if node.role == "db_master":
        data |= {"server_id": number}
    if node.role == "db_slave":
        data |= {"server_id": number + 1}
    return name, data
