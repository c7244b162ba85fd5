"""A master and its slaves, as the chapters, verify and status see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ox_deploy.topologies.base import Topology
from ox_deploy.topologies.master_slaves import status, verify
from ox_deploy.topologies.master_slaves.deploys import database
from ox_deploy.topologies.master_slaves.roles import ROLES, slaves_of

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node
    from ox_deploy.topologies.master_slaves.replica_state import Source


class MasterSlaves:
    """Puts the parts together."""

    roles = ROLES
    states = status.STATES
    causes = status.CAUSES
    links = status.LINKS
    check_roles = staticmethod(database.check_roles)
    set_up = staticmethod(database.set_up)
    verify = staticmethod(verify.verify)
    details = staticmethod(status.details)
    arrows = staticmethod(status.arrows)

    def expected(self, cluster: Cluster, node: Node) -> Source | None:
        """Return what a slave should replicate from."""
        return database.source_of(cluster) if node in slaves_of(cluster) else None


MASTER_SLAVES: Topology = MasterSlaves()
