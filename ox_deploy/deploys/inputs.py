"""What the control machine sends: passwords, keys and certificates, judged before any host is touched."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra import inventory
from pyinfra.api import deploy

from ox_deploy import certificate, secrets
from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.errors import InputError
from ox_deploy.local_files import GROUP_DATA, check_repository_key, read_text
from ox_deploy.questions.run import current_run


@deploy("Inputs")
def check_inputs() -> None:
    """Refuse passwords, keys and certificates that would only fail, or hurt, once hosts have them.

    Raises InputError. Idempotent: changes nothing, and asks no host.
    """
    run = current_run()
    if not run.are_inputs_checked:
        check(cluster_of(inventory))
    run.are_inputs_checked = True


def check(cluster: Cluster) -> None:
    """Raise InputError with one sentence for the first input that will not do."""
    for look in LOOKS:
        look(cluster)


def find_faults(cluster: Cluster) -> Iterator[str]:
    """Return the first sentence about each kind of input that will not do."""
    for look in LOOKS:
        try:
            look(cluster)
        except InputError as error:
            yield str(error)


def _check_repository(cluster: Cluster) -> None:
    check_repository_key(read_text(cluster.settings.ox_repository_key, GROUP_DATA, "ox_repository_key"))


def _check_web(cluster: Cluster) -> None:
    settings = cluster.settings
    web = read_text(settings.web_certificate, GROUP_DATA, "web_certificate")
    key = read_text(settings.web_certificate_key, GROUP_DATA, "web_certificate_key")
    certificate.check_web(web, key, settings.web_name)


def _check_servers(cluster: Cluster) -> None:
    if cluster.settings.mysql_tls_ca:
        ca = read_text(cluster.settings.mysql_tls_ca, GROUP_DATA, "mysql_tls_ca")
        for node in cluster.databases:
            _check_server(node, ca)


def _check_server(node: Node, ca: str) -> None:
    """Look at what one database server shows to the others."""
    assert node.mysql_tls_certificate and node.mysql_tls_key
    where = f"inventory.py, host {node.name}"
    own = read_text(node.mysql_tls_certificate, where, "mysql_tls_certificate")
    key = read_text(node.mysql_tls_key, where, "mysql_tls_key")
    certificate.check_pair(own, key, where, ("mysql_tls_certificate", "mysql_tls_key"))
    certificate.check_issued(own, ca, node.address, where)


def _check_secrets(cluster: Cluster) -> None:
    settings = cluster.settings
    passwords = secrets.load(settings.secrets_file)
    for name in secrets.names_needed(context.model_dump() for context in settings.contexts):
        passwords.get(name)
    cluster.topology.check_passwords(cluster, passwords)
    passwords.check_repository()


LOOKS = (_check_secrets, _check_repository, _check_web, _check_servers)
