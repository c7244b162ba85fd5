"""States of the filestore: the NFS server, and the mounts of the groupware nodes."""

from __future__ import annotations

from collections.abc import Iterator

from ox_deploy.cluster import Cluster, Node
from ox_deploy.findings import Level
from ox_deploy.status.seen import Seen
from ox_deploy.status.states.base import Observation, Problem, idle_units, state


@state(
    "NFS server down",
    Level.CRITICAL,
    "run the deploy, which starts it; `systemctl status` of the unit there says why it stopped",
)
def nfs_server_down(observed: Observation) -> Iterator[Problem]:
    """Find out whether our own host of the filestore does not export it."""
    filestore = observed.cluster.filestore
    for seen in observed.answering([filestore] if filestore else []):
        idle = idle_units(seen.services.get("nfs"))
        if idle:
            yield Problem(seen.node, idle, "the NFS server exports the filestore")


@state(
    "mount missing",
    Level.CRITICAL,
    "run the deploy, which mounts it; if something else is mounted there, stop Open-Xchange and unmount that first",
)
def mount_missing(observed: Observation) -> Iterator[Problem]:
    """Find nodes without the filestore, or with another one."""
    source, path = observed.cluster.filestore_source, observed.cluster.settings.filestore_path
    for seen in _clients(observed):
        mount = seen.mount.mount if seen.mount else None
        if mount is None or mount.source != source:
            what = mount.source if mount else "nothing"
            yield Problem(
                seen.node, f"{what} is mounted at {path}", f"{source} is mounted there", _filestore_name(observed)
            )


@state(
    "mount stale",
    Level.CRITICAL,
    "check whether the NFS server answers, and whether the network to it works; the deploy mounts it again",
)
def mount_stale(observed: Observation) -> Iterator[Problem]:
    """Find nodes whose filestore is mounted, but hangs."""
    source, path = observed.cluster.filestore_source, observed.cluster.settings.filestore_path
    for seen in _clients(observed):
        if seen.mount and seen.mount.mount and seen.mount.mount.source == source and not seen.mount.answers:
            yield Problem(
                seen.node,
                f"{source} is mounted at {path}, but does not answer",
                "the mount answers at once",
                _filestore_name(observed),
            )


def mounts_filestore(cluster: Cluster, node: Node) -> bool:
    """Tell whether a host has the filestore from another one."""
    return "groupware" in node.groups and node != cluster.filestore


def _clients(observed: Observation) -> list[Seen]:
    cluster = observed.cluster
    return observed.answering(node for node in cluster.nodes if mounts_filestore(cluster, node))


def _filestore_name(observed: Observation) -> str:
    return observed.cluster.filestore.name if observed.cluster.filestore else ""
