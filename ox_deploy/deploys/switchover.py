"""Another master: `switchover` while the old one lives, `failover` when it is dead (docs/switchover.md)."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.deploys.clustering import start_daemons
from ox_deploy.deploys.openxchange import configure_node, wanted_clusters, wanted_node
from ox_deploy.operations.barrier import barrier
from ox_deploy.operations.openxchange import registration
from ox_deploy.operations.openxchange.wanted import WantedDatabase
from ox_deploy.topologies.master_slaves.deploys import switchover as databases


@deploy("Switchover")
def switchover() -> None:
    """Make a replica the master while the master lives; no acknowledged transaction is lost.

    Idempotent: run again, it goes on where it ended, and changes nothing when the switch is complete.
    """
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    new = databases.new_master(cluster)
    wanted = wanted_node(cluster, node) if "groupware" in node.groups else None
    _follow(databases.switchover(cluster, node, new, wanted), node)


@deploy("Failover")
def failover() -> None:
    """Make a replica the master because the master is dead; what it did not send is lost, and somebody has to say so.

    Idempotent: run again, it goes on where it ended, and changes nothing when the failover is complete.
    """
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    _follow(databases.failover(cluster, node, databases.new_master(cluster)), node)


def registered(cluster: Cluster) -> list[WantedDatabase]:
    """Return the registered databases; a reader's name stands for the writer where that is read, too."""
    return [server for one in wanted_clusters(cluster) for server in (one.writer, one.reader)]


def _follow(cluster: Cluster, node: Node) -> None:
    """Do on the groupware nodes what a deploy of the cluster with its new roles would do."""
    if "groupware" in node.groups:
        configure_node(cluster, node)
    barrier(name="All nodes are configured")
    if node.inventory_name == cluster.registrar.inventory_name:
        registration.repoint(
            name="Change the addresses in configdb",
            databases=registered(cluster),
            layout=cluster.product.configdb,
        )
    barrier(name="Open-Xchange knows the new master")
    if "groupware" in node.groups:
        start_daemons(cluster, node)
