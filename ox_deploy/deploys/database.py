"""The database chapter. Guide: Master/Slave database setup."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy.cluster import cluster_of
from ox_deploy.operations.barrier import barrier


@deploy("Databases")
def set_up_databases() -> None:
    """Configure the database servers, make the accounts, connect the servers with each other.

    Idempotent.
    """
    barrier(name="All hosts are prepared")
    cluster = cluster_of(inventory)
    node, topology = cluster.node_of(host), cluster.topology
    if node in cluster.databases or "groupware" in node.groups or node == cluster.filestore:
        topology.check_roles(cluster)
    barrier(name="The database servers have the roles of the inventory")
    if node in cluster.databases:
        topology.set_up(cluster, node)
