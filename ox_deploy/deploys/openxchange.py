"""Guide: Configuring Open-Xchange Server."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy import secrets
from ox_deploy.cluster import Cluster, Context, Node, cluster_of
from ox_deploy.mysql.accounts import WantedAccount
from ox_deploy.operations.barrier import barrier
from ox_deploy.operations.openxchange import configuration, registration, wanted
from ox_deploy.operations.openxchange.node import WantedNode
from ox_deploy.products.base import Accounts

MASTER_ADMIN_USER = "oxadminmaster"
OPENEXCHANGE_USER = "openexchange"


@deploy("Configuring Open-Xchange Server")
def configure_open_xchange() -> None:
    """Write the configuration on every node; make configdb and register everything from one of them.

    Idempotent: only what differs is written, and only what is missing is registered.
    """
    barrier(name="Databases, filestore and balancer are done")
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    if "groupware" not in node.groups:
        return
    configure_node(cluster, node)
    product = cluster.product
    if node == cluster.registrar:
        registration.register(
            name="Create configdb; register server, filestore and databases; create contexts and users",
            wanted=wanted_registration(cluster),
            administrator=wanted_configuration(cluster, node).administrator,
            admin_service=product.admin_service,
            admin_check=product.admin_check,
            ports=product.ports,
        )


def configure_node(cluster: Cluster, node: Node) -> None:
    """Write the node's configuration."""
    product = cluster.product
    installer = product.installer(cluster, node, accounts(cluster))
    configuration.configure(
        name="Configure the node (oxinstaller)",
        wanted=wanted_configuration(cluster, node),
        installer=installer.arguments,
        license_arguments=installer.license_arguments,
        services=list(product.ports),
        keep=installer.kept_files,
    )


def accounts(cluster: Cluster) -> Accounts:
    """Return with whom Open-Xchange logs in."""
    passwords = secrets.load(cluster.settings.secrets_file)
    database, admin = passwords.get(secrets.OPENEXCHANGE), passwords.get(secrets.MASTER_ADMIN)
    return Accounts(OPENEXCHANGE_USER, database, MASTER_ADMIN_USER, admin)


def database_accounts(cluster: Cluster) -> list[WantedAccount]:
    """Return with whom the nodes log in at the database servers."""
    password, product = _database_password(cluster), cluster.product
    rights = (product.database_privileges, product.database_grant_option)
    return [WantedAccount(OPENEXCHANGE_USER, node.address, password, *rights) for node in cluster.groupware]


def _database_password(cluster: Cluster) -> secrets.Secret:
    return secrets.load(cluster.settings.secrets_file).get(secrets.OPENEXCHANGE)


def wanted_configuration(cluster: Cluster, node: Node) -> configuration.WantedConfiguration:
    """Return a node's files as they should be."""
    return cluster.product.configuration(cluster, node, accounts(cluster))


def wanted_node(cluster: Cluster, node: Node) -> WantedNode:
    """Return what a groupware node should be like."""
    registered = wanted_registration(cluster) if node == cluster.registrar else None
    return WantedNode(node.name, wanted_configuration(cluster, node), registered)


def wanted_registration(cluster: Cluster) -> wanted.WantedRegistration:
    """Return what configdb should hold."""
    settings = cluster.settings
    passwords = secrets.load(settings.secrets_file)
    return wanted.WantedRegistration(
        layout=cluster.product.configdb,
        server=settings.server_name,
        filestore=f"file://{settings.filestore_path}",
        databases=tuple(server for one in wanted_clusters(cluster) for server in one.servers),
        contexts=tuple(_wanted_context(context, passwords) for context in settings.contexts),
        reader_rule=cluster.roles.reader_rule,
    )


def wanted_clusters(cluster: Cluster) -> list[wanted.WantedCluster]:
    """Return how Open-Xchange uses the database servers, by the names under which they are registered."""
    login = (cluster.settings.mysql_port, OPENEXCHANGE_USER, _database_password(cluster))
    return [
        wanted.WantedCluster(
            wanted.WantedDatabase(one.writer_name, one.writer.address, *login),
            wanted.WantedDatabase(one.reader_name, one.reader.address, *login, writer=one.writer_name),
        )
        for one in cluster.database_clusters
    ]


def _wanted_context(context: Context, passwords: secrets.Secrets) -> wanted.WantedContext:
    def password(user: str) -> secrets.Secret:
        return passwords.get(secrets.user_secret(context.id, user))

    users = tuple(wanted.WantedUser(**user.model_dump(), password=password(user.name)) for user in context.users)
    values = context.model_dump(exclude={"users"})
    return wanted.WantedContext(**values, password=password(context.admin), users=users)
