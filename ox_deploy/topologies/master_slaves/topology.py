"""A master and its replicas, as the chapters, verify and status see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ox_deploy.topologies.base import Causes, LinkStates, StateFinder, Topology
from ox_deploy.topologies.master_slaves import ports
from ox_deploy.topologies.master_slaves.roles import ROLES, slaves_of

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node
    from ox_deploy.secrets import Secrets
    from ox_deploy.status.seen import Seen
    from ox_deploy.status.snapshot import LinkKind
    from ox_deploy.status.states.base import Observation
    from ox_deploy.topologies.master_slaves.source import Source


class MasterSlaves:
    """Puts the parts together.

    They are imported when they are asked for: they know the cluster, whose description knows the topologies, and a
    deploy needs none of status and verify.
    """

    roles = ROLES
    own_ports = staticmethod(ports.own_ports)
    needed_ways = staticmethod(ports.needed_ways)
    run_options = frozenset({"seed_slave", "seed_method", "overwrite_slave", "new_master", "accept_loss", "max_lag"})

    @property
    def states(self) -> Sequence[StateFinder]:
        """Return what looks for the states of master and replicas."""
        from ox_deploy.topologies.master_slaves import status

        return status.STATES

    @property
    def causes(self) -> Causes:
        """Return what these states hide."""
        from ox_deploy.topologies.master_slaves import status

        return status.CAUSES

    @property
    def links(self) -> Mapping[LinkKind, LinkStates]:
        """Return which of these states concern an arrow."""
        from ox_deploy.topologies.master_slaves import status

        return status.LINKS

    def check_passwords(self, cluster: Cluster, passwords: Secrets) -> None:
        """Raise InputError where the replicas could not log in with theirs."""
        from ox_deploy.topologies.master_slaves.deploys import database

        database.check_password(cluster, passwords)

    def check_roles(self, cluster: Cluster) -> None:
        """Have a host refuse to go on if the master was switched."""
        from ox_deploy.topologies.master_slaves.deploys import database

        database.check_roles(cluster)

    def obstacles_ahead(self, cluster: Cluster, node: Node) -> list[str]:
        """Return what would end the seeding that a replica needs."""
        from ox_deploy.topologies.master_slaves.deploys.seed import seeding_obstacles

        return seeding_obstacles(cluster, node) if node in slaves_of(cluster) else []

    def set_up(self, cluster: Cluster, node: Node) -> None:
        """Configure one database server, make its accounts, start its replication."""
        from ox_deploy.topologies.master_slaves.deploys import database

        database.set_up(cluster, node)

    def verify(self, cluster: Cluster, node: Node, run: str) -> None:
        """Check one database server."""
        from ox_deploy.topologies.master_slaves import verify

        verify.verify(cluster, node, run)

    def expected(self, cluster: Cluster, node: Node) -> Source | None:
        """Return what a replica should replicate from."""
        from ox_deploy.topologies.master_slaves.deploys import database

        return database.source_of(cluster) if node in slaves_of(cluster) else None

    def details(self, observed: Observation, seen: Seen) -> Iterator[tuple[str, str]]:
        """Yield what is shown of a database server."""
        from ox_deploy.topologies.master_slaves import status

        return status.details(observed, seen)

    def arrows(self, observed: Observation) -> Iterator[tuple[str, str, str]]:
        """Yield what is replicated."""
        from ox_deploy.topologies.master_slaves import status

        return status.arrows(observed)


MASTER_SLAVES: Topology = MasterSlaves()
