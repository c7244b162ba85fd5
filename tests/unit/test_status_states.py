"""The named states: each broken thing is reported as itself, and as nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ox_deploy.facts.health import Disk
from ox_deploy.facts.mysql import Difference, Gtid, MysqlStatus, ServerState
from ox_deploy.facts.nfs import Mount
from ox_deploy.facts.openxchange import Configuration
from ox_deploy.findings import Level
from ox_deploy.status.states.base import State
from ox_deploy.status.states.find import find, states_of
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.situations import Situation
from ox_deploy.topologies.master_slaves.topology import MASTER_SLAVES
from tests.unit.guide import Guide
from tests.unit.seeing import (
    ACCOUNTS,
    ADMIN,
    ADMIN_PORT,
    GB,
    GROUPWARE,
    NOW,
    REPLICATE,
    ROLES,
    SERVER,
    SESSION_PORT,
    Break,
    SeenHosts,
    certificate,
    change_daemon,
    change_health,
    change_member,
    change_mount,
    change_registration,
    change_replica,
    change_server,
    cut,
    drift,
    drop_member,
    external_filestore,
    filestore_on_a_node,
    found,
    healthy,
    lose,
    lose_route,
    many_nodes,
    many_webs,
    never_set_up_slave,
    no_slave,
    one_host,
    one_node,
    only_finding,
    own_filestore,
    replica,
    start_run,
    stop_daemon,
    stop_route,
    stop_unit,
    summary,
)

# --- all is well -----------------------------------------------------------------------------------------


def _as_it_is(_: Guide) -> None:
    pass


@pytest.mark.parametrize(
    "shape",
    [
        _as_it_is,
        many_nodes,
        no_slave,
        external_filestore,
        own_filestore,
        many_webs,
        filestore_on_a_node,
        one_node,
        one_host,
    ],
)
def test_nothing_is_found_where_all_is_well(guide: Guide, shape: Callable[[Guide], None]) -> None:
    shape(guide)
    cluster = guide.build()
    assert find(cluster, list(healthy(cluster).values())) == []


# --- one thing is broken ---------------------------------------------------------------------------------


def _wrong_route(hosts: SeenHosts) -> None:
    change_member(hosts["web"], 0, route="OX-9")


def _disks(hosts: SeenHosts, name: str, *disks: tuple[str, int, int]) -> None:
    change_health(hosts[name], disks=[Disk(path=path, size=size * GB, free=free * GB) for path, size, free in disks])


def _clock(hosts: SeenHosts, name: str, seconds: float) -> None:
    change_health(hosts[name], time=NOW.timestamp() + seconds)


def _certificate(hosts: SeenHosts, days: float) -> None:
    change_health(hosts["web"], certificate=certificate(timedelta(days=days)))


def _early(hosts: SeenHosts) -> None:
    """The certificate begins in 26 hours."""
    change_health(hosts["web"], certificate=certificate(timedelta(days=100), timedelta(hours=26)))


def _loose_errant(hosts: SeenHosts) -> None:
    change_server(hosts["dbslave"], gtid_state="0-1-345,0-2-346")


def _stopped_errant(hosts: SeenHosts) -> None:
    _loose_errant(hosts)
    change_replica(hosts["dbslave"], io_running="No", sql_running="No", seconds_behind=None)


def _old_errant(hosts: SeenHosts) -> None:
    """Both know transactions of the replica's time as a master, the replica knows more of them."""
    change_server(hosts["dbmaster"], gtid_state="0-1-345,0-2-7")
    change_server(hosts["dbslave"], gtid_state="0-1-345,0-2-9")


def _unknown_log(hosts: SeenHosts) -> None:
    change_server(hosts["dbmaster"], gtid_state="", binary_log=None)
    _loose_errant(hosts)


def _without_accounts() -> MysqlStatus:
    return MysqlStatus(state=ServerState.NO_ACCOUNTS, error="/etc/my.cnf:2 sets it")


def _difference(name: str, value: str, wanted: str, overruled: bool) -> Difference:
    return Difference(
        name=name, value=value, wanted=wanted, file="/etc/ours.cnf", why="restart the server", overruled=overruled
    )


def _other_settings(hosts: SeenHosts) -> None:
    """The server id of the master, since nobody reads our file."""
    differs = _difference("server_id", "1", "2", overruled=True)
    change_server(hosts["dbslave"], variables={"server_id": "1", "read_only": "ON"}, differences=[differs])
    drift(hosts, "dbslave", SERVER, sentence="this server does not do what our file says")


def _demand_encryption(hosts: SeenHosts) -> None:
    variables = {"server_id": "1", "read_only": "OFF", "require_secure_transport": "ON"}
    change_server(hosts["dbmaster"], variables=variables)
    drift(hosts, "web", ROLES, sentence="dbmaster takes encrypted connections only")


def _connection(hosts: SeenHosts, **other: Any) -> Replica:
    status = hosts["dbslave"].mysql
    assert status and status.replica
    return status.replica.model_copy(update=other)


def _back(hosts: SeenHosts) -> Replica:
    return _connection(hosts, host=hosts["dbslave"].node.address)


def _name_connection(hosts: SeenHosts, **other: str) -> None:
    named = _connection(hosts, name="prod", **other)
    change_server(hosts["dbslave"], replica=None, named=[named], gtid=Gtid(slave="0-1-345", binlog="0-1-345"))


def _twin(hosts: SeenHosts) -> None:
    """Another server reads from the master under the replica's id, which drives the replica out."""
    change_server(hosts["dbmaster"], slaves={"2": "192.0.2.29"})
    change_replica(hosts["dbslave"], io_running="No", io_error="1236")


def _not_installed(hosts: SeenHosts) -> None:
    hosts["oxgw01"].configuration = Configuration(installed=False)
    change_registration(hosts, "no access", "No such file or directory")


def _drifted(hosts: SeenHosts) -> None:
    drift(hosts, "dbslave", ACCOUNTS)
    drift(hosts, "dbslave", REPLICATE, sentence="it replicates from another master")


WARNING, CRITICAL = Level.WARNING, Level.CRITICAL
BROKEN: list[tuple[str, Level, str, str, Break]] = [
    ("host unreachable", CRITICAL, "web", "no answer within 8 seconds", lambda p: lose(p, "web")),
    ("host unreachable", CRITICAL, "oxgw02", "no answer within 8 seconds", lambda p: lose(p, "oxgw02")),
    ("host unreachable", CRITICAL, "dbslave", "no answer within 8 seconds", lambda p: lose(p, "dbslave")),
    ("host unreachable", CRITICAL, "web", "it was not asked", lambda p: p.pop("web")),
    ("master unreachable", CRITICAL, "dbmaster", "no answer within 8 seconds", lambda p: lose(p, "dbmaster")),
    (
        "master unreachable",
        CRITICAL,
        "dbmaster",
        "not running (Can't connect)",
        lambda p: setattr(p["dbmaster"], "mysql", MysqlStatus(state=ServerState.NOT_RUNNING, error="Can't connect")),
    ),
    (
        "master unreachable",
        CRITICAL,
        "dbmaster",
        "could not be asked",
        lambda p: setattr(p["dbmaster"], "mysql", None),
    ),
    (
        "master switched",
        CRITICAL,
        "dbslave",
        "it has taken over from dbmaster and is read-only",
        lambda p: change_server(p["dbslave"], taken_from="dbmaster"),
    ),
    (
        "master read-only",
        CRITICAL,
        "dbmaster",
        "read_only is ON",
        lambda p: change_server(p["dbmaster"], variables={"server_id": "1", "read_only": "ON"}),
    ),
    (
        "master read-only",
        CRITICAL,
        "dbmaster",
        "read_only is unknown",
        lambda p: change_server(p["dbmaster"], variables={"server_id": "1"}),
    ),
    (
        "database server down",
        CRITICAL,
        "dbslave",
        "does not let root log in (Access denied)",
        lambda p: setattr(p["dbslave"], "mysql", MysqlStatus(state=ServerState.NO_RIGHTS, error="Access denied")),
    ),
    ("database server down", CRITICAL, "dbslave", "could not be asked", lambda p: setattr(p["dbslave"], "mysql", None)),
    (
        "replica of another master",
        CRITICAL,
        "dbslave",
        "it replicates from another master (192.0.2.99:3306)",
        lambda p: change_replica(p["dbslave"], host="192.0.2.99"),
    ),
    (
        "replica of another master",
        CRITICAL,
        "dbslave",
        "it replicates from another master (192.0.2.21:3307)",
        lambda p: change_replica(p["dbslave"], port=3307),
    ),
    (
        "replica stopped",
        CRITICAL,
        "dbslave",
        "it stopped with an error (Slave_SQL_Running is No: Duplicate entry)",
        lambda p: change_replica(p["dbslave"], sql_running="No", sql_error="Duplicate entry", seconds_behind=None),
    ),
    (
        "replica stopped",
        CRITICAL,
        "dbslave",
        "still has all that it lacks (Slave_IO_Running is No)",
        lambda p: change_replica(p["dbslave"], io_running="No", seconds_behind=None),
    ),
    (
        "replica stopped",
        CRITICAL,
        "dbslave",
        "(Slave_IO_Running is Connecting: error connecting)",
        lambda p: change_replica(p["dbslave"], io_running="Connecting", io_error="error connecting"),
    ),
    ("replica not set up", CRITICAL, "dbslave", "it is empty and the master's binary log holds", never_set_up_slave),
    (
        "replica not set up",
        CRITICAL,
        "dbslave",
        "it has databases of its own but does not replicate (wiki)",
        lambda p: change_server(p["dbslave"], replica=None, databases=["wiki"]),
    ),
    (
        "replica login differs",
        WARNING,
        "dbslave",
        "it logs in to the master with a different password",
        lambda p: change_replica(p["dbslave"], user="repl"),
    ),
    (
        "replica login differs",
        CRITICAL,
        "dbslave",
        "it logs in to the master with a different password",
        lambda p: change_replica(p["dbslave"], user="repl", io_running="No", io_error="1045"),
    ),
    (
        "replica of another master",
        CRITICAL,
        "dbslave",
        "it replicates from another master (192.0.2.99:3306)",
        lambda p: change_replica(p["dbslave"], host="192.0.2.99", io_running="Connecting", seconds_behind=None),
    ),
    (
        "duplicate server id",
        CRITICAL,
        "dbslave",
        "it has the server id of its master",
        lambda p: change_server(p["dbslave"], variables={"server_id": "1", "read_only": "ON"}),
    ),
    (
        "duplicate server id",
        CRITICAL,
        "dbslave",
        "it has the server id of another replica (2, under which 192.0.2.29 reads)",
        _twin,
    ),
    ("no binary log", CRITICAL, "dbslave", "it has a master that writes no binary log", _unknown_log),
    (
        "replica half seeded",
        CRITICAL,
        "dbslave",
        "it is half seeded",
        lambda p: change_server(p["dbslave"], seeding=True),
    ),
    (
        "replica half seeded",
        CRITICAL,
        "dbslave",
        "it is half seeded",
        lambda p: setattr(p["dbslave"], "mysql", MysqlStatus(state=ServerState.NOT_RUNNING, seeding=True)),
    ),
    (
        "server without accounts",
        CRITICAL,
        "dbslave",
        "its database server runs with `skip_grant_tables`, so everybody may do everything (/etc/my.cnf:2 sets it)",
        lambda p: setattr(p["dbslave"], "mysql", _without_accounts()),
    ),
    (
        "server without accounts",
        CRITICAL,
        "dbmaster",
        "its database server runs with `skip_grant_tables`, so everybody may do everything (/etc/my.cnf:2 sets it)",
        lambda p: setattr(p["dbmaster"], "mysql", _without_accounts()),
    ),
    (
        "server setting differs",
        CRITICAL,
        "dbslave",
        "it says that `server_id` is 1, but /etc/ours.cnf says 2",
        _other_settings,
    ),
    (
        "server setting differs",
        WARNING,
        "dbmaster",
        "it says that `sync_binlog` is 0, but /etc/ours.cnf says 1",
        lambda p: change_server(p["dbmaster"], differences=[_difference("sync_binlog", "0", "1", overruled=False)]),
    ),
    (
        "encryption demanded",
        CRITICAL,
        "dbmaster",
        "it takes encrypted connections only (`require_secure_transport` is ON), while `replication_tls` is off",
        _demand_encryption,
    ),
    (
        "replication filtered",
        CRITICAL,
        "dbslave",
        "it does not get all that its master writes (dbmaster: `binlog_do_db` is configdb, set in /etc/my.cnf:3)",
        lambda p: change_server(
            p["dbmaster"], filters={"binlog_do_db": "configdb"}, set_in={"binlog_do_db": "/etc/my.cnf:3"}
        ),
    ),
    (
        "named connection",
        CRITICAL,
        "dbslave",
        "it replicates from its master by a named connection that cannot be made the default one yet (prod: ",
        lambda p: _name_connection(p, sql_running="No", sql_error="Duplicate entry"),
    ),
    (
        "named connection",
        WARNING,
        "dbslave",
        "it replicates from its master by a named connection (prod)",
        _name_connection,
    ),
    (
        "replication ring",
        CRITICAL,
        "dbslave",
        "it and its master replicate from each other",
        lambda p: change_server(p["dbmaster"], replica=_back(p)),
    ),
    (
        "replica of several masters",
        WARNING,
        "dbslave",
        "it replicates from other masters, too (192.0.2.99:3306)",
        lambda p: change_server(p["dbslave"], named=[_connection(p, name="wiki", host="192.0.2.99")]),
    ),
    (
        "replica delayed",
        WARNING,
        "dbslave",
        "it applies changes with a deliberate delay (by 3600 s)",
        lambda p: change_replica(p["dbslave"], delay=3600, seconds_behind=3600),
    ),
    (
        "replica lagging",
        WARNING,
        "dbslave",
        "it is too far behind its master (61 s, more than 60 s)",
        lambda p: change_replica(p["dbslave"], seconds_behind=61),
    ),
    (
        "replica writable",
        CRITICAL,
        "dbslave",
        "read_only is OFF",
        lambda p: change_server(p["dbslave"], variables={"server_id": "2", "read_only": "OFF"}),
    ),
    ("errant transactions", WARNING, "dbslave", "up to 0-2-346", _loose_errant),
    ("errant transactions", WARNING, "dbslave", "after 0-2-7 up to 0-2-9", _old_errant),
    ("errant transactions", CRITICAL, "dbslave", "up to 0-2-346", _stopped_errant),
    (
        "configdb not reachable",
        CRITICAL,
        "oxgw01",
        "cannot be asked with this node's configuration (Access denied for user 'openexchange'@'192.0.2.11')",
        lambda p: change_registration(p, "no access", "Access denied for user 'openexchange'@'192.0.2.11'"),
    ),
    (
        "configdb damaged",
        CRITICAL,
        "oxgw01",
        "configdb on dbmaster lacks the tables db_pool, server, but holds registrations",
        lambda p: change_registration(p, "damaged", "db_pool, server"),
    ),
    (
        "mount missing",
        CRITICAL,
        "oxgw01",
        "nothing is mounted at /var/opt/filestore",
        lambda p: change_mount(p["oxgw01"], mount=None, answers=True),
    ),
    ("mount missing", CRITICAL, "oxgw01", "nothing is mounted", lambda p: setattr(p["oxgw01"], "mount", None)),
    (
        "mount missing",
        CRITICAL,
        "oxgw01",
        "192.0.2.99:/other is mounted at /var/opt/filestore",
        lambda p: change_mount(p["oxgw01"], mount=Mount("192.0.2.99:/other", "nfs4"), answers=False),
    ),
    (
        "mount stale",
        CRITICAL,
        "oxgw02",
        "192.0.2.21:/var/opt/filestore is mounted at /var/opt/filestore, but does not answer",
        lambda p: change_mount(p["oxgw02"], answers=False),
    ),
    (
        "NFS server down",
        CRITICAL,
        "dbmaster",
        "nfs-server is not active",
        lambda p: stop_unit(p["dbmaster"], "nfs"),
    ),
    ("NFS server down", CRITICAL, "dbmaster", "nothing is known", lambda p: p["dbmaster"].services.pop("nfs")),
    ("balancer down", CRITICAL, "web", "apache2 is not active", lambda p: stop_unit(p["web"], "apache2")),
    (
        "balancer down",
        CRITICAL,
        "web",
        "could not be asked (403 Forbidden)",
        lambda p: change_health(p["web"], members=None, balancer_error="403 Forbidden"),
    ),
    ("balancer down", CRITICAL, "web", "could not be asked", lambda p: setattr(p["web"], "health", None)),
    (
        "balancer member disabled",
        WARNING,
        "web",
        "oxgw02 (route OX-2) is disabled",
        lambda p: change_member(p["web"], 1, disabled=True),
    ),
    (
        "balancer member in error",
        CRITICAL,
        "web",
        "oxgw01 (route OX-1, ajp://192.0.2.11:8009) is in error",
        lambda p: change_member(p["web"], 0, error=True),
    ),
    ("balancer member missing", CRITICAL, "web", "oxgw02 (route OX-2, 192.0.2.12) is not among", drop_member),
    ("balancer member missing", CRITICAL, "web", "oxgw01 (route OX-1, 192.0.2.11) is not among", _wrong_route),
    ("node alone", CRITICAL, "oxgw01", "is connected with oxgw02", lambda p: cut(p, "oxgw01", "oxgw02")),
    (
        "cache link missing",
        WARNING,
        "oxgw01",
        "oxgw02 and this node have no connection between the caches session (port 58849)",
        lambda p: cut(p, "oxgw02", "oxgw01", SESSION_PORT),
    ),
    (
        "cache link missing",
        WARNING,
        "oxgw01",
        "admin (port 57461)",
        lambda p: vars(p["oxgw02"])["caches"]["192.0.2.11"].remove(ADMIN_PORT),
    ),
    (
        "multicast route missing",
        WARNING,
        "oxgw02",
        "ox-multicast-route.service is not active",
        lambda p: stop_route(p["oxgw02"]),
    ),
    (
        "multicast route missing",
        WARNING,
        "oxgw02",
        "the kernel has no such route",
        lambda p: lose_route(p["oxgw02"]),
    ),
    (
        "admin daemon down",
        CRITICAL,
        "oxgw01",
        "open-xchange-admin is not active",
        lambda p: stop_daemon(p, "oxgw01", ADMIN),
    ),
    (
        "admin daemon down",
        CRITICAL,
        "oxgw01",
        "open-xchange-admin is active, but does not listen on port 1099",
        lambda p: change_daemon(p["oxgw01"], ADMIN, listening=False),
    ),
    (
        "groupware daemon down",
        CRITICAL,
        "oxgw02",
        "open-xchange-groupware is not active",
        lambda p: stop_daemon(p, "oxgw02", GROUPWARE),
    ),
    (
        "groupware daemon down",
        CRITICAL,
        "oxgw02",
        "open-xchange-groupware is active, but does not listen on port 8009",
        lambda p: change_daemon(p["oxgw02"], GROUPWARE, listening=False),
    ),
    ("certificate expiring", WARNING, "web", "it expires on 2026-06-21, in 20 days", lambda p: _certificate(p, 20.2)),
    ("certificate expiring", WARNING, "web", "in 3 days", lambda p: _certificate(p, 3)),
    ("certificate expiring", CRITICAL, "web", "in 2 days", lambda p: _certificate(p, 2.9)),
    ("certificate not yet valid", CRITICAL, "web", "it is not valid before 2026-06-", _early),
    ("certificate expiring", CRITICAL, "web", "it expired on 2026-05-22", lambda p: _certificate(p, -10)),
    (
        "site not served",
        CRITICAL,
        "web",
        "does not show the certificate",
        lambda p: change_health(p["web"], site_error="https://192.0.2.10:443/ does not show the certificate in /c"),
    ),
    (
        "certificate unreadable",
        WARNING,
        "web",
        "there is no certificate",
        lambda p: change_health(p["web"], certificate=None),
    ),
    (
        "certificate unreadable",
        WARNING,
        "web",
        "not a certificate in PEM format",
        lambda p: change_health(p["web"], certificate="-----BEGIN"),
    ),
    ("disk nearly full", WARNING, "web", "85 % of 100 GB is used", lambda p: _disks(p, "web", ("/", 100, 15))),
    ("disk nearly full", WARNING, "web", "94 % of 100 GB is used", lambda p: _disks(p, "web", ("/", 100, 6))),
    ("disk nearly full", CRITICAL, "web", "95 % of 100 GB is used", lambda p: _disks(p, "web", ("/", 100, 5))),
    (
        "disk nearly full",
        CRITICAL,
        "dbmaster",
        "100 % of 40 GB is used on the file system of /, /var/lib/mysql",
        lambda p: _disks(p, "dbmaster", ("/", 40, 0), ("/var/lib/mysql", 40, 0), ("/var/opt/filestore", 100, 50)),
    ),
    ("clock differs", WARNING, "oxgw01", "its clock is 6 s ahead of", lambda p: _clock(p, "oxgw01", 6)),
    ("clock differs", WARNING, "oxgw01", "its clock is 3600 s behind", lambda p: _clock(p, "oxgw01", -3600)),
    (
        "configuration drifted",
        WARNING,
        "dbslave",
        "in: Make the accounts of the replicas and of Open-Xchange; Replicate from the master (it replicates from "
        "another master)",
        _drifted,
    ),
    (
        "run at work",
        Level.FINE,
        "web",
        "a run is at work: deploy of web, by anna on control (process 4711), since 2026-06-01 12:00:00 UTC",
        lambda p: start_run(p, "deploy of web"),
    ),
    (
        "master being switched",
        Level.FINE,
        "web",
        "a run is at work: switchover to dbslave, by anna on control (process 4711), since 2026-06-01 12:00:00 UTC",
        lambda p: start_run(p, "switchover to dbslave"),
    ),
]


@pytest.mark.parametrize(
    ("state", "level", "host", "text", "broken"), BROKEN, ids=[f"{case[0]}-{case[3][:30]}" for case in BROKEN]
)
def test_what_is_broken_is_reported_as_itself(
    guide: Guide, state: str, level: Level, host: str, text: str, broken: Break
) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    broken(hosts)
    finding = only_finding(cluster, hosts)
    assert (finding.state, finding.level, finding.host) == (state, level, host)
    assert text in finding.found
    assert finding.wanted and finding.remedy


STATES = states_of(MASTER_SLAVES)


def test_every_state_is_tried_here() -> None:
    assert {case[0] for case in BROKEN} == {state.name for state in STATES}


def test_every_state_has_its_own_name_and_no_remedy_is_a_sentence() -> None:
    assert len({state.name for state in STATES}) == len(STATES)
    assert not any(state.remedy.endswith(".") for state in STATES if isinstance(state, State))
    assert not any(situation.remedy.endswith(".") for situation in Situation)


FINE: list[tuple[str, Break]] = [
    ("a lag of a minute", lambda p: change_replica(p["dbslave"], seconds_behind=60)),
    ("a replica that connects", lambda p: change_replica(p["dbslave"], io_running="Connecting", seconds_behind=None)),
    ("a disk with some room", lambda p: _disks(p, "web", ("/", 1000, 151))),
    ("a disk without a size", lambda p: _disks(p, "web", ("/", 0, 0))),
    ("three weeks of a certificate", lambda p: _certificate(p, 21)),
    ("five seconds", lambda p: _clock(p, "web", 5)),
    ("a clock that was not asked", lambda p: _clock(p, "web", -NOW.timestamp())),
    ("the master's newest", lambda p: change_server(p["dbslave"], gtid_state="0-1-999")),
    ("a node without Open-Xchange", _not_installed),
    ("a configdb that is yet to be created", lambda p: change_registration(p, "absent")),
    ("a configdb whose creation was interrupted", lambda p: change_registration(p, "incomplete", "server")),
    ("a configdb that was not asked", lambda p: setattr(p["oxgw01"], "registration", None)),
    ("a daemon with changed files", lambda p: change_daemon(p["oxgw01"], ADMIN, pending=True)),
]


@pytest.mark.parametrize("change", [change for _, change in FINE], ids=[name for name, _ in FINE])
def test_what_is_near_a_limit_is_fine(guide: Guide, change: Break) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change(hosts)
    assert found(cluster, hosts) == []


def test_the_worst_comes_first_then_by_host(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_replica(hosts["dbslave"], seconds_behind=100)
    stop_unit(hosts["web"], "apache2")
    change_mount(hosts["oxgw02"], answers=False)
    drift(hosts, "dbmaster", ACCOUNTS)
    assert found(cluster, hosts) == [
        ("mount stale", "oxgw02"),
        ("balancer down", "web"),
        ("configuration drifted", "dbmaster"),
        ("replica lagging", "dbslave"),
    ]


def test_two_full_file_systems_are_two_findings(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    _disks(hosts, "dbmaster", ("/", 40, 1), ("/var/lib/mysql", 80, 9))
    findings = find(cluster, list(hosts.values()))
    assert [(finding.level, finding.about, finding.found) for finding in findings] == [
        (CRITICAL, "/", "97 % of 40 GB is used on the file system of /"),
        (WARNING, "/var/lib/mysql", "88 % of 80 GB is used on the file system of /var/lib/mysql"),
    ]


def test_findings_of_one_state_on_one_host_say_what_they_are_about(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_member(hosts["web"], 0, disabled=True)
    change_member(hosts["web"], 1, disabled=True)
    findings = find(cluster, list(hosts.values()))
    assert [finding.about for finding in findings] == ["oxgw01", "oxgw02"]


def test_first_certificate_of_a_chain_counts(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    chain = certificate(timedelta(days=10)) + certificate(timedelta(days=1000))
    change_health(hosts["web"], certificate=chain)
    assert "in 10 days" in only_finding(cluster, hosts).found


def test_both_threads_of_a_slave_are_named(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_replica(hosts["dbslave"], io_running="No", io_error="no such log", sql_running="No", sql_error="bad row")
    assert only_finding(cluster, hosts).found == (
        "it stopped with an error (Slave_IO_Running is No: no such log; Slave_SQL_Running is No: bad row)"
    )


def test_other_origins_are_named_too(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbslave"], gtid_state="0-1-345,7-9-4")
    assert "up to 7-9-4" in only_finding(cluster, hosts).found


def test_what_the_master_replicates_itself_may_have_come_after_it_was_asked(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbmaster"], gtid_state="0-1-345,7-9-4", replica=replica(cluster))
    change_server(hosts["dbslave"], gtid_state="0-1-350,7-9-5")
    assert found(cluster, hosts) == []
    change_server(hosts["dbslave"], gtid_state="0-1-350,7-9-5,0-2-346")
    assert "does not have (up to 0-2-346)" in only_finding(cluster, hosts).found


def test_master_that_stopped_replicating_gets_nothing_from_elsewhere(guide: Guide) -> None:
    """What a former master wrote last may have come to the replica, and never to the new master."""
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbmaster"], gtid_state="0-1-345,0-9-4", replica=replica(cluster))
    change_replica(hosts["dbmaster"], sql_running="No")
    change_server(hosts["dbslave"], gtid_state="0-1-345,0-9-5")
    assert "after 0-9-4 up to 0-9-5" in only_finding(cluster, hosts).found


def test_findings_of_configdb_are_about_the_master_and_say_what_should_reach_it(guide: Guide) -> None:
    guide.set(mysql_port=3307)
    cluster = guide.build()
    hosts = healthy(cluster)
    change_replica(hosts["dbslave"], port=3307)
    change_registration(hosts, "no access", "Connection refused")
    finding = only_finding(cluster, hosts)
    assert finding.about == "dbmaster"
    assert finding.wanted == "its account reaches configdb on dbmaster (192.0.2.21:3307) from 192.0.2.11"
    change_registration(hosts, "damaged", "server")
    assert only_finding(cluster, hosts).about == "dbmaster"


def test_slave_reads_from_the_port_of_the_inventory(guide: Guide) -> None:
    guide.set(mysql_port=3307)
    cluster = guide.build()
    hosts = healthy(cluster)
    assert only_finding(cluster, hosts).wanted == "it replicates from dbmaster (192.0.2.21:3307)"
    change_replica(hosts["dbslave"], port=3307)
    assert found(cluster, hosts) == []


# --- other clusters --------------------------------------------------------------------------------------


def test_each_web_host_has_its_own_findings(guide: Guide) -> None:
    many_webs(guide)
    cluster = guide.build()
    hosts = healthy(cluster)
    change_member(hosts["web2"], 0, disabled=True)
    stop_unit(hosts["web"], "apache2")
    assert found(cluster, hosts) == [("balancer down", "web"), ("balancer member disabled", "web2")]


def test_node_down_is_one_finding_with_several_web_hosts(guide: Guide) -> None:
    many_webs(guide)
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_daemon(hosts, "oxgw01", GROUPWARE)
    assert found(cluster, hosts) == [("groupware daemon down", "oxgw01")]


def test_each_slave_has_its_own_findings(guide: Guide) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    cluster = guide.build()
    hosts = healthy(cluster)
    change_replica(hosts["dbslave"], sql_running="No", sql_error="Duplicate entry")
    change_replica(hosts["dbslave2"], seconds_behind=90)
    assert found(cluster, hosts) == [("replica stopped", "dbslave"), ("replica lagging", "dbslave2")]


def test_cluster_without_slave_has_its_master_only(guide: Guide) -> None:
    no_slave(guide)
    cluster = guide.build()
    hosts = healthy(cluster)
    hosts["dbmaster"].mysql = MysqlStatus(state=ServerState.NOT_RUNNING)
    assert found(cluster, hosts) == [("master unreachable", "dbmaster")]


def test_host_that_is_node_and_filestore_mounts_nothing(guide: Guide) -> None:
    filestore_on_a_node(guide)
    cluster = guide.build()
    hosts = healthy(cluster)
    stop_unit(hosts["oxgw01"], "nfs")
    change_mount(hosts["oxgw02"], answers=False)
    assert found(cluster, hosts) == [("NFS server down", "oxgw01")]


def test_dead_cluster_says_so_of_every_host(guide: Guide) -> None:
    cluster = guide.build()
    assert summary(find(cluster, [])) == [
        ("master unreachable", "dbmaster"),
        ("host unreachable", "dbslave"),
        ("host unreachable", "oxgw01"),
        ("host unreachable", "oxgw02"),
        ("host unreachable", "web"),
    ]


DEPLOY_AT_WORK = "deploy, by anna on control (process 4711), since 2026-06-01 12:00:00 UTC"


def test_nobody_is_told_to_start_a_run_while_another_one_is_at_work(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbslave"], replica=None)
    _disks(hosts, "web", ("/", 100, 10))
    start_run(hosts, "deploy")
    drift(hosts, "oxgw01", SERVER)
    findings = {finding.state: finding for finding in find(cluster, list(hosts.values()))}
    assert findings["replica not set up"].remedy.startswith(
        f"wait until the run that is at work has ended ({DEPLOY_AT_WORK}); if this is so then: "
    )
    assert findings["disk nearly full"].remedy.startswith("make room there")
    # A deploy would only be refused.
    assert "configuration drifted" not in findings
    assert findings["run at work"].level == Level.WARNING


SWITCHING: list[Break] = [
    lambda p: change_server(p["dbslave"], replica=None, gtid=Gtid(slave="", binlog="0-1-345")),
    lambda p: change_server(p["dbmaster"], variables={"server_id": "1", "log_bin": "ON", "read_only": "ON"}),
    lambda p: change_server(p["dbslave"], variables={"server_id": "2", "log_bin": "ON", "read_only": "OFF"}),
    lambda p: change_replica(p["dbslave"], io_running="No", sql_running="No", seconds_behind=None),
    lambda p: change_replica(p["dbslave"], seconds_behind=100),
    _loose_errant,
    lambda p: drift(p, "dbmaster", SERVER),
]


@pytest.mark.parametrize("doing", ["switchover to dbslave", "failover to dbslave"])
@pytest.mark.parametrize("broken", SWITCHING)
def test_what_a_switch_explains_is_reported_as_the_switch(guide: Guide, doing: str, broken: Break) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    broken(hosts)
    before = only_finding(cluster, hosts)
    start_run(hosts, doing)
    finding = only_finding(cluster, hosts)
    assert (finding.state, finding.level) == ("master being switched", before.level)
    assert finding.remedy.startswith("wait until it has ended, then take the status again")


def test_run_that_does_not_switch_explains_no_broken_replica(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    change_server(hosts["dbslave"], replica=None)
    start_run(hosts, "verify")
    assert ("replica not set up", "dbslave") in found(cluster, hosts)


def test_run_is_known_by_any_host_that_answers(guide: Guide) -> None:
    cluster = guide.build()
    hosts = healthy(cluster)
    start_run(hosts, "failover to dbslave")
    lose(hosts, "web")
    assert ("master being switched", "oxgw01") in found(cluster, hosts)
