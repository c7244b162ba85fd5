"""Guide: Distributed file storage."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy.cluster import Cluster, cluster_of
from ox_deploy.deploys.clustering import ROUTE_UNIT
from ox_deploy.deploys.hosts import USER
from ox_deploy.operations import nfs, service
from ox_deploy.operations.barrier import barrier
from ox_deploy.operations.service import ManagedFile
from ox_deploy.ports import NFS_UNITS, nfs_port
from ox_deploy.templates import render

KERNEL_EXPORTS = "/etc/exports.d/ox-deploy.exports"
GANESHA_MAIN = "/etc/ganesha/ganesha.conf"
GANESHA_EXPORTS = "/etc/ganesha/ox-deploy.conf"
# What is exported by the files of each, as they are written here.
PATTERNS = {"kernel": r"^(/\S*) ", "ganesha": r"^ *Path = (.*);$"}
# How each lists its exports. The mount protocol would show ganesha's to its clients only.
_EXPORT_MANAGER = ("org.ganesha.nfsd", "/org/ganesha/nfsd/ExportMgr", "org.ganesha.nfsd.exportmgr")
LISTS = {"kernel": ("exportfs", "-s"), "ganesha": ("busctl", "call", *_EXPORT_MANAGER, "ShowExports")}
# Why ganesha ends stands in a file of its own; the journal has only that it did.
LOGS = {"kernel": (), "ganesha": ("/var/log/ganesha/ganesha.log",)}
# Far from the numbers that people give to their own exports.
GANESHA_EXPORT_ID = 6610
# rpc.statd takes a port below 1024 by its process id. If that is ganesha's for quotas, ganesha does not start, again
# after each boot that gives statd the same id. libtirpc leaves out the ports that are listed here.
RESERVED_PORTS = ManagedFile("/etc/bindresvport.blacklist", "875\n", block="filestore")
# It still has the port, if it was started before.
FREE_PORTS = {"kernel": (), "ganesha": (("systemctl", "try-restart", "nfs-ganesha-lock"),)}
DROP_IN = "/etc/systemd/system/open-xchange.service.d/ox-deploy.conf"


@deploy("Distributed file storage")
def set_up_filestore() -> None:
    """Export the filestore to the groupware nodes, and mount it there.

    Idempotent.
    """
    barrier(name="The databases are done")
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    if node == cluster.filestore:
        _export(cluster, _drop_ins(cluster) if "groupware" in node.groups else [])
    elif "groupware" in node.groups:
        _mount(cluster)


def _export(cluster: Cluster, drop_ins: list[ManagedFile]) -> None:
    settings = cluster.settings
    values = {
        "path": settings.filestore_path,
        "uid": settings.filestore_uid,
        "gid": settings.filestore_gid,
        "clients": [node.address for node in cluster.groupware if node != cluster.filestore],
    }
    directory = ManagedFile(settings.filestore_path, mode="0750", owner=USER, group=USER, directory=True, adopt=False)
    if settings.nfs_server == "kernel":
        files = [directory, ManagedFile(KERNEL_EXPORTS, render(KERNEL_EXPORTS, **values))]
    else:
        exports = render(GANESHA_EXPORTS, export_id=GANESHA_EXPORT_ID, **values)
        files = [
            directory,
            ManagedFile(GANESHA_EXPORTS, exports),
            RESERVED_PORTS,
            ManagedFile(GANESHA_MAIN, f'%include "{GANESHA_EXPORTS}"\n', block="filestore"),
        ]
    service.configure(
        name="Export the filestore to the groupware nodes",
        service="nfs",
        files=[*files, *drop_ins],
        units=[NFS_UNITS[settings.nfs_server]],
        # Running clients keep their mounts over a reload, not over a restart.
        on_change="reload",
        commands=FREE_PORTS[settings.nfs_server],
        probe=_probe(cluster, files[1].path),
        replaces={
            settings.nfs_server: {
                "path": settings.filestore_path,
                "ours": files[1].path,
                "main": GANESHA_MAIN,
                "number": GANESHA_EXPORT_ID,
            }
        },
    )


def _probe(cluster: Cluster, file: str) -> service.Probe:
    """Return how the server is asked, on the port that its clients use; without clients it exports to nobody."""
    kind = cluster.settings.nfs_server
    server = cluster.filestore
    if server is None or all(node == server for node in cluster.groupware):
        return service.Probe(logs=LOGS[kind])
    at = server.address, nfs_port(cluster.settings)
    return service.Probe(export=service.ExportProbe(file, *at, PATTERNS[kind], LISTS[kind]), logs=LOGS[kind])


def _mount(cluster: Cluster) -> None:
    settings = cluster.settings
    nfs.mount(
        name="Mount the filestore, now and at boot",
        source=cluster.filestore_source,
        path=settings.filestore_path,
        options=settings.nfs_options,
        files=_drop_ins(cluster),
        user=USER,
    )


def _drop_ins(cluster: Cluster) -> list[ManagedFile]:
    route_unit = ROUTE_UNIT if cluster.product.discovery(cluster.settings) else None
    text = render(DROP_IN, filestore_path=cluster.settings.filestore_path, route_unit=route_unit)
    return [ManagedFile(DROP_IN.replace("open-xchange", service, 1), text) for service in cluster.product.ports]
