"""Guide: Clustering Open-Xchange Server."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.deploys.web import RETRY_SECONDS
from ox_deploy.operations import network
from ox_deploy.operations.barrier import barrier
from ox_deploy.operations.openxchange import daemons
from ox_deploy.operations.service import ManagedFile
from ox_deploy.templates import render

ROUTE_UNIT = "ox-multicast-route.service"
ROUTE_FILE = f"/etc/systemd/system/{ROUTE_UNIT}"


@deploy("Clustering: network configuration")
def configure_multicast() -> None:
    """Route the nodes' discovery to the interface of the cluster, now and at boot, if it is by multicast.

    Idempotent.
    """
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    discovery = cluster.product.discovery(cluster.settings)
    if "groupware" not in node.groups or discovery is None:
        return
    text = render(ROUTE_FILE, network=discovery.network, address=node.address)
    network.multicast_route(
        name="Route multicast to the cluster's interface",
        network=discovery.network,
        address=node.address,
        unit=ROUTE_UNIT,
        file=ManagedFile(ROUTE_FILE, text),
    )


@deploy("Clustering Open-Xchange Server")
def start_cluster() -> None:
    """Start the daemons, or restart them node by node after a change, and wait until all nodes are connected.

    Idempotent: daemons that run and use their files are left alone.
    """
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
    proof = daemons.LoginProof(product.start_program, product.groupware_service, contexts[0].name if contexts else None)
    daemons.start(name="Start the daemons", ports=product.ports, proof=proof)
    daemons.restart(
        name="Restart the daemons, one node after the other",
        ports=product.ports,
        settle_seconds=RETRY_SECONDS + 1,
        proof=proof,
        _serial=True,
    )
    product.join(cluster, node)
