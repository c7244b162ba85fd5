"""The named states of a cluster that is not well, found in what was seen of its hosts. Nothing is asked here.

Each state is one function with its name, its level and its remedy, in the module of its area; `states_of` lists
all of them. Those of the databases are their topology's. What is only a consequence of something else is left
out, see `causes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ox_deploy.cluster import Cluster
from ox_deploy.findings import Finding
from ox_deploy.status.seen import Seen
from ox_deploy.status.states import balancer, configdb, drift, filestore, groupware, hosts
from ox_deploy.status.states.base import Observation
from ox_deploy.status.states.causes import causes_with, without_consequences, without_explained_drift
from ox_deploy.topologies.base import StateFinder, Topology

# Findings that are equally bad and on one host are in the order of the states; those of the databases stand between.
OF_HOSTS = [hosts.host_unreachable, hosts.disk_nearly_full, hosts.clock_differs, hosts.run_at_work]
OF_THE_REST = [
    configdb.configdb_not_reachable,
    configdb.configdb_damaged,
    filestore.nfs_server_down,
    filestore.mount_missing,
    filestore.mount_stale,
    balancer.balancer_down,
    balancer.site_not_served,
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
]


def states_of(topology: Topology) -> list[StateFinder]:
    """Return what looks for all states of a cluster whose database servers stand to each other like this."""
    return [*OF_HOSTS, *topology.states, *OF_THE_REST, drift.configuration_drifted]


def find(cluster: Cluster, seen: Sequence[Seen]) -> list[Finding]:
    """Return what is wrong, the worst first, then by host; consequences of something else are left out."""
    observed, topology = Observation(cluster, seen), cluster.topology
    causes = causes_with(topology.causes, cluster.product)
    *states, drifted = states_of(topology)
    findings = [finding for state in states for finding in state.findings(observed)]
    findings += drifted.findings(without_explained_drift(observed, findings, causes))
    left = [_after_run(finding, observed) for finding in without_consequences(findings, causes)]
    return sorted(left, key=lambda finding: (-finding.level, finding.host))


def _after_run(finding: Finding, observed: Observation) -> Finding:
    """Let nobody be told to start a run while another one is at work, which would refuse it and may be the reason."""
    if not observed.run_at_work or not any(word in finding.remedy for word in ("deploy", "pyinfra")):
        return finding
    _, holder = observed.run_at_work
    return finding.model_copy(
        update={
            "remedy": f"wait until the run that is at work has ended ({holder}); if this is so then: {finding.remedy}"
        }
    )
