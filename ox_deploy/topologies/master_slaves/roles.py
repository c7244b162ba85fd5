"""Who is the master, and who is a replica, as the inventory says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ox_deploy.consistency import INVENTORY, NodeLike
from ox_deploy.errors import InputError
from ox_deploy.topologies.base import DatabaseCluster

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node

MASTER, SLAVE = "db_master", "db_slave"
# Names under which the guide registers the master and the replica that is read from.
REGISTERED = "oxdatabase", "oxdatabase_slave"


def master_of(cluster: Cluster) -> Node:
    """Return the database master."""
    return cluster.group(MASTER)[0]


def slaves_of(cluster: Cluster) -> tuple[Node, ...]:
    """Return the database replicas."""
    return cluster.group(SLAVE)


class MasterSlavesRoles:
    """The master takes writes; the first replica is read from, since configdb knows one replica per master."""

    groups = (MASTER, SLAVE)
    replication_sources = (MASTER,)
    words: ClassVar = {MASTER: "database master", SLAVE: "database replica"}
    reader_rule = "the first host of `db_slave` is the one that Open-Xchange reads from"

    def check(self, nodes: Sequence[NodeLike]) -> None:
        """Raise InputError unless there is one master, and each server has a number of its own."""
        masters = [node.name for node in nodes if MASTER in node.groups]
        if len(masters) != 1:
            found = ", ".join(masters) or "none"
            raise InputError(f"{INVENTORY}: group `db_master` has {found}; it should have exactly one host.")
        for node in nodes:
            if {MASTER, SLAVE} <= node.groups:
                raise InputError(
                    f"{INVENTORY}, host {node.name}: it is in both `db_master` and `db_slave`; remove it from one."
                )
            if node.groups & {MASTER, SLAVE} and node.server_id is None:
                raise InputError(f"{INVENTORY}, host {node.name}: `server_id` is missing; add a unique number.")

    def servers(self, cluster: Cluster) -> tuple[Node, ...]:
        """Return the master and the replicas."""
        return (master_of(cluster), *slaves_of(cluster))

    def clusters(self, cluster: Cluster) -> Sequence[DatabaseCluster]:
        """Return the one that they are: the master, and the first replica, or the master if there is none."""
        master, reader = master_of(cluster), self.servers(cluster)[:2][-1]
        return [DatabaseCluster(master, reader, *REGISTERED)]


ROLES = MasterSlavesRoles()


def switched(cluster: Cluster, new: Node, lost: bool = False) -> Cluster:
    """Return the cluster as it is with another master, which changes places with the old one.

    Where the old master is `lost`, it is no replica either. The filestore stays where it is.
    """
    old = master_of(cluster)
    names = {group: [node.inventory_name for node in cluster.group(group)] for group in cluster.groups}
    if cluster.filestore == old:
        names["filestore"] = [old.inventory_name]
    names[MASTER] = [new.inventory_name]
    others = [old if slave == new else slave for slave in slaves_of(cluster)]
    names[SLAVE] = [node.inventory_name for node in others if not (lost and node == old)]
    return cluster.with_groups(names)
