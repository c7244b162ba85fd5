"""The guide's "Testing…" chapters: `pyinfra -y inventory.py ox_deploy.deploys.verify.verify`."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy import secrets
from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.deploys.hosts import lease_for
from ox_deploy.deploys.openxchange import wanted_registration
from ox_deploy.deploys.web import CERTIFICATE, SITE
from ox_deploy.operations.verify import filestore, network, registration, sessions
from ox_deploy.operations.verify.report import report, stop_if_taken, take_lease_and_ask
from ox_deploy.questions import bounds
from ox_deploy.questions.pyinfra_internals import current_state
from ox_deploy.questions.run import current_run


@deploy("Verify")
def verify() -> None:
    """Try on the living cluster whether it works, from end to end; leave nothing behind.

    Idempotent: what the checks make for a moment is removed again, by systemd if this run dies.
    """
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    bounds.watch(current_state())
    take_lease_and_ask(**lease_for(cluster, node, "verify"))
    stop_if_taken(name="No other run is at work")
    if node in cluster.databases:
        cluster.topology.verify(cluster, node, _run_name())
    if "groupware" in node.groups:
        _test_filestore(cluster, node)
        _test_network(cluster, node)
        _test_configuration(cluster, node)
    if "web" in node.groups:
        _test_sessions(cluster, node)
    report(name="Report", hosts={other.inventory_name: other.name for other in cluster.nodes})


def _run_name() -> str:
    """Return what makes the names of what is made for a moment unique; the same on all hosts of a run."""
    return current_run().id[:12]


def _test_filestore(cluster: Cluster, node: Node) -> None:
    settings = cluster.settings
    path = settings.filestore_path
    hosts = {other.inventory_name: other.name for other in cluster.groupware}
    owner = f"{settings.filestore_uid}:{settings.filestore_gid}"
    filestore.mounted(path=path, source=None if node == cluster.filestore else cluster.filestore_source)
    filestore.writes(path=path, run=_run_name(), node=node.name)
    filestore.sees(path=path, run=_run_name(), node=node.name, hosts=hosts, owner=owner)
    filestore.removes(path=path, run=_run_name(), node=node.name, hosts=hosts)


def _test_network(cluster: Cluster, node: Node) -> None:
    discovery = cluster.product.discovery(cluster.settings)
    if discovery:
        network.multicast(group=discovery.group, address=node.address)
    peers = {other.name: other.address for other in cluster.groupware if other != node}
    network.caches(
        peers=peers,
        ports={name: cache.port for name, cache in cluster.product.caches.items()},
        remedy=cluster.product.not_connected_remedy,
    )


def _test_configuration(cluster: Cluster, node: Node) -> None:
    registration.configuration(wanted=cluster.product.identity(cluster, node))
    if node == cluster.registrar:
        registration.registered(wanted=wanted_registration(cluster))


def _test_sessions(cluster: Cluster, node: Node) -> None:
    web_name = cluster.settings.web_name
    site = SITE.replace("sites-available", "sites-enabled")
    members = [sessions.WantedMember(other.name, other.route or "", other.load_factor) for other in cluster.groupware]
    wanted = {other.address: other.route or "" for other in cluster.groupware}
    registration.routes(address=node.address, web_name=web_name, certificate=CERTIFICATE, site=site, wanted=wanted)
    sessions.redirects(address=node.address, web_name=web_name, certificate=CERTIFICATE, site=site)
    sessions.certified(address=node.address, web_name=web_name, certificate=CERTIFICATE, site=site)
    sessions.spreads(
        address=node.address,
        web_name=web_name,
        certificate=CERTIFICATE,
        login=_login(cluster),
        members=members,
        addresses=cluster.product.addresses,
    )
    sessions.stays(route_key=cluster.product.route_key)


def _login(cluster: Cluster) -> sessions.Login | None:
    """Return the first user of group data, with the context behind the name."""
    passwords = secrets.load(cluster.settings.secrets_file)
    for context in cluster.settings.contexts:
        for user in context.users:
            password = passwords.get(secrets.user_secret(context.id, user.name))
            return sessions.Login(f"{user.name}@{context.name}", password)
    return None
