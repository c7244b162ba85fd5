"""Causes hide their consequences: one thing is broken, and one thing is reported."""

from __future__ import annotations

import pytest

from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.facts.openxchange import Configuration
from ox_deploy.findings import Level
from ox_deploy.status.seen import Drift
from ox_deploy.status.states.find import find
from tests.unit.guide import Guide
from tests.unit.seeing import (
    ACCOUNTS,
    ADMIN,
    ADMIN_PORT,
    BALANCE,
    EXPORT,
    GROUPWARE,
    MOUNT,
    NODE,
    REGISTER,
    REPLICATE,
    ROLES,
    ROUTE,
    SERVER,
    SESSION_PORT,
    START,
    WAIT,
    Break,
    add_nodes,
    change_daemon,
    change_health,
    change_member,
    change_mount,
    change_registration,
    change_replica,
    change_server,
    cut,
    disconnect,
    drift,
    drop_member,
    external_filestore,
    fail_member,
    found,
    healthy,
    lose,
    many_nodes,
    never_set_up_slave,
    only_finding,
    own_filestore,
    stop_daemon,
    stop_route,
    stop_unit,
    summary,
)

CRITICAL, WARNING = Level.CRITICAL, Level.WARNING

CAN_NOT_ASK = "configdb cannot be asked (2003, no route); deploy the database chapter."


@pytest.mark.parametrize(
    ("operation", "broken", "expected"),
    [
        (SERVER, lambda p: setattr(p["dbslave"], "mysql", None), ("database server down", "dbslave")),
        (ACCOUNTS, lambda p: setattr(p["dbslave"], "mysql", None), ("database server down", "dbslave")),
        (REPLICATE, lambda p: setattr(p["dbslave"], "mysql", None), ("database server down", "dbslave")),
        (SERVER, lambda p: setattr(p["dbmaster"], "mysql", None), ("master unreachable", "dbmaster")),
        (ACCOUNTS, lambda p: setattr(p["dbmaster"], "mysql", None), ("master unreachable", "dbmaster")),
        (
            SERVER,
            lambda p: change_server(p["dbslave"], variables={"server_id": "2", "read_only": "OFF"}),
            ("replica writable", "dbslave"),
        ),
        (REPLICATE, never_set_up_slave, ("replica not set up", "dbslave")),
        (REPLICATE, lambda p: change_replica(p["dbslave"], sql_running="No"), ("replica stopped", "dbslave")),
        (REPLICATE, lambda p: change_replica(p["dbslave"], user="repl"), ("replica login differs", "dbslave")),
        (
            REPLICATE,
            lambda p: change_replica(p["dbslave"], host="192.0.2.99"),
            ("replica of another master", "dbslave"),
        ),
        (REPLICATE, lambda p: change_server(p["dbslave"], seeding=True), ("replica half seeded", "dbslave")),
        (SERVER, lambda p: change_server(p["dbslave"], seeding=True), ("replica half seeded", "dbslave")),
        (ACCOUNTS, lambda p: change_server(p["dbslave"], seeding=True), ("replica half seeded", "dbslave")),
        (EXPORT, lambda p: stop_unit(p["dbmaster"], "nfs"), ("NFS server down", "dbmaster")),
        (MOUNT, lambda p: change_mount(p["oxgw01"], mount=None), ("mount missing", "oxgw01")),
        (MOUNT, lambda p: change_mount(p["oxgw01"], answers=False), ("mount stale", "oxgw01")),
        (BALANCE, lambda p: stop_unit(p["web"], "apache2"), ("balancer down", "web")),
        (BALANCE, drop_member, ("balancer member missing", "web")),
        (BALANCE, lambda p: change_member(p["web"], 1, disabled=True), ("balancer member disabled", "web")),
        (BALANCE, lambda p: change_health(p["web"], certificate=None), ("certificate unreadable", "web")),
        (ROUTE, lambda p: stop_route(p["oxgw01"]), ("multicast route missing", "oxgw01")),
        (START, lambda p: stop_daemon(p, "oxgw01", ADMIN), ("admin daemon down", "oxgw01")),
        (START, lambda p: stop_daemon(p, "oxgw01", GROUPWARE), ("groupware daemon down", "oxgw01")),
    ],
)
def test_state_explains_drift_on_its_host_only(
    guide: Guide, operation: Drift, broken: Break, expected: tuple[str, str]
) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    broken(hosts)
    drift(hosts, expected[1], operation)
    assert found(cluster, hosts) == [expected]
    elsewhere = "oxgw02" if expected[1] != "oxgw02" else "oxgw01"
    drift(hosts, elsewhere, operation)
    assert sorted(found(cluster, hosts)) == sorted([expected, ("configuration drifted", elsewhere)])


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (lambda p: lose(p, "oxgw02"), ("host unreachable", "oxgw02")),
        (lambda p: stop_daemon(p, "oxgw02", ADMIN), ("admin daemon down", "oxgw02")),
        (lambda p: stop_daemon(p, "oxgw02", GROUPWARE), ("groupware daemon down", "oxgw02")),
        (lambda p: cut(p, "oxgw01", "oxgw02"), ("node alone", "oxgw01")),
        (lambda p: cut(p, "oxgw01", "oxgw02", ADMIN_PORT), ("cache link missing", "oxgw01")),
    ],
)
def test_nodes_that_wait_for_another_have_not_drifted(guide: Guide, broken: Break, expected: tuple[str, str]) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    broken(hosts)
    for name in ("oxgw01", "oxgw02"):
        drift(hosts, name, WAIT)
    assert found(cluster, hosts) == [expected]


def test_other_drift_of_a_host_stays(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_mount(hosts["oxgw01"], mount=None)
    drift(hosts, "oxgw01", MOUNT, NODE)
    findings = find(cluster, list(hosts.values()))
    assert summary(findings) == [("mount missing", "oxgw01"), ("configuration drifted", "oxgw01")]
    assert findings[1].found == "a deploy has something to do in: Configure the node (oxinstaller)"


def test_master_host_down_is_one_finding(guide: Guide) -> None:
    """In the guide the master is the filestore, too: its replicas cannot read, all mounts hang."""
    cluster = guide.build()
    hosts = healthy(cluster)
    lose(hosts, "dbmaster")
    change_replica(hosts["dbslave"], io_running="Connecting", io_error="error reconnecting", seconds_behind=None)
    drift(hosts, "dbslave", REPLICATE, sentence="dbslave needs to know the state of dbmaster, which cannot be asked")
    change_registration(hosts, "no access", "2003, no route")
    drift(hosts, "oxgw01", REGISTER, sentence=CAN_NOT_ASK)
    for name in ("oxgw01", "oxgw02"):
        change_mount(hosts[name], answers=False)
        drift(hosts, name, MOUNT)
    assert found(cluster, hosts) == [("master unreachable", "dbmaster")]


def test_master_server_down_is_one_finding(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    hosts["dbmaster"].mysql = MysqlStatus(state=ServerState.NOT_RUNNING)
    hosts["dbmaster"].drift = [SERVER, ACCOUNTS]
    change_replica(hosts["dbslave"], io_running="Connecting", io_error="error reconnecting", seconds_behind=None)
    drift(hosts, "dbslave", REPLICATE)
    # While nothing is executed the operation does not say why it has something to do.
    change_registration(hosts, "no access", "Connection refused")
    drift(hosts, "oxgw01", REGISTER)
    assert found(cluster, hosts) == [("master unreachable", "dbmaster")]


def test_master_server_down_explains_no_mount(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    hosts["dbmaster"].mysql = MysqlStatus(state=ServerState.NOT_RUNNING)
    change_mount(hosts["oxgw01"], answers=False)
    assert found(cluster, hosts) == [("master unreachable", "dbmaster"), ("mount stale", "oxgw01")]


def test_master_unreachable_explains_no_other_error_of_a_slave(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    lose(hosts, "dbmaster")
    change_replica(hosts["dbslave"], io_running="No", sql_running="No", sql_error="Duplicate entry")
    assert found(cluster, hosts) == [("master unreachable", "dbmaster"), ("replica stopped", "dbslave")]
    hosts["dbslave"] = healthy(cluster)["dbslave"]
    never_set_up_slave(hosts)
    assert found(cluster, hosts) == [("master unreachable", "dbmaster"), ("replica not set up", "dbslave")]


def test_what_is_not_registered_is_drift_while_the_master_is_unreachable(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    lose(hosts, "dbmaster")
    drift(hosts, "oxgw01", REGISTER)
    assert found(cluster, hosts) == [("master unreachable", "dbmaster"), ("configuration drifted", "oxgw01")]


def test_configdb_that_cannot_be_asked_is_drift_while_the_master_runs(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    drift(hosts, "oxgw01", REGISTER, sentence=CAN_NOT_ASK)
    finding = only_finding(cluster, hosts)
    assert finding.state == "configuration drifted"
    assert CAN_NOT_ASK in finding.found


@pytest.mark.parametrize(
    ("state", "expected"), [("no access", "configdb not reachable"), ("damaged", "configdb damaged")]
)
def test_configdb_that_cannot_be_used_explains_the_registration_only(guide: Guide, state: str, expected: str) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_registration(hosts, state, "server")
    drift(hosts, "oxgw01", REGISTER)
    assert found(cluster, hosts) == [(expected, "oxgw01")]
    drift(hosts, "oxgw01", NODE)
    drift(hosts, "dbmaster", ACCOUNTS)
    assert found(cluster, hosts) == [
        (expected, "oxgw01"),
        ("configuration drifted", "dbmaster"),
        ("configuration drifted", "oxgw01"),
    ]


def test_unreachable_master_does_not_explain_a_damaged_configdb(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    hosts["dbmaster"].mysql = MysqlStatus(state=ServerState.NO_RIGHTS)
    change_registration(hosts, "damaged", "server")
    drift(hosts, "oxgw01", REGISTER)
    assert found(cluster, hosts) == [("master unreachable", "dbmaster"), ("configdb damaged", "oxgw01")]


def test_database_server_of_a_slave_does_not_explain_configdb(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    hosts["dbslave"].mysql = None
    change_registration(hosts, "no access", "Connection refused")
    assert found(cluster, hosts) == [("database server down", "dbslave"), ("configdb not reachable", "oxgw01")]


def test_node_without_open_xchange_is_drift(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    hosts["oxgw01"].configuration = Configuration(installed=False)
    change_registration(hosts, "no access", "No such file or directory")
    drift(hosts, "oxgw01", REGISTER)
    assert found(cluster, hosts) == [("configuration drifted", "oxgw01")]


def test_slave_of_another_master_is_one_finding(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbslave"], gtid_state="0-1-345,0-9-7")
    change_replica(hosts["dbslave"], host="192.0.2.99", seconds_behind=500)
    assert found(cluster, hosts) == [("replica of another master", "dbslave")]
    change_replica(hosts["dbslave"], io_running="No", io_error="no such log", sql_running="No")
    assert found(cluster, hosts) == [("replica of another master", "dbslave")]
    lose(hosts, "dbmaster")
    assert found(cluster, hosts) == [("master unreachable", "dbmaster"), ("replica of another master", "dbslave")]


def test_slave_of_another_master_explains_nothing_of_other_slaves(guide: Guide) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    cluster = guide.build()
    hosts = healthy(cluster)
    change_replica(hosts["dbslave"], host="192.0.2.99")
    change_server(hosts["dbslave"], variables={"server_id": "2", "read_only": "OFF"})
    change_replica(hosts["dbslave2"], sql_running="No", sql_error="Duplicate entry")
    assert found(cluster, hosts) == [
        ("replica of another master", "dbslave"),
        ("replica writable", "dbslave"),
        ("replica stopped", "dbslave2"),
    ]


def test_master_that_is_down_is_not_read_only(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbmaster"], state=ServerState.NOT_RUNNING, variables={"read_only": "ON"})
    assert found(cluster, hosts) == [("master unreachable", "dbmaster")]


def test_master_that_handed_over_should_not_be_made_writable(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbmaster"], variables={"server_id": "1", "read_only": "ON"})
    change_server(hosts["dbslave"], taken_from="dbmaster", replica=None)
    drift(hosts, "oxgw01", ROLES)
    assert found(cluster, hosts) == [("master switched", "dbslave")]


def test_read_only_master_explains_no_drift(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbmaster"], variables={"server_id": "1", "read_only": "ON"})
    drift(hosts, "dbmaster", SERVER)
    assert found(cluster, hosts) == [("master read-only", "dbmaster"), ("configuration drifted", "dbmaster")]


def test_read_database_that_is_unreachable_explains_nothing_else(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    lose(hosts, "dbslave")
    change_mount(hosts["oxgw01"], answers=False)
    fail_member(hosts, "oxgw02")
    assert found(cluster, hosts) == [
        ("host unreachable", "dbslave"),
        ("mount stale", "oxgw01"),
        ("balancer member in error", "web"),
    ]


def test_stopped_slave_does_not_lag(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_replica(hosts["dbslave"], io_running="No", seconds_behind=500)
    assert found(cluster, hosts) == [("replica stopped", "dbslave")]


def test_nfs_server_down_is_one_finding(guide: Guide) -> None:
    """The mounts hang or are gone, and with one that is gone systemd stops the daemons of that node."""
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_unit(hosts["dbmaster"], "nfs")
    drift(hosts, "dbmaster", EXPORT)
    change_mount(hosts["oxgw01"], answers=False)
    drift(hosts, "oxgw01", MOUNT, WAIT)
    change_mount(hosts["oxgw02"], mount=None)
    for service in (ADMIN, GROUPWARE):
        stop_daemon(hosts, "oxgw02", service)
    drift(hosts, "oxgw02", MOUNT, START, WAIT)
    assert found(cluster, hosts) == [("NFS server down", "dbmaster")]


def test_unreachable_filestore_host_is_one_finding(guide: Guide) -> None:
    own_filestore(guide)
    cluster = guide.build()
    hosts = healthy(cluster)
    lose(hosts, "nas")
    for name in ("oxgw01", "oxgw02"):
        change_mount(hosts[name], answers=False)
        drift(hosts, name, MOUNT)
    assert found(cluster, hosts) == [("host unreachable", "nas")]


def test_unreachable_host_without_the_filestore_explains_no_mount(guide: Guide) -> None:
    own_filestore(guide)
    cluster = guide.build()
    hosts = healthy(cluster)
    lose(hosts, "dbmaster")
    change_mount(hosts["oxgw01"], answers=False)
    assert found(cluster, hosts) == [("master unreachable", "dbmaster"), ("mount stale", "oxgw01")]


def test_external_filestore_that_hangs_is_found_on_each_node(guide: Guide) -> None:
    external_filestore(guide)
    cluster = guide.build()
    hosts = healthy(cluster)
    lose(hosts, "dbmaster")
    for name in ("oxgw01", "oxgw02"):
        change_mount(hosts[name], answers=False)
    assert found(cluster, hosts) == [
        ("master unreachable", "dbmaster"),
        ("mount stale", "oxgw01"),
        ("mount stale", "oxgw02"),
    ]


def test_missing_mount_explains_the_daemons_of_its_node(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_mount(hosts["oxgw01"], mount=None)
    for service in (ADMIN, GROUPWARE):
        stop_daemon(hosts, "oxgw01", service)
    drift(hosts, "oxgw01", MOUNT, START, WAIT)
    drift(hosts, "oxgw02", WAIT)
    assert found(cluster, hosts) == [("mount missing", "oxgw01")]
    change_daemon(hosts["oxgw02"], ADMIN, active=False)
    assert found(cluster, hosts) == [("mount missing", "oxgw01"), ("admin daemon down", "oxgw02")]


def test_stale_mount_does_not_explain_a_daemon(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_mount(hosts["oxgw01"], answers=False)
    stop_daemon(hosts, "oxgw01", ADMIN)
    assert found(cluster, hosts) == [("mount stale", "oxgw01"), ("admin daemon down", "oxgw01")]


def test_both_daemons_down_do_not_make_a_node_alone(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_daemon(hosts, "oxgw01", ADMIN)
    stop_daemon(hosts, "oxgw01", GROUPWARE)
    assert found(cluster, hosts) == [("admin daemon down", "oxgw01"), ("groupware daemon down", "oxgw01")]


def test_daemon_down_explains_its_own_caches_only(guide: Guide) -> None:
    add_nodes(guide, 3)
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_daemon(hosts, "oxgw01", ADMIN)
    cut(hosts, "oxgw01", "oxgw03", SESSION_PORT)
    findings = find(cluster, list(hosts.values()))
    assert summary(findings) == [("admin daemon down", "oxgw01"), ("cache link missing", "oxgw01")]
    assert findings[1].found == "oxgw03 and this node have no connection between the caches session (port 58849)"


def test_down_daemon_explains_the_balancers_error_of_its_node_only(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_daemon(hosts, "oxgw01", GROUPWARE)
    fail_member(hosts, "oxgw02")
    findings = find(cluster, list(hosts.values()))
    assert summary(findings) == [("groupware daemon down", "oxgw01"), ("balancer member in error", "web")]
    assert findings[1].found.startswith("oxgw02 ")


def test_down_admin_daemon_does_not_explain_the_balancers_error(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_daemon(hosts, "oxgw01", ADMIN)
    fail_member(hosts, "oxgw01")
    assert found(cluster, hosts) == [("admin daemon down", "oxgw01"), ("balancer member in error", "web")]


def test_unreachable_node_is_one_finding(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    lose(hosts, "oxgw02")
    fail_member(hosts, "oxgw02")
    drift(hosts, "oxgw01", WAIT)
    assert found(cluster, hosts) == [("host unreachable", "oxgw02")]


def test_node_alone_among_many_is_one_finding(guide: Guide) -> None:
    many_nodes(guide)
    cluster = guide.build()
    hosts = healthy(cluster)
    disconnect(hosts, "oxgw07")
    for node in cluster.groupware:
        drift(hosts, node.name, WAIT)
    finding = only_finding(cluster, hosts)
    assert (finding.state, finding.host) == ("node alone", "oxgw07")
    assert "with any of the 19 other nodes" in finding.found


def test_each_node_that_is_alone_is_named(guide: Guide) -> None:
    add_nodes(guide, 3)
    cluster = guide.build()
    hosts = healthy(cluster)
    disconnect(hosts, "oxgw01")
    disconnect(hosts, "oxgw02")
    assert found(cluster, hosts) == [("node alone", "oxgw01"), ("node alone", "oxgw02"), ("node alone", "oxgw03")]


def test_missing_links_are_named_once_for_each_pair(guide: Guide) -> None:
    add_nodes(guide, 4)
    cluster = guide.build()
    hosts = healthy(cluster)
    cut(hosts, "oxgw04", "oxgw01")
    cut(hosts, "oxgw03", "oxgw02", ADMIN_PORT)
    findings = find(cluster, list(hosts.values()))
    assert [(finding.host, finding.found.split()[0]) for finding in findings] == [
        ("oxgw01", "oxgw04"),
        ("oxgw02", "oxgw03"),
    ]


def test_missing_route_explains_a_node_alone_and_is_as_bad(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_route(hosts["oxgw02"])
    cut(hosts, "oxgw01", "oxgw02")
    drift(hosts, "oxgw01", WAIT)
    drift(hosts, "oxgw02", ROUTE, WAIT)
    finding = only_finding(cluster, hosts)
    assert (finding.state, finding.level, finding.host) == ("multicast route missing", CRITICAL, "oxgw02")


def test_missing_route_explains_no_link_of_other_nodes(guide: Guide) -> None:
    add_nodes(guide, 3)
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_route(hosts["oxgw03"])
    cut(hosts, "oxgw01", "oxgw02", ADMIN_PORT)
    cut(hosts, "oxgw01", "oxgw03", ADMIN_PORT)
    findings = find(cluster, list(hosts.values()))
    assert summary(findings) == [("cache link missing", "oxgw01"), ("multicast route missing", "oxgw03")]
    assert findings[0].found.startswith("oxgw02 ")
    assert findings[1].level is WARNING
