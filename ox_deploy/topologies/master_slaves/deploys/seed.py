"""Seeding of a replica: `pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave=dbslave`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.deploys.hosts import end_run_on_failure, lease_for
from ox_deploy.errors import InputError
from ox_deploy.operations import lease
from ox_deploy.operations.barrier import barrier
from ox_deploy.questions.pyinfra_internals import failed_hosts, is_in_limit
from ox_deploy.topologies.master_slaves.deploys.database import make_accounts, siblings, source_of
from ox_deploy.topologies.master_slaves.obstacles import Method
from ox_deploy.topologies.master_slaves.operations import seed as seeding
from ox_deploy.topologies.master_slaves.operations.seed import obstacles_ahead
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of


@dataclass(frozen=True)
class Request:
    """Which replica is to be seeded, how, and whether what it has may be lost."""

    node: Node
    method: Method
    overwrite: bool


@deploy("Seed a replica")
def seed() -> None:
    """Copy the master's data to the one replica that is named, and make it replicate from exactly there.

    Not idempotent: a replica that has data is refused, or seeded anew with `overwrite_slave`. Raises InputError if
    no replica is named.
    """
    cluster = cluster_of(inventory)
    request = requested(cluster, inventory.get_override_data())
    node = request.node
    _begin(cluster, node, f"seeding of {node.name}")
    if cluster.node_of(host) != node:
        return
    seeding.from_master(
        name=f"Seed {node.name} from {master_of(cluster).name} ({request.method})",
        method=request.method,
        overwrite=request.overwrite,
        **_arguments(cluster, node),
    )
    make_accounts(cluster, node)


def _arguments(cluster: Cluster, node: Node) -> dict[str, Any]:
    return {
        "source": source_of(cluster),
        "address": node.address,
        "master_host": master_of(cluster).inventory_name,
        "server": cluster.database_server,
        "by_gtid": cluster.settings.replication_by == "gtid",
        "master_option_file": master_of(cluster).mysql_option_file,
        "option_file": node.mysql_option_file,
    }


def seeding_obstacles(cluster: Cluster, node: Node) -> list[str]:
    """Return what would end the seeding that a replica needs, nothing if it needs none; it is asked now."""
    return obstacles_ahead(siblings=siblings(cluster, node), **_arguments(cluster, node))


@deploy("Put back the old data of a replica")
def restore() -> None:
    """Put back what the one replica that is named had before a seeding that failed.

    Not idempotent: refuses if there is nothing to put back. Raises InputError if no replica is named.
    """
    cluster = cluster_of(inventory)
    node = requested(cluster, inventory.get_override_data()).node
    _begin(cluster, node, f"old data of {node.name}")
    if cluster.node_of(host) == node:
        seeding.restore(name=f"Put back the old data of {node.name}", server=cluster.database_server)


def _begin(cluster: Cluster, node: Node, doing: str) -> None:
    """Let nobody else change the cluster meanwhile."""
    end_run_on_failure()
    _check_takes_part(node)
    lease.look(name="Look at all hosts", **lease_for(cluster, cluster.node_of(host), doing))
    barrier(name="No other run is at work")


def requested(cluster: Cluster, given: Mapping[str, Any]) -> Request:
    """Return what is asked for with `--data`.

    Raises InputError with one sentence if that is not clear.
    """
    slaves = ", ".join(node.name for node in slaves_of(cluster)) or "none"
    if "seed_slave" not in given:
        raise InputError(f"no replica is named; add `--data seed_slave=` with one of `db_slave` ({slaves}).")
    node = next((node for node in slaves_of(cluster) if given["seed_slave"] in (node.name, node.inventory_name)), None)
    if node is None:
        raise InputError(
            f"`seed_slave` is {given['seed_slave']!r}, which is not a replica; name one of `db_slave` ({slaves})."
        )
    method = given.get("seed_method", Method.LOGICAL)
    if method not in list(Method):
        raise InputError(f"`seed_method` is {method!r}; it should be one of {', '.join(Method)}.")
    overwritten = given.get("overwrite_slave")
    if overwritten not in (None, node.name, node.inventory_name):
        raise InputError(
            f"`overwrite_slave` is {overwritten!r}, but the replica to be seeded is {node.name}; name the same replica "
            "in both."
        )
    return Request(node, Method(method), overwritten is not None)


def _check_takes_part(node: Node) -> None:
    """Refuse to end well without having done anything."""
    slave = inventory.get_host(node.inventory_name)
    if slave in failed_hosts():
        raise InputError(f"{node.name} cannot be reached, so it was not seeded; make it reachable, and run again.")
    if not is_in_limit(slave):
        raise InputError(f"{node.name} is left out by `--limit`, so it was not seeded; run without `--limit`.")
