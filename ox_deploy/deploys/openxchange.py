"""Guide: Configuring Open-Xchange Server."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy import secrets
from ox_deploy.cluster import Cluster, Context, Node, cluster_of
from ox_deploy.deploys.clustering import cache_values
from ox_deploy.deploys.database import OPENEXCHANGE_USER
from ox_deploy.operations import openxchange
from ox_deploy.operations.barrier import barrier

MASTER_ADMIN_USER = "oxadminmaster"
# Names under which the guide registers the databases.
MASTER_DATABASE = "oxdatabase"
SLAVE_DATABASE = "oxdatabase_slave"

# What oxinstaller resets although an administrator may have set it by hand.
KEPT_FILES = [
    f"/opt/open-xchange/etc/groupware/{name}.properties"
    for name in ("configjump", "mail", "push", "server", "sessiond")
]


@deploy("Configuring Open-Xchange Server")
def configure_open_xchange() -> None:
    """Write the configuration on every node; make configdb and register everything from one of them."""
    barrier(name="Databases, filestore and balancer are done")
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    if "groupware" not in node.groups:
        return
    configure_node(cluster, node)
    product = cluster.product
    if node == cluster.registrar:
        openxchange.register(
            name="Create configdb; register server, filestore and databases; create contexts and users",
            wanted=wanted_registration(cluster),
            administrator=_administrator(cluster),
            admin_service=product.admin_service,
            ports=product.ports,
        )


def configure_node(cluster: Cluster, node: Node) -> None:
    """Write the node's configuration."""
    product = cluster.product
    openxchange.configure(
        name="Configure the node (oxinstaller)",
        wanted=wanted_configuration(cluster, node),
        installer=_installer_arguments(cluster, node),
        license_arguments=_license_arguments(cluster),
        services=[product.admin_service, product.groupware_service],
        keep=KEPT_FILES,
    )


def _administrator(cluster: Cluster) -> openxchange.Administrator:
    password = secrets.load(cluster.settings.secrets_file).get(secrets.MASTER_ADMIN)
    return openxchange.Administrator(MASTER_ADMIN_USER, password, "admindaemon/mpasswd")


def _installer_arguments(cluster: Cluster, node: Node) -> list[str]:
    settings = cluster.settings
    values = {
        "servername": settings.server_name,
        "configdb-user": OPENEXCHANGE_USER,
        "configdb-pass": openxchange.PLACEHOLDER,
        "configdb-readhost": cluster.read_database.address,
        "configdb-writehost": cluster.master.address,
        "configdb-readport": settings.mysql_port,
        "configdb-writeport": settings.mysql_port,
        "master-user": MASTER_ADMIN_USER,
        "master-pass": openxchange.PLACEHOLDER,
        "jkroute": node.route,
        "ajp-bind-port": "*",
        "object-link-hostname": settings.web_name,
        "servermemory": settings.server_memory,
        "cache-udp-disc-addr": settings.cache_multicast_address,
        "cache-udp-disc-port": settings.cache_multicast_port,
        "scache-udp-disc-port": settings.session_cache_multicast_port,
    }
    return [f"--{name}={value}" for name, value in values.items()]


def _license_arguments(cluster: Cluster) -> list[str]:
    key = cluster.settings.license_key
    return [f"--add-license={key}"] if key else ["--no-license"]


def wanted_configuration(cluster: Cluster, node: Node) -> openxchange.WantedConfiguration:
    """Return what oxinstaller is known to write, and what it leaves as it was."""
    settings = cluster.settings
    reader, writer = cluster.read_database, cluster.master
    separate = "true" if reader != writer else "false"
    password = secrets.load(settings.secrets_file).get(secrets.OPENEXCHANGE)
    login = dict.fromkeys(("readProperty.2", "writeProperty.2"), ("password=", password))
    return openxchange.WantedConfiguration(
        values={
            "groupware/configdb.properties": _configdb_values(cluster, reader, separate),
            "admindaemon/configdb.properties": _configdb_values(cluster, writer, "false"),
            "groupware/system.properties": {"SERVER_NAME": settings.server_name},
            "admindaemon/system.properties": {"SERVER_NAME": settings.server_name},
            "admindaemon/AdminDaemon.properties": {
                "SERVER_NAME": settings.server_name,
                "MASTER_AUTHENTICATION_DISABLED": "false",
                "CONTEXT_AUTHENTICATION_DISABLED": "false",
            },
            "groupware/ajp.properties": {"AJP_JVM_ROUTE": node.route, "AJP_BIND_ADDR": "*"},
            "groupware/notification.properties": {
                "object_link": f"https://{settings.web_name}/ox6/#m=[module]&i=[object]&f=[folder]"
            },
            **cache_values(cluster),
        },
        memory={"groupware/ox-scriptconf.sh": {"JAVA_XTRAOPTS": f"-Xmx{settings.server_memory}m"}},
        secrets={"groupware/configdb.properties": login, "admindaemon/configdb.properties": login},
        administrator=_administrator(cluster),
    )


def _configdb_values(cluster: Cluster, reader: Node, separate: str) -> dict[str, str | None]:
    port = cluster.settings.mysql_port
    return {
        "useSeparateWrite": separate,
        "readUrl": f"jdbc:mysql://{reader.address}:{port}/configdb",
        "readProperty.1": f"user={OPENEXCHANGE_USER}",
        "writeUrl": f"jdbc:mysql://{cluster.master.address}:{port}/configdb",
        "writeProperty.1": f"user={OPENEXCHANGE_USER}",
    }


def wanted_registration(cluster: Cluster) -> openxchange.WantedRegistration:
    """Return what configdb should hold."""
    settings = cluster.settings
    passwords = secrets.load(settings.secrets_file)
    login = (settings.mysql_port, OPENEXCHANGE_USER, passwords.get(secrets.OPENEXCHANGE))
    databases = [openxchange.WantedDatabase(MASTER_DATABASE, cluster.master.address, *login)]
    if cluster.slaves:
        slave = openxchange.WantedDatabase(
            SLAVE_DATABASE, cluster.read_database.address, *login, master=MASTER_DATABASE
        )
        databases.append(slave)
    return openxchange.WantedRegistration(
        server=settings.server_name,
        filestore=f"file://{settings.filestore_path}",
        databases=tuple(databases),
        contexts=tuple(_wanted_context(context, passwords) for context in settings.contexts),
    )


def _wanted_context(context: Context, passwords: secrets.Secrets) -> openxchange.WantedContext:
    def password(user: str) -> secrets.Secret:
        return passwords.get(secrets.user_secret(context.id, user))

    users = tuple(openxchange.WantedUser(**user.model_dump(), password=password(user.name)) for user in context.users)
    values = context.model_dump(exclude={"users"})
    return openxchange.WantedContext(**values, password=password(context.admin), users=users)
