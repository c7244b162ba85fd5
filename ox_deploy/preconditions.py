"""What has to be so on a host for today's settings to be safe: judged before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ox_deploy import paths
from ox_deploy.cluster import Cluster, Node
from ox_deploy.facts.preconditions import Directory, HostPreconditions, Preconditions
from ox_deploy.ports import Port, Way, needed_ways, own_ports
from ox_deploy.questions.question import Question

USER = "open-xchange"
# What the product's packages have before they are configured.
UNCONFIGURED = frozenset({"local"})
_ALL = "group_data/all.py"
_WAY = 'see "What cannot be changed in one run" in docs/settings.md'


@dataclass(frozen=True)
class Wanted:
    """What the settings want of one host; None or "" where they want nothing of it.

    `configdb` and `system` are the product's files that say where a node has its database, and its server's name.
    """

    filestore: str
    serves: bool
    mounts: bool
    ids: tuple[int, int]
    port: int
    configuration: str | None
    server_name: str | None
    memory: int
    configdb: str
    system: str
    ports: tuple[Port, ...] = ()
    needed: tuple[Way, ...] = ()
    names: tuple[tuple[str, str], ...] = ()


def wanted_of(cluster: Cluster, node: Node, others: Sequence[Node] = ()) -> Wanted:
    """Return what the cluster wants of a host; `others` are those that it should reach, as far as it needs them."""
    settings, groupware = cluster.settings, "groupware" in node.groups
    database = node in cluster.databases
    return Wanted(
        filestore=settings.filestore_path,
        serves=node == cluster.filestore,
        mounts=groupware and node != cluster.filestore,
        ids=(settings.filestore_uid, settings.filestore_gid),
        port=settings.mysql_port,
        configuration=cluster.database_server.configuration if database else None,
        server_name=settings.server_name if groupware else None,
        memory=settings.server_memory if groupware else 0,
        configdb=cluster.product.configdb.file,
        system=cluster.product.system_file,
        ports=tuple(own_ports(cluster, node, USER)),
        needed=needed_ways(cluster, node, others),
        # Its own name may stand for whatever the host likes.
        names=tuple((other.name.lower(), other.address) for other in cluster.nodes if other.name != node.name),
    )


def question(wanted: Wanted) -> Question[Preconditions]:
    """Return what has to be known of a host."""
    return Question(
        HostPreconditions,
        filestore=wanted.filestore if wanted.serves else "",
        user=USER,
        configuration=wanted.configuration,
        configdb=wanted.configdb,
        system=wanted.system,
        shared=sorted(paths.SHARED),
        trees=list(paths.PERMANENT_TREES),
        ports=[asdict(port) for port in wanted.ports],
        needed=[asdict(way) for way in wanted.needed],
        names=dict(wanted.names),
    )


def find_obstacles(here: Preconditions, wanted: Wanted) -> list[str]:
    """Return a sentence for each thing that today's settings would ruin, or that those of earlier runs have ruined."""
    found = [_mend(path) for path in here.taken]
    found += [_exported(path, wanted.filestore) for path in _elsewhere(here.exported, wanted)]
    if wanted.mounts and here.mounted not in (None, wanted.filestore):
        found.append(_moved(str(here.mounted), wanted.filestore))
    if here.directory and wanted.serves:
        found += _directory(here.directory, wanted)
    for port, what in ((here.port, "the server of this host"), (here.node_port, "this node")):
        if port not in (None, wanted.port):
            found.append(
                f"{_ALL}: `mysql_port` is {wanted.port}, but {what} was set up with {port}; other database "
                f"servers and nodes would lose the databases, so a run cannot change it; {_WAY}."
            )
    if wanted.server_name and here.server_name not in (None, wanted.server_name, *UNCONFIGURED):
        found.append(
            f"{_ALL}: `server_name` is {wanted.server_name}, but this node was set up with {here.server_name}; the "
            f"contexts belong to that name, and nobody could log in, so a run cannot change it; {_WAY}."
        )
    if here.memory and wanted.memory > here.memory:
        found.append(
            f"{_ALL}: `server_memory` is {wanted.memory} MB, but this host has {here.memory} MB; Open-Xchange would "
            "not start; choose less."
        )
    return found


def _elsewhere(exported: list[str], wanted: Wanted) -> list[str]:
    return [path for path in exported if wanted.serves and path != wanted.filestore]


def _exported(path: str, filestore: str) -> str:
    if paths.find_reason_against_filestore(path) is None:
        return _moved(path, filestore)
    return (
        f"an earlier run exported {path}, a system directory, to the groupware nodes, which can write there; remove "
        "/etc/exports.d/ox-deploy.exports and run `exportfs -ra`, or remove /etc/ganesha/ox-deploy.conf and its "
        "lines in ganesha.conf and restart nfs-ganesha; find out what the nodes wrote there, then run again."
    )


def _moved(path: str, filestore: str) -> str:
    return (
        f"{_ALL}: `filestore_path` is {filestore}, but this host has the filestore at {path}; its files would be out "
        f"of reach, so a run cannot change it; {_WAY}."
    )


def _mend(path: str) -> str:
    mode = {"/root": "0700", "/tmp": "1777", "/var/tmp": "1777", "/var/mail": "2775", "/var/local": "2775"}  # noqa: S108 - modes of Debian
    return (
        f"{path} is a system directory, but belongs to {USER} like a filestore, so an earlier run took it over; run "
        f"`chown root:root {path}; chmod {mode.get(path, '0755')} {path}`, check that nothing else in it was changed, "
        "then run again."
    )


def _directory(directory: Directory, wanted: Wanted) -> list[str]:
    path = wanted.filestore
    if directory.other:
        return [f"`filestore_path`: {path} exists, but is not a directory; move it away, or choose another path."]
    if directory.real != path:
        return [
            f"`filestore_path`: {path} resolves to {directory.real} through a symlink; choose a path without "
            "symlinks, which is the same on all hosts."
        ]
    if directory.ids not in (None, wanted.ids) and directory.entries:
        uid, gid = directory.ids or (0, 0)
        return [
            f"`filestore_path`: {path} is not empty ({', '.join(directory.entries)}) and belongs to uid {uid} and gid "
            f"{gid}, so it is not taken over; choose another directory. If these are Open-Xchange's files, run `chown "
            f"{wanted.ids[0]}:{wanted.ids[1]} {path}` and run again."
        ]
    return []
