"""Guide: Master/Slave database setup."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy import secrets
from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.operations import mysql, service, switchover
from ox_deploy.operations.barrier import barrier
from ox_deploy.switching import inventory_change, server_of
from ox_deploy.templates import render

CONFIGURATION = "/etc/mysql/mariadb.conf.d/90-ox-deploy.cnf"
# Read after it. Written while the master is switched: a server that starts then is read-only.
FENCE = "/etc/mysql/mariadb.conf.d/95-ox-deploy-switch.cnf"
LOG_DIRECTORY = "/var/log/mysql"
CHECK = ["sh", "-c", "mariadbd --verbose --help > /dev/null"]
REPLICATION_USER = "replication"
OPENEXCHANGE_USER = "openexchange"


@deploy("Master/Slave database setup")
def set_up_databases() -> None:
    """Configure the database servers, make the accounts, start replication."""
    barrier(name="All hosts are prepared")
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    if node.groups & {"db_master", "db_slave", "groupware"} or node == cluster.filestore:
        _check_roles(cluster)
    barrier(name="The master is the one of the inventory")
    if not node.groups & {"db_master", "db_slave"}:
        return
    _configure_server(cluster, node)
    if node == cluster.master:
        make_accounts(cluster, node)
    else:
        replicate(cluster, node)
        make_accounts(cluster, node)


def _check_roles(cluster: Cluster) -> None:
    switchover.check_roles(
        name="Look whether the master was switched",
        master=server_of(cluster, cluster.master),
        slaves=[server_of(cluster, slave) for slave in cluster.slaves],
        remedies={slave.name: inventory_change(cluster, cluster.switched(slave)) for slave in cluster.slaves},
    )


def server_files(cluster: Cluster, node: Node) -> list[service.ManagedFile]:
    """Return the files of a database server; the fence is one that a switch which died may have left."""
    text = render(
        CONFIGURATION,
        address=node.address,
        port=cluster.settings.mysql_port,
        server_id=node.server_id,
        read_only=node != cluster.master,
        settings=node.mysql_settings,
    )
    return [
        service.ManagedFile(LOG_DIRECTORY, mode="2750", owner="mysql", group="adm", directory=True),
        service.ManagedFile(CONFIGURATION, text),
        service.ManagedFile(FENCE),
    ]


def _configure_server(cluster: Cluster, node: Node) -> None:
    service.configure(
        name="Configure the server (bind address, server id, binary log)",
        service="mariadb",
        files=server_files(cluster, node),
        units=["mariadb"],
        check=CHECK,
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
            server.address,
            passwords.get(secrets.REPLICATION),
            frozenset({"REPLICATION SLAVE"}),
        )
        # The master may be a slave one day, and finds its account then.
        for server in cluster.databases
        if cluster.slaves
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


def replication_password(cluster: Cluster) -> secrets.Secret:
    """Return the password of the slaves."""
    return secrets.load(cluster.settings.secrets_file).get(secrets.REPLICATION)


def replicate(cluster: Cluster, node: Node, former: Node | None = None) -> None:
    """Let a slave read from the master, also one that still belongs to a `former` master."""
    master = cluster.master
    others = [*cluster.databases, *([former] if former else [])]
    mysql.replica(
        name="Replicate from the master",
        source=source_of(cluster),
        master_host=master.inventory_name,
        address=node.address,
        master_option_file=master.mysql_option_file,
        option_file=node.mysql_option_file,
        by_gtid=cluster.settings.replication_by == "gtid",
        siblings=[other.address for other in others if other not in (master, node)],
    )


def source_of(cluster: Cluster) -> mysql.Source:
    """Return what the slaves replicate from."""
    master, password = cluster.master, replication_password(cluster)
    return mysql.Source(master.name, master.address, cluster.settings.mysql_port, REPLICATION_USER, password)
