"""Who may become the master, what stands in the way, and what the operations of a switch do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from pyinfra.api.exceptions import OperationError

from ox_deploy.facts.lease import TakeLease
from ox_deploy.facts.mysql import BinaryLog, Gtid, Mysql, MysqlStatus, ServerState
from ox_deploy.facts.openxchange import (
    Configdb,
    Configuration,
    OpenXchangeConfiguration,
    Pool,
    Registration,
    StoredPassword,
)
from ox_deploy.facts.secret import Fingerprint
from ox_deploy.facts.service import Service, ServiceStatus
from ox_deploy.mysql.accounts import WantedAccount
from ox_deploy.mysql.servers import DATABASE_SERVERS
from ox_deploy.operations import lease
from ox_deploy.operations.openxchange import registration
from ox_deploy.operations.openxchange.configuration import Administrator, WantedConfiguration
from ox_deploy.operations.openxchange.node import WantedNode
from ox_deploy.operations.openxchange.wanted import ConfigdbLayout, WantedDatabase, WantedRegistration
from ox_deploy.operations.service import ManagedFile
from ox_deploy.products.ox6.configuration import Des
from ox_deploy.remote.common.fingerprints import fingerprint
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves import history, switch_rules
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.facts.switchover import Reaches
from ox_deploy.topologies.master_slaves.notes import notes
from ox_deploy.topologies.master_slaves.operations import roles, switchover
from ox_deploy.topologies.master_slaves.operations.switchover import Switch
from ox_deploy.topologies.master_slaves.roles import slaves_of, switched
from ox_deploy.topologies.master_slaves.switch_rules import Phase, Server
from tests.unit.fakes import Facts, FakeHost, Outcome, both_phases, run, stop_sentence
from tests.unit.guide import Guide

PASSWORD = "Zc4qLw8mPn2rTx6v"
MASTER = Server("dbmaster", "dbmaster", "192.0.2.21", 3306, None)
SLAVE = Server("dbslave", "dbslave", "192.0.2.22", 3306, None)
THIRD = Server("dbslave2", "dbslave2", "192.0.2.23", 3306, None)
SWITCH = Switch(MASTER, SLAVE, "replication", Secret(PASSWORD), DATABASE_SERVERS["mariadb"])
USERS = ["replication", "openexchange"]
LOG = BinaryLog(file="mysql-bin.000003", position=342, first_file="mysql-bin.000001", complete=True)


def replica(of: Server = MASTER, **other: Any) -> Replica:
    values: dict[str, Any] = {
        "host": of.address,
        "port": of.port,
        "user": "replication",
        "io_running": "Yes",
        "sql_running": "Yes",
        "io_error": "",
        "sql_error": "",
        "file": "mysql-bin.000003",
        "position": 342,
        "password": None,
        "seconds_behind": 0,
        "using_gtid": True,
        "received": "0-1-345",
    }
    return Replica(**values | other)


def status(number: int, replicates: Replica | None, read_only: str, **other: Any) -> MysqlStatus:
    values: dict[str, Any] = {
        "state": ServerState.RUNNING,
        "version": "10.11.6-MariaDB-log",
        "variables": {"server_id": str(number), "read_only": read_only, "log_slave_updates": "ON"},
        "databases": ["configdb"],
        "binary_log": LOG,
        "replica": replicates,
        "gtid_state": "0-1-345",
        "gtid": Gtid(slave="0-1-345" if replicates else "", binlog="0-1-345"),
        "free": 10 << 30,
    }
    return MysqlStatus(**values | other)


def master(read_only: str = "OFF", **other: Any) -> MysqlStatus:
    values: dict[str, Any] = {"replicates": None, "read_only": read_only}
    return status(1, **values | other)


def slave(read_only: str = "ON", number: int = 2, **other: Any) -> MysqlStatus:
    values: dict[str, Any] = {"replicates": replica(), "read_only": read_only}
    return status(number, **values | other)


def opened(**other: Any) -> MysqlStatus:
    """The replica after it was made the master, with a transaction of its own."""
    values: dict[str, Any] = {"replicates": None, "gtid_state": "0-1-345,0-2-346"}
    return slave("OFF", **values | {"gtid": Gtid(slave="0-1-345", binlog="0-2-346")} | other)


def closed(**other: Any) -> MysqlStatus:
    """The same, after its host died before its configuration was written."""
    return opened(variables={"server_id": "2", "read_only": "ON", "log_slave_updates": "ON"}, **other)


# --- transactions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "at_master", "found"),
    [
        ("0-1-345", "0-1-345", []),
        # What comes from the master is never its own.
        ("0-1-346", "0-1-345", []),
        ("0-1-345,0-2-346", "0-1-350", ["up to 0-2-346"]),
        ("0-2-301", "0-2-300", ["after 0-2-300 up to 0-2-301"]),
        ("0-2-303", "0-2-300", ["after 0-2-300 up to 0-2-303"]),
        ("0-2-300", "0-2-300,0-1-345", []),
        ("0-2-1,5-2-7", "0-2-1,5-2-5", ["after 5-2-5 up to 5-2-7"]),
        # What a server that is the master of neither wrote, such as one that is dead now.
        ("0-12-9", "0-12-7", ["after 0-12-7 up to 0-12-9"]),
    ],
)
def test_errant_is_what_a_server_has_and_its_master_lacks(own: str, at_master: str, found: list[str]) -> None:
    assert history.errant(slave(gtid_state=own), master(gtid_state=at_master, gtid=Gtid())) == found


def test_seeded_master_has_what_came_with_its_seed() -> None:
    seeded = master(gtid_state="0-1-400", gtid=Gtid(slave="0-2-300", binlog="0-1-400"))
    assert history.errant(slave(gtid_state="0-2-300"), seeded) == []


HISTORIES: dict[str, tuple[str, str, bool]] = {
    "switched": ("0-1-345,0-2-346", "0-1-345", True),
    "failed-over": ("0-1-345,0-2-346", "0-1-350", True),
    "there-and-back": ("0-1-300,0-2-320", "0-1-345,0-2-320", False),
    "there-and-back-and-there": ("0-1-345,0-2-346", "0-1-345,0-2-320", True),
    "there-and-back-and-failed-over": ("0-1-345,0-2-346", "0-1-350,0-2-320", True),
}


@pytest.mark.parametrize(("of_slave", "of_master", "later"), HISTORIES.values(), ids=HISTORIES)
def test_later_master_is_who_has_more_of_the_other(of_slave: str, of_master: str, later: bool) -> None:
    two, one = slave(gtid_state=of_slave, gtid=Gtid()), master(gtid_state=of_master, gtid=Gtid())
    assert history.is_later_master(two, one) is later


# --- phase -----------------------------------------------------------------------------------------------


PHASES: dict[str, tuple[MysqlStatus, MysqlStatus, Phase]] = {
    "before": (slave(), master(), Phase.BEFORE),
    "writes-stopped": (slave(), master("ON"), Phase.BEFORE),
    "slave-writable-by-mistake": (slave("OFF"), master(), Phase.BEFORE),
    "open-and-still-a-slave": (slave("OFF"), master("ON"), Phase.AFTER),
    "open": (opened(), master("ON"), Phase.AFTER),
    "old-follows": (opened(), master("ON", replicates=replica(SLAVE)), Phase.AFTER),
    "took-over-and-died": (closed(), master("ON"), Phase.AFTER),
    "took-over-and-old-was-opened-again": (closed(), master(), Phase.AFTER),
    "decided-and-died": (slave(taken_from="dbmaster"), master("ON"), Phase.AFTER),
    "took-over-long-ago": (closed(), master("OFF", gtid_state="0-1-400,0-2-346"), Phase.BEFORE),
    "decided-long-ago": (
        slave(taken_from="dbmaster", gtid_state="0-2-346,0-1-345"),
        master(gtid_state="0-1-400,0-2-346"),
        Phase.BEFORE,
    ),
    "has-own-transactions-and-is-a-slave": (slave(gtid_state="0-1-345,0-2-346"), master(), Phase.BEFORE),
    "old-follows-and-is-writable": (opened(), master(replicates=replica(SLAVE)), Phase.AFTER),
}


@pytest.mark.parametrize(("new", "old", "phase"), PHASES.values(), ids=PHASES)
def test_phase_is_read_from_the_servers(new: MysqlStatus, old: MysqlStatus, phase: Phase) -> None:
    assert switch_rules.phase(new, old) is phase


# --- checks ----------------------------------------------------------------------------------------------

FILE = ManagedFile("/etc/mysql/90.cnf")
PRESENT = ServiceStatus(files={FILE.path: None}, units={}, pending=False)


def host_of(server: Server, *, files: ServiceStatus = PRESENT, **statuses: Any) -> FakeHost:
    """A database host that can ask the others."""
    everyone = {"dbmaster": master(), "dbslave": slave(), "dbslave2": slave(number=3)} | statuses
    hosts = {name: FakeHost({Mysql: one, Service: files}, name=name) for name, one in everyone.items()}
    for one in hosts.values():
        one.peers = hosts
    return hosts[server.name]


def check_arguments(server: Server, **other: Any) -> dict[str, Any]:
    return {
        "switch": SWITCH,
        "server": server,
        "users": USERS,
        "accounts": [],
        "files": [FILE],
        "max_lag": 10,
        "siblings": [one.address for one in (SLAVE, THIRD) if one != server],
    } | other


def refusal(server: Server, **statuses: Any) -> str:
    return stop_sentence(switchover.check_server, host_of(server, **statuses), **check_arguments(server))


def ready(server: Server, **statuses: Any) -> Outcome:
    return both_phases(switchover.check_server, host_of(server, **statuses), **check_arguments(server))


def catch_up(found: MysqlStatus) -> Outcome:
    return both_phases(switchover.catch_up, host_of(SLAVE, dbslave=found), switch=SWITCH, server=SLAVE, max_lag=10)


@pytest.mark.parametrize(
    "found", [replica(MASTER, io_running="Connecting", seconds_behind=None), replica(MASTER, seconds_behind=11)]
)
def test_slave_that_comes_back_is_waited_for(found: Replica) -> None:
    job = catch_up(slave(replicates=found)).job("master_slaves.replication_catch_up")
    assert job == {"option_file": None, "seconds": switchover.CATCH_UP_SECONDS, "gtids": master().gtid.binlog}


@pytest.mark.parametrize(
    "found", [None, replica(MASTER), replica(MASTER, io_running="No"), replica(MASTER, seconds_behind=10)]
)
def test_slave_that_follows_closely_is_left_alone(found: Replica | None) -> None:
    catch_up(slave(replicates=found)).assert_noop()


@pytest.mark.parametrize("server", [MASTER, SLAVE, THIRD])
def test_healthy_servers_are_ready(server: Server) -> None:
    ready(server).assert_noop()
    assert notes().phases == {"dbslave": Phase.BEFORE}


REFUSALS: dict[str, tuple[Server, dict[str, Any], str]] = {
    "master-is-no-master": (
        MASTER,
        {"dbmaster": master(replicates=replica(THIRD))},
        "dbmaster replicates from 192.0.2.23, so it is not the master; correct `db_master`",
    ),
    "master-without-log": (
        MASTER,
        {"dbmaster": master(binary_log=None)},
        "dbmaster writes no binary log; deploy the master first",
    ),
    "no-slave": (
        THIRD,
        {"dbslave2": slave(number=3, replicates=None, databases=[])},
        "dbslave2 is empty and the master's binary log holds everything; run the deploy, which starts replication from "
        "the first transaction",
    ),
    "half-seeded": (
        SLAVE,
        {"dbslave": slave(seeding=True)},
        "dbslave is half seeded; wait until its seeding ends (`systemctl status ox-seed` there), or seed it again "
        "(`pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave=dbslave`)",
    ),
    "other-master": (
        THIRD,
        {"dbslave2": slave(number=3, replicates=replica(SLAVE))},
        "dbslave2 replicates from another database host of the cluster (192.0.2.22:3306); run the deploy, which moves "
        "it to the master",
    ),
    "stopped": (
        SLAVE,
        {"dbslave": slave(replicates=replica(sql_running="No", sql_error="Duplicate entry"))},
        "dbslave stopped with an error (Slave_SQL_Running is No: Duplicate entry); fix what the error names, then run "
        "`START SLAVE`, or seed it (`pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave=dbslave "
        "--data overwrite_slave=dbslave`)",
    ),
    "connecting": (
        SLAVE,
        {"dbslave": slave(replicates=replica(io_running="Connecting"))},
        "dbslave is stopped, and its master still has all that it lacks (Slave_IO_Running is Connecting); "
        "run the deploy, which starts it, or says what keeps it from its master",
    ),
    "lagging": (
        THIRD,
        {"dbslave2": slave(number=3, replicates=replica(seconds_behind=11))},
        "dbslave2 is too far behind its master (11 s, more than 10 s); wait, or find out what holds it up (`SHOW "
        "PROCESSLIST` there, the load of its disk), or allow more with `--data max_lag=SECONDS`",
    ),
    "no-position": (
        THIRD,
        {"dbslave2": slave(number=3, gtid=Gtid())},
        "dbslave2 has not replicated a transaction yet, so it has no GTID position; deploy it",
    ),
    "writable": (
        THIRD,
        {"dbslave2": slave("OFF", number=3)},
        "dbslave2 takes writes although it is a replica (read_only is OFF); run the deploy, which makes it read-only "
        "again; find out what was written there meanwhile",
    ),
    "errant": (
        SLAVE,
        {"dbslave": slave(gtid_state="0-1-345,0-2-346")},
        "dbslave has transactions that its master does not have (up to 0-2-346); inspect them with `mariadb-binlog` "
        "there; undo them (with `SET sql_log_bin = 0`) or repeat them on the master, then run `RESET MASTER` on "
        "dbslave, or seed it (`pyinfra -y inventory.py "
        "ox_deploy.deploys.seed.seed --data seed_slave=dbslave --data overwrite_slave=dbslave`)",
    ),
    "same-server-id": (
        THIRD,
        {"dbslave2": slave(variables={"server_id": "2", "read_only": "ON", "log_slave_updates": "ON"})},
        "dbslave2 has the server id of dbslave; give each a `server_id` of its own in the inventory, restart their "
        "servers and deploy them",
    ),
    "no-log-of-what-it-replicates": (
        SLAVE,
        {"dbslave": slave(variables={"server_id": "2", "read_only": "ON", "log_slave_updates": "OFF"})},
        "dbslave does not write what it replicates to a binary log; deploy it",
    ),
    "log-without-the-masters-transactions": (
        SLAVE,
        {"dbslave": slave(gtid=Gtid(slave="0-1-345"))},
        "dbslave has nothing from dbmaster in its binary log yet, so no replica could follow it; write something on "
        "dbmaster",
    ),
    "database-that-did-not-come": (
        SLAVE,
        {"dbmaster": master(databases=["configdb", "wiki"])},
        "dbslave lacks the databases wiki of dbmaster; seed it from the master",
    ),
    "older": (
        SLAVE,
        {"dbslave": slave(version="10.11.5-MariaDB")},
        "dbslave runs 10.11.5-MariaDB, which is older than the master's 10.11.6-MariaDB-log; upgrade it first",
    ),
    "no-room": (SLAVE, {"dbslave": slave(free=5 << 20)}, "dbslave has 5 MB free; it should have 1024 MB; make room"),
    "two-masters": (
        THIRD,
        {"dbslave": opened(), "dbmaster": master()},
        "dbslave and dbmaster both take writes and neither replicates; find out which one has the data, and seed the "
        "other from it",
    ),
    "file": (
        MASTER,
        {"files": ServiceStatus(files={}, units={}, pending=True)},
        "dbmaster: a deploy of its server did not finish; deploy",
    ),
}


@pytest.mark.parametrize(("server", "statuses", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_what_would_not_go_well_is_refused_before_anything_is_changed(
    server: Server, statuses: dict[str, Any], sentence: str
) -> None:
    assert refusal(server, **statuses) == f"{sentence}. Nothing was changed."
    with pytest.raises(OperationError):
        run(
            switchover.check_server,
            host_of(server, **statuses),
            executing=False,
            **check_arguments(server),
        )


def test_other_slaves_need_no_room_and_may_be_newer() -> None:
    ready(THIRD, dbslave2=slave(number=3, free=5, version="10.11.5-MariaDB")).assert_noop()
    ready(SLAVE, dbslave=slave(version="10.11.16-MariaDB")).assert_noop()


def test_several_problems_are_all_told() -> None:
    found = slave(replicates=replica(seconds_behind=None), free=5 << 20)
    assert len(refusal(SLAVE, dbslave=found).splitlines()) == 2


def test_file_that_is_not_as_it_should_be_is_named() -> None:
    wanted = ManagedFile("/etc/mysql/90.cnf", "x")
    host = host_of(MASTER)
    sentence = stop_sentence(switchover.check_server, host, **check_arguments(MASTER, files=[wanted]))
    assert sentence == (
        "dbmaster: its configuration differs from the inventory (/etc/mysql/90.cnf); deploy. Nothing was changed."
    )


def test_new_master_has_to_have_the_accounts() -> None:
    account = WantedAccount("replication", "192.0.2.21", Secret(PASSWORD), frozenset({"REPLICATION SLAVE"}))
    wanted = {"accounts": [account]}
    sentence = stop_sentence(switchover.check_server, host_of(SLAVE), **check_arguments(SLAVE, **wanted))
    assert sentence.startswith("on dbslave, the accounts 'replication'@'192.0.2.21' are not as they should be; deploy")
    run(switchover.check_server, host_of(THIRD), **check_arguments(THIRD, **wanted)).assert_noop()


@pytest.mark.parametrize("dead", ["dbmaster", "dbslave"])
def test_server_that_cannot_be_asked_is_named(dead: str) -> None:
    statuses = {dead: MysqlStatus(state=ServerState.NOT_RUNNING)}
    assert f"the database server of {dead} is not running" in refusal(THIRD, **statuses)


def test_after_the_point_of_no_return_nothing_is_refused_for_what_is_completed_now() -> None:
    statuses = {"dbslave": opened(free=5), "dbmaster": master("ON")}
    late = ServiceStatus(files={}, units={}, pending=True)
    for server in (MASTER, SLAVE, THIRD):
        ready(server, files=late, **statuses).assert_noop()
    assert notes().phases == {"dbslave": Phase.AFTER}
    assert notes().promoted == {"dbslave"}


# --- groupware nodes -------------------------------------------------------------------------------------

WANTED = WantedConfiguration(
    values={"configdb.properties": {"writeUrl": "x"}},
    memory={},
    secrets={},
    administrator=Administrator("oxadminmaster", Secret(PASSWORD), "mpasswd", Des()),
)
LAYOUT = ConfigdbLayout("/etc/ox/configdb.properties", {"db_pool": True})
DATABASES = (
    WantedDatabase("oxdatabase", "192.0.2.22", 3306, "openexchange", Secret(PASSWORD)),
    WantedDatabase("oxdatabase_slave", "192.0.2.21", 3306, "openexchange", Secret(PASSWORD), writer="oxdatabase"),
)


def pool(number: int, name: str, address: str) -> Pool:
    password = Fingerprint(salt="ab", digest="")
    return Pool(id=number, name=name, url=f"jdbc:mysql://{address}/?x=1", login="openexchange", password=password)


REGISTERED = Registration(
    state=RegistrationState.COMPLETE,
    pools=[pool(3, "oxdatabase", "192.0.2.21"), pool(5, "oxdatabase_slave", "192.0.2.22")],
)


def node(**statuses: Any) -> FakeHost:
    host = host_of(MASTER, **statuses)
    facts: Facts = {OpenXchangeConfiguration: Configuration(installed=True), Configdb: REGISTERED}
    return FakeHost(facts, "oxgw01", **host.peers)


def check_node(host: FakeHost, registration: WantedRegistration | None = None) -> str:
    wanted = WantedNode("oxgw01", WANTED, registration)
    return stop_sentence(switchover.check_node, host, switch=SWITCH, users=USERS, wanted=wanted)


def test_node_that_is_not_configured_as_the_inventory_says_is_refused() -> None:
    assert check_node(node()) == (
        "oxgw01: its configuration differs from the inventory (configdb.properties: writeUrl, "
        "mpasswd); deploy. Nothing was changed."
    )


def test_node_that_is_as_the_inventory_says_is_no_obstacle() -> None:
    hashed = WANTED.administrator.scheme.hash(PASSWORD)
    stored = StoredPassword(salt=hashed[: Des.salt_length], hash=Fingerprint(**fingerprint(hashed)))
    found = Configuration(installed=True, values={"configdb.properties": {"writeUrl": "x"}}, administrator=stored)
    host = FakeHost({OpenXchangeConfiguration: found}, "oxgw01", **node().peers)
    run(switchover.check_node, host, switch=SWITCH, users=USERS, wanted=WantedNode("oxgw01", WANTED)).assert_noop()


def test_database_that_is_registered_elsewhere_is_refused() -> None:
    found = check_node(node(), WantedRegistration(LAYOUT, "oxserver", "file:///x", DATABASES, (), "")).splitlines()
    assert found[1].startswith("configdb: database oxdatabase is registered at jdbc:mysql://192.0.2.21/?x=1; it should")


def test_node_may_be_anyhow_after_the_point_of_no_return() -> None:
    host = node(dbslave=opened(), dbmaster=master("ON"))
    run(switchover.check_node, host, switch=SWITCH, users=USERS, wanted=WantedNode("oxgw01", WANTED)).assert_noop()


def test_addresses_change_and_names_and_ids_stay() -> None:
    host = FakeHost({Configdb: REGISTERED})
    job = both_phases(registration.repoint, host, databases=DATABASES, layout=LAYOUT).job("configdb_repoint")
    assert job["file"] == LAYOUT.file
    for moved in job["pools"]:
        assert moved.pop("was") != moved["url"]
    assert job["pools"] == [
        {"id": 3, "name": "oxdatabase", "url": "jdbc:mysql://192.0.2.22/?x=1"},
        {"id": 5, "name": "oxdatabase_slave", "url": "jdbc:mysql://192.0.2.21/?x=1"},
    ]


def test_right_addresses_are_left_alone_and_other_databases_too() -> None:
    pools = [pool(3, "oxdatabase", "192.0.2.22"), pool(9, "archive", "192.0.2.99")]
    host = FakeHost({Configdb: Registration(state=RegistrationState.COMPLETE, pools=pools)})
    both_phases(registration.repoint, host, databases=DATABASES, layout=LAYOUT).assert_noop()


def test_configdb_that_cannot_be_asked_is_told() -> None:
    host = FakeHost({Configdb: Registration(error="refused")})
    sentence = "configdb cannot be changed (refused); run again when it can be reached."
    assert stop_sentence(registration.repoint, host, databases=DATABASES, layout=LAYOUT) == sentence


# --- the two steps while writes are down -----------------------------------------------------------------


def test_nobody_is_asked_while_writes_are_down() -> None:
    host = FakeHost(name="dbmaster")
    (command,) = run(switchover.stop_writes, host, switch=SWITCH).commands
    outcome = run(switchover.stop_writes, host, switch=SWITCH)
    job = outcome.job("master_slaves.switch_stop_writes")
    assert job["new"]["host"] == "192.0.2.22"
    assert '"program": "master_slaves.switch_guard"' in job["guard"]
    assert PASSWORD not in job["guard"]
    promoted = run(switchover.promote, FakeHost(name="dbslave"), switch=SWITCH)
    assert promoted.job("master_slaves.switch_promote")["old"]["host"] == "192.0.2.21"
    assert PASSWORD not in command.get_raw_value() + repr(SWITCH)


def test_both_servers_know_each_other_as_slaves_know_their_master() -> None:
    encrypted = replace(SWITCH, ca="/ca.pem")
    stopped = run(switchover.stop_writes, FakeHost(name="dbmaster"), switch=encrypted).job(
        "master_slaves.switch_stop_writes"
    )
    promoted = run(switchover.promote, FakeHost(name="dbslave"), switch=encrypted).job("master_slaves.switch_promote")
    assert stopped["new"]["ca"] == promoted["old"]["ca"] == "/ca.pem"


def test_both_steps_are_over_after_the_point_of_no_return() -> None:
    ready(SLAVE, dbslave=opened(), dbmaster=master("ON"))
    run(switchover.stop_writes, FakeHost(), switch=SWITCH).assert_noop()
    run(switchover.promote, FakeHost(), switch=SWITCH).assert_noop()


def test_new_master_that_still_replicates_has_to_forget_the_old_one() -> None:
    ready(SLAVE, dbslave=slave("OFF"), dbmaster=master("ON"))
    run(switchover.stop_writes, FakeHost(), switch=SWITCH).assert_noop()
    assert run(switchover.promote, FakeHost(), switch=SWITCH).job("master_slaves.switch_promote")


def test_phase_is_looked_at_anew_in_each_run() -> None:
    ready(SLAVE, dbslave=opened(), dbmaster=master("ON"))
    ready(SLAVE)
    assert run(switchover.promote, FakeHost(), switch=SWITCH).job("master_slaves.switch_promote")


def test_host_without_an_answer_ends_the_run() -> None:
    sentence = "web does not answer"
    assert stop_sentence(lease.look, FakeHost({TakeLease: None}, name="web"), doing="x").startswith(sentence)


# --- failover --------------------------------------------------------------------------------------------


def survivor(reaches: bool = False, server: Server = SLAVE, **statuses: Any) -> FakeHost:
    cut = replica(io_running="Connecting", io_error="cannot connect")
    everyone = {"dbslave": slave(replicates=cut), "dbslave2": slave(number=3, replicates=cut)} | statuses
    hosts = {name: FakeHost({Mysql: one, Reaches: reaches}, name=name) for name, one in everyone.items()}
    for one in hosts.values():
        one.peers = hosts
    return hosts[server.name]


def lose(server: Server = SLAVE, accept_loss: object = None, switch: Switch = SWITCH) -> dict[str, Any]:
    return {"switch": switch, "server": server, "slaves": [SLAVE, THIRD], "accept_loss": accept_loss}


def test_loss_has_to_be_accepted_by_the_name_of_the_dead_master() -> None:
    sentence = (
        "dbslave has the most from dbmaster: 345 in domain 0. What dbmaster acknowledged but did not send is lost. "
        "To accept that, run again with `--data accept_loss=dbmaster`. Nothing was changed."
    )
    for said in (None, "dbslave", True):
        assert stop_sentence(switchover.check_survivor, survivor(), **lose(accept_loss=said)) == sentence
    run(switchover.check_survivor, survivor(), **lose(accept_loss="dbmaster")).assert_noop()
    assert notes().phases == {"dbslave": Phase.BEFORE}


def test_slave_with_less_is_refused_even_if_the_loss_is_accepted() -> None:
    more = slave(number=3, replicates=replica(received="0-1-350"))
    sentence = stop_sentence(switchover.check_survivor, survivor(dbslave2=more), **lose(accept_loss="dbmaster"))
    assert sentence == (
        "dbslave2 has more from dbmaster (350 in domain 0) than dbslave (345 in domain 0); run again with `--data "
        "new_master=dbslave2`. Nothing was changed."
    )


def test_what_was_received_counts_though_it_is_not_applied() -> None:
    ahead_of_it = slave(replicates=replica(received="0-1-360"))
    applied = slave(number=3, gtid=Gtid(slave="0-1-350", binlog="0-1-350"))
    run(
        switchover.check_survivor, survivor(dbslave=ahead_of_it, dbslave2=applied), **lose(accept_loss="dbmaster")
    ).assert_noop()


UUID = "3e11fa47-71ca-11e1-9e33-c80aa94295"


def mysql_slave(number: int, executed: str, **other: Any) -> MysqlStatus:
    """A MySQL replica; {1} of `executed` is the master, {2} and {3} are the replicas."""
    executed = executed.format("", *(f"{UUID}{one:02}" for one in (1, 2, 3)))
    variables = {"server_id": str(number), "server_uuid": f"{UUID}{number:02}", "gtid_mode": "ON", "read_only": "ON"}
    values: dict[str, Any] = {"version": "9.7.4-2", "variables": variables, "gtid_state": executed}
    values["replicates"] = replica(received="")
    return slave(number=number, **values | {"gtid": Gtid(binlog=executed)} | other)


def refused(**statuses: Any) -> str:
    return stop_sentence(switchover.check_survivor, survivor(**statuses), **lose(accept_loss="dbmaster"))


def test_what_a_slave_wrote_itself_does_not_count_as_more_of_the_master() -> None:
    own = mysql_slave(3, "{1}:1-80,{3}:1-50")
    run(
        switchover.check_survivor,
        survivor(dbslave=mysql_slave(2, "{1}:1-100"), dbslave2=own),
        **lose(accept_loss="dbmaster"),
    ).assert_noop()
    sentence = refused(dbslave=mysql_slave(2, "{1}:1-80,{2}:1-50"), dbslave2=mysql_slave(3, "{1}:1-100"))
    assert sentence.startswith(f"dbslave2 has more from dbmaster ({UUID}01:1-100) than dbslave (")


def test_slaves_of_which_each_has_what_the_other_lacks_are_both_named() -> None:
    sentence = refused(dbslave=mysql_slave(2, "{1}:1-80:90-95"), dbslave2=mysql_slave(3, "{1}:1-85"))
    assert sentence.startswith("dbslave and dbslave2 each have transactions that the other lacks (")


def test_slave_that_is_half_seeded_is_no_master() -> None:
    assert "dbslave is half seeded" in refused(dbslave=slave(seeding=True))
    assert refusal(SLAVE, dbslave=slave(seeding=True)) == (
        "dbslave is half seeded; wait until its seeding ends (`systemctl status ox-seed` there), or seed it again "
        "(`pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave=dbslave`). Nothing was changed."
    )
    # Nor does it count as one that has more.
    half = slave(number=3, replicates=replica(received="0-1-350"), seeding=True)
    run(switchover.check_survivor, survivor(dbslave2=half), **lose(accept_loss="dbmaster")).assert_noop()


def test_mysql_pair_without_gtids_is_refused_before_its_servers_are_configured() -> None:
    off = {"server_id": "2", "gtid_mode": "OFF", "read_only": "ON"}
    host, arguments = servers(dbslave=slave(version="8.4.3", variables=off))
    sentence = stop_sentence(roles.check_roles, host, **arguments)
    assert sentence.startswith("dbslave: replication without GTIDs (`gtid_mode` is not ON) would stop after a restart")
    alone = slave(version="8.4.3", variables=off, replicates=None)
    host, arguments = servers(dbslave=alone)
    run(roles.check_roles, host, **arguments).assert_noop()


def told(encrypted: bool = False, **statuses: Any) -> str:
    """Return with what a deploy ends before anything is changed, on every host; "" if it goes on."""
    host, arguments = servers(**statuses)
    arguments["encrypted"] = encrypted
    if not run(roles.check_roles, host, **arguments).commands:
        return ""
    said = stop_sentence(roles.check_roles, host, **arguments)
    with pytest.raises(OperationError, match=re.escape(said)):
        run(roles.check_roles, host, executing=False, **arguments)
    return said


def demanding(encrypted: str, **other: Any) -> dict[str, str]:
    return {
        "server_id": "1",
        "read_only": "OFF",
        "log_slave_updates": "ON",
        "require_secure_transport": encrypted,
    } | other


def test_server_that_takes_encrypted_connections_only_is_named_with_both_ways_out() -> None:
    found = master(variables=demanding("ON"), set_in={"require_secure_transport": "/etc/my.cnf:9"})
    assert told(dbmaster=found) == (
        "dbmaster takes encrypted connections only (`require_secure_transport` is ON), while `replication_tls` is off; "
        "nothing was changed: switch it off (/etc/my.cnf:9), or set `replication_tls`, if the groupware nodes log in "
        "encrypted, too."
    )
    assert told(dbmaster=found, encrypted=True) == ""
    assert told(dbmaster=master(variables=demanding("OFF"))) == ""
    own = slave(variables=demanding("ON", server_id="2", read_only="ON"))
    assert told(dbslave=own).startswith("dbslave takes encrypted connections only")


@pytest.mark.parametrize("server", ["dbmaster", "dbslave"])
def test_server_without_accounts_ends_a_deploy_with_one_sentence(server: str) -> None:
    open_to_all = MysqlStatus(state=ServerState.NO_ACCOUNTS, error="/etc/mysql/x.cnf:2 sets it")
    statuses: dict[str, Any] = {server: open_to_all}
    assert told(**statuses) == (
        f"the database server of {server} runs with `skip_grant_tables`, so everybody may do everything "
        "(/etc/mysql/x.cnf:2 sets it); take `skip-grant-tables` out of its options, restart the server, then deploy."
    )


def test_filter_ends_a_deploy_before_anything_is_changed() -> None:
    filtered = master(filters={"binlog_do_db": "configdb,oxdatabase_7"}, set_in={"binlog_do_db": "/etc/my.cnf:3"})
    said = told(dbmaster=filtered)
    assert said.startswith("dbslave does not get all that its master writes (dbmaster: `binlog_do_db` is configdb,oxda")
    assert "set in /etc/my.cnf:3); nothing was changed: take the filter out of that server's options" in said
    assert told(dbmaster=master(filters={"binlog_ignore_db": "mysql,sys"})) == ""


def test_ring_is_named_and_not_that_the_inventory_is_wrong() -> None:
    back = replica(SLAVE)
    assert told(dbmaster=master(replicates=back)) == (
        "dbslave and its master replicate from each other; nothing was changed: run `STOP SLAVE; RESET SLAVE ALL` on "
        "dbmaster; dbslave stays its replica."
    )
    # Once the inventory is as it is told to be, it is the same command.
    assert "run `STOP SLAVE; RESET SLAVE ALL` on dbslave, and make it `db_master`" in told(
        dbmaster=master("ON", replicates=back), dbslave=slave("OFF")
    )


def test_slave_that_cannot_be_asked_is_named() -> None:
    dead = MysqlStatus(state=ServerState.NOT_RUNNING)
    sentence = stop_sentence(switchover.check_survivor, survivor(dbslave2=dead), **lose())
    assert "What dbslave2 may have beyond that is unknown. To accept that" in sentence
    run(switchover.check_survivor, survivor(dbslave2=dead), **lose(accept_loss="dbmaster")).assert_noop()


@pytest.mark.parametrize("server", [SLAVE, THIRD])
def test_master_that_answers_any_slave_is_alive(server: Server) -> None:
    sentence = stop_sentence(switchover.check_survivor, survivor(True, server), **lose(server, accept_loss="dbmaster"))
    assert sentence == (
        f"dbmaster answers {server.name}, so it is alive; use the switchover, which loses nothing, or "
        "power that host off. Nothing was changed."
    )


def test_server_that_is_no_slave_has_nothing() -> None:
    sentence = stop_sentence(
        switchover.check_survivor, survivor(dbslave=slave(replicates=None)), **lose(accept_loss="dbmaster")
    )
    assert (
        sentence
        == "dbslave does not replicate, so it has nothing from dbmaster; choose another replica. Nothing was changed."
    )


def test_failover_that_died_after_the_point_of_no_return_is_completed() -> None:
    run(switchover.check_survivor, survivor(dbslave=opened()), **lose(accept_loss="dbmaster")).assert_noop()
    run(switchover.promote, FakeHost(), switch=SWITCH, lost=True).assert_noop()


def test_dead_master_is_not_asked_by_the_new_one() -> None:
    job = run(switchover.promote, FakeHost(), switch=SWITCH, lost=True).job("master_slaves.switch_promote")
    assert (job["old"], job["from"]) == (None, "dbmaster")
    assert job["lost"] == {"name": "dbmaster", "host": MASTER.address, "port": 3306, "seconds": 3}


def test_server_that_runs_is_not_dead() -> None:
    host = FakeHost({Mysql: master()}, name="dbmaster")
    assert stop_sentence(switchover.check_dead, host, switch=SWITCH).startswith(
        "the database server of dbmaster is running;"
    )
    host = FakeHost({Mysql: MysqlStatus(state=ServerState.NOT_RUNNING)}, name="dbmaster")
    run(switchover.check_dead, host, switch=SWITCH).assert_noop()


# --- the inventory after a switch ------------------------------------------------------------------------

REMEDIES = {"dbslave": "move dbslave", "dbslave2": "move dbslave2"}


def servers(**statuses: Any) -> tuple[FakeHost, dict[str, Any]]:
    host = FakeHost(None, "oxgw01", **host_of(MASTER, **statuses).peers)
    return host, {"master": MASTER, "slaves": [SLAVE, THIRD], "remedies": REMEDIES}


REVERSED: dict[str, tuple[dict[str, MysqlStatus], str]] = {
    "old-follows": (
        {"dbmaster": master("ON", replicates=replica(SLAVE)), "dbslave": opened()},
        "dbmaster is in `db_master` but replicates from dbslave",
    ),
    "other-follows": (
        {"dbslave": opened(gtid_state="", gtid=Gtid()), "dbslave2": slave(number=3, replicates=replica(SLAVE))},
        "dbslave is in `db_slave` but takes writes, and dbslave2 replicates from it",
    ),
    "only-opened": (
        {"dbmaster": master("ON"), "dbslave": opened()},
        "dbslave is in `db_slave` but has taken over from dbmaster",
    ),
    "took-over-and-died": (
        {"dbmaster": master("ON"), "dbslave": closed()},
        "dbslave is in `db_slave` but has taken over from dbmaster",
    ),
    "decided-and-died": (
        {"dbmaster": master("ON"), "dbslave": slave(taken_from="dbmaster")},
        "dbslave is in `db_slave` but has taken over from dbmaster",
    ),
    "dead-one-is-back": (
        {"dbmaster": master(gtid_state="0-1-350"), "dbslave": opened()},
        "dbslave is in `db_slave` but has taken over from dbmaster",
    ),
}


@pytest.mark.parametrize(("statuses", "evidence"), REVERSED.values(), ids=REVERSED)
def test_deploy_refuses_until_the_inventory_is_changed(statuses: dict[str, MysqlStatus], evidence: str) -> None:
    host, arguments = servers(**statuses)
    wanted = f"inventory: {evidence}; nothing was changed. Move dbslave."
    assert stop_sentence(roles.check_roles, host, **arguments) == wanted
    with pytest.raises(OperationError, match="inventory: "):
        run(roles.check_roles, host, executing=False, **arguments)


UNSUSPICIOUS: dict[str, dict[str, MysqlStatus]] = {
    "as-it-should-be": {},
    "bare": {name: MysqlStatus() for name in ("dbmaster", "dbslave", "dbslave2")},
    "debians-servers": {
        "dbmaster": master(gtid_state="", gtid=Gtid()),
        "dbslave": slave("OFF", replicates=None, gtid_state="", gtid=Gtid()),
    },
    "master-of-a-foreign-slave": {"dbmaster": master(replicates=replica(replace(SLAVE, address="198.51.100.1")))},
    "slave-that-was-reset": {"dbslave": slave(replicates=None)},
    # In the inventory it is a replica by now.
    "dead-one-is-back-as-a-slave": {
        "dbmaster": master(gtid_state="0-1-400,0-2-350"),
        "dbslave": slave("OFF", replicates=None, gtid_state="0-2-360,0-1-300", gtid=Gtid()),
    },
}


@pytest.mark.parametrize("statuses", UNSUSPICIOUS.values(), ids=UNSUSPICIOUS)
def test_deploy_goes_on_where_nothing_was_switched(statuses: dict[str, MysqlStatus]) -> None:
    host, arguments = servers(**statuses)
    both_phases(roles.check_roles, host, **arguments).assert_noop()


def test_slave_that_cannot_be_reached_says_nothing_but_the_master_has_to_answer() -> None:
    host, arguments = servers()
    host.peers["dbslave2"].facts[Mysql] = ConnectionError("no route")
    both_phases(roles.check_roles, host, **arguments).assert_noop()
    host.peers["dbmaster"].facts[Mysql] = ConnectionError("no route")
    assert "oxgw01 needs to know the state of dbmaster" in stop_sentence(roles.check_roles, host, **arguments)


DOWN = ConnectionError("no route")
NOT_RUNNING = MysqlStatus(state=ServerState.NOT_RUNNING)
UNSURE: dict[str, tuple[dict[str, Any], str]] = {
    "closed": ({"dbmaster": master("ON"), "dbslave": DOWN}, "dbmaster is read-only, and dbslave cannot be asked"),
    "handed-over": (
        {"dbmaster": master("ON", handed_to="dbslave"), "dbslave": DOWN},
        "dbmaster is read-only and was handing over to dbslave, and dbslave cannot be asked",
    ),
    "handed-over-and-down": (
        {"dbmaster": NOT_RUNNING.model_copy(update={"handed_to": "dbslave"}), "dbslave": DOWN},
        "dbmaster is read-only and was handing over to dbslave, and dbslave cannot be asked",
    ),
    "down": (
        {"dbmaster": NOT_RUNNING, "dbslave": opened()},
        "the database server of dbmaster does not run, and dbslave takes writes and does not replicate",
    ),
}


@pytest.mark.parametrize(("statuses", "sentence"), UNSURE.values(), ids=UNSURE)
def test_master_is_not_opened_while_another_one_may_be_later(statuses: dict[str, Any], sentence: str) -> None:
    host, arguments = servers()
    for name, status in statuses.items():
        host.peers[name].facts[Mysql] = status
    said = stop_sentence(roles.check_roles, host, **arguments)
    assert said.startswith(sentence)
    assert "nothing was changed" in said
    if DOWN in statuses.values():
        assert "`--data accept_loss=dbslave`" in said
        both_phases(roles.check_roles, host, **arguments, accept_loss="dbslave").assert_noop()


def test_slave_that_took_over_and_died_completes_the_failover() -> None:
    host = survivor(dbslave=closed(taken_from="dbmaster"))
    run(switchover.check_survivor, host, **lose(accept_loss=None)).assert_noop()
    assert run(switchover.promote, FakeHost(), switch=SWITCH, lost=True).job("master_slaves.switch_promote")


def names(guide: Guide, lost: bool = False, new: str = "dbslave") -> dict[str, list[str]]:
    cluster = guide.build()
    after = switched(cluster, next(node for node in slaves_of(cluster) if node.name == new), lost)
    groups = ("db_master", "db_slave", "filestore", "groupware")
    return {group: [node.name for node in after.group(group)] for group in groups}


def test_switched_cluster_has_the_roles_turned_and_the_filestore_where_it_was(guide: Guide) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    nodes = ["oxgw01", "oxgw02"]
    assert names(guide) == {
        "db_master": ["dbslave"],
        "db_slave": ["dbmaster", "dbslave2"],
        "filestore": ["dbmaster"],
        "groupware": nodes,
    }
    assert names(guide, new="dbslave2")["db_slave"] == ["dbslave", "dbmaster"]
    assert names(guide, lost=True)["db_slave"] == ["dbslave2"]
    guide.set(external_filestore="nas.example.com:/ox")
    assert names(guide)["filestore"] == []


def test_switched_cluster_is_what_the_changed_inventory_gives(guide: Guide) -> None:
    before = guide.build()
    after = switched(before, slaves_of(before)[0])
    guide.groups |= {"db_master": ["dbslave"], "db_slave": ["dbmaster"], "filestore": ["dbmaster"]}
    assert guide.build() == after


def test_change_of_the_inventory_is_told(guide: Guide) -> None:
    before = guide.build()
    new = slaves_of(before)[0]
    assert switch_rules.inventory_change(before, switched(before, new)) == (
        "move the line of dbslave from `db_slave` to `db_master`; move the line of dbmaster from `db_master` to "
        "`db_slave`, in its place; add a group `filestore` with the line of dbmaster, or the filestore would move to "
        "dbslave"
    )
    lost = switch_rules.inventory_change(before, switched(before, new, lost=True))
    assert "remove the line of dbmaster from `db_master`; add it to `db_slave` when the host is back" in lost
    guide.add("filestore", "nas", address="192.0.2.30")
    before = guide.build()
    assert "filestore" not in switch_rules.inventory_change(before, switched(before, slaves_of(before)[0]))


def test_loss_of_all_slaves_that_cannot_be_asked_is_accepted_at_once() -> None:
    host, arguments = servers(dbmaster=master("ON"))
    for name in ("dbslave", "dbslave2"):
        host.peers[name].facts[Mysql] = ConnectionError("no route")
    said = stop_sentence(roles.check_roles, host, **arguments)
    assert "dbslave, dbslave2 cannot be asked whether it has taken over" in said
    assert "`--data accept_loss=dbslave,dbslave2`" in said
    # One of two is not enough, and does not change what is asked for.
    assert stop_sentence(roles.check_roles, host, **arguments | {"accept_loss": "dbslave2"}) == said
    both_phases(roles.check_roles, host, **arguments | {"accept_loss": "dbslave,dbslave2"}).assert_noop()


def test_loss_that_names_no_slave_is_no_acceptance() -> None:
    host, arguments = servers(dbmaster=master("ON"))
    host.peers["dbslave2"].facts[Mysql] = ConnectionError("no route")
    # pyinfra makes a truth value of `--data accept_loss=true`.
    assert "`--data accept_loss=dbslave2`" in stop_sentence(
        roles.check_roles, host, **arguments | {"accept_loss": True}
    )
