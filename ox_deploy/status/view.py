"""What a status shows: the hosts with their details, the arrows between them, and the findings. Nothing is asked here.

An arrow is as bad as the worst finding that concerns it, and its text says so, see `LINK_STATES` and
the databases' topology.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import combinations

from ox_deploy.cluster import Cluster, Node
from ox_deploy.facts.health import BalancerMember, Health
from ox_deploy.facts.openxchange import Daemon
from ox_deploy.findings import Finding, Level, NamedState
from ox_deploy.status.seen import Seen
from ox_deploy.status.snapshot import HostView, Link, LinkKind, Snapshot
from ox_deploy.status.states.balancer import (
    balancer_down,
    balancer_member_disabled,
    balancer_member_in_error,
    balancer_member_missing,
    certificate_of,
)
from ox_deploy.status.states.base import Observation
from ox_deploy.status.states.configdb import configdb_damaged, configdb_not_reachable
from ox_deploy.status.states.filestore import mount_missing, mount_stale, mounts_filestore, nfs_server_down
from ox_deploy.status.states.groupware import (
    admin_daemon_down,
    cache_link_missing,
    connected_ports,
    groupware_daemon_down,
    multicast_route_missing,
    node_alone,
)
from ox_deploy.status.states.hosts import disk_use
from ox_deploy.topologies.base import LinkStates, Topology

_NODE: dict[NamedState, str] = {
    admin_daemon_down: "daemon down",
    groupware_daemon_down: "daemon down",
    node_alone: "",
    multicast_route_missing: "no multicast route",
}

LINK_STATES: dict[LinkKind, LinkStates] = {
    LinkKind.BALANCING: LinkStates(
        source={balancer_down: "balancer down"},
        target={groupware_daemon_down: "daemon down"},
        pair={
            balancer_member_disabled: "disabled",
            balancer_member_in_error: "in error",
            balancer_member_missing: "not a member",
        },
        unreachable="unreachable",
    ),
    LinkKind.DATABASE: LinkStates(
        pair={configdb_not_reachable: "configdb not reachable", configdb_damaged: "configdb damaged"},
        unreachable="unreachable",
    ),
    LinkKind.NFS: LinkStates(source={mount_missing: "", mount_stale: ""}, target={nfs_server_down: ""}),
    LinkKind.CACHES: LinkStates(source=_NODE, target=_NODE, pair={cache_link_missing: ""}, unreachable="unreachable"),
}


def view(cluster: Cluster, seen: Sequence[Seen], findings: Sequence[Finding], time: datetime) -> Snapshot:
    """Return the state of the whole cluster at a time, with the findings that `states.find` has of it."""
    observed = Observation(cluster, seen)
    return Snapshot(
        time=time,
        web_name=cluster.settings.web_name,
        product=cluster.settings.product,
        hosts=[_host(observed, one, findings) for one in observed.seen.values()],
        links=list(_links(observed, findings)),
        findings=list(findings),
        external_filestore=cluster.settings.external_filestore or "",
    )


# --- hosts -----------------------------------------------------------------------------------------------


def _host(observed: Observation, seen: Seen, findings: Sequence[Finding]) -> HostView:
    node = seen.node
    return HostView(
        name=node.name,
        address=node.address,
        roles=_roles(observed.cluster, node),
        level=max((finding.level for finding in findings if finding.host == node.name), default=Level.FINE),
        reachable=not seen.unreachable,
        details=dict(_details(observed, seen)),
        versions=dict(seen.host.packages) if seen.host else {},
    )


def _roles(cluster: Cluster, node: Node) -> list[str]:
    groups = node.groups | ({"filestore"} if node == cluster.filestore else set())
    return [group for group in cluster.groups if group in groups]


def _details(observed: Observation, seen: Seen) -> Iterator[tuple[str, str]]:
    if seen.unreachable:
        yield "unreachable", seen.unreachable
        return
    for disk in (seen.health or Health()).disks:
        yield f"disk of {disk.path}", disk_use(disk)
    if seen.node in observed.cluster.databases:
        yield from observed.cluster.topology.details(observed, seen)
    yield from _filestore_details(observed.cluster, seen)
    yield from _web_details(observed.cluster, seen)
    yield from _node_details(observed, seen)
    if seen.host:
        yield "system", seen.host.system


def _filestore_details(cluster: Cluster, seen: Seen) -> Iterator[tuple[str, str]]:
    path = cluster.settings.filestore_path
    if seen.node == cluster.filestore:
        yield "filestore", f"exports {path}"
    if mounts_filestore(cluster, seen.node):
        mount = seen.mount.mount if seen.mount else None
        yield "filestore", f"{mount.source} ({mount.type}) at {path}" if mount else f"nothing at {path}"


def _web_details(cluster: Cluster, seen: Seen) -> Iterator[tuple[str, str]]:
    if "web" not in seen.node.groups:
        return
    certificate = certificate_of(seen)
    yield "certificate", f"until {certificate.not_valid_after_utc.date()}" if certificate else "unreadable"
    names = {node.route: node.name for node in cluster.groupware}
    for member in (seen.health or Health()).members or []:
        yield f"member {names.get(member.route, member.url)}", _member(member)


def _member(member: BalancerMember) -> str:
    marks = [mark for mark, there in (("disabled", member.disabled), ("in error", member.error)) if there]
    return ", ".join([f"route {member.route}", f"load factor {member.factor}", *marks])


def _node_details(observed: Observation, seen: Seen) -> Iterator[tuple[str, str]]:
    if "groupware" not in seen.node.groups:
        return
    for service, port in observed.cluster.product.ports.items():
        yield service, _daemon((seen.daemons or {}).get(service), port)
    peers = [peer for peer in observed.cluster.groupware if peer != seen.node]
    connected = [peer for peer in peers if connected_ports(seen, observed.of(peer))]
    yield "cache peers", f"{len(connected)} of {len(peers)}"


def _daemon(daemon: Daemon | None, port: int) -> str:
    if daemon is None or not daemon.active:
        return "not active"
    return f"runs, port {port}" if daemon.listening else f"runs, but not on port {port}"


# --- arrows ----------------------------------------------------------------------------------------------


def _links(observed: Observation, findings: Sequence[Finding]) -> Iterator[Link]:
    """Return all arrows; a host that uses itself has none for that."""
    for kind, source, target, text in _arrows(observed):
        if source != target:
            told = [(finding.level, _words(finding, kind, source, target, observed)) for finding in findings]
            level = max((level for level, words in told if words is not None), default=Level.FINE)
            added = dict.fromkeys(words for _, words in told if words)
            yield Link(kind=kind, source=source, target=target, level=level, text=", ".join([text, *added]))


def _arrows(observed: Observation) -> Iterator[tuple[LinkKind, str, str, str]]:
    """Yield kind, names of source and target, and text; the target of an external filestore is ""."""
    cluster = observed.cluster
    writer, reader = cluster.writer.name, cluster.reader.name
    filestore = cluster.filestore.name if cluster.filestore else ""
    for web in cluster.web:
        for node in cluster.groupware:
            yield LinkKind.BALANCING, web.name, node.name, f"route {node.route}"
    for node in cluster.groupware:
        yield LinkKind.DATABASE, node.name, writer, "writes"
        if reader != writer:
            yield LinkKind.DATABASE, node.name, reader, "reads"
    for source, target, text in cluster.topology.arrows(observed):
        yield LinkKind.REPLICATION, source, target, text
    for node in cluster.groupware:
        yield LinkKind.NFS, node.name, filestore, _mount(cluster, observed.of(node))
    for one, other in combinations(cluster.groupware, 2):
        connected = connected_ports(observed.of(one), observed.of(other))
        yield LinkKind.CACHES, one.name, other.name, f"{len(connected)} of {len(cluster.product.caches)} caches"


def _mount(cluster: Cluster, seen: Seen) -> str:
    """Return what was seen of the filestore on a node."""
    if seen.unreachable or seen.mount is None:
        return "not asked"
    if seen.mount.mount is None or seen.mount.mount.source != cluster.filestore_source:
        return "not mounted"
    return "mounted" if seen.mount.answers else "does not answer"


def _link_states(kind: LinkKind, topology: Topology) -> LinkStates:
    """Return the states that concern a kind of arrow, with those of the databases' topology."""
    ours, theirs = LINK_STATES.get(kind, LinkStates()), topology.links.get(kind, LinkStates())
    return LinkStates(
        source={**ours.source, **theirs.source},
        target={**ours.target, **theirs.target},
        pair={**ours.pair, **theirs.pair},
        unreachable=ours.unreachable or theirs.unreachable,
    )


def _words(finding: Finding, kind: LinkKind, source: str, target: str, observed: Observation) -> str | None:
    """Return what a finding adds to the text of an arrow, None if it does not concern that arrow."""
    states = _link_states(kind, observed.cluster.topology)
    if finding.host in (source, target) and _is_unreachable(finding, observed):
        return states.unreachable
    concerned = [
        ((finding.host, finding.about) == (source, target), states.pair),
        (finding.host == source, states.source),
        (finding.host == target, states.target),
    ]
    told = (words for applies, each in concerned if applies for state, words in each.items() if state.matches(finding))
    return next(told, None)


def _is_unreachable(finding: Finding, observed: Observation) -> bool:
    """Tell whether a finding is about a host that cannot be asked at all."""
    return bool(observed.seen[finding.host].unreachable)
