"""Who is the master, and who is a slave, as the inventory says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ox_deploy.consistency import INVENTORY, NodeLike
from ox_deploy.errors import InputError

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node

MASTER, SLAVE = "db_master", "db_slave"


def master_of(cluster: Cluster) -> Node:
    """Return the database master."""
    return cluster.group(MASTER)[0]


def slaves_of(cluster: Cluster) -> tuple[Node, ...]:
    """Return the database slaves."""
    return cluster.group(SLAVE)


class MasterSlavesRoles:
    """The master takes writes; the first slave is read from, since configdb knows one slave per master."""

    groups = (MASTER, SLAVE)
    words: ClassVar = {MASTER: "database master", SLAVE: "database slave"}

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
        """Return the master and the slaves."""
        return (master_of(cluster), *slaves_of(cluster))

    def writer(self, cluster: Cluster) -> Node:
        """Return the master."""
        return master_of(cluster)

    def reader(self, cluster: Cluster) -> Node:
        """Return the first slave, or the master if there is none."""
        return next(iter(slaves_of(cluster)), master_of(cluster))


ROLES = MasterSlavesRoles()


def switched(cluster: Cluster, new: Node, lost: bool = False) -> Cluster:
    """Return the cluster as it is with another master, which changes places with the old one.

    Where the old master is `lost`, it is no slave either. The filestore stays where it is.
    """
    old = master_of(cluster)
    names = {group: [node.inventory_name for node in cluster.group(group)] for group in cluster.groups}
    if cluster.filestore == old:
        names["filestore"] = [old.inventory_name]
    names[MASTER] = [new.inventory_name]
    others = [old if slave == new else slave for slave in slaves_of(cluster)]
    names[SLAVE] = [node.inventory_name for node in others if not (lost and node == old)]
    return cluster.with_groups(names)
