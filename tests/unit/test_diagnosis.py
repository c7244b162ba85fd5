"""One diagnosis of a replica: whoever finds a state has the same remedy for it, in the words of the server at hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pyinfra.api import OperationError

from ox_deploy.facts.mysql import BinaryLog, Gtid, Mysql, MysqlStatus, ServerState
from ox_deploy.facts.secret import Fingerprint
from ox_deploy.facts.service import Service, ServiceStatus
from ox_deploy.findings import Finding
from ox_deploy.mysql.servers import DATABASE_SERVERS
from ox_deploy.secrets import Secret
from ox_deploy.status.states.find import find
from ox_deploy.topologies.master_slaves import verify as databases
from ox_deploy.topologies.master_slaves.diagnosis import Diagnosis, additional, diagnose
from ox_deploy.topologies.master_slaves.facts.canary import Canary, CanaryTrial
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.facts.seed import Survey
from ox_deploy.topologies.master_slaves.obstacles import Method, SeedPlan, Side
from ox_deploy.topologies.master_slaves.operations import replication, switchover
from ox_deploy.topologies.master_slaves.operations import seed as seeding
from ox_deploy.topologies.master_slaves.seed_rules import refusal
from ox_deploy.topologies.master_slaves.situations import ADDITIONAL, DEPLOY_WHICH, FIXED_BY_DEPLOY, Situation
from ox_deploy.topologies.master_slaves.source import Source
from ox_deploy.topologies.master_slaves.switch_rules import Server
from tests.unit.fakes import FakeHost, both_phases, in_phase, stop_sentence
from tests.unit.guide import Guide
from tests.unit.programs import MARIADB
from tests.unit.seeing import healthy
from tests.unit.verifying import finding, note

Kind = Literal["mariadb", "mysql"]
VERSIONS: dict[Kind, str] = {"mariadb": MARIADB, "mysql": "9.7.4-2"}
PASSWORD = Secret("Zc4qLw8mPn2rTx6v")
SOURCE = Source("dbmaster", "192.0.2.21", 3306, "replication", PASSWORD)
ADDRESS, SIBLING, OTHER = "192.0.2.22", "192.0.2.23", "192.0.2.99"
UUIDS = {number: f"3e11fa47-71ca-11e1-9e33-c80aa942956{number}" for number in (1, 2, 3)}


def gtids(kind: Kind, *last: tuple[int, int]) -> str:
    """Return the transactions of some servers, up to a number each."""
    shown = [f"0-{server}-{number}" if kind == "mariadb" else f"{UUIDS[server]}:1-{number}" for server, number in last]
    return ",".join(shown)


def server(kind: Kind, number: int, had: str, **other: Any) -> MysqlStatus:
    variables = {"server_id": str(number), "read_only": "OFF" if number == 1 else "ON", "log_slave_updates": "ON"}
    if kind == "mysql":
        variables |= {"server_uuid": UUIDS[number], "gtid_mode": "ON"}
    variables |= other.pop("variables", {})
    values: dict[str, Any] = {
        "state": ServerState.RUNNING,
        "version": VERSIONS[kind],
        "databases": ["configdb"],
        "binary_log": BinaryLog(file="log.000003", position=342, first_file="log.000001", complete=True),
        "gtid_state": had,
        "gtid": Gtid(binlog=had, slave=had if kind == "mariadb" and "replica" in other else ""),
    }
    return MysqlStatus(**values | {"variables": variables} | other)


def master(kind: Kind, **other: Any) -> MysqlStatus:
    return server(kind, 1, gtids(kind, (1, 345)), **other)


def reading(**other: Any) -> Replica:
    values: dict[str, Any] = {
        "host": SOURCE.address,
        "port": SOURCE.port,
        "user": SOURCE.user,
        "io_running": "Yes",
        "sql_running": "Yes",
        "io_error": "",
        "sql_error": "",
        "file": "log.000003",
        "position": 342,
        "password": None,
        "seconds_behind": 0,
        "using_gtid": True,
    }
    return Replica(**values | other)


def slave(kind: Kind, replica: Replica | None = None, had: str | None = None, **other: Any) -> MysqlStatus:
    return server(kind, 2, gtids(kind, (1, 345)) if had is None else had, replica=replica, **other)


STOPPED = {"io_running": "No", "sql_running": "No", "seconds_behind": None}
LATER = BinaryLog(file="log.000003", position=342, first_file="log.000002", complete=False)
Make = Callable[[Kind], tuple[MysqlStatus, MysqlStatus]]
STATES: dict[Situation, Make] = {
    Situation.FRESH: lambda kind: (slave(kind, had="", databases=[]), master(kind)),
    Situation.FRESH_PAIR: lambda kind: (
        slave(kind, had="", databases=[]),
        master(kind, binary_log=LATER, databases=[]),
    ),
    Situation.FORMER_MASTER: lambda kind: (
        slave(kind, had=gtids(kind, (2, 300))),
        server(kind, 1, gtids(kind, (2, 300), (1, 345))),
    ),
    Situation.NEEDS_SEED: lambda kind: (slave(kind, had="", databases=[]), master(kind, binary_log=LATER)),
    Situation.DIVERGED: lambda kind: (
        slave(kind, had=gtids(kind, (2, 301))),
        server(kind, 1, gtids(kind, (2, 300), (1, 345))),
    ),
    Situation.HAS_DATA: lambda kind: (slave(kind, had="", databases=["wiki"]), master(kind)),
    Situation.CAN_CATCH_UP: lambda kind: (slave(kind, reading(**STOPPED)), master(kind)),
    Situation.BROKEN: lambda kind: (slave(kind, reading(sql_running="No", sql_error="Duplicate")), master(kind)),
    Situation.PURGED: lambda kind: (
        slave(kind, reading(io_running="No", io_error="the source purged required binary logs")),
        master(kind),
    ),
    Situation.UNKNOWN: lambda kind: (slave(kind, reading(io_running="Dreaming")), master(kind)),
    Situation.OTHER_PASSWORD: lambda kind: (
        slave(kind, reading(password=Fingerprint(salt="ab", digest="old"))),
        master(kind),
    ),
    Situation.ERRANT: lambda kind: (slave(kind, reading(), gtids(kind, (1, 345), (2, 346))), master(kind)),
    Situation.HALF_SEEDED: lambda kind: (slave(kind, seeding=True), master(kind)),
    Situation.MOVED: lambda kind: (slave(kind, reading(host=SIBLING)), master(kind)),
    Situation.OTHER_MASTER: lambda kind: (slave(kind, reading(host="192.0.2.99")), master(kind)),
    Situation.SAME_SERVER_ID: lambda kind: (slave(kind, variables={"server_id": "1"}), master(kind)),
    Situation.SAME_SERVER_UUID: lambda kind: (slave(kind, variables={"server_uuid": UUIDS[1]}), master(kind)),
    Situation.SAME_SERVER_ID_AS_SLAVE: lambda kind: (slave(kind), master(kind, slaves={"2": "192.0.2.29"})),
    Situation.NO_BINARY_LOG: lambda kind: (slave(kind), master(kind, binary_log=None)),
    Situation.FILTERED: lambda kind: (slave(kind, reading(), filters={"replicate_do_db": "configdb"}), master(kind)),
    Situation.NAMED: lambda kind: (slave(kind, named=[reading(name="prod")]), master(kind)),
    Situation.NAMED_STUCK: lambda kind: (
        slave(kind, named=[reading(name="prod", sql_running="No", sql_error="Duplicate")]),
        master(kind),
    ),
    Situation.RING: lambda kind: (slave(kind, reading()), master(kind, replica=reading(host=ADDRESS))),
    Situation.RING_TURNED: lambda kind: (
        slave(kind, reading(), variables={"read_only": "OFF"}),
        master(kind, replica=reading(host=ADDRESS), variables={"read_only": "ON"}),
    ),
    Situation.SEVERAL: lambda kind: (slave(kind, reading(), named=[reading(name="wiki", host=OTHER)]), master(kind)),
    Situation.DELAYED: lambda kind: (slave(kind, reading(delay=3600, seconds_behind=3600)), master(kind)),
    Situation.WRITABLE: lambda kind: (slave(kind, reading(), variables={"read_only": "OFF"}), master(kind)),
    Situation.LAGGING: lambda kind: (slave(kind, reading(seconds_behind=99)), master(kind)),
}
DOWN = MysqlStatus(state=ServerState.NOT_RUNNING)
WITHOUT_MASTER: dict[Situation, Make] = {
    Situation.NOT_SET_UP: lambda kind: (slave(kind), DOWN),
    Situation.STOPPED: lambda kind: (slave(kind, reading(**STOPPED)), DOWN),
}
# MariaDB has none.
CASES = [
    (kind, situation)
    for kind in VERSIONS
    for situation in STATES
    if (kind, situation) != ("mariadb", Situation.SAME_SERVER_UUID)
]
parametrized = pytest.mark.parametrize(("kind", "situation"), CASES, ids=[f"{kind}-{at.name}" for kind, at in CASES])


def test_every_state_is_in_the_table() -> None:
    assert STATES.keys() | WITHOUT_MASTER.keys() | {Situation.HEALTHY} == set(Situation)


def remedy(kind: Kind, situation: Situation) -> str:
    found, source = (STATES | WITHOUT_MASTER)[situation](kind)
    return Diagnosis(situation, "dbslave", found, source, SOURCE, address=ADDRESS).remedy


def pair(kind: Kind, situation: Situation) -> FakeHost:
    found, source = (STATES | WITHOUT_MASTER)[situation](kind)
    return FakeHost({Mysql: found}, name="dbslave", dbmaster=FakeHost({Mysql: source}, name="dbmaster"))


REPLICA: dict[str, Any] = {"source": SOURCE, "master_host": "dbmaster", "address": ADDRESS, "siblings": [SIBLING]}


@parametrized
def test_deploy_puts_it_right_or_refuses_with_its_remedy(kind: Kind, situation: Situation) -> None:
    host = pair(kind, situation)
    if situation in FIXED_BY_DEPLOY:
        assert both_phases(replication.replica, host, **REPLICA).jobs
        assert remedy(kind, situation).startswith(DEPLOY_WHICH)
    elif situation in ADDITIONAL:
        both_phases(replication.replica, host, **REPLICA).assert_noop()
    elif situation is Situation.ERRANT:
        (told,) = both_phases(replication.replica, host, **REPLICA).logged
        assert told.endswith(f": {remedy(kind, situation)}.")
    else:
        assert stop_sentence(replication.replica, host, **REPLICA).endswith(f"changed: {remedy(kind, situation)}.")
        assert not remedy(kind, situation).startswith(DEPLOY_WHICH)


def seen_by_status(guide: Guide, kind: Kind, situation: Situation) -> Finding:
    guide.set(database_server=kind)
    guide.add("db_slave", "dbslave2", address=SIBLING, server_id=3)
    cluster = guide.build()
    hosts = healthy(cluster)
    hosts["dbslave"].mysql, hosts["dbmaster"].mysql = (STATES | WITHOUT_MASTER)[situation](kind)
    hosts["dbslave2"].mysql = server(kind, 3, gtids(kind, (1, 345)), replica=reading())
    if situation is Situation.NO_BINARY_LOG:
        # The other replica has the same master.
        hosts["dbslave2"].mysql = None
        hosts["dbslave2"].unreachable = "it is not asked here"
    (found,) = (one for one in find(cluster, list(hosts.values())) if one.host == "dbslave")
    return found


@parametrized
def test_status_has_its_remedy(guide: Guide, kind: Kind, situation: Situation) -> None:
    found = seen_by_status(guide, kind, situation)
    assert (found.state, found.remedy) == (situation.state.name, remedy(kind, situation))


def check(kind: Kind, situation: Situation) -> Finding:
    host, users = pair(kind, situation), ["replication"]
    if situation is Situation.WRITABLE:
        return finding(databases.read_only, host, users=users, option_file=None, writable=False)
    if situation is Situation.LAGGING:
        host.facts[Canary] = CanaryTrial(error="")
        note(databases.REPLICATES, host)
        return finding(databases.arrives, host, run="c0ffee", option_file=None, master="dbmaster", slaves=1)
    reads = databases.Reading(SOURCE, "dbmaster", None, ADDRESS, [SIBLING])
    return finding(databases.replicates, host, users=users, option_file=None, reading=reads, slaves=1)


@parametrized
def test_verify_has_its_remedy(kind: Kind, situation: Situation) -> None:
    found = check(kind, situation)
    assert (found.state, found.remedy) == (situation.state.name, remedy(kind, situation))


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("situation", WITHOUT_MASTER, ids=lambda situation: situation.name)
def test_slave_is_diagnosed_without_its_master(guide: Guide, kind: Kind, situation: Situation) -> None:
    seen, checked = check(kind, situation), seen_by_status(guide, kind, situation)
    assert seen.state == checked.state == situation.state.name
    assert seen.remedy == checked.remedy == remedy(kind, situation)


@parametrized
def test_seeding_has_its_remedy(kind: Kind, situation: Situation) -> None:
    """At the end of a seeding the replica has to be healthy, and before that the two have to fit together."""
    host = pair(kind, situation)
    plan = SeedPlan(SOURCE, ADDRESS, Method.LOGICAL, overwrite=True, by_gtid=True)
    ended = seeding._Seeding(plan, DATABASE_SERVERS[kind], "dbmaster", None, None)
    if situation in ADDITIONAL:
        with in_phase(host, executing=True):
            ended._verify()
        return
    # It knows of no other database hosts, and nobody moves a replica while it is seeded.
    shown = Situation.OTHER_MASTER if situation is Situation.MOVED else situation
    with in_phase(host, executing=True), pytest.raises(OperationError) as stopped:
        ended._verify()
    assert str(stopped.value).endswith(f": {remedy(kind, shown)}.")
    if situation.state.name in ("duplicate server id", "no binary log", "replication filtered"):
        found, source = STATES[situation](kind)
        sides = (Side("dbslave", found, Survey()), Side("dbmaster", source, Survey()))
        assert str(refusal(plan, *sides)).endswith(f": {remedy(kind, situation)}.")


@parametrized
def test_switchover_has_its_remedy(kind: Kind, situation: Situation) -> None:
    old, new = Server("dbmaster", "dbmaster", SOURCE.address, 3306, None), Server("new", "new", SIBLING, 3306, None)
    own = Server("dbslave", "dbslave", ADDRESS, 3306, None)
    found, source = STATES[situation](kind)
    answers = {"dbmaster": source, "new": server(kind, 3, gtids(kind, (1, 345)), replica=reading()), "dbslave": found}
    files = ServiceStatus(files={}, units={}, pending=False)
    hosts = {name: FakeHost({Mysql: status, Service: files}, name=name) for name, status in answers.items()}
    for host in hosts.values():
        host.peers = hosts
    arguments: dict[str, Any] = {
        "switch": switchover.Switch(old, new, "replication", PASSWORD, DATABASE_SERVERS[kind]),
        "server": own,
        "users": ["replication"],
        "accounts": [],
        "files": [],
        "max_lag": 60,
        "siblings": [SIBLING],
    }
    first, *_ = stop_sentence(switchover.check_server, hosts["dbslave"], **arguments).splitlines()
    more = ", or allow more with `--data max_lag=SECONDS`" if situation is Situation.LAGGING else ""
    assert first.endswith(f"; {remedy(kind, situation)}{more}. Nothing was changed.")


WORDS = {
    "mysql": r"SLAVE|RESET MASTER|mariadb-binlog|Slave_",
    "mariadb": r"REPLICA|BINARY LOGS|mysqlbinlog|empty transactions|Replica_|MySQL",
}


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("situation", [*STATES, *WITHOUT_MASTER], ids=lambda situation: situation.name)
def test_nobody_is_told_the_words_of_the_other_kind_of_server(kind: Kind, situation: Situation) -> None:
    found, source = (STATES | WITHOUT_MASTER)[situation](kind)
    said = Diagnosis(situation, "dbslave", found, source, SOURCE, address=ADDRESS)
    assert not re.search(WORDS[kind], said.sentence() + said.should_be)


@pytest.mark.parametrize(
    ("kind", "said"), [("mysql", "`STOP REPLICA; RESET REPLICA ALL`"), ("mariadb", "`STOP SLAVE;")]
)
def test_remedies_have_the_words_of_the_server(kind: Kind, said: str) -> None:
    assert said in remedy(kind, Situation.OTHER_MASTER)


@pytest.mark.parametrize(
    ("situation", "mariadb", "mysql"),
    [
        (Situation.RING, "`STOP SLAVE; RESET SLAVE ALL` on dbmaster", "`STOP REPLICA; RESET REPLICA ALL` on dbmaster"),
        (
            Situation.RING_TURNED,
            "`STOP SLAVE; RESET SLAVE ALL` on dbslave",
            "`STOP REPLICA; RESET REPLICA ALL` on dbsl",
        ),
        (Situation.NAMED_STUCK, "`START SLAVE 'prod'`", "`START REPLICA FOR CHANNEL 'prod'`"),
        (
            Situation.SEVERAL,
            "`STOP SLAVE 'wiki'; RESET SLAVE 'wiki' ALL`",
            "`STOP REPLICA FOR CHANNEL 'wiki'; RESET REPLICA ALL FOR CHANNEL 'wiki'`",
        ),
        (
            Situation.DELAYED,
            "`STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 0; START SLAVE`",
            "`STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 0; START REPLICA`",
        ),
    ],
)
def test_one_command_ends_it_on_the_right_side(situation: Situation, mariadb: str, mysql: str) -> None:
    assert mariadb in remedy("mariadb", situation)
    assert mysql in remedy("mysql", situation)


@pytest.mark.parametrize("kind", VERSIONS)
def test_only_the_connection_of_a_ring_is_ended(kind: Kind) -> None:
    source = master(kind, replica=reading(host=OTHER), named=[reading(name="back", host=ADDRESS)])
    said = diagnose("dbslave", slave(kind, reading()), source, SOURCE, ADDRESS).remedy
    wanted = {
        "mariadb": "STOP SLAVE 'back'; RESET SLAVE 'back' ALL",
        "mysql": "STOP REPLICA FOR CHANNEL 'back'; RESET REPLICA ALL FOR CHANNEL 'back'",
    }
    assert said == f"run `{wanted[kind]}` on dbmaster; dbslave stays its replica"


def situation_of(found: MysqlStatus, of: MysqlStatus) -> Situation:
    return diagnose("dbslave", found, of, SOURCE, ADDRESS).situation


@pytest.mark.parametrize("kind", VERSIONS)
def test_named_connection_that_would_lose_its_place_stays(kind: Kind) -> None:
    def named(**other: Any) -> Situation:
        had = other.pop("had", None)
        log = other.pop("log", LATER)
        return situation_of(slave(kind, had=had, named=[reading(name="prod", **other)]), master(kind, binary_log=log))

    assert named() is Situation.NAMED
    assert named(delay=60) is Situation.NAMED_STUCK
    # What it has received the master no longer has, and it did not apply it yet.
    purged = LATER.model_copy(update={"before": gtids(kind, (1, 350))})
    assert named(received=gtids(kind, (1, 360)), log=purged) is Situation.NAMED_STUCK
    assert named(had=gtids(kind, (1, 345), (2, 346))) is Situation.ERRANT
    assert named(host=OTHER) is Situation.OTHER_MASTER
    two = slave(kind, named=[reading(name="wiki", host=OTHER), reading(name="prod")])
    assert situation_of(two, master(kind)) is Situation.NAMED_STUCK


def test_mariadb_without_a_gtid_position_keeps_its_named_connection() -> None:
    found = slave("mariadb", had="", named=[reading(name="prod")])
    assert situation_of(found, master("mariadb")) is Situation.NAMED_STUCK


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("by_gtid", [True, False])
def test_named_connection_becomes_the_default_one_at_the_same_place(kind: Kind, by_gtid: bool) -> None:
    jobs = both_phases(replication.replica, pair(kind, Situation.NAMED), **REPLICA, by_gtid=by_gtid).jobs
    first, *rest = [job["source"] for _, job in jobs]
    assert (first["named"], first["by_gtid"], first["host"]) == (["prod"], True, SOURCE.address)
    assert not {"gtid", "file", "position"} & first.keys()
    assert rest == ([] if by_gtid else [{"by_gtid": False}])


@pytest.mark.parametrize("kind", VERSIONS)
def test_what_came_from_other_masters_is_no_mistake(kind: Kind) -> None:
    had = gtids(kind, (1, 345), (3, 7))
    found = slave(kind, reading(), had, named=[reading(name="wiki", host=OTHER)])
    assert situation_of(found, master(kind)) is Situation.HEALTHY
    assert situation_of(slave(kind, reading(), had), master(kind)) is Situation.ERRANT


@pytest.mark.parametrize(
    ("filters", "of_master", "counts"),
    [
        ({"binlog_do_db": "configdb,oxdatabase_7"}, True, True),
        ({"binlog_ignore_db": "oxdatabase_7"}, True, True),
        ({"binlog_ignore_db": "mysql,information_schema"}, True, False),
        ({"binlog_do_db": "configdb"}, False, True),
        # A master receives nothing.
        ({"replicate_do_db": "configdb"}, True, False),
        ({"replicate_ignore_db": "mysql, sys"}, False, False),
        ({"replicate_wild_ignore_table": "mysql.%"}, False, False),
        ({"replicate_wild_ignore_table": "mysql.%,ox%.%"}, False, True),
        ({"replicate_rewrite_db": "a->b"}, False, True),
    ],
)
@pytest.mark.parametrize("kind", VERSIONS)
def test_filter_counts_if_rows_of_users_may_be_missing(
    kind: Kind, filters: dict[str, str], of_master: bool, counts: bool
) -> None:
    own: dict[str, Any] = {"filters": filters, "set_in": dict.fromkeys(filters, "/etc/my.cnf:3")}
    sides = (
        (slave(kind, reading()), master(kind, **own)) if of_master else (slave(kind, reading(), **own), master(kind))
    )
    found = diagnose("dbslave", *sides, SOURCE, ADDRESS)
    assert (found.situation is Situation.FILTERED) is counts
    if counts:
        ((name, value),) = filters.items()
        where = "dbmaster" if of_master else "dbslave"
        assert f"({where}: `{name}` is {value}, set in /etc/my.cnf:3)" in found.sentence()


@pytest.mark.parametrize("kind", VERSIONS)
def test_delay_is_no_lag(kind: Kind) -> None:
    def shown(behind: int) -> set[Situation]:
        found = slave(kind, reading(delay=3600, seconds_behind=behind))
        return {each.situation for each in additional(diagnose("dbslave", found, master(kind), SOURCE))}

    assert shown(3650) == {Situation.DELAYED}
    assert shown(3670) == {Situation.DELAYED, Situation.LAGGING}


@pytest.mark.parametrize("kind", VERSIONS)
def test_slave_with_named_connections_is_not_emptied_by_a_seeding(kind: Kind) -> None:
    found, source = STATES[Situation.NAMED](kind)
    plan = SeedPlan(SOURCE, ADDRESS, Method.LOGICAL, overwrite=True, by_gtid=True)
    sides = (Side("dbslave", found, Survey()), Side("dbmaster", source, Survey()))
    said = "RESET SLAVE 'prod' ALL" if kind == "mariadb" else "RESET REPLICA ALL FOR CHANNEL 'prod'"
    assert "replicates by the named connections 'prod'; nothing was changed: run `" in str(refusal(plan, *sides))
    assert said in str(refusal(plan, *sides))
