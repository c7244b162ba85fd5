"""Which ports each host of a cluster needs, for itself and on other hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


def nfs_port(settings: Settings) -> int:
    """Return the port on which nodes reach the filestore."""
    port = re.search(r"\bport=(\d+)", settings.nfs_options)
    return int(port[1]) if port else NFS_PORT


def own_ports(cluster: Cluster, node: Node, user: str) -> Iterator[Port]:
    """Return the ports that a host's services listen on; `user` is who the product's daemons run as."""
    settings, product = cluster.settings, cluster.product
    if "web" in node.groups:
        yield from (Port(number, ("apache2",)) for number in WEB_PORTS)
    if "groupware" in node.groups:
        yield from (Port(number, (unit,), user=user) for unit, number in product.ports.items())
        yield from (Port(cache.port, (cache.service,), user=user) for cache in product.caches.values())
        if product.discovery(settings):
            # All daemons listen there at the same time.
            numbers = (settings.cache_multicast_port, settings.session_cache_multicast_port)
            yield from (Port(number, tuple(product.ports), protocol="udp", user=user) for number in numbers)
    if node in cluster.databases:
        yield Port(settings.mysql_port, (cluster.database_server.unit,), node.address)
    if node == cluster.filestore:
        yield Port(nfs_port(settings), (NFS_UNITS[settings.nfs_server],))


def needed_ways(cluster: Cluster, node: Node, others: Sequence[Node]) -> tuple[Way, ...]:
    """Return which ports of the `others` a host connects to."""
    product = cluster.product
    is_groupware, is_web = "groupware" in node.groups, "web" in node.groups
    servers = [cluster.writer, cluster.reader] if is_groupware else []
    servers += [cluster.writer] if node in cluster.databases else []
    nodes = [other for other in others if "groupware" in other.groups]
    ways = [
        _way([other for other in others if other in servers], cluster.settings.mysql_port),
        _way(nodes if is_web else [], product.ports[product.groupware_service]),
        _way(nodes if is_groupware else [], *(cache.port for cache in product.caches.values())),
        _way([other for other in others if is_groupware and other == cluster.filestore], nfs_port(cluster.settings)),
    ]
    return tuple(way for way in ways if way.addresses)


def _way(nodes: Sequence[Node], *ports: int) -> Way:
    return Way(tuple(node.address for node in nodes), ports)
