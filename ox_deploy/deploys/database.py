"""Guide: Master/Slave database setup."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy import secrets
from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.operations import mysql, service
from ox_deploy.operations.barrier import barrier
from ox_deploy.templates import render

CONFIGURATION = "/etc/mysql/mariadb.conf.d/90-ox-deploy.cnf"
LOG_DIRECTORY = "/var/log/mysql"
REPLICATION_USER = "replication"
OPENEXCHANGE_USER = "openexchange"


@deploy("Master/Slave database setup")
def set_up_databases() -> None:
    """Configure the database servers, make the accounts, start replication."""
    barrier(name="All hosts are prepared")
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    if not node.groups & {"db_master", "db_slave"}:
        return
    _configure_server(cluster, node)
    if node == cluster.master:
        make_accounts(cluster, node)
    else:
        _replicate(cluster, node)
        make_accounts(cluster, node)


def _configure_server(cluster: Cluster, node: Node) -> None:
    text = render(
        CONFIGURATION,
        address=node.address,
        port=cluster.settings.mysql_port,
        server_id=node.server_id,
        read_only=node != cluster.master,
        settings=node.mysql_settings,
    )
    service.configure(
        name="Configure the server (bind address, server id, binary log)",
        service="mariadb",
        files=[
            service.ManagedFile(LOG_DIRECTORY, mode="2750", owner="mysql", group="adm", directory=True),
            service.ManagedFile(CONFIGURATION, text),
        ],
        units=["mariadb"],
        check=["sh", "-c", "mariadbd --verbose --help > /dev/null"],
        # A change that needs a restart takes the servers down one after the other.
        _serial=True,
    )


def make_accounts(cluster: Cluster, node: Node) -> None:
    """Bring the accounts of one server into the wanted state."""
    mysql.accounts(
        name="Make the accounts of the slaves and of Open-Xchange",
        wanted=wanted_accounts(cluster),
        users=[REPLICATION_USER, OPENEXCHANGE_USER],
        remove_stale=cluster.settings.remove_stale_accounts,
        replicate=node == cluster.master,
        option_file=node.mysql_option_file,
    )


def wanted_accounts(cluster: Cluster) -> list[mysql.WantedAccount]:
    """Return the accounts that every database server should have."""
    passwords = secrets.load(cluster.settings.secrets_file)
    product = cluster.product
    replication = [
        mysql.WantedAccount(
            REPLICATION_USER,
            slave.address,
            passwords.get(secrets.REPLICATION),
            frozenset({"REPLICATION SLAVE"}),
        )
        for slave in cluster.slaves
    ]
    openexchange = [
        mysql.WantedAccount(
            OPENEXCHANGE_USER,
            node.address,
            passwords.get(secrets.OPENEXCHANGE),
            product.database_privileges,
            product.database_grant_option,
        )
        for node in cluster.groupware
    ]
    return replication + openexchange


def _replicate(cluster: Cluster, node: Node) -> None:
    master = cluster.master
    mysql.replica(
        name="Replicate from the master",
        source=source_of(cluster),
        master_host=master.inventory_name,
        address=node.address,
        master_option_file=master.mysql_option_file,
        option_file=node.mysql_option_file,
    )


def source_of(cluster: Cluster) -> mysql.Source:
    """Return what the slaves replicate from."""
    master = cluster.master
    password = secrets.load(cluster.settings.secrets_file).get(secrets.REPLICATION)
    return mysql.Source(master.name, master.address, cluster.settings.mysql_port, REPLICATION_USER, password)
