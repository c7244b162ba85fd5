"""The checks of `verify`: what each of them finds, and what it calls it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from ox_deploy.facts.answers import Answers
from ox_deploy.facts.lease import LeaseReply, TakeLease
from ox_deploy.facts.mysql import Account, BinaryLog, Difference, Grant, Mysql, MysqlStatus, ServerState
from ox_deploy.facts.openxchange import (
    CachePeers,
    Configdb,
    Configuration,
    OpenXchangeConfiguration,
    Pool,
    Registration,
)
from ox_deploy.facts.secret import Fingerprint
from ox_deploy.facts.verify import (
    FilestoreTrial,
    FrontEnd,
    LoginTrial,
    MountPoint,
    MountTrial,
    RouteToGroup,
    RouteTrial,
    SharedFiles,
    WebHost,
)
from ox_deploy.findings import Level
from ox_deploy.mysql import passwords
from ox_deploy.mysql.accounts import WantedAccount
from ox_deploy.operations.openxchange.wanted import ConfigdbLayout, SessionAddresses, WantedDatabase, WantedRegistration
from ox_deploy.operations.verify import filestore, network, registration, report, sessions
from ox_deploy.operations.verify.checks import Record, Verdict, problem
from ox_deploy.questions import prefetch
from ox_deploy.questions.lease import Answer
from ox_deploy.questions.program import secret_question
from ox_deploy.questions.pyinfra_internals import current_state
from ox_deploy.questions.run import current_run
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves import verify as databases
from ox_deploy.topologies.master_slaves.facts.canary import Canary, CanaryTrial
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.source import Source
from ox_deploy.topologies.master_slaves.verify import Reading
from tests.unit.fakes import FakeHost, in_phase, program_of, run, stdin_of, stop_sentence, task_of
from tests.unit.programs import MARIADB
from tests.unit.verifying import VerifyHost, finding, note, states, verdict

PASSWORD = "Zc4qLw8mPn2rTx6v"


def fingerprint(secret: str) -> Fingerprint:
    return Fingerprint(salt="ab", digest=hashlib.sha256(f"ab{secret}".encode()).hexdigest())


def skipped(check: Any, host: FakeHost, /, **arguments: Any) -> str:
    """Why a check was not tried; the host was not asked for anything."""
    asked = len(host.asked)
    said = verdict(check, host, **arguments)
    assert (said.measured, list(said.findings), len(host.asked)) == ("", [], asked)
    return said.skipped


# --- Every check ------------------------------------------------------------------------------------------


def test_nothing_is_asked_while_pyinfra_only_looks_and_the_plan_shows_the_check() -> None:
    outcome = run(filestore.mounted, FakeHost(), executing=False, path="/f", source="nas:/f")
    assert outcome.texts == ["true"]
    assert current_run().records == []


@pytest.mark.parametrize(
    ("answer", "found"),
    [(RuntimeError("no connection"), "no connection"), (KeyError(), "KeyError"), (None, "did not answer")],
)
def test_check_that_cannot_run_is_a_finding_and_ends_nothing(answer: object, found: str) -> None:
    only = finding(filestore.mounted, FakeHost({MountPoint: answer}), path="/f", source="nas:/f")
    assert (only.state, only.level) == ("check could not run", Level.CRITICAL)
    assert found in only.found


def test_host_without_python_says_so() -> None:
    only = finding(filestore.mounted, FakeHost({MountPoint: MountTrial()}), path="/f", source="nas:/f")
    assert (only.state, only.found) == ("check could not run", "there is no Python on the host")


# --- Testing master/slave ---------------------------------------------------------------------------------

USERS = ["replication", "openexchange"]
MASTER = Source("dbmaster", "192.0.2.21", 3306, "replication", Secret(PASSWORD))
READING = Reading(MASTER, "dbmaster", "/root/master.cnf", "192.0.2.22", ["192.0.2.23"])
LOG = BinaryLog(file="mysql-bin.000002", position=1, first_file="mysql-bin.000001", complete=True)


def replica(**other: Any) -> Replica:
    values: dict[str, Any] = {
        "host": "192.0.2.21",
        "port": 3306,
        "user": "replication",
        "io_running": "Yes",
        "sql_running": "Yes",
        "io_error": "",
        "sql_error": "",
        "file": "mysql-bin.000002",
        "position": 1,
        "password": None,
    }
    return Replica(**values | other)


def running(**values: Any) -> MysqlStatus:
    known: dict[str, Any] = {"version": MARIADB, "variables": {"server_id": "2"}}
    return MysqlStatus(state=ServerState.RUNNING, **known | values)


def server(master: object = None, **values: Any) -> FakeHost:
    """A replica, with the answer of its master."""
    answer = master or running(variables={"server_id": "1"}, binary_log=LOG)
    return FakeHost({Mysql: running(**values)}, name="dbslave", dbmaster=FakeHost({Mysql: answer}, name="dbmaster"))


def replicates(host: FakeHost, reading: Reading | None = READING, slaves: int = 1) -> list[str]:
    return states(databases.replicates, host, users=USERS, option_file=None, reading=reading, slaves=slaves)


def test_healthy_slave_and_master_hold() -> None:
    assert replicates(server(replica=replica())) == []
    assert replicates(server(binary_log=LOG), reading=None) == []
    assert current_run().records[-1].verdict.measured == "writes mysql-bin.000002"


def test_server_is_asked_for_its_accounts_along_with_the_rest() -> None:
    host = server(replica=replica())
    verdict(databases.replicates, host, users=USERS, option_file="/root/my.cnf", reading=READING, slaves=1)
    assert host.asked == [(Mysql, {"users": USERS, "option_file": "/root/my.cnf"})]
    assert host.peers["dbmaster"].asked == [(Mysql, {"users": USERS, "option_file": "/root/master.cnf"})]


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"replica": None}, "replica not set up"),
        ({"replica": replica(), "seeding": True}, "replica half seeded"),
        ({"replica": replica(host="192.0.2.99")}, "replica of another master"),
        ({"replica": replica(port=3307)}, "replica of another master"),
        ({"replica": replica(io_running="No")}, "replica stopped"),
        ({"replica": replica(io_running="Connecting")}, "replica stopped"),
        ({"replica": replica(sql_running="No")}, "replica stopped"),
    ],
)
def test_slave_that_does_not_replicate(values: dict[str, Any], state: str) -> None:
    assert replicates(server(**values)) == [state]


def test_stopped_slave_is_told_with_the_servers_error() -> None:
    stopped = replica(sql_running="No", sql_error="Duplicate entry '7'")
    only = finding(
        databases.replicates, server(replica=stopped), users=USERS, option_file=None, reading=READING, slaves=1
    )
    assert only.found == "it stopped with an error (Slave_SQL_Running is No: Duplicate entry '7')"


def test_master_without_binary_log_matters_if_there_is_a_slave() -> None:
    assert replicates(server(), reading=None) == ["no binary log"]
    assert replicates(server(), reading=None, slaves=0) == []
    assert current_run().records[-1].verdict.measured == "there is no replica"


@pytest.mark.parametrize("state", [state for state in ServerState if state is not ServerState.RUNNING])
def test_server_that_cannot_be_asked_is_never_green(state: ServerState) -> None:
    host = FakeHost({Mysql: MysqlStatus(state=state, error="(2002, 'no socket')")}, name="dbslave")
    assert replicates(host) == ["check could not run"]
    assert states(databases.read_only, host, users=USERS, option_file=None, writable=True) == ["check could not run"]
    assert states(databases.accounts, host, users=USERS, option_file=None, wanted=[]) == ["check could not run"]


@pytest.mark.parametrize(
    ("value", "writable", "found"),
    [
        ("ON", False, []),
        ("OFF", True, []),
        ("OFF", False, ["replica writable"]),
        ("ON", True, ["master read-only"]),
        ("NO_LOCK", False, []),
    ],
)
def test_only_the_master_can_be_written(value: str, writable: bool, found: list[str]) -> None:
    host = server(variables={"read_only": value})
    assert states(databases.read_only, host, users=USERS, option_file=None, writable=writable) == found


def test_server_has_to_do_what_its_files_say() -> None:
    def found(encrypted: bool = False, **values: Any) -> list[str]:
        host = server(**{"variables": {"server_id": "2"}} | values)
        return states(databases.settings, host, users=USERS, option_file=None, encrypted=encrypted)

    differs = Difference(
        name="server_id", value="1", wanted="2", file="/etc/ours.cnf", why="it is not read", overruled=True
    )
    demanded = {"server_id": "2", "require_secure_transport": "ON"}
    assert found() == []
    assert found(differences=[differs]) == ["server setting differs"]
    assert found(variables=demanded) == ["encryption demanded"]
    assert found(encrypted=True, variables=demanded) == []


WANTED = WantedAccount("openexchange", "192.0.2.11", Secret(PASSWORD), frozenset({"SELECT", "UPDATE"}), True)
HASH = passwords.stored(PASSWORD, passwords.NATIVE)


def account(
    *privileges: str, stored: str = HASH, address: str = "192.0.2.11", option: bool = True, on: str = "*.*"
) -> Account:
    return Account(
        user="openexchange",
        host=address,
        plugin="mysql_native_password",
        password=fingerprint(stored),
        grants=[Grant(on=on, privileges=frozenset(privileges), grant_option=option)],
    )


@pytest.mark.parametrize(
    ("found", "state", "text"),
    [
        ([account("SELECT", "UPDATE")], [], ""),
        ([], ["account missing"], "'openexchange'@'192.0.2.11'"),
        ([account("SELECT")], ["account differs"], "grant UPDATE"),
        ([account("SELECT", "UPDATE", "SUPER")], ["account differs"], "revoke SUPER"),
        ([account("SELECT", "UPDATE", option=False)], ["account differs"], "grant SELECT, UPDATE"),
        ([account("SELECT", "UPDATE", stored="*OTHER")], ["account differs"], "set the password"),
        (
            [account("SELECT", "UPDATE"), account(address="192.0.2.66")],
            ["account of no host"],
            "'openexchange'@'192.0.2.66'",
        ),
    ],
)
def test_accounts_are_those_of_the_inventory(found: list[Account], state: list[str], text: str) -> None:
    said = verdict(databases.accounts, server(accounts=found), users=USERS, option_file=None, wanted=[WANTED])
    assert [one.state for one in said.findings] == state
    shown = "".join(one.found for one in said.findings)
    assert text in shown
    assert PASSWORD not in shown and HASH not in shown


CANARY: dict[str, Any] = {"run": "c0ffee", "option_file": "/root/my.cnf"}
ON: dict[str, Any] = CANARY | {"master": "dbmaster"}


def canary(trial: Any, name: str = "dbslave") -> FakeHost:
    host = FakeHost({Canary: trial}, name=name)
    note(databases.REPLICATES, host)
    return host


def test_database_is_made_on_the_master_and_seen_on_the_slave() -> None:
    master, slave = canary(CanaryTrial(error=""), "dbmaster"), canary(CanaryTrial(error="", age=0.0345))
    assert verdict(databases.arrives, master, **ON, slaves=1).measured == "made"
    assert verdict(databases.arrives, slave, **ON, slaves=1).measured == "after 0.03 s"
    assert master.asked == [(Canary, {"step": "create", "ticket": []} | CANARY)]
    assert slave.asked == [(Canary, {"step": "see"} | CANARY)]


def test_clock_that_is_behind_is_said() -> None:
    slave = canary(CanaryTrial(error="", age=-1.5))
    assert verdict(databases.arrives, slave, **ON, slaves=1).measured == (
        "at once (its clock is 1.50 s behind the master's)"
    )


def test_row_that_does_not_come() -> None:
    slave = canary(CanaryTrial(error="", age=None))
    assert states(databases.arrives, slave, **ON, slaves=1) == ["replica lagging"]


def test_slave_is_not_blamed_for_what_the_master_could_not_do() -> None:
    """The master's disk is full, or its lease is lost: only it has a finding."""
    master, slave = canary(CanaryTrial(error="no space"), "dbmaster"), canary(CanaryTrial(error="", gone=False))
    note(databases.ARRIVES, slave)
    for check, why in ((databases.vanishes, "did not drop it"), (databases.arrives, "did not write it")):
        assert states(check, master, **ON, slaves=1) == ["check could not run"]
        assert verdict(check, slave, **ON, slaves=1).skipped == f"the master {why}"


@pytest.mark.parametrize("check", [databases.arrives, databases.vanishes])
def test_master_on_which_it_fails_says_why(check: Any) -> None:
    only = finding(check, canary(CanaryTrial(error="no space"), "dbmaster"), **ON, slaves=1)
    assert (only.state, only.found) == ("check could not run", "no space")


@pytest.mark.parametrize("check", [databases.arrives, databases.vanishes])
def test_nothing_is_made_for_no_slave(check: Any) -> None:
    host = canary(CanaryTrial(error=""), "dbmaster")
    assert verdict(check, host, **ON, slaves=0).measured == "there is no replica"
    assert host.asked == []


def test_slave_that_does_not_replicate_is_not_waited_for() -> None:
    host = FakeHost(name="dbslave")
    note(databases.REPLICATES, host, Verdict(findings=[_any_problem(host)]))
    assert skipped(databases.arrives, host, **ON, slaves=1) == "it does not replicate"
    assert skipped(databases.vanishes, host, **ON, slaves=1) == "it did not arrive"


def _any_problem(host: Any, level: Level = Level.CRITICAL) -> Any:
    with in_phase(host, executing=True):
        return problem("replica stopped", "[red] No", "Yes", "run `START SLAVE`", level)


def test_database_is_dropped_on_the_master_and_gone_from_the_slave() -> None:
    master, slave = canary(CanaryTrial(error=""), "dbmaster"), canary(CanaryTrial(error="", gone=True))
    note(databases.ARRIVES, slave)
    assert verdict(databases.vanishes, master, **ON, slaves=1).measured == "dropped"
    assert verdict(databases.vanishes, slave, **ON, slaves=1).measured == "gone"
    assert master.asked == [(Canary, {"step": "drop", "ticket": []} | CANARY)]
    assert slave.asked == [(Canary, {"step": "gone"} | CANARY)]


def test_database_that_stays_on_the_slave() -> None:
    slave = canary(CanaryTrial(error="", gone=False))
    note(databases.ARRIVES, slave)
    only = finding(databases.vanishes, slave, **ON, slaves=1)
    assert only.state == "dropped database stays"
    assert "ox_verify_c0ffee" in only.found


# --- Testing the distributed file storage ------------------------------------------------------------------

SOURCE = "192.0.2.21:/var/opt/filestore"
HOSTS = {"@docker/1": "oxgw01", "@docker/2": "oxgw02", "@docker/3": "oxgw03"}
FILES: dict[str, Any] = {"path": "/var/opt/filestore", "run": "c0ffee", "node": "oxgw01"}


def mount(source: str = SOURCE, kind: str = "nfs4") -> FakeHost:
    trial = MountTrial.model_validate({"error": "", "mount": {"source": source, "type": kind}})
    return FakeHost({MountPoint: trial}, name="@docker/1")


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "fuse.nfs"])
def test_filestore_is_mounted(kind: str) -> None:
    said = verdict(filestore.mounted, mount(kind=kind), path="/var/opt/filestore", source=SOURCE)
    assert (said.measured, list(said.findings)) == (f"{SOURCE} ({kind})", [])


@pytest.mark.parametrize(
    ("host", "state"),
    [
        (FakeHost({MountPoint: MountTrial(error="")}), "filestore not mounted"),
        (mount(source="192.0.2.99:/var/opt/filestore"), "filestore mounted from elsewhere"),
        (mount(kind="ext4"), "filestore mounted from elsewhere"),
    ],
)
def test_filestore_that_is_not_mounted_as_it_should_be(host: FakeHost, state: str) -> None:
    assert states(filestore.mounted, host, path="/var/opt/filestore", source=SOURCE) == [state]


def test_host_that_exports_the_filestore_mounts_nothing() -> None:
    assert verdict(filestore.mounted, FakeHost(), path="/f", source=None).measured == "exported from here"


def node(trial: FilestoreTrial, name: str = "@docker/1", writers: tuple[str, ...] = tuple(HOSTS)) -> FakeHost:
    host = FakeHost({SharedFiles: trial}, name=name)
    note(filestore.MOUNTED, host)
    for writer in writers:
        note(filestore.WRITES, FakeHost(name=writer))
    return host


def test_node_writes_its_file() -> None:
    host = node(FilestoreTrial(error=""), writers=())
    assert verdict(filestore.writes, host, **FILES).measured == "written"
    assert host.asked == [(SharedFiles, {"step": "write", **FILES, "nodes": ["oxgw01"]})]


def test_node_that_cannot_write() -> None:
    only = finding(filestore.writes, node(FilestoreTrial(error="Permission denied"), writers=()), **FILES)
    assert (only.state, only.found) == ("filestore not writable", "Permission denied")


def test_node_without_the_filestore_does_not_write_beneath_it() -> None:
    host = FakeHost()
    note(filestore.MOUNTED, host, Verdict(findings=[_any_problem(host)]))
    assert skipped(filestore.writes, host, **FILES) == "the filestore is not mounted"


def seen(**changed: dict[str, str] | None) -> FilestoreTrial:
    files = {name: {"owner": "1001:1001", "text": name} for name in HOSTS.values()} | changed
    return FilestoreTrial.model_validate({"error": "", "files": {name: file for name, file in files.items() if file}})


SEEN: dict[str, Any] = FILES | {"hosts": HOSTS, "owner": "1001:1001"}


def test_node_sees_the_files_of_all() -> None:
    host = node(seen())
    assert verdict(filestore.sees, host, **SEEN).measured == "3 files, owner 1001:1001"
    assert host.asked == [(SharedFiles, {"step": "see", **FILES, "nodes": list(HOSTS.values())})]


@pytest.mark.parametrize(
    ("file", "state", "found"),
    [
        (None, "file of another node not seen", "the file of oxgw02 cannot be read"),
        ({"owner": "1001:1001", "text": ""}, "file of another node not seen", "the file of oxgw02 holds ''"),
        ({"owner": "65534:65534", "text": "oxgw02"}, "file has another owner", "belongs to 65534:65534"),
    ],
)
def test_file_of_another_node_that_is_not_as_it_was_written(
    file: dict[str, str] | None, state: str, found: str
) -> None:
    only = finding(filestore.sees, node(seen(oxgw02=file)), **SEEN)
    assert only.state == state
    assert found in only.found


def test_node_that_could_not_write_is_not_looked_for_and_does_not_look() -> None:
    host = node(seen(oxgw02=None), writers=("@docker/1", "@docker/3"))
    note(filestore.WRITES, FakeHost(name="@docker/2"), Verdict(skipped="the filestore is not mounted"))
    assert states(filestore.sees, host, **SEEN) == []
    assert host.asked[-1][1]["nodes"] == ["oxgw01", "oxgw03"]
    other = FakeHost(name="@docker/2")
    assert skipped(filestore.sees, other, **SEEN | {"node": "oxgw02"}) == "it could not write"
    assert skipped(filestore.removes, other, **FILES | {"hosts": HOSTS, "node": "oxgw02"}) == "it could not write"


@pytest.mark.parametrize(
    ("trial", "found"),
    [
        (FilestoreTrial(error=""), []),
        (FilestoreTrial(error="", left=["oxgw02"]), ["removed file stays"]),
        (FilestoreTrial(error="the filestore does not answer within 5 seconds"), ["filestore not writable"]),
    ],
)
def test_files_are_removed_and_gone(trial: FilestoreTrial, found: list[str]) -> None:
    host = node(trial)
    assert states(filestore.removes, host, **FILES, hosts=HOSTS) == found
    assert host.asked == [(SharedFiles, {"step": "remove", **FILES, "nodes": list(HOSTS.values())})]


# --- Test the network settings ----------------------------------------------------------------------------


def routed(route: Mapping[str, str] | None, interface: str | None = "eth0") -> FakeHost:
    trial = RouteTrial.model_validate({"error": "", "route": route, "interface": interface})
    return FakeHost({RouteToGroup: trial})


@pytest.mark.parametrize(
    ("route", "interface", "found"),
    [
        ({"network": "224.0.0.0/8", "interface": "eth0"}, "eth0", []),
        ({"network": "224.0.0.0/4", "interface": "eth0"}, "eth0", []),
        ({"network": "224.0.0.0/8", "interface": "eth1"}, "eth0", ["no multicast route"]),
        ({"network": "0.0.0.0/0", "interface": "eth0"}, "eth0", ["no multicast route"]),
        ({"network": "224.0.0.0/8", "interface": "eth0"}, None, ["no multicast route"]),
        (None, "eth0", ["no multicast route"]),
        (None, None, ["no multicast route"]),
    ],
)
def test_multicast_leaves_by_the_interface_with_the_address(
    route: dict[str, str] | None, interface: str | None, found: list[str]
) -> None:
    host = routed(route, interface)
    assert states(network.multicast, host, group="224.0.0.1", address="192.0.2.11") == found


PORTS = {"groupware": 57462, "admin": 57461}
PEERS = {"oxgw02": "192.0.2.12", "oxgw03": "192.0.2.13"}


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ({"192.0.2.12": [57461, 57462], "192.0.2.13": [57461, 57462]}, []),
        (
            {"192.0.2.12": [57461, 57462], "192.0.2.13": [57462]},
            ["no connection to oxgw03 for: admin (57461)"],
        ),
        (
            {"192.0.2.13": [57461, 57462]},
            ["no connection to oxgw02 for: groupware (57462), admin (57461)"],
        ),
    ],
)
def test_each_cache_is_connected_with_each_other_node(found: dict[str, list[int]], missing: list[str]) -> None:
    said = verdict(network.caches, FakeHost({CachePeers: found}), peers=PEERS, ports=PORTS, remedy="restart them")
    assert [one.found for one in said.findings] == missing
    assert {one.state for one in said.findings} <= {"caches not connected"}


def test_only_node_has_nobody_to_be_connected_with() -> None:
    said = verdict(network.caches, FakeHost({CachePeers: {}}), peers={}, ports=PORTS, remedy="restart them")
    assert said.measured == "connected with nobody, there is no other node"


# --- Registration -----------------------------------------------------------------------------------------

FILE = "groupware/system.properties"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({FILE: {"SERVER_NAME": "oxserver"}}, []),
        ({FILE: {"SERVER_NAME": "other"}}, [f"{FILE}: SERVER_NAME is other"]),
        ({FILE: {"SERVER_NAME": None}}, [f"{FILE}: SERVER_NAME is missing"]),
        ({}, [f"{FILE}: SERVER_NAME is missing"]),
    ],
)
def test_node_belongs_to_the_cluster(values: dict[str, dict[str, str | None]], found: list[str]) -> None:
    host = FakeHost({OpenXchangeConfiguration: Configuration(installed=True, values=values)})
    said = verdict(registration.configuration, host, wanted={FILE: {"SERVER_NAME": "oxserver"}})
    assert [one.found for one in said.findings] == found
    assert host.asked[0][1]["keys"] == {FILE: ["SERVER_NAME"]}


WEB = {"address": "192.0.2.10", "web_name": "groupware.example.com", "certificate": "/web.pem", "site": "/site.conf"}


def web(**parts: Any) -> VerifyHost:
    return VerifyHost({WebHost: FrontEnd.model_validate(parts)}, name="web")


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ({"192.0.2.11": "OX-1", "192.0.2.12": "OX-2"}, []),
        (
            {"192.0.2.11": "OX-2", "192.0.2.12": "OX-1"},
            [("192.0.2.11: OX-2", "192.0.2.11: OX-1"), ("192.0.2.12: OX-1", "192.0.2.12: OX-2")],
        ),
        ({"192.0.2.11": "OX-1"}, [("192.0.2.12: no member", "192.0.2.12: OX-2")]),
        (
            {"192.0.2.11": "OX-1", "192.0.2.12": "OX-2", "192.0.2.13": "OX-3"},
            [("192.0.2.13: OX-3", "192.0.2.13: no member")],
        ),
    ],
)
def test_balancer_has_the_route_of_each_address(routes: dict[str, str], found: list[tuple[str, str]]) -> None:
    host = web(balancer={"error": "", "routes": routes})
    said = verdict(registration.routes, host, **WEB, wanted={"192.0.2.11": "OX-1", "192.0.2.12": "OX-2"})
    assert [(one.found, one.wanted) for one in said.findings] == found


LAYOUT = ConfigdbLayout("/etc/ox/configdb.properties", {"db_pool": True})


def wanted(slave: bool = True) -> WantedRegistration:
    login = (3306, "openexchange", Secret(PASSWORD))
    listed = [WantedDatabase("oxdatabase", "192.0.2.21", *login)]
    if slave:
        listed.append(WantedDatabase("oxdatabase_slave", "192.0.2.22", *login, writer="oxdatabase"))
    return WantedRegistration(LAYOUT, "oxserver", "file:///f", tuple(listed), (), "")


def pool(number: int, name: str, address: str, login: str = "openexchange", password: str = PASSWORD) -> Pool:
    url = f"jdbc:mysql://{address}/?useUnicode=true"
    return Pool(id=number, name=name, url=url, login=login, password=fingerprint(password))


MASTER_POOL, SLAVE_POOL = pool(4, "oxdatabase", "192.0.2.21"), pool(5, "oxdatabase_slave", "192.0.2.22")


def configdb(**changed: Any) -> FakeHost:
    values: dict[str, Any] = {
        "state": "complete",
        "servers": ["oxserver"],
        "filestores": ["file:///f"],
        "pools": [MASTER_POOL, SLAVE_POOL],
        "clusters": {4: 5},
    }
    return FakeHost({Configdb: Registration(**values | changed)}, name="oxgw01")


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"servers": []}, ["server not registered"]),
        ({"servers": ["oxserver", "old"]}, ["orphaned server"]),
        ({"filestores": []}, ["filestore not registered"]),
        ({"filestores": ["file:///f", "file:///g"]}, ["orphaned filestore"]),
        ({"pools": [MASTER_POOL]}, ["database not registered"]),
        ({"pools": [MASTER_POOL, SLAVE_POOL, pool(6, "old", "192.0.2.99")]}, ["orphaned database"]),
        ({"pools": [MASTER_POOL, pool(5, "oxdatabase_slave", "192.0.2.99")]}, ["database registered wrongly"]),
        ({"pools": [pool(4, "oxdatabase", "192.0.2.21", login="root"), SLAVE_POOL]}, ["database registered wrongly"]),
        ({"pools": [pool(4, "oxdatabase", "192.0.2.21", password="x"), SLAVE_POOL]}, ["database registered wrongly"]),
        ({"clusters": {4: 0}}, ["reads go elsewhere"]),
        ({"clusters": {4: 6}}, ["reads go elsewhere"]),
        ({"clusters": {}}, ["reads go elsewhere"]),
        ({"state": "absent"}, ["check could not run"]),
        ({"state": "no access", "error": "(1045, 'denied')"}, ["check could not run"]),
    ],
)
def test_configdb_fits_the_inventory(changed: dict[str, Any], found: list[str]) -> None:
    assert states(registration.registered, configdb(**changed), wanted=wanted()) == found


@pytest.mark.parametrize(
    ("clusters", "found"), [({4: 0}, []), ({4: 4}, []), ({}, []), ({4: 5}, ["reads go elsewhere"])]
)
def test_master_without_slave_is_read_itself(clusters: dict[int, int], found: list[str]) -> None:
    host = configdb(pools=[MASTER_POOL], clusters=clusters)
    assert states(registration.registered, host, wanted=wanted(slave=False)) == found


def test_finding_in_configdb_shows_no_password() -> None:
    other = pool(4, "oxdatabase", "192.0.2.21", password="x")
    only = finding(registration.registered, configdb(pools=[other, SLAVE_POOL]), wanted=wanted())
    assert PASSWORD not in str(only)


# --- Test session load balancing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "location", "found"),
    [
        (301, "https://groupware.example.com/", []),
        (302, "https://groupware.example.com/ox6/", []),
        (301, "https://other.example.com/", ["HTTP not redirected"]),
        (301, "http://groupware.example.com/", ["HTTP not redirected"]),
        (200, "", ["HTTP not redirected"]),
    ],
)
def test_http_is_redirected(status: int, location: str, found: list[str]) -> None:
    host = web(redirect={"error": "", "status": status, "location": location})
    assert states(sessions.redirects, host, **WEB) == found


@pytest.mark.parametrize(("refused", "found"), [("", []), ("Hostname mismatch", ["certificate refused"])])
def test_https_shows_the_certificate(refused: str, found: list[str]) -> None:
    assert states(sessions.certified, web(certificate={"error": "", "refused": refused}), **WEB) == found


def test_web_host_that_does_not_answer_is_never_green() -> None:
    host = web(redirect={"error": "refused"}, certificate={"error": "refused"})
    for check in (sessions.redirects, sessions.certified):
        assert states(check, host, **WEB) == ["check could not run"]


MEMBERS = [sessions.WantedMember("oxgw01", "OX-1", 50), sessions.WantedMember("oxgw02", "OX-2", 50)]
LOGIN = sessions.Login("testuser@defaultcontext", Secret(PASSWORD))
SPREAD: dict[str, Any] = {key: WEB[key] for key in ("address", "web_name", "certificate")} | {
    "members": MEMBERS,
    "addresses": SessionAddresses("/login", "/files/{}", "/logout/{}"),
}


def balanced(document: Any, ok: bool = True) -> VerifyHost:
    host = VerifyHost(name="web")
    host.answer = (ok, document if isinstance(document, str) else json.dumps({"error": ""} | document))
    note(sessions.CERTIFICATE, host)
    return host


def test_logins_are_counted_by_node() -> None:
    host = balanced({"routes": {"OX-1": 9, "OX-2": 11}, "requests": 24})
    said = verdict(sessions.spreads, host, **SPREAD, login=LOGIN)
    assert (said.measured, list(said.findings)) == ("20 logins: oxgw01 9, oxgw02 11", [])
    assert verdict(sessions.stays, host, route_key="ROUTE").measured == "24 requests"


def test_password_goes_by_standard_input_and_the_command_runs_as_the_operation_is_told() -> None:
    host = balanced({"routes": {"OX-1": 10, "OX-2": 10}})
    verdict(sessions.spreads, host, **SPREAD, login=LOGIN)
    ((command, arguments),) = host.commands
    assert set(arguments) == {"_sudo", "_stdin", "_timeout"}
    assert arguments["_sudo"] is True
    job = json.loads(arguments["_stdin"].split("\n")[-1])["arguments"]
    assert (job["login"], job["password"]) == ("testuser@defaultcontext", PASSWORD)
    assert (job["address"], job["count"], job["requests"]) == ("192.0.2.10", 20, 5)
    assert job["addresses"] == {"login": "/login", "request": "/files/{}", "logout": "/logout/{}"}
    shown = command.get_raw_value() + repr(command) + repr(current_run().records) + " ".join(host.logged + host.noops)
    assert PASSWORD not in shown


def test_program_of_the_logins_prints_its_answer() -> None:
    command = secret_question("verify_logins", {"password": PASSWORD})
    assert task_of(command)["as"] == "question"
    assert stdin_of(command) == {"password": PASSWORD}
    assert PASSWORD not in command.get_raw_value()
    with pytest.raises(AssertionError):
        program_of(command)  # no lock: it is no order


@pytest.mark.parametrize(("nodes", "count"), [(1, 20), (2, 20), (5, 50), (10, 100), (40, 100)])
def test_number_of_logins_is_bounded(nodes: int, count: int) -> None:
    host = balanced({})
    members = [sessions.WantedMember(f"oxgw{number}", f"OX-{number}", 50) for number in range(nodes)]
    verdict(sessions.spreads, host, **SPREAD | {"members": members}, login=LOGIN)
    assert json.loads(host.commands[0][1]["_stdin"].split("\n")[-1])["arguments"]["count"] == count


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"routes": {"OX-1": 20}}, ["sessions spread unevenly", "sessions spread unevenly"]),
        ({"routes": {"OX-1": 10, "OX-2": 9, "OX-3": 1}}, ["session cookie with another route"]),
        ({"routes": {"OX-1": 10, "OX-2": 9, "": 1}}, ["session cookie with another route"]),
        ({"routes": {"OX-1": 10, "OX-2": 9}, "failures": {"503": 1}}, ["login fails"]),
        ({"error": "The user name or password is incorrect."}, ["login fails"]),
    ],
)
def test_logins_that_are_not_as_they_should_be(document: dict[str, Any], found: list[str]) -> None:
    assert states(sessions.spreads, balanced(document), **SPREAD, login=LOGIN) == found


@pytest.mark.parametrize(("ok", "text"), [(False, "Traceback\nMemoryError"), (False, ""), (True, "no JSON")])
def test_program_that_dies_is_a_check_that_could_not_run(ok: bool, text: str) -> None:
    only = finding(sessions.spreads, balanced(text, ok), **SPREAD, login=LOGIN)
    assert only.state == "check could not run"
    assert "Traceback" not in only.found


SPREADS: dict[str, tuple[list[int], list[int], list[int]]] = {
    # load factors, logins, which nodes are found
    "even": ([50, 50], [10, 10], []),
    "within-four-deviations": ([50, 50], [1, 19], []),
    "none-though-ten-are-expected": ([50, 50], [0, 20], [0, 1]),
    "by-factor": ([20, 80], [4, 16], []),
    "against-the-factors": ([10, 90], [15, 5], [0, 1]),
    "none-of-few-expected": ([1, 19], [0, 20], []),
    "none-of-five-expected": ([25, 75], [0, 20], [0]),
    "one-of-many": ([50] * 10, [0, 12, 11, 11, 11, 11, 11, 11, 11, 11], [0]),
    "alone": ([50], [20], []),
    "no-logins": ([50, 50], [0, 0], []),
}


@pytest.mark.parametrize(("factors", "counts", "found"), SPREADS.values(), ids=list(SPREADS))
def test_spread_fits_the_load_factors(factors: list[int], counts: list[int], found: list[int]) -> None:
    members = [sessions.WantedMember(f"oxgw{number}", f"OX-{number}", factor) for number, factor in enumerate(factors)]
    trial = LoginTrial(routes={f"OX-{number}": count for number, count in enumerate(counts)})
    with in_phase(FakeHost(), executing=True):
        uneven = sessions.uneven(members, trial)
    assert [one.found.split()[0] for one in uneven] == [f"oxgw{number}" for number in found]


def test_nobody_to_log_in_as_is_a_warning() -> None:
    host = balanced({})
    only = finding(sessions.spreads, host, **SPREAD, login=None)
    assert (only.state, only.level) == ("nobody to log in as", Level.WARNING)
    assert host.commands == []
    assert skipped(sessions.stays, host, route_key="ROUTE") == "nobody could log in"


def test_no_password_is_sent_to_an_unknown_certificate() -> None:
    host = VerifyHost(name="web")
    note(sessions.CERTIFICATE, host, Verdict(findings=[_any_problem(host)]))
    assert "deployed certificate" in skipped(sessions.spreads, host, **SPREAD, login=LOGIN)
    assert host.commands == []


def test_session_that_moves() -> None:
    host = balanced({"routes": {"OX-1": 10, "OX-2": 10}, "moved": 2, "requests": 24})
    assert states(sessions.spreads, host, **SPREAD, login=LOGIN) == []
    only = finding(sessions.stays, host, route_key="ROUTE")
    assert only.state == "session moves"
    assert only.found.startswith("2 of 24 requests")
    assert "with ROUTE, and deploy" in only.remedy


# --- Beginning and end -------------------------------------------------------------------------------------


def test_host_is_asked_ahead_for_all_that_is_only_read() -> None:
    document = {"error": "", "route": {"network": "224.0.0.0/8", "interface": "eth0"}, "interface": "eth0"}
    host: Any = FakeHost({TakeLease: LeaseReply(Answer(number=7), [document])})
    question = network._route_question("224.0.0.1", "192.0.2.11")
    with in_phase(host, executing=False):
        prefetch.plan(host, question)
    assert states(report.take_lease_and_ask, host, doing="verify") == []
    ((fact, asked),) = host.asked
    assert (fact, asked["questions"]) == (TakeLease, (question,))
    assert states(network.multicast, host, group="224.0.0.1", address="192.0.2.11") == []
    assert len(host.asked) == 1


@pytest.mark.parametrize("answer", [None, RuntimeError("no connection")])
def test_host_that_cannot_be_asked_ahead_is_found(answer: object) -> None:
    assert states(report.take_lease_and_ask, FakeHost({TakeLease: answer}), doing="verify") == ["check could not run"]


def test_host_without_python_answers_nothing_ahead() -> None:
    assert Answers().process(["{}"]) == []
    assert Answers().process(["[null,", "{}]"]) == [None, {}]


CLUSTER = {"@docker/1": "web", "@docker/2": "dbmaster", "@docker/3": "dbslave"}


class Run:
    """The end of a run on some hosts."""

    def __init__(
        self, failed: tuple[str, ...] = (), lost: tuple[str, ...] = (), left_out: tuple[str, ...] = ()
    ) -> None:
        hosts = {name: FakeHost(name=name) for name in CLUSTER}
        for host in hosts.values():
            host.peers = hosts
        self.by_name = {plain: hosts[name] for name, plain in CLUSTER.items()}
        away = {*failed, *lost, *left_out}
        self.state = dict[str, Any](
            active_hosts={host for name, host in self.by_name.items() if name not in away},
            failed_hosts={self.by_name[name] for name in (*failed, *lost)},
            activated_hosts={host for name, host in self.by_name.items() if name not in {*failed, *left_out}},
        )

    def commands(self, name: str) -> list[str]:
        host = self.by_name[name]
        with in_phase(host, executing=True):
            vars(current_state()).update(self.state)
            return [command.get_raw_value() for command in report.report._inner(hosts=CLUSTER)]


def test_run_in_which_all_holds_fails_nobody_and_prints_the_table_once(capsys: pytest.CaptureFixture[str]) -> None:
    ended = Run()
    note("A check", ended.by_name["dbmaster"], Verdict("0.03 s"))
    assert [ended.commands(name) for name in CLUSTER.values()] == [[], [], []]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("The guide's tests") == 1
    assert "dbmaster: 0.03 s" in shown.err


def test_host_with_a_finding_fails_and_the_others_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    ended = Run()
    slave = ended.by_name["dbslave"]
    note("A check", slave, Verdict(findings=[_any_problem(slave)]))
    assert ended.commands("web") == []
    assert ended.commands("dbmaster") == []
    (failing,) = ended.commands("dbslave")
    assert "replica stopped" in failing
    assert failing.endswith("exit 1")
    assert "dbslave: replica stopped" in capsys.readouterr().err


def test_warning_is_shown_and_fails_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    ended = Run()
    web_host = ended.by_name["web"]
    note("A check", web_host, Verdict(findings=[_any_problem(web_host, Level.WARNING)]))
    assert ended.commands("web") == []
    assert "warning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("away", "found"),
    [
        ({"failed": ("dbslave",)}, "cannot be reached"),
        ({"lost": ("dbslave",)}, "lost during the run"),
        ({"left_out": ("dbslave",)}, "left out"),
    ],
)
def test_host_that_takes_no_part_fails_the_run(
    away: dict[str, tuple[str, ...]], found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = Run(**away)
    (failing,) = ended.commands("web")
    assert "host not checked" in failing
    assert ended.commands("dbmaster") == []
    shown = " ".join(capsys.readouterr().err.split())
    assert "dbslave: host not checked" in shown
    assert found in shown


def test_another_host_reports_if_the_first_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    (failing,) = Run(failed=("web",)).commands("dbmaster")
    assert "host not checked" in failing
    assert "web: host not checked" in capsys.readouterr().err


def test_plan_shows_the_report_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(report.report, FakeHost(), executing=False, hosts=CLUSTER).texts == ["true"]
    assert capsys.readouterr().err == ""


def test_sentence_of_a_host_that_fails_is_printed_by_its_shell() -> None:
    host = FakeHost(name="@docker/1")
    host.peers = {"@docker/1": host}
    note("A check", host, Verdict(findings=[_any_problem(host)]))
    sentence = stop_sentence(report.report, host, hosts={"@docker/1": "web"})
    assert sentence == "1 findings (replica stopped); the table says what to do."


def lines_of_table(*noted: Record) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=140).print(report.table(noted))
    return [line.strip() for line in file.getvalue().splitlines()]


def test_table_has_a_row_for_each_check_with_what_is_what_should_be_and_what_to_do() -> None:
    slave = FakeHost(name="dbslave")
    lines = lines_of_table(
        Record("First", "dbmaster", Verdict("writes mysql-bin.000002")),
        Record("First", "dbslave", Verdict(findings=[_any_problem(slave)])),
        Record("Second", "dbslave", Verdict(skipped="it does not replicate")),
        Record("Third", "web", Verdict(findings=[_any_problem(slave, Level.WARNING)])),
        Record("Fourth", "web", Verdict("")),
    )
    text = "\n".join(lines)
    assert [line.split("│")[1:3] for line in lines if "│" in line and line.split("│")[1].strip()] == [
        [f" {title} ", f" {result:9} "]
        for title, result in [
            ("First ", "fails"),
            ("Second", "not tried"),
            ("Third ", "warning"),
            ("Fourth", "ok"),
        ]
    ]
    assert "is         [red] No" in text
    assert "should be  Yes" in text
    assert "to do      run `START SLAVE`" in text
    assert "dbslave: not tried, it does not replicate" in text
    assert "web: ok" in text
