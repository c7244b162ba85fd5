"""What is seen of a cluster that is well, ways to break it, and what is found then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ox_deploy.cluster import Cluster, Node
from ox_deploy.deploys.clustering import start_cluster
from ox_deploy.deploys.database import set_up_databases
from ox_deploy.deploys.openxchange import configure_open_xchange
from ox_deploy.facts.health import BalancerMember, Disk, Health, HeldLease
from ox_deploy.facts.hosts import HostStatus
from ox_deploy.facts.mysql import BinaryLog, MysqlStatus, ServerState
from ox_deploy.facts.network import RouteStatus
from ox_deploy.facts.nfs import Mount, MountStatus
from ox_deploy.facts.openxchange import Configuration, Daemon, Registration
from ox_deploy.facts.service import ServiceStatus, UnitState
from ox_deploy.findings import Finding
from ox_deploy.operations import mysql
from ox_deploy.operations.openxchange import configuration
from ox_deploy.products.ox6 import mesh
from ox_deploy.questions.lease import Holder
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.secrets import Secret
from ox_deploy.status import steps
from ox_deploy.status.seen import Drift, Seen
from ox_deploy.status.states.find import find
from ox_deploy.status.steps import Step
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.operations import replication, roles
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of
from ox_deploy.topologies.master_slaves.source import Source
from tests.unit.guide import Guide

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
GB = 10**9
ADMIN, GROUPWARE = "open-xchange-admin", "open-xchange-groupware"
ADMIN_PORT, GROUPWARE_PORT, SESSION_PORT = 57461, 57462, 58849

SeenHosts = dict[str, Seen]
Break = Callable[[SeenHosts], object]


# --- a healthy cluster -----------------------------------------------------------------------------------


@cache
def certificate(last: timedelta, first: timedelta = timedelta(days=-365)) -> str:
    """Return a certificate that begins and ends so long after NOW."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "groupware.example.com")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + first)
        .not_valid_after(NOW + last)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()


def running(*units: str) -> ServiceStatus:
    """Return a service whose units run."""
    return ServiceStatus(units={unit: UnitState(active=True, enabled=True) for unit in units})


def healthy(cluster: Cluster) -> SeenHosts:
    """Return what is seen of the hosts of a cluster in which all is well, by name."""
    return {node.name: healthy_host(cluster, node) for node in cluster.nodes}


def healthy_host(cluster: Cluster, node: Node) -> Seen:
    """Return what is seen of one host that is well."""
    seen = Seen(node, host=HostStatus(system="debian 12", init="systemd", packages={"python3": "3.11.2-1+b1"}))
    seen.health = Health(time=NOW.timestamp(), disks=[Disk(path="/", size=40 * GB, free=30 * GB)])
    seen.services["host"] = ServiceStatus()
    if node in slaves_of(cluster):
        master, settings = master_of(cluster), cluster.settings
        seen.expected = Source(
            master.name, master.address, settings.mysql_port, "replication", Secret("Zc4qLw8mPn2rTx6v")
        )
    if node in cluster.databases:
        seen.services["mariadb"] = running("mariadb")
        seen.mysql = server(cluster, node)
    if node == cluster.filestore:
        seen.services["nfs"] = running("nfs-server")
    if "web" in node.groups:
        seen.services["apache2"] = running("apache2")
        change_health(seen, certificate=certificate(timedelta(days=100)), members=members(cluster))
    if "groupware" in node.groups:
        make_groupware(cluster, seen)
    return seen


def make_groupware(cluster: Cluster, seen: Seen) -> None:
    """Add what a groupware node has."""
    daemon = Daemon(active=True, enabled=True, listening=True, pending=False)
    seen.route = RouteStatus(running("ox-multicast-route.service"), present=True)
    seen.configuration = Configuration(installed=True)
    seen.daemons = {ADMIN: daemon, GROUPWARE: daemon}
    ports = [ADMIN_PORT, GROUPWARE_PORT, SESSION_PORT]
    seen.caches = {peer.address: list(ports) for peer in cluster.groupware if peer != seen.node}
    if seen.node == cluster.registrar:
        seen.registration = Registration(state=RegistrationState.COMPLETE)
    if seen.node != cluster.filestore:
        seen.mount = MountStatus(mount=Mount(cluster.filestore_source, "nfs4"), answers=True)


def server(cluster: Cluster, node: Node) -> MysqlStatus:
    """Return a database server that is well, with replication on a replica."""
    is_master = node == master_of(cluster)
    return MysqlStatus(
        state=ServerState.RUNNING,
        version="10.11.6-MariaDB",
        variables={"server_id": str(node.server_id), "read_only": "OFF" if is_master else "ON"},
        binary_log=BinaryLog(file="mysql-bin.000003", position=1234, first_file="mysql-bin.000001", complete=True),
        replica=None if is_master else replica(cluster),
        gtid_state=f"0-{master_of(cluster).server_id}-345",
    )


def replica(cluster: Cluster) -> Replica:
    """Return replication that goes on."""
    return Replica(
        host=master_of(cluster).address,
        port=3306,
        user="replication",
        io_running="Yes",
        sql_running="Yes",
        io_error="",
        sql_error="",
        file="mysql-bin.000003",
        position=1234,
        password=None,
        seconds_behind=0,
    )


def members(cluster: Cluster) -> list[BalancerMember]:
    """Return all nodes as a balancer's members."""
    return [
        BalancerMember(url=f"ajp://{node.address}:8009", route=node.route or "", factor=50, disabled=False, error=False)
        for node in cluster.groupware
    ]


# --- what can break --------------------------------------------------------------------------------------


def change_health(seen: Seen, **values: Any) -> None:
    """Change values of what the host says of itself."""
    assert seen.health
    seen.health = seen.health.model_copy(update=values)


def start_run(hosts: SeenHosts, doing: str) -> None:
    """Have a run hold the lease of the cluster."""
    holder = Holder("run", "anna", "control", 4711, NOW.timestamp(), doing)
    for seen in hosts.values():
        if seen.health:
            change_health(seen, lease=HeldLease(holder=holder, left=42))


def change_server(seen: Seen, **values: Any) -> None:
    """Change values of a database server."""
    assert seen.mysql
    seen.mysql = seen.mysql.model_copy(update=values)


def change_replica(seen: Seen, **values: Any) -> None:
    """Change values of a replica's replication."""
    assert seen.mysql and seen.mysql.replica
    change_server(seen, replica=seen.mysql.replica.model_copy(update=values))


def change_registration(hosts: SeenHosts, state: str, error: str = "") -> None:
    """Have the first node, which registers the cluster, see configdb in another state."""
    hosts["oxgw01"].registration = Registration(state=RegistrationState(state), error=error)


def change_member(seen: Seen, position: int, **values: Any) -> None:
    """Change values of one of the balancer's members."""
    assert seen.health and seen.health.members
    changed = list(seen.health.members)
    changed[position] = changed[position].model_copy(update=values)
    change_health(seen, members=changed)


def change_mount(seen: Seen, **values: Any) -> None:
    """Change values of a node's mount."""
    assert seen.mount
    seen.mount = replace(seen.mount, **values)


def change_daemon(seen: Seen, service: str, **values: bool) -> None:
    """Change values of a daemon."""
    assert seen.daemons
    seen.daemons[service] = seen.daemons[service].model_copy(update=values)


def stop_unit(seen: Seen, service: str) -> None:
    """Stop the units of a service."""
    units = seen.services[service].units
    stopped = {unit: UnitState(active=False, enabled=True) for unit in units}
    seen.services[service] = ServiceStatus(units=stopped)


def stop_route(seen: Seen) -> None:
    """Stop the unit of the multicast route, which takes the route away."""
    stopped = UnitState(active=False, enabled=True)
    seen.route = RouteStatus(ServiceStatus(units={"ox-multicast-route.service": stopped}), present=False)


def lose_route(seen: Seen) -> None:
    """Take the route away behind the back of its unit."""
    seen.route = RouteStatus(running("ox-multicast-route.service"), present=False)


def lose(hosts: SeenHosts, name: str) -> None:
    """Make a host unreachable; of the others, those that held connections to it have none any more."""
    hosts[name] = Seen(hosts[name].node, unreachable="no answer within 8 seconds")
    disconnect(hosts, name)


def stop_daemon(hosts: SeenHosts, name: str, service: str) -> None:
    """Stop a daemon, with all that comes of it: its caches are not connected, and the balancer is told so."""
    change_daemon(hosts[name], service, active=False, listening=False)
    if service == ADMIN:
        disconnect(hosts, name, ADMIN_PORT)
    else:
        disconnect(hosts, name, GROUPWARE_PORT, SESSION_PORT)
        fail_member(hosts, name)


def fail_member(hosts: SeenHosts, name: str) -> None:
    """Put a node in error at every balancer."""
    for seen in hosts.values():
        for position, member in enumerate((seen.health and seen.health.members) or []):
            if member.url == f"ajp://{hosts[name].node.address}:8009":
                change_member(seen, position, error=True)


def disconnect(hosts: SeenHosts, name: str, *ports: int) -> None:
    """Cut the connections of a node's caches with all others, or those of some ports."""
    for other in hosts:
        if other != name:
            cut(hosts, name, other, *ports)


def cut(hosts: SeenHosts, one: str, other: str, *ports: int) -> None:
    """Cut the connections of the caches of two nodes, or those of some ports."""
    for here, there in ((one, other), (other, one)):
        caches, address = hosts[here].caches, hosts[there].node.address
        if caches and address in caches:
            caches[address] = [port for port in caches[address] if ports and port not in ports]


def drift(hosts: SeenHosts, name: str, *drifts: Drift, sentence: str = "") -> None:
    """Give steps of a deploy something to do on a host."""
    hosts[name].drift += [replace(drift, sentence=sentence) for drift in drifts]


ACCOUNTS = Drift(Step(set_up_databases, mysql.accounts), "Make the accounts of the replicas and of Open-Xchange")
SERVER = Drift(Step(set_up_databases, roles.configure), "Configure the server (bind address, server id, binary log)")
ROLES = Drift(Step(set_up_databases, roles.check_roles), "Look whether the master was switched")
REPLICATE = Drift(Step(set_up_databases, replication.replica), "Replicate from the master")
EXPORT = Drift(steps.EXPORT, "Export the filestore to the groupware nodes")
MOUNT = Drift(steps.MOUNT, "Mount the filestore, now and at boot")
BALANCE = Drift(steps.BALANCE, "Balance sessions over the groupware nodes")
ROUTE = Drift(steps.ROUTE, "Route multicast to the cluster's interface")
NODE = Drift(Step(configure_open_xchange, configuration.configure), "Configure the node (oxinstaller)")
REGISTER = Drift(steps.REGISTER, "Create configdb; register server, filestore and databases; create contexts and users")
START = Drift(steps.START, "Start the daemons")
WAIT = Drift(Step(start_cluster, mesh.join), "Wait until every node is connected with every other")


def never_set_up_slave(hosts: SeenHosts) -> None:
    """Give the replica no master."""
    change_server(hosts["dbslave"], replica=None)


def drop_member(hosts: SeenHosts) -> None:
    """Take the second node out of the balancer."""
    health = hosts["web"].health
    assert health and health.members
    change_health(hosts["web"], members=health.members[:1])


# --- shapes of a cluster ---------------------------------------------------------------------------------


def add_nodes(guide: Guide, number: int) -> None:
    """Make it so many groupware nodes."""
    for index in range(3, number + 1):
        guide.add("groupware", f"oxgw{index:02}", address=f"192.0.2.{100 + index}", route=f"OX-{index}")


def many_nodes(guide: Guide) -> None:
    """Make it twenty groupware nodes."""
    add_nodes(guide, 20)


def no_slave(guide: Guide) -> None:
    """Leave out the replica."""
    del guide.groups["db_slave"], guide.hosts["dbslave"]


def external_filestore(guide: Guide) -> None:
    """Have the filestore on a server that is no host of the cluster."""
    guide.set(external_filestore="nas.example.com:/export/ox")


def own_filestore(guide: Guide) -> None:
    """Have the filestore on a host of its own."""
    guide.add("filestore", "nas", address="192.0.2.30")


def many_webs(guide: Guide) -> None:
    """Add a web host."""
    guide.add("web", "web2", address="192.0.2.13")


def filestore_on_a_node(guide: Guide) -> None:
    """Have the filestore on a groupware node."""
    guide.add("filestore", "oxgw01")


def one_node(guide: Guide) -> None:
    """Leave out the second groupware node."""
    guide.groups["groupware"].remove("oxgw02")
    del guide.hosts["oxgw02"]


def one_host(guide: Guide) -> None:
    """Have everything on one host."""
    guide.hosts = {"all": {"address": "192.0.2.10", "route": "OX-1", "server_id": 1}}
    guide.groups = {"web": ["all"], "groupware": ["all"], "db_master": ["all"]}


# --- what is found ---------------------------------------------------------------------------------------


def summary(findings: list[Finding]) -> list[tuple[str, str]]:
    """Return state and host of each finding."""
    return [(finding.state, finding.host) for finding in findings]


def found(cluster: Cluster, hosts: SeenHosts) -> list[tuple[str, str]]:
    """Return state and host of what is found."""
    return summary(find(cluster, list(hosts.values())))


def only_finding(cluster: Cluster, hosts: SeenHosts) -> Finding:
    """Return what is found, which has to be one thing."""
    findings = find(cluster, list(hosts.values()))
    assert len(findings) == 1, findings
    return findings[0]
