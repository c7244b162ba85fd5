"""The database chapter of a master and its replicas. Guide: Master/Slave database setup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from pyinfra import host

from ox_deploy import secrets
from ox_deploy.certificate import check_issued, check_pair
from ox_deploy.cluster import Cluster, Node
from ox_deploy.deploys.openxchange import OPENEXCHANGE_USER, database_accounts
from ox_deploy.errors import InputError
from ox_deploy.local_files import GROUP_DATA, read_text
from ox_deploy.mysql.accounts import WantedAccount
from ox_deploy.mysql.server_options import TUNABLE, canonical
from ox_deploy.operations import mysql, service, tls
from ox_deploy.questions.program import standalone
from ox_deploy.remote.mysql.defaults import NAMES
from ox_deploy.templates import render
from ox_deploy.topologies.master_slaves.notes import notes
from ox_deploy.topologies.master_slaves.operations import replication, roles
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of, switched
from ox_deploy.topologies.master_slaves.source import Source
from ox_deploy.topologies.master_slaves.switch_rules import inventory_change, server_of

BEFORE_START = "/etc/ox-deploy/before-database-start.py"
SERVICE_DROP_IN = "/etc/systemd/system/mariadb.service.d/ox-deploy.conf"
# How long another server may take to answer one that starts.
PEER_SECONDS = 3
LOG_DIRECTORY = "/var/log/mysql"
REPLICATION_USER = "replication"
TLS = replication.TLS
# How long the password of a replica may be for each server.
LONGEST_PASSWORD = {"mariadb": ("MariaDB", 96), "mysql": ("MySQL", 32)}
SWITCHOVER = "pyinfra -y inventory.py ox_deploy.deploys.switchover.switchover"
USERS = [REPLICATION_USER, OPENEXCHANGE_USER]


def set_up(cluster: Cluster, node: Node) -> None:
    """Configure one server, make its accounts, start its replication."""
    if cluster.makes_certificates:
        tls.certificate(name="Make the server's certificate", files=TLS, address=node.address)
    # What does not work is seen on a replica, while the master goes on. pyinfra's order is that of the lines here.
    if node in slaves_of(cluster):
        _configure_server(cluster, node)
    if node == master_of(cluster):
        _configure_server(cluster, node)
    if cluster.makes_certificates:
        _trust_all(cluster, node)
    if node == master_of(cluster):
        _make_first_accounts(cluster, node)
    else:
        replicate(cluster, node)
        make_accounts(cluster, node)
    if cluster.settings.replication_tls:
        _require_encryption(cluster, node)
    _look_before_start(cluster, node)


def _trust_all(cluster: Cluster, node: Node) -> None:
    tls.trust(
        name="Trust the certificates of all database servers",
        files=TLS,
        servers={server.address: server.inventory_name for server in cluster.databases},
        server=cluster.database_server,
        option_file=node.mysql_option_file,
    )


def check_roles(cluster: Cluster) -> None:
    """Refuse to go on if the master was switched and the inventory does not say so yet."""
    roles.check_roles(
        name="Look whether the master was switched",
        master=server_of(cluster, master_of(cluster)),
        slaves=[server_of(cluster, slave) for slave in slaves_of(cluster)],
        remedies=_remedies(cluster),
        accept_loss=host.data.get("accept_loss"),
        encrypted=cluster.settings.replication_tls,
    )


def _remedies(cluster: Cluster) -> Mapping[str, str]:
    """Return what is to be done if a replica is the master, by its name: the same on all hosts."""
    known = notes().remedies
    if not known:
        known.update({slave.name: _remedy(cluster, slave) for slave in slaves_of(cluster)})
    return known


def _remedy(cluster: Cluster, slave: Node) -> str:
    complete = f"{SWITCHOVER} --data new_master={slave.name}"
    change = inventory_change(cluster, switched(cluster, slave))
    return f"if the switch has not finished, `{complete}` completes it; then {change}"


def server_files(cluster: Cluster, node: Node) -> list[service.ManagedFile]:
    """Return the files of a database server; the fence is one that a switch which died may have left."""
    server = cluster.database_server
    return [
        service.ManagedFile(LOG_DIRECTORY, mode="2750", owner="mysql", group="adm", directory=True),
        *_certificate_files(cluster, node),
        service.ManagedFile(server.logs, render(server.logs), shared=True),
        service.ManagedFile(server.configuration, _server_text(cluster, node, node.mysql_settings)),
        service.ManagedFile(server.fence),
    ]


def _server_text(cluster: Cluster, node: Node, settings: Mapping[str, Any]) -> str:
    return render(
        cluster.database_server.configuration,
        address=node.address,
        port=cluster.settings.mysql_port,
        server_id=node.server_id,
        read_only=node != master_of(cluster),
        certificate=TLS.pair if cluster.settings.replication_tls else None,
        semi_synchronous=cluster.settings.semi_synchronous,
        settings=settings,
    )


def _certificate_files(cluster: Cluster, node: Node) -> list[service.ManagedFile]:
    """Return the files of an encrypted replication, as far as the servers do not make them."""
    if not cluster.settings.replication_tls:
        return [service.ManagedFile(TLS.pair), service.ManagedFile(TLS.trusted)]
    folder = service.ManagedFile(str(PurePath(TLS.pair).parent), mode="0755", directory=True, shared=True)
    if cluster.makes_certificates:
        return [folder]
    assert node.mysql_tls_certificate and node.mysql_tls_key and cluster.settings.mysql_tls_ca
    where = f"inventory.py, host {node.name}"
    certificate = read_text(node.mysql_tls_certificate, where, "mysql_tls_certificate")
    key = read_text(node.mysql_tls_key, where, "mysql_tls_key")
    ca = read_text(cluster.settings.mysql_tls_ca, GROUP_DATA, "mysql_tls_ca")
    check_pair(certificate, key, where, ("mysql_tls_certificate", "mysql_tls_key"))
    check_issued(certificate, ca, node.address, where)
    pair = f"{certificate.rstrip()}\n{key}"
    return [
        folder,
        service.ManagedFile(TLS.pair, pair, mode="0600", owner=TLS.owner),
        service.ManagedFile(TLS.trusted, ca),
    ]


def _configure_server(cluster: Cluster, node: Node) -> None:
    roles.configure(
        name="Configure the server (bind address, server id, binary log)",
        service_name=cluster.database_server.unit,
        files=server_files(cluster, node),
        check=cluster.database_server.check,
        read_only=node != master_of(cluster),
        units=[cluster.database_server.unit],
        option_file=node.mysql_option_file,
        probe=_probe(cluster, node),
        replaces={"mysql": {"ours": cluster.database_server.configuration, "options": _options(cluster, node)}},
        collations=_collations(cluster, node),
        # A change that needs a restart takes the servers down one after the other.
        _serial=True,
    )


def _collations(cluster: Cluster, node: Node) -> roles.Collations | None:
    """Return where a server has the collations of another release, None if that is not for us to say."""
    file, master = cluster.database_server.collations, master_of(cluster)
    given = {canonical(name) for each in (node, master) for name in each.mysql_settings}
    is_alone = not slaves_of(cluster)
    return None if not file or is_alone or given & set(NAMES) else roles.Collations(file, master.inventory_name)


def _options(cluster: Cluster, node: Node) -> dict[str, str]:
    """Return what our file sets; where a server with data has that, and its port, is not to be changed."""
    text = _server_text(cluster, node, node.mysql_settings)
    pairs = [line.split(" = ", 1) for line in text.splitlines() if " = " in line and not line.startswith("#")]
    return {name: value for name, value in pairs if name != "port"}


def _probe(cluster: Cluster, node: Node) -> service.Probe:
    """Return how the server is asked; it may adjust what it is told in `mysql_settings`.

    That changes what the template sets, too: MariaDB (10.11.19) keeps `expire_logs_days` and
    `binlog_expire_logs_seconds` alike, so with 86400 seconds it says one day, whatever its file says of the days.
    """
    server = cluster.database_server
    text = _server_text(cluster, node, settings={})
    names = [line.partition(" = ")[0].replace("-", "_") for line in text.splitlines() if " = " in line]
    names = [name for name in names if not name.startswith("#") and name not in TUNABLE]
    files = (server.configuration, server.fence)
    return service.Probe(database=service.DatabaseProbe(files, tuple(names), node.mysql_option_file))


def make_accounts(cluster: Cluster, node: Node) -> None:
    """Bring the accounts of one server into the wanted state."""
    _make_accounts(cluster, node, wanted_accounts(cluster))


def _make_first_accounts(cluster: Cluster, node: Node) -> None:
    """Make the accounts of the master before its replicas need them, and while some may still log in unencrypted."""
    wanted = wanted_accounts(cluster)
    _make_accounts(cluster, node, [replace(account, tls=None) if account.tls else account for account in wanted])


def _make_accounts(cluster: Cluster, node: Node, wanted: Sequence[WantedAccount]) -> None:
    mysql.accounts(
        name="Make the accounts of the replicas and of Open-Xchange",
        wanted=wanted,
        users=USERS,
        remove_stale=cluster.settings.remove_stale_accounts,
        replicate=node == master_of(cluster),
        option_file=node.mysql_option_file,
    )


def _look_before_start(cluster: Cluster, node: Node) -> None:
    """Have the server look at the others whenever it starts; nothing of this needs a restart of it."""
    server = cluster.database_server
    others = [other for other in cluster.databases if other != node]
    source = source_of(cluster)
    job = {
        "configuration": server.configuration,
        "logs": server.logs,
        "fence": server.fence,
        "peers": [replace(source, name=other.name, address=other.address).peer() for other in others],
        "seconds": PEER_SECONDS,
    }
    program = standalone("master_slaves.switch_before_start", job) if others else None
    drop_in = render(SERVICE_DROP_IN, program=BEFORE_START) if others else None
    service.configure(
        name="Let the server look at the others before it starts",
        service=f"{server.unit}-start",
        files=[
            service.ManagedFile(BEFORE_START, program, mode="0600"),
            service.ManagedFile(SERVICE_DROP_IN.replace("mariadb", server.unit), drop_in),
        ],
    )


def _require_encryption(cluster: Cluster, node: Node) -> None:
    if node == master_of(cluster):
        replication.encrypt_logins(
            name="Let the replicas log in encrypted only",
            wanted=[account for account in wanted_accounts(cluster) if account.tls],
            users=USERS,
            slaves=[server_of(cluster, slave) for slave in slaves_of(cluster)],
            option_file=node.mysql_option_file,
        )


def wanted_accounts(cluster: Cluster) -> list[WantedAccount]:
    """Return the accounts that every database server should have."""
    passwords = secrets.load(cluster.settings.secrets_file)
    replication = [
        WantedAccount(
            REPLICATION_USER,
            server.address,
            passwords.get(secrets.REPLICATION),
            frozenset({"REPLICATION SLAVE"}),
            tls=cluster.settings.replication_tls,
        )
        # The master may be a replica one day, and finds its account then.
        for server in cluster.databases
        if slaves_of(cluster)
    ]
    return replication + database_accounts(cluster)


def check_password(cluster: Cluster, passwords: secrets.Secrets) -> None:
    """Raise InputError where a replica could not log in with its password."""
    settings = cluster.settings
    server, longest = LONGEST_PASSWORD[settings.database_server]
    length = len(passwords.get(secrets.REPLICATION).reveal())
    if slaves_of(cluster) and length > longest:
        raise InputError(
            f"{settings.secrets_file}: `{secrets.REPLICATION}` has {length} characters, but {server} lets a replica "
            f"log in with at most {longest}; choose a shorter one."
        )


def replication_password(cluster: Cluster) -> secrets.Secret:
    """Return the password of the replicas."""
    return secrets.load(cluster.settings.secrets_file).get(secrets.REPLICATION)


def replicate(cluster: Cluster, node: Node, former: Node | None = None) -> None:
    """Let a replica read from the master, also one that still belongs to a `former` master."""
    master = master_of(cluster)
    replication.replica(
        name="Replicate from the master",
        source=source_of(cluster),
        master_host=master.inventory_name,
        address=node.address,
        master_option_file=master.mysql_option_file,
        option_file=node.mysql_option_file,
        by_gtid=cluster.settings.replication_by == "gtid",
        siblings=siblings(cluster, node, former),
    )


def siblings(cluster: Cluster, node: Node, former: Node | None = None) -> list[str]:
    """Return the addresses of the other database hosts, from which a replica can be moved to the master."""
    others = [*cluster.databases, *([former] if former else [])]
    return [other.address for other in others if other not in (master_of(cluster), node)]


def source_of(cluster: Cluster) -> Source:
    """Return what the replicas follow."""
    master, password = master_of(cluster), replication_password(cluster)
    settings, ca = cluster.settings, trusted_by_slaves(cluster)
    login = (settings.mysql_port, REPLICATION_USER, password)
    return Source(master.name, master.address, *login, ca, settings.semi_synchronous)


def trusted_by_slaves(cluster: Cluster) -> str:
    """Return the file by which replicas know their master, "" if they read unencrypted."""
    return TLS.trusted if cluster.settings.replication_tls else ""
