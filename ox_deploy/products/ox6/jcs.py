"""The caches (JCS): they find each other by multicast, and are connected by TCP."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from ox_deploy.products.base import Cache
from ox_deploy.products.ox6 import mesh
from ox_deploy.products.ox6.daemons import ADMIN, GROUPWARE

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node
    from ox_deploy.products.ox6.settings import Ox6Settings

CACHES = {"groupware": Cache(57462, GROUPWARE), "admin": Cache(57461, ADMIN), "session": Cache(58849, GROUPWARE)}
NODE_ALONE_REMEDY = (
    "check that the route for multicast is there (`ip route`), that the link carries multicast, and that no firewall "
    "stands between the nodes; then restart the daemons of this node"
)
NOT_CONNECTED_REMEDY = (
    "check that multicast passes between the nodes and that the daemons of both run; then restart the daemons"
)


def find_fault(settings: Ox6Settings) -> str | None:
    """Return why the caches would not find each other, or None."""
    if ipaddress.IPv4Address(settings.cache_multicast_address) not in ipaddress.IPv4Network(settings.multicast_network):
        return "`cache_multicast_address` should be within `multicast_network`"
    if settings.cache_multicast_port == settings.session_cache_multicast_port:
        return (
            f"`cache_multicast_port` and `session_cache_multicast_port` are both {settings.cache_multicast_port}; "
            "they should differ"
        )
    return None


def values(settings: Ox6Settings) -> dict[str, dict[str, str | None]]:
    """Return what the three cache files should say: no list of peers, discovery by multicast."""
    discovery = {
        "groupware/cache.ccf": ("LTCP", settings.cache_multicast_port, CACHES["groupware"]),
        "admindaemon/cache.ccf": ("LTCP", settings.cache_multicast_port, CACHES["admin"]),
        "groupware/sessioncache.ccf": ("SessionLTCP", settings.session_cache_multicast_port, CACHES["session"]),
    }
    return {
        file: {
            f"jcs.auxiliary.{auxiliary}.attributes.TcpServers": None,
            f"jcs.auxiliary.{auxiliary}.attributes.UdpDiscoveryEnabled": "true",
            f"jcs.auxiliary.{auxiliary}.attributes.UdpDiscoveryAddr": settings.cache_multicast_address,
            f"jcs.auxiliary.{auxiliary}.attributes.UdpDiscoveryPort": str(discovery_port),
            f"jcs.auxiliary.{auxiliary}.attributes.TcpListenerPort": str(cache.port),
        }
        for file, (auxiliary, discovery_port, cache) in discovery.items()
    }


def join(cluster: Cluster, node: Node) -> None:
    """Wait until a node's caches are connected with those of every other one."""
    mesh.join(
        name="Wait until every node is connected with every other",
        peers=[other.address for other in cluster.groupware if other.inventory_name != node.inventory_name],
        ports=[cache.port for cache in CACHES.values()],
    )
