"""What the guide takes for granted or says once for all hosts: names, package sources, packages, the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy import preconditions, secrets
from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.errors import InputError
from ox_deploy.facts.repository import Access, RepositoryAccess
from ox_deploy.local_files import GROUP_DATA, read_text
from ox_deploy.operations import hosts
from ox_deploy.operations.service import ManagedFile, Replaced
from ox_deploy.preflight import Subject, cannot_be_reached
from ox_deploy.questions import bounds, prefetch, pyinfra_internals
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run
from ox_deploy.templates import render

USER = "open-xchange"
CHECK = "Look for what stands in the way"
CLEAR = "Nothing stands in the way"
SOURCES = "/etc/apt/sources.list.d/open-xchange.sources"
KEY = "/etc/apt/keyrings/open-xchange.asc"
CREDENTIALS = "/etc/apt/auth.conf.d/open-xchange.conf"

NFS_SERVER_PACKAGES = {
    "kernel": ["nfs-kernel-server", "nfs-common"],
    "ganesha": ["nfs-ganesha", "nfs-ganesha-vfs"],
}


@deploy("Hosts")
def prepare_hosts() -> None:
    """Check everything that can be checked before a change, then bring all hosts to where the guide begins.

    Idempotent. Raises OperationError, before any change, with one line for each obstacle on any host.
    """
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    end_run_on_failure()
    pyinfra_internals.add_handler(prefetch.ForgetAfterChanges)
    subjects = subjects_of(cluster)
    subject = subjects[node.inventory_name]
    plan_preconditions(node, subject)
    hosts.check(name=CHECK, subject=subject, **lease_for(cluster, node, "deploy"))
    hosts.stop_on_obstacles(name=CLEAR, subjects=subjects, lost=unreachable())
    hosts.prepare(
        name="Names, user, package sources, packages",
        user=subject.user,
        uid=subject.uid,
        gid=subject.gid,
        files=_files(cluster, node),
        packages=list(subject.packages),
        replaces=_replaces(cluster, node),
    )


def plan_preconditions(node: Node, subject: Subject) -> None:
    """Have a host asked for what its settings would meet there, with the first question."""
    assert subject.wanted
    # Not pyinfra's `host`, which stands for another one in each turn.
    its_host = inventory.get_host(node.inventory_name)
    prefetch.plan(its_host, preconditions.question(subject.wanted))
    if subject.repository:
        prefetch.plan(its_host, subject.repository)


def subjects_of(cluster: Cluster) -> Mapping[str, Subject]:
    """Return what each host of the cluster is asked at the beginning, by its name in the inventory; once per run."""
    run = current_run()
    if not run.subjects:
        # Who is left out, or not connected yet, may well be switched off.
        present = [node for node in cluster.nodes if _takes_part(node)]
        run.subjects = {node.inventory_name: _subject(cluster, node, present) for node in cluster.nodes}
    return run.subjects


def _takes_part(node: Node) -> bool:
    its_host = inventory.get_host(node.inventory_name)
    return its_host in pyinfra_internals.active_hosts() and pyinfra_internals.is_connected(its_host)


def _subject(cluster: Cluster, node: Node, present: Sequence[Node]) -> Subject:
    return Subject(
        name=node.name,
        roles=node.groups - set(cluster.roles.groups) | ({"database"} if node in cluster.databases else set()),
        address=node.address,
        user=USER if needs_user(cluster, node) else "",
        uid=cluster.settings.filestore_uid,
        gid=cluster.settings.filestore_gid,
        packages=tuple(packages_of(cluster, node)),
        wanted=preconditions.wanted_of(cluster, node, [other for other in present if other is not node]),
        repository=_repository_question(cluster, node),
    )


def _repository_question(cluster: Cluster, node: Node) -> Question[Access] | None:
    if not _uses_repository(node):
        return None
    url = cluster.settings.ox_repository_url
    # What is wrong with the secrets file is said by who reads it next.
    with suppress(InputError):
        source, login = _source(cluster), _credentials(cluster)
        return Question(RepositoryAccess, url=url, sources=SOURCES, source=source, credentials=CREDENTIALS, login=login)
    return None


def _uses_repository(node: Node) -> bool:
    return bool(node.groups & {"web", "groupware"})


def unreachable() -> list[str]:
    """Return the hosts that should take part and that pyinfra could not connect to and silently leaves out."""
    return sorted(failed.name for failed in pyinfra_internals.failed_hosts())


def end_run_on_failure() -> None:
    """Let a host that fails, or is silent, end the run after that operation: nothing is built on what is not there."""
    pyinfra_internals.end_run_on_failure()
    pyinfra_internals.keep_config()
    bounds.watch(pyinfra_internals.current_state())


def check_reachable(but: str | None = None) -> None:
    """Refuse to go on without a host that pyinfra could not connect to.

    + but: the name in the inventory of a host that is known to be lost
    """
    names = ", ".join(name for name in unreachable() if name != but)
    if names:
        raise InputError(cannot_be_reached(names))


def lease_for(cluster: Cluster, node: Node, what: str) -> dict[str, Any]:
    """Return how a host takes the lease of the cluster, as arguments of `lease.look`.

    + what: what this run does, as others are told who want to start one at the same time

    Wherever two runs are limited to, they meet on the database hosts: the first host of a run takes the lease of those
    outside `--limit`, too.
    """
    hosts = [inventory.get_host(other.inventory_name) for other in cluster.nodes]
    taking_part = [other.name for other in hosts if other in pyinfra_internals.active_hosts()]
    others = [server.inventory_name for server in cluster.databases if server.inventory_name not in taking_part]
    limited = f" of {', '.join(taking_part)}" if pyinfra_internals.is_limited() else ""
    return {"doing": what + limited, "others": others if node.inventory_name == taking_part[0] else []}


def needs_user(cluster: Cluster, node: Node) -> bool:
    """Tell whether the host works with the filestore."""
    return "groupware" in node.groups or node == cluster.filestore


def packages_of(cluster: Cluster, node: Node) -> list[str]:
    """Return all packages of a host, so that one installation brings them."""
    packages = ["python3"]
    if node in cluster.databases:
        packages += [*cluster.database_server.packages, *cluster.database_server.driver_packages]
        packages += ["openssl"] if cluster.makes_certificates else []
    if node == cluster.filestore:
        packages += NFS_SERVER_PACKAGES[cluster.settings.nfs_server]
    if "groupware" in node.groups:
        packages += ["nfs-common", *cluster.database_server.driver_packages, *cluster.product.groupware_packages]
    if "web" in node.groups:
        packages += ["apache2", *cluster.product.gui_packages]
    return list(dict.fromkeys(packages))


def _files(cluster: Cluster, node: Node) -> list[ManagedFile]:
    names = "".join(f"{other.address} {other.name}\n" for other in cluster.nodes)
    files = [ManagedFile("/etc/hosts", names, block="cluster")]
    if _uses_repository(node):
        files += _repository_files(cluster)
    return files


def _replaces(cluster: Cluster, node: Node) -> Replaced | None:
    if not _uses_repository(node):
        return None
    return {"apt": {"url": cluster.settings.ox_repository_url, "ours": SOURCES}}


def _repository_files(cluster: Cluster) -> list[ManagedFile]:
    settings, credentials = cluster.settings, _credentials(cluster)
    return [
        # apt reads keys as a user of its own.
        ManagedFile(str(PurePath(KEY).parent), mode="0755", directory=True, shared=True),
        ManagedFile(SOURCES, _source(cluster)),
        ManagedFile(KEY, read_text(settings.ox_repository_key, GROUP_DATA, "ox_repository_key")),
        ManagedFile(CREDENTIALS, credentials.reveal() if credentials else None, mode="0600"),
    ]


def _source(cluster: Cluster) -> str:
    return render(SOURCES, url=cluster.settings.ox_repository_url, key_path=KEY)


def _credentials(cluster: Cluster) -> secrets.Secret | None:
    """Return the line with which apt logs in, None if it does not."""
    passwords = secrets.load(cluster.settings.secrets_file)
    user, password = passwords.find(secrets.REPOSITORY_USER), passwords.find(secrets.REPOSITORY_PASSWORD)
    passwords.check_repository()
    if not (user and password):
        return None
    words = ("machine", cluster.settings.ox_repository_url, "login", user.reveal(), "password", password.reveal())
    return secrets.Secret(" ".join(words) + "\n")
