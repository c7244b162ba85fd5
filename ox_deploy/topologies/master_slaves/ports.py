"""Who connects to which database server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ox_deploy.ports import Port, Way, way_to
from ox_deploy.topologies.master_slaves.roles import master_of

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node


def own_ports(cluster: Cluster, node: Node) -> Iterator[Port]:
    """Return the port that a server listens on."""
    yield Port(cluster.settings.mysql_port, (cluster.database_server.unit,), node.address)


def needed_ways(cluster: Cluster, node: Node, others: Sequence[Node]) -> Iterator[Way]:
    """Return which servers a host connects to: a groupware node those of Open-Xchange, a replica its master."""
    servers = [cluster.writer, cluster.reader] if "groupware" in node.groups else []
    servers += [master_of(cluster)] if node in cluster.databases else []
    names = {server.inventory_name for server in servers}
    yield way_to([other for other in others if other.inventory_name in names], cluster.settings.mysql_port)
