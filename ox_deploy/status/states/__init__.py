"""The named states of a cluster that is not well, found in what was seen of its hosts. Nothing is asked here.

Each state is one function with its name, its level and its remedy, in the module of its area; `STATES` lists all of
them. Those of slaves are their diagnoses (mysql/replica_state.py). What is only a consequence of something else is left
out, see `causes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ox_deploy.cluster import Cluster
from ox_deploy.findings import Finding
from ox_deploy.status.seen import Seen
from ox_deploy.status.states import balancer, databases, drift, filestore, groupware, hosts
from ox_deploy.status.states.base import Picture, State
from ox_deploy.status.states.causes import without_consequences, without_explained_drift
from ox_deploy.status.states.databases import SlaveState

# Findings that are equally bad and on one host are in this order.
STATES: list[State | SlaveState] = [
    hosts.host_unreachable,
    hosts.disk_nearly_full,
    hosts.clock_differs,
    databases.master_unreachable,
    databases.master_switched,
    databases.master_read_only,
    databases.database_server_down,
    *databases.SLAVE_STATES,
    databases.configdb_not_reachable,
    databases.configdb_damaged,
    filestore.nfs_server_down,
    filestore.mount_missing,
    filestore.mount_stale,
    balancer.balancer_down,
    balancer.balancer_member_disabled,
    balancer.balancer_member_in_error,
    balancer.balancer_member_missing,
    balancer.certificate_expiring,
    balancer.certificate_not_yet_valid,
    balancer.certificate_unreadable,
    groupware.multicast_route_missing,
    groupware.admin_daemon_down,
    groupware.groupware_daemon_down,
    groupware.node_alone,
    groupware.cache_link_missing,
    drift.configuration_drifted,
]


def find(cluster: Cluster, seen: Sequence[Seen]) -> list[Finding]:
    """Return what is wrong, the worst first, then by host; consequences of something else are left out."""
    picture = Picture(cluster, seen)
    findings = [
        finding for state in STATES if state is not drift.configuration_drifted for finding in state.findings(picture)
    ]
    findings += drift.configuration_drifted.findings(without_explained_drift(picture, findings))
    return sorted(without_consequences(findings), key=lambda finding: (-finding.level, finding.host))
