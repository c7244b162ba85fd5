"""How oxinstaller is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ox_deploy.operations.openxchange.configuration import PLACEHOLDER
from ox_deploy.products.base import Accounts, Installer
from ox_deploy.products.ox6.settings import own

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node

# What it resets although an administrator may have set it by hand.
KEPT_FILES = [
    f"/opt/open-xchange/etc/groupware/{name}.properties"
    for name in ("configjump", "mail", "push", "server", "sessiond")
]


def installer(cluster: Cluster, node: Node, accounts: Accounts) -> Installer:
    """Return how it is called on a node."""
    key = cluster.settings.license_key
    return Installer(
        arguments=_arguments(cluster, node, accounts),
        license_arguments=[f"--add-license={key}"] if key else ["--no-license"],
        kept_files=KEPT_FILES,
    )


def _arguments(cluster: Cluster, node: Node, accounts: Accounts) -> list[str]:
    settings = own(cluster.settings)
    values = {
        "servername": settings.server_name,
        "configdb-user": accounts.database_user,
        "configdb-pass": PLACEHOLDER,
        "configdb-readhost": cluster.reader.address,
        "configdb-writehost": cluster.writer.address,
        "configdb-readport": settings.mysql_port,
        "configdb-writeport": settings.mysql_port,
        "master-user": accounts.admin,
        "master-pass": PLACEHOLDER,
        "jkroute": node.route,
        "ajp-bind-port": "*",
        "object-link-hostname": settings.web_name,
        "servermemory": settings.server_memory,
        "cache-udp-disc-addr": settings.cache_multicast_address,
        "cache-udp-disc-port": settings.cache_multicast_port,
        "scache-udp-disc-port": settings.session_cache_multicast_port,
    }
    return [f"--{name}={value}" for name, value in values.items()]
