"""Which ports each host needs, for itself and on other hosts: what product and topology say, and those of all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Whose product and topology say their ports here.
    from ox_deploy.cluster import Cluster, Node
    from ox_deploy.settings import Settings

NFS_UNITS = {"kernel": "nfs-server", "ganesha": "nfs-ganesha"}
NFS_PORT = 2049
WEB_PORTS = (80, 443)


@dataclass(frozen=True)
class Port:
    """A port that has to be free for one of some units, at an address of the host or (None) at all of them.

    A program of `user` may have it, too: who logs in as that user to start a daemon takes it out of its unit.
    """

    number: int
    units: tuple[str, ...]
    address: str | None = None
    protocol: str = "tcp"
    user: str = ""


@dataclass(frozen=True)
class Way:
    """Ports of other hosts, each of which is needed at each of the addresses."""

    addresses: tuple[str, ...]
    ports: tuple[int, ...]


def way_to(nodes: Iterable[Node], *ports: int) -> Way:
    """Return the way to the same ports of several hosts."""
    return Way(tuple(node.address for node in nodes), ports)


def nfs_port(settings: Settings) -> int:
    """Return the port on which nodes reach the filestore."""
    port = re.search(r"\bport=(\d+)", settings.nfs_options)
    return int(port[1]) if port else NFS_PORT


def own_ports(cluster: Cluster, node: Node, user: str) -> Iterator[Port]:
    """Return the ports that a host's services listen on; `user` is who the product's daemons run as."""
    if "web" in node.groups:
        yield from (Port(number, ("apache2",)) for number in WEB_PORTS)
    if "groupware" in node.groups:
        yield from (replace(port, user=user) for port in cluster.product.own_ports(cluster.settings))
    if node in cluster.databases:
        yield from cluster.topology.own_ports(cluster, node)
    if node == cluster.filestore:
        yield Port(nfs_port(cluster.settings), (NFS_UNITS[cluster.settings.nfs_server],))


def needed_ways(cluster: Cluster, node: Node, others: Sequence[Node]) -> tuple[Way, ...]:
    """Return which ports of the `others` a host connects to."""
    store = cluster.filestore if "groupware" in node.groups else None
    stores = [other for other in others if store and other.inventory_name == store.inventory_name]
    ways = [
        *cluster.topology.needed_ways(cluster, node, others),
        *cluster.product.needed_ways(node, [other for other in others if "groupware" in other.groups]),
        way_to(stores, nfs_port(cluster.settings)),
    ]
    return tuple(way for way in ways if way.addresses)
