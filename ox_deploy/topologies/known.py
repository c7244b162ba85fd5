"""The topologies that there are."""

from __future__ import annotations

from ox_deploy.cluster import Cluster
from ox_deploy.topologies.base import Topology
from ox_deploy.topologies.master_slaves.topology import MASTER_SLAVES

TOPOLOGIES: list[Topology] = [MASTER_SLAVES]


def topology_of(cluster: Cluster) -> Topology:
    """Return the topology whose roles the hosts of a cluster have."""
    return next(topology for topology in TOPOLOGIES if topology.roles is cluster.roles)
