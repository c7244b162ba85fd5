"""The files of a node, by the keys that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passlib.hash import des_crypt

from ox_deploy.operations.openxchange.configuration import Administrator, WantedConfiguration
from ox_deploy.products.base import Accounts
from ox_deploy.products.ox6 import jcs
from ox_deploy.products.ox6.settings import own

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node

FOLDER = "/opt/open-xchange/etc"
# Each daemon has a folder of its own.
SYSTEM, ADMIN_SYSTEM = "groupware/system.properties", "admindaemon/system.properties"
CONFIGDB, ADMIN_CONFIGDB = "groupware/configdb.properties", "admindaemon/configdb.properties"
CONNECTOR, ROUTE_KEY = "groupware/ajp.properties", "AJP_JVM_ROUTE"
ADMINISTRATORS = "admindaemon/mpasswd"


class Des:
    """The hash of crypt(3) by DES, with a salt of two characters."""

    salt_length = 2

    def hash(self, password: str, salt: str | None = None) -> str:
        """Return the hash of a password, with a salt of its own unless one is given."""
        return str((des_crypt.using(salt=salt) if salt else des_crypt).hash(password))


def identity(cluster: Cluster, node: Node) -> dict[str, dict[str, str]]:
    """Return where files have the cluster's server name and the node's route."""
    name = {"SERVER_NAME": cluster.settings.server_name}
    return {SYSTEM: name, ADMIN_SYSTEM: name, CONNECTOR: {ROUTE_KEY: node.route or ""}}


def wanted(cluster: Cluster, node: Node, accounts: Accounts) -> WantedConfiguration:
    """Return what oxinstaller is known to write, and what it leaves as it was."""
    settings = own(cluster.settings)
    reader, writer = cluster.reader, cluster.writer
    separate = "true" if reader != writer else "false"
    login = dict.fromkeys(("readProperty.2", "writeProperty.2"), ("password=", accounts.database_password))
    return WantedConfiguration(
        values={
            CONFIGDB: _configdb_values(cluster, reader, separate, accounts.database_user),
            ADMIN_CONFIGDB: _configdb_values(cluster, writer, "false", accounts.database_user),
            SYSTEM: {"SERVER_NAME": settings.server_name},
            ADMIN_SYSTEM: {"SERVER_NAME": settings.server_name},
            "admindaemon/AdminDaemon.properties": {
                "SERVER_NAME": settings.server_name,
                "MASTER_AUTHENTICATION_DISABLED": "false",
                "CONTEXT_AUTHENTICATION_DISABLED": "false",
            },
            CONNECTOR: {ROUTE_KEY: node.route, "AJP_BIND_ADDR": "*"},
            "groupware/notification.properties": {
                "object_link": f"https://{settings.web_name}/ox6/#m=[module]&i=[object]&f=[folder]"
            },
            **jcs.values(settings),
        },
        memory={"groupware/ox-scriptconf.sh": {"JAVA_XTRAOPTS": f"-Xmx{settings.server_memory}m"}},
        secrets={CONFIGDB: login, ADMIN_CONFIGDB: login},
        administrator=Administrator(accounts.admin, accounts.admin_password, ADMINISTRATORS, Des()),
    )


def _configdb_values(cluster: Cluster, reader: Node, separate: str, user: str) -> dict[str, str | None]:
    port = cluster.settings.mysql_port
    return {
        "useSeparateWrite": separate,
        "readUrl": f"jdbc:mysql://{reader.address}:{port}/configdb",
        "readProperty.1": f"user={user}",
        "writeUrl": f"jdbc:mysql://{cluster.writer.address}:{port}/configdb",
        "writeProperty.1": f"user={user}",
    }
