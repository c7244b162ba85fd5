"""The topologies that there are."""

from __future__ import annotations

from collections.abc import Iterable

from ox_deploy.topologies.base import Topology
from ox_deploy.topologies.master_slaves.topology import MASTER_SLAVES

# The first one is that of an inventory without database servers.
TOPOLOGIES: list[Topology] = [MASTER_SLAVES]


def topology_in(groups: Iterable[str]) -> Topology:
    """Return the first topology that has one of an inventory's groups."""
    present = set(groups)
    return next((one for one in TOPOLOGIES if not present.isdisjoint(one.roles.groups)), TOPOLOGIES[0])
