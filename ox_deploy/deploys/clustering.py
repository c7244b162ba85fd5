"""Guide: Clustering Open-Xchange Server."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.deploys.web import RETRY_SECONDS
from ox_deploy.operations import network, openxchange
from ox_deploy.operations.barrier import barrier
from ox_deploy.operations.service import ManagedFile
from ox_deploy.templates import render

ROUTE_UNIT = "ox-multicast-route.service"
ROUTE_FILE = f"/etc/systemd/system/{ROUTE_UNIT}"


@deploy("Clustering: network configuration")
def configure_multicast() -> None:
    """Route the caches' discovery to the interface of the cluster, now and at boot."""
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    if "groupware" not in node.groups:
        return
    text = render(ROUTE_FILE, network=cluster.settings.multicast_network, address=node.address)
    network.multicast_route(
        name="Route multicast to the cluster's interface",
        network=cluster.settings.multicast_network,
        address=node.address,
        unit=ROUTE_UNIT,
        file=ManagedFile(ROUTE_FILE, text),
    )


@deploy("Clustering Open-Xchange Server")
def start_cluster() -> None:
    """Start the daemons, or restart them node by node after a change, and wait until all caches are connected."""
    barrier(name="All nodes are configured and registered")
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    if "groupware" not in node.groups:
        return
    start_daemons(cluster, node)


def start_daemons(cluster: Cluster, node: Node) -> None:
    """Start or restart the node's daemons."""
    product = cluster.product
    contexts = cluster.settings.contexts
    proof = openxchange.LoginProof(product.groupware_service, contexts[0].name if contexts else None)
    openxchange.start(name="Start the daemons", ports=product.ports, proof=proof)
    openxchange.restart(
        name="Restart the daemons, one node after the other",
        ports=product.ports,
        settle_seconds=RETRY_SECONDS + 1,
        proof=proof,
        _serial=True,
    )
    openxchange.join_caches(
        name="Wait until every node is connected with every other",
        peers=[other.address for other in cluster.groupware if other != node],
        ports=list(product.cache_ports.values()),
    )


def cache_values(cluster: Cluster) -> dict[str, dict[str, str | None]]:
    """Return what the three cache files should say: no list of peers, discovery by multicast."""
    settings = cluster.settings
    ports = cluster.product.cache_ports
    discovery = {
        "groupware/cache.ccf": ("LTCP", settings.cache_multicast_port, ports["groupware"]),
        "admindaemon/cache.ccf": ("LTCP", settings.cache_multicast_port, ports["admin"]),
        "groupware/sessioncache.ccf": (
            "SessionLTCP",
            settings.session_cache_multicast_port,
            ports["session"],
        ),
    }
    return {
        file: {
            f"jcs.auxiliary.{auxiliary}.attributes.TcpServers": None,
            f"jcs.auxiliary.{auxiliary}.attributes.UdpDiscoveryEnabled": "true",
            f"jcs.auxiliary.{auxiliary}.attributes.UdpDiscoveryAddr": settings.cache_multicast_address,
            f"jcs.auxiliary.{auxiliary}.attributes.UdpDiscoveryPort": str(discovery_port),
            f"jcs.auxiliary.{auxiliary}.attributes.TcpListenerPort": str(listener_port),
        }
        for file, (auxiliary, discovery_port, listener_port) in discovery.items()
    }
