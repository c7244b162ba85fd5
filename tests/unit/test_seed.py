"""Seeding of a replica: when it is refused, who does what, and how it ends."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import OperationError

from ox_deploy import secrets as passwords
from ox_deploy.certificate import one_time_pair
from ox_deploy.cluster import cluster_of
from ox_deploy.errors import InputError
from ox_deploy.facts.answers import Answers, ask_together
from ox_deploy.facts.mysql import BinaryLog, Mysql, MysqlStatus, ServerState
from ox_deploy.mysql.servers import DATABASE_SERVERS
from ox_deploy.operations import direct
from ox_deploy.questions import pyinfra_internals
from ox_deploy.questions.ask import ask
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves.deploys.seed import requested, restore, seed
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.facts.seed import Contents, Seeding, SeedState, ServerSurvey, Survey
from ox_deploy.topologies.master_slaves.obstacles import Method, SeedPlan, Side
from ox_deploy.topologies.master_slaves.operations import seed as seeding
from ox_deploy.topologies.master_slaves.seed_rules import refusal
from ox_deploy.topologies.master_slaves.source import Source
from tests.unit.deployment import prepared
from tests.unit.fakes import FakeHost, in_phase, program_of, run, stdin_of, stop_sentence
from tests.unit.guide import Guide
from tests.unit.programs import Clock

PASSWORD = "Zc4qLw8mPn2rTx6v"
SOURCE = Source("dbmaster", "192.0.2.21", 3306, "replication", Secret(PASSWORD))
LOG = BinaryLog(file="mysql-bin.000003", position=342, first_file="mysql-bin.000002", complete=False)
VERSION = "10.11.19-MariaDB-0+deb12u1-log"
OXDB = Contents(name="oxdb", tables=80, rows=12000, bytes=5_000_000)
WIKI = Contents(name="wiki", tables=3, rows=70, bytes=40_000)


def server(server_id: str, **other: Any) -> MysqlStatus:
    values: dict[str, Any] = {"version": VERSION, "variables": {"server_id": server_id}, "binary_log": LOG}
    return MysqlStatus(**{"state": ServerState.RUNNING} | values | other)


def slave(*databases: Contents, missing: tuple[str, ...] = (), **other: Any) -> Side:
    names = [contents.name for contents in databases]
    status = server("2", databases=names, **other)
    return Side("dbslave", status, Survey(databases=list(databases), missing=list(missing)))


def master(*databases: Contents, survey: dict[str, Any] | None = None, **other: Any) -> Side:
    found = {"databases": list(databases), "directory_bytes": 9_000_000, **(survey or {})}
    return Side("dbmaster", server("1", **other), Survey(**found))


def refused(found: Side, source: Side | None = None, method: str = "logical", overwrite: bool = False) -> str | None:
    return refusal(
        SeedPlan(SOURCE, "192.0.2.22", Method(method), overwrite, by_gtid=True), found, source or master(OXDB)
    )


def test_empty_slave_is_seeded() -> None:
    assert refused(slave()) is None
    assert refused(slave(), method="physical") is None


def test_data_on_the_slave_is_named_and_kept_unless_it_is_asked_for() -> None:
    assert refused(slave(OXDB, WIKI)) == (
        "dbslave has data that would be lost: oxdb (80 tables, about 12000 rows), wiki (3 tables, about 70 rows); "
        "nothing was changed. To replace it with the master's data, run `pyinfra -y inventory.py "
        "ox_deploy.deploys.seed.seed --data seed_slave=dbslave --data overwrite_slave=dbslave`."
    )
    assert refused(slave(OXDB, WIKI), overwrite=True) is None


def test_half_seeded_slave_is_seeded_again_without_a_further_request() -> None:
    assert refused(slave(OXDB, seeding=True)) is None
    down = Side("dbslave", MysqlStatus(state=ServerState.NOT_RUNNING, seeding=True), Survey())
    assert refused(down) is None
    assert refused(down, method="physical") is None


MYISAM = {"not_transactional": ["oxdb.old", "oxdb.older"]}
REFUSALS: dict[str, tuple[Side, Side, str, str]] = {
    "slave-down": (
        Side("dbslave", MysqlStatus(state=ServerState.NOT_RUNNING), Survey()),
        master(OXDB),
        "logical",
        "the database server of dbslave is not running; start it",
    ),
    "master-down": (
        slave(seeding=True),
        Side("dbmaster", MysqlStatus(state=ServerState.NOT_RUNNING), Survey()),
        "logical",
        "the database server of dbmaster is not running; start it",
    ),
    "other-kind": (
        slave(version="8.4.2"),
        master(OXDB),
        "logical",
        f"dbslave runs 8.4.2 and dbmaster {VERSION}; a server of one kind cannot be seeded from one of the other.",
    ),
    "no-binary-log": (slave(), master(OXDB, binary_log=None), "logical", "dbslave has a master that writes no binary"),
    "same-id": (
        slave(variables={"server_id": "1"}),
        master(OXDB),
        "logical",
        "dbslave has the server id of its master",
    ),
    "same-id-as-slave": (
        slave(),
        master(OXDB, slaves={"2": "192.0.2.29"}),
        "logical",
        "dbslave has the server id of another replica (2, under which 192.0.2.29 reads)",
    ),
    "programs": (slave(missing=("socat", "mbstream")), master(OXDB), "physical", "dbslave lacks socat, mbstream; run"),
    "master's-programs": (
        slave(),
        master(OXDB, survey={"missing": ["socat"]}),
        "physical",
        "dbmaster lacks socat; run the deploy, which installs what is needed.",
    ),
    "nothing": (slave(), master(), "logical", "there is no database on dbmaster, so there is nothing to seed; run the"),
    "no-snapshot": (
        slave(),
        master(OXDB, survey=MYISAM),
        "logical",
        "dbmaster has tables that no snapshot covers, because they are not InnoDB (oxdb.old, oxdb.older); convert "
        "them, or seed with `--data seed_method=physical`.",
    ),
    "other-version": (
        slave(version="11.8.1-MariaDB"),
        master(OXDB),
        "physical",
        f"dbslave runs 11.8.1-MariaDB and dbmaster {VERSION}, which cannot share data directories; seed with `--data "
        "seed_method=logical`.",
    ),
}


@pytest.mark.parametrize(("found", "source", "method", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_seeded_is_refused(found: Side, source: Side, method: str, sentence: str) -> None:
    said = refused(found, source, method, overwrite=True)
    assert said is not None
    assert said.startswith(sentence)
    assert said.endswith(".")


MYSQL = {"version": "9.7.4-2", "variables": {"server_id": "2", "gtid_mode": "ON"}}
PLUGIN = {"can_clone": True, "alike": {"innodb_page_size": "16384"}}


def mysql_slave(survey: dict[str, Any] | None = None, **other: Any) -> Side:
    side = slave(**{**MYSQL, **other})
    return replace(side, survey=Survey(**(PLUGIN if survey is None else survey)))


def mysql_master(survey: dict[str, Any] | None = None, **other: Any) -> Side:
    variables = {"server_id": "1", "gtid_mode": "ON"}
    return master(OXDB, survey={**PLUGIN, **(survey or {})}, **{**MYSQL, "variables": variables, **other})


@pytest.mark.parametrize("method", ["logical", "physical"])
def test_mysql_is_seeded_in_both_ways(method: str) -> None:
    assert refused(mysql_slave(), mysql_master(), method) is None
    down = Side("dbslave", MysqlStatus(state=ServerState.NOT_RUNNING, seeding=True), Survey())
    assert refused(down, mysql_master(), method) is None


OFF = {"variables": {"server_id": "2", "gtid_mode": "OFF"}}
REFUSALS_OF_MYSQL: dict[str, tuple[Side, Side, str, str]] = {
    "old": (
        mysql_slave(version="8.0.25"),
        mysql_master(),
        "logical",
        "dbslave runs 8.0.25; seeding needs MySQL 8.0.26 or later.",
    ),
    "no-gtid": (
        mysql_slave(**OFF),
        mysql_master(),
        "logical",
        "dbslave does not have `gtid_mode = ON`; run the deploy, which",
    ),
    "no-snapshot": (
        mysql_slave(),
        mysql_master(MYISAM),
        "physical",
        "dbmaster has tables that no snapshot covers, because they are not InnoDB (oxdb.old, oxdb.older); convert "
        "them.",
    ),
    "no-plugin": (
        mysql_slave({"can_clone": False}),
        mysql_master(),
        "physical",
        "dbslave has no `mysql_clone.so`, the plugin with which MySQL clones servers; seed with `--data seed_method=",
    ),
    "unlike": (
        mysql_slave({"can_clone": True, "alike": {"innodb_page_size": "4096", "collation_server": "x"}}),
        mysql_master(),
        "physical",
        "`innodb_page_size` is 4096 on dbslave and 16384 on dbmaster, so they cannot share data directories; make "
        "them equal, or seed with",
    ),
}


@pytest.mark.parametrize(("found", "source", "method", "sentence"), REFUSALS_OF_MYSQL.values(), ids=REFUSALS_OF_MYSQL)
def test_what_cannot_be_seeded_on_mysql_is_refused(found: Side, source: Side, method: str, sentence: str) -> None:
    said = refused(found, source, method, overwrite=True)
    assert said is not None
    assert said.startswith(sentence)
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("here", "there", "shared"),
    [
        ("9.7.4-2", "9.7.1", True),
        ("8.4.1", "8.4.7", True),
        ("8.4.7", "9.7.4", False),
        ("8.0.37", "8.0.43-0ubuntu0.22.04.1", True),
        ("8.0.36", "8.0.37", False),
        ("8.0.36-1", "8.0.36-0ubuntu0.22.04.1", True),
        ("8.0.28", "8.0.36", False),
    ],
)
def test_servers_are_cloned_where_versions_share_data_directories(here: str, there: str, shared: bool) -> None:
    pair = mysql_slave(version=here), mysql_master(version=there)
    assert (refused(*pair, "physical") is None) is shared
    assert refused(*pair, "logical") is None


def test_what_only_one_way_cannot_do_the_other_one_can() -> None:
    assert refused(slave(), master(OXDB, survey=MYISAM), "physical") is None
    assert refused(slave(version="11.8.1-MariaDB")) is None


# --- a run -----------------------------------------------------------------------------------------------

IDLE = SeedState()
DONE = SeedState(stage="done", done=True, bytes=5_000_000, summary="equal to the master: 1 databases")
REPLICATES = Replica(
    host="192.0.2.21",
    port=3306,
    user="replication",
    io_running="Yes",
    sql_running="Yes",
    io_error="",
    sql_error="",
    file="mysql-bin.000003",
    position=342,
    password=None,
)


def at(stage: str, number: int = 0) -> SeedState:
    return SeedState(active=True, marked=True, stage=stage, bytes=number)


class Hosts:
    """A replica and its master; what is carried out at the master is noted."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *states: SeedState,
        found: Side,
        after: MysqlStatus,
        source: Side | None = None,
    ) -> None:
        source = source or master(OXDB)
        self.master = FakeHost(
            {Mysql: source.status, ServerSurvey: source.survey, Seeding: SeedState(error="the backup broke off")},
            name="dbmaster",
        )
        facts: dict[Any, Any] = {
            Mysql: [found.status, after],
            ServerSurvey: [found.survey, found.survey],
            Seeding: [*states, states[-1]],
        }
        self.slave = FakeHost(facts, name="dbslave", dbmaster=self.master)
        self.at_master: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(seeding, "carry_out", self._carry_out)
        monkeypatch.setattr(seeding, "time", Clock())

    def _carry_out(self, target: Any, command: StringCommand) -> None:
        assert target is self.master
        self.at_master.append((program_of(command), stdin_of(command)))

    def programs(self) -> list[str]:
        return [program for program, _ in self.at_master]


HEALTHY = server("2", replica=REPLICATES, databases=["oxdb"])
ARGUMENTS: dict[str, Any] = {
    "source": SOURCE,
    "address": "192.0.2.22",
    "master_host": "dbmaster",
    "server": DATABASE_SERVERS["mariadb"],
}


def pair(
    monkeypatch: pytest.MonkeyPatch, *states: SeedState, found: Side | None = None, after: MysqlStatus = HEALTHY
) -> Hosts:
    return Hosts(monkeypatch, *states, found=found or slave(), after=after)


def started(text: str) -> dict[str, Any]:
    """What a unit is to do."""
    match = re.search(r"^start\(json\.loads\((.*)\)\)$", text.strip().rsplit("\n", 1)[-1])
    assert match
    task: dict[str, Any] = json.loads(ast.literal_eval(match[1]))
    assert task["as"] == "unit"
    return task


@pytest.mark.parametrize(
    ("answers", "asked"),
    [([{"stage": "copies"}, None], [Answers, ServerSurvey]), ([], [Answers, Seeding, ServerSurvey])],
)
def test_server_is_asked_at_once_and_alone_for_what_that_does_not_tell(answers: list[Any], asked: list[Any]) -> None:
    state = SeedState(stage="copies")
    asks: Any = FakeHost({Answers: [answers], Seeding: state, ServerSurvey: Survey()})
    questions: list[Question[Any]] = [Question(Seeding), Question(ServerSurvey, programs=[])]
    assert ask_together(partial(ask, asks), questions) == [state, Survey()]
    assert [fact for fact, _ in asks.asked] == asked


def test_slave_is_seeded_with_an_account_that_is_there_for_that_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = pair(monkeypatch, IDLE, at("copies", 1), DONE)
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS)
    job = started(outcome.job("master_slaves.seed_start")["program"])["arguments"]
    password = job["master"].pop("password")
    assert job.pop("certificate").startswith("-----BEGIN PRIVATE KEY-----")
    assert job == {
        "master": {"host": "192.0.2.21", "port": 3306, "user": "ox_seed", "ca": "", "semi_synchronous": False},
        "source": {
            "host": "192.0.2.21",
            "port": 3306,
            "user": "replication",
            "password": PASSWORD,
            "ca": "",
            "semi_synchronous": False,
            "by_gtid": True,
        },
        "bytes": 5_000_000,
        "freed": 0,
        "address": "192.0.2.22",
        "unit": "mariadb",
        "fence": "",
        "option_file": None,
        "seen": {"read_only": True, "source": None, "written": "", "databases": []},
    }
    made, dropped = (job for program, job in hosts.at_master)
    assert [statement["sql"].split()[0] for statement in made["statements"]] == ["DROP", "CREATE", "GRANT"]
    assert made["statements"][1]["values"][:2] == ["ox_seed", "192.0.2.22"]
    assert (made["guarded"], dropped["guarded"]) == (True, False)
    assert [statement["sql"].split()[0] for statement in dropped["statements"]] == ["DROP"]
    assert password not in json.dumps(hosts.at_master) + repr(outcome.commands)
    assert len(password) >= 24
    assert outcome.logged[-1] == "seeded with 5 MB, equal to the master: 1 databases"


def test_what_cannot_be_known_before_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = pair(monkeypatch, IDLE, DONE, found=slave(version="10.6.22-MariaDB"))
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS)
    assert outcome.logged[0].startswith(f"dbslave runs 10.6.22-MariaDB, which is older than {VERSION} of dbmaster")


def test_seeding_is_encrypted_as_replication_is(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = pair(monkeypatch, IDLE, DONE)
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS | {"source": replace(SOURCE, ca="/ca.pem")})
    job = started(outcome.job("master_slaves.seed_start")["program"])["arguments"]
    assert job["master"]["ca"] == job["source"]["ca"] == "/ca.pem"
    assert hosts.at_master[0][1]["statements"][2]["sql"] == "ALTER USER IF EXISTS %s@%s REQUIRE SSL"


def test_physical_way_lets_the_master_send_once_the_slave_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [IDLE, at("checks"), at("listens"), at("listens"), at("copies"), DONE]
    hosts = pair(monkeypatch, *states)
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS, method="physical", master_option_file="/root/m.cnf")
    job = started(outcome.job("master_slaves.seed_start")["program"])["arguments"]
    assert job["bytes"] == 9_000_000
    assert hosts.programs() == ["master_slaves.seed_account", "master_slaves.seed_start", "master_slaves.seed_account"]
    sending = started(hosts.at_master[1][1]["program"])
    assert sending["program"] == "master_slaves.seed_send"
    # The same certificate on both sides.
    assert job["certificate"] == sending["arguments"]["certificate"]
    assert sending["arguments"]["option_file"] == "/root/m.cnf"


def clone(monkeypatch: pytest.MonkeyPatch, survey: dict[str, Any] | None = None) -> tuple[Hosts, dict[str, Any]]:
    """A replica and a master of MySQL, and the arguments with which one is seeded."""
    replica = REPLICATES.model_copy(update={"using_gtid": True})
    after = server("2", replica=replica, databases=["oxdb"], **MYSQL)
    states = [IDLE, at("checks"), at("copies"), DONE]
    hosts = Hosts(monkeypatch, *states, found=mysql_slave(), after=after, source=mysql_master(survey))
    return hosts, ARGUMENTS | {"server": DATABASE_SERVERS["mysql"], "method": "physical"}


def test_slave_of_mysql_fetches_the_data_itself_with_the_rights_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts, arguments = clone(monkeypatch)
    outcome = run(seeding.from_master, hosts.slave, **arguments)
    text = outcome.job("master_slaves.seed_start")["program"]
    assert started(text)["program"] == "master_slaves.seed_clone"
    job = started(text)["arguments"]
    assert (job["unit"], job["fence"]) == ("mysql", "/etc/mysql/mysql.conf.d/zzz-ox-deploy-seed.cnf")
    # Nothing is sent by the master on its own, and the plugin is there for that time only.
    assert hosts.programs() == ["master_slaves.seed_account", "master_slaves.seed_account"]
    made, dropped = (job for _, job in hosts.at_master)
    assert (made["clone"], dropped["clone"]) == (True, False)
    assert "BACKUP_ADMIN" in made["statements"][2]["sql"]
    assert {question["programs"][1] for fact, question in hosts.slave.asked if fact is ServerSurvey} == {"mysqldump"}


def test_dump_of_mysql_is_made_with_less_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts, arguments = clone(monkeypatch)
    text = run(seeding.from_master, hosts.slave, **arguments | {"method": "logical"}).job("master_slaves.seed_start")[
        "program"
    ]
    assert started(text)["program"] == "master_slaves.seed_logical"
    made = hosts.at_master[0][1]
    assert not made["clone"]
    assert made["statements"][2]["sql"] == (
        "GRANT EVENT, FLUSH_TABLES, PROCESS, REPLICATION CLIENT, SELECT, SHOW VIEW, TRIGGER ON *.* TO %s@%s"
    )


def test_master_is_cloned_by_one_slave_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts, arguments = clone(monkeypatch, {"cloned_by": ["192.0.2.29"]})
    hosts.master.facts[Seeding] = IDLE
    assert "dbmaster is sending its data to 192.0.2.29; wait until that has ended" in stop_sentence(
        seeding.from_master, hosts.slave, **arguments
    )
    assert hosts.at_master == []


def test_progress_is_shown_by_stage_with_bytes_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [
        IDLE,
        at("checks"),
        at("copies", 1_000_000),
        at("copies", 2_000_000),
        at("copies", 61_000_000),
        DONE,
    ]
    hosts = pair(monkeypatch, *states)
    times = iter([0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 7.0, 7.0])
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: next(times), sleep=pauses.append)
    monkeypatch.setattr(seeding, "time", clock)
    logged = run(seeding.from_master, hosts.slave, **ARGUMENTS).logged
    assert logged[:-1] == ["checks: 0 MB", "copies: 1 MB", "copies: 61 MB, 10.0 MB/s"]
    assert pauses == [0, 0, 0.25, 1]


def test_seeding_that_is_under_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = pair(monkeypatch, at("copies"), DONE, found=slave(OXDB, replica=REPLICATES))
    # The master is asked afterwards only: it may just restart.
    hosts.master.facts[Mysql] = [server("1")]
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS)
    assert outcome.texts == []
    assert "waiting for a seeding" in outcome.logged[0]
    # What the earlier run made is removed.
    assert hosts.programs() == ["master_slaves.seed_account"]
    assert not hosts.at_master[0][1]["guarded"]


@pytest.mark.parametrize(
    ("to", "method", "sentence"),
    [
        (
            "192.0.2.29",
            "physical",
            "dbmaster is sending its data to 192.0.2.29; wait until that has ended, and seed again.",
        ),
        ("192.0.2.29", "logical", None),
        ("192.0.2.22", "physical", None),
    ],
)
def test_master_sends_to_one_slave_at_a_time(
    monkeypatch: pytest.MonkeyPatch, to: str, method: str, sentence: str | None
) -> None:
    hosts = pair(monkeypatch, IDLE, DONE)
    hosts.master.facts[Seeding] = SeedState(active=True, to=to)
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS, method=method)
    if sentence:
        assert sentence in outcome.texts[-1]
        assert hosts.at_master == []
    else:
        assert hosts.programs() == ["master_slaves.seed_account", "master_slaves.seed_account"]


FAILURES: dict[str, tuple[SeedState, str, str]] = {
    "logical": (
        SeedState(stage="copies", error="the dump failed; seed again", marked=True),
        "logical",
        "dbslave is half seeded, at `copies`: the dump failed; seed again.",
    ),
    "untouched": (
        SeedState(stage="checks", error="no room; make some"),
        "logical",
        "dbslave was not changed: `checks`: no room; make some.",
    ),
    "killed": (
        SeedState(stage="copies", marked=True),
        "logical",
        "dbslave is half seeded, at `copies`: its unit ox-seed died without an error message; seed again.",
    ),
    "with-old-data": (
        SeedState(stage="compares", error="the replica differs; seed again", marked=True, kept=True),
        "physical",
        "dbslave is half seeded, at `compares`: the replica differs; seed again. Its old data is kept; to put it back, "
        "run `pyinfra -y inventory.py ox_deploy.deploys.seed.restore --data seed_slave=dbslave`.",
    ),
    "master's-words": (
        SeedState(stage="copies", error="the stream broke off"),
        "physical",
        "dbslave was not changed: `copies`: the stream broke off (dbmaster: the backup broke off).",
    ),
}


@pytest.mark.parametrize(("end", "method", "sentence"), FAILURES.values(), ids=FAILURES)
def test_seeding_that_fails_is_told_and_its_account_dropped(
    monkeypatch: pytest.MonkeyPatch, end: SeedState, method: str, sentence: str
) -> None:
    hosts = pair(monkeypatch, IDLE, at("copies"), end)
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS, method=method)
    assert sentence in outcome.texts[-1]
    assert outcome.texts[-1].endswith(">&2; exit 1")
    assert hosts.programs() == ["master_slaves.seed_account", "master_slaves.seed_account"]


RESTORED: dict[str, tuple[SeedState, str | None]] = {
    "kept": (SeedState(marked=True, kept=True), None),
    "runs": (SeedState(active=True, marked=True, kept=True), "dbslave is being seeded; wait until that ends"),
    "healthy": (SeedState(), "dbslave is not half seeded, so there is nothing to put back."),
    "gone": (SeedState(marked=True), "dbslave no longer has its old data, so it cannot be put back; seed it again."),
}


@pytest.mark.parametrize(("state", "sentence"), RESTORED.values(), ids=RESTORED)
def test_old_data_is_put_back_where_it_is_kept(state: SeedState, sentence: str | None) -> None:
    host = FakeHost({Seeding: state}, name="dbslave")
    if sentence:
        assert stop_sentence(seeding.restore, host, server=DATABASE_SERVERS["mariadb"]).startswith(sentence)
        return
    outcome = run(seeding.restore, host, server=DATABASE_SERVERS["mariadb"])
    assert outcome.job("master_slaves.seed_restore") == {"unit": "mariadb", "fence": ""}


def test_account_stays_while_the_unit_goes_on_without_us(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = pair(monkeypatch, IDLE, at("copies"))
    hosts.slave.facts[Seeding] = [IDLE, None, at("copies")]
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS)
    assert "dbslave does not answer; a seeding that is under way there goes on by itself" in outcome.texts[-1]
    assert hosts.programs() == ["master_slaves.seed_account"]


@pytest.mark.parametrize(
    ("replica", "is_marked", "said"),
    [
        ({"sql_running": "No"}, True, "dbslave is half seeded"),
        ({"sql_running": "No"}, False, "dbslave is stopped, and its master still has all that it lacks (Slave_SQL"),
        (
            {"io_running": "Connecting"},
            False,
            "; it was seeded: run the deploy, which starts it, or says what keeps it from its master.",
        ),
        (
            {"host": "192.0.2.99"},
            False,
            "dbslave replicates from another master (192.0.2.99:3306); it was seeded: correct",
        ),
    ],
)
def test_slave_that_does_not_replicate_afterwards_is_no_success(
    monkeypatch: pytest.MonkeyPatch, replica: dict[str, str], is_marked: bool, said: str
) -> None:
    after = {"replica": REPLICATES.model_copy(update=replica), "seeding": is_marked}
    hosts = pair(monkeypatch, IDLE, DONE, after=HEALTHY.model_copy(update=after))
    outcome = run(seeding.from_master, hosts.slave, **ARGUMENTS)
    assert said in outcome.texts[-1]


def test_refusal_ends_the_plan_and_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    found = slave(WIKI)
    with pytest.raises(OperationError, match="wiki"):
        run(seeding.from_master, pair(monkeypatch, IDLE, found=found).slave, executing=False, **ARGUMENTS)
    hosts = pair(monkeypatch, IDLE, found=found)
    assert "data that would be lost: wiki" in stop_sentence(seeding.from_master, hosts.slave, **ARGUMENTS)
    assert hosts.at_master == []


def test_plan_has_a_change_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = pair(monkeypatch, IDLE)
    assert run(seeding.from_master, hosts.slave, executing=False, **ARGUMENTS).texts == ["true"]
    assert hosts.at_master == []


def test_password_and_key_are_on_standard_input_only(monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = run(seeding.from_master, pair(monkeypatch, IDLE, DONE).slave, **ARGUMENTS).commands
    for shown in (str(command), repr(command), command.get_raw_value()):
        assert PASSWORD not in shown
        assert "PRIVATE KEY" not in shown


def test_one_time_certificate_is_new_each_time_and_short_lived() -> None:
    first, second = one_time_pair("ox-seed"), one_time_pair("ox-seed")
    assert first != second
    certificate = x509.load_pem_x509_certificate(
        first.partition("-----BEGIN CERT")[2].join(["-----BEGIN CERT", ""]).encode()
    )
    assert certificate.subject.rfc4514_string() == "CN=ox-seed"
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 3


def test_command_on_another_host_is_run_as_facts_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyinfra_internals, "pop_global_arguments", lambda *_: ({"_sudo": True, "name": "x"}, []))
    given: dict[str, Any] = {}

    class Target(FakeHost):
        current_op_global_arguments = None

        def run_shell_command(self, command: StringCommand, **arguments: Any) -> Any:
            given.update(arguments)
            return False, type("Output", (), {"stderr_lines": ["a", "no such thing"]})

    target: Any = Target(name="dbmaster")
    with pytest.raises(OperationError, match=r"^dbmaster: no such thing$"):
        direct.carry_out(target, StringCommand("x", _stdin="y"))
    assert given == {"_sudo": True, "_stdin": "y"}


# --- the deploy ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "method", "overwrite"),
    [
        ({"seed_slave": "dbslave"}, "logical", False),
        ({"seed_slave": "dbslave", "seed_method": "physical"}, "physical", False),
        ({"seed_slave": "dbslave", "overwrite_slave": "dbslave"}, "logical", True),
    ],
)
def test_request_names_the_slave_and_the_way(guide: Guide, given: dict[str, str], method: str, overwrite: bool) -> None:
    found = requested(guide.build(), given)
    assert (found.node.name, found.method, found.overwrite) == ("dbslave", method, overwrite)


def test_slave_can_be_named_as_in_the_inventory(guide: Guide) -> None:
    guide.groups["db_slave"] = ["@docker/x"]
    guide.hosts["@docker/x"] = guide.hosts.pop("dbslave") | {"hostname": "dbslave"}
    found = requested(guide.build(), {"seed_slave": "@docker/x", "overwrite_slave": "dbslave"})
    assert (found.node.name, found.overwrite) == ("dbslave", True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "no replica is named; add `--data seed_slave=` with one of `db_slave` (dbslave)."),
        (
            {"seed_slave": "dbmaster"},
            "`seed_slave` is 'dbmaster', which is not a replica; name one of `db_slave` (dbslave).",
        ),
        (
            {"seed_slave": "dbslave", "seed_method": "magic"},
            "`seed_method` is 'magic'; it should be one of logical, physical.",
        ),
        (
            {"seed_slave": "dbslave", "overwrite_slave": "dbslave2"},
            "`overwrite_slave` is 'dbslave2', but the replica to be seeded is dbslave; name the same replica in both.",
        ),
    ],
)
def test_request_that_is_not_clear_is_refused(guide: Guide, given: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError) as refused_request:
        requested(guide.build(), given)
    assert str(refused_request.value) == sentence


@pytest.mark.parametrize("key", ["seed_slave", "seed_method", "overwrite_slave"])
def test_request_is_for_one_run_and_no_setting(guide: Guide, key: str) -> None:
    cluster_of(guide.inventory({key: "dbslave"}))
    current_run().cluster = None
    guide.set(**{key: "dbslave"})
    with pytest.raises(InputError, match=f"`{key}` is not a setting"):
        cluster_of(guide.inventory())


@pytest.fixture
def seeds(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    passwords.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    yield lambda data, **options: prepared(monkeypatch, guide.inventory(data), deploy=seed, **options)


def test_only_the_named_slave_is_seeded_and_gets_its_accounts(guide: Guide, seeds: Any) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    with seeds({"seed_slave": "dbslave2", "seed_method": "physical"}) as deployment:
        steps = [(step.name, step.host) for step in deployment.steps()]
        everywhere = ["Look at all hosts", "No other run is at work"]
        assert {step[0] for step in steps[: 2 * len(guide.hosts)]} == set(everywhere)
        assert [step for step in steps if step[0] not in everywhere] == [
            ("Seed dbslave2 from dbmaster (physical)", "dbslave2"),
            ("Make the accounts of the replicas and of Open-Xchange", "dbslave2"),
        ]
        assert deployment.state.config.FAIL_PERCENT == 0


def test_only_the_named_slave_gets_its_old_data_back(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    inventory = guide.inventory({"seed_slave": "dbslave2"})
    with prepared(monkeypatch, inventory, deploy=restore) as deployment:
        steps = [(step.name, step.host) for step in deployment.steps()]
        everywhere = ["Look at all hosts", "No other run is at work"]
        assert {step[0] for step in steps[: 2 * len(guide.hosts)]} == set(everywhere)
        assert [step for step in steps if step[0] not in everywhere] == [
            ("Put back the old data of dbslave2", "dbslave2")
        ]


def test_slave_that_does_not_take_part_is_no_success(guide: Guide, seeds: Any) -> None:
    with (
        pytest.raises(InputError, match="dbslave is left out by `--limit`"),
        seeds({"seed_slave": "dbslave"}, limit=["web"]),
    ):
        pass


# --- what is found ahead -----------------------------------------------------------------------------------


def ahead(found: Side, source: Side) -> tuple[list[str], list[Any]]:
    """What the check of a deploy says of a seeding, and what it asked for that beyond what a deploy asks."""
    peer = FakeHost({Mysql: source.status, ServerSurvey: source.survey, Seeding: SeedState()}, name="dbmaster")
    facts: dict[Any, Any] = {Mysql: found.status, ServerSurvey: found.survey, Seeding: SeedState()}
    here = FakeHost(facts, name="dbslave", dbmaster=peer)
    with in_phase(here, executing=False):
        said = seeding.obstacles_ahead(**ARGUMENTS)
    return said, [fact for fact, _ in [*here.asked, *peer.asked] if fact is not Mysql]


BROKEN_VIEW = {"broken": [{"what": "view", "name": "oxdb.v", "error": "no such table (1146)"}]}
REFUSED = "a seeding, which this replica needs, would be refused: "
VIEW = (
    f"{REFUSED}the view oxdb.v on dbmaster cannot be dumped (no such table (1146)); fix or drop it, or seed with "
    "`--data seed_method=physical`."
)


@pytest.mark.parametrize(
    "found",
    [
        slave(),
        slave(OXDB),
        slave(OXDB, missing=("mbstream",)),
        slave(OXDB, seeding=True),
        slave(OXDB, replica=REPLICATES.model_copy(update={"io_running": "No", "read_file": "mysql-bin.000001"})),
    ],
    ids=["empty", "own data", "before a deploy", "half seeded", "left behind"],
)
def test_obstacles_to_a_seeding_that_is_needed_are_found_ahead(found: Side) -> None:
    log = LOG.model_copy(update={"files": ["mysql-bin.000002", "mysql-bin.000003"]})
    said, _ = ahead(found, master(OXDB, survey=BROKEN_VIEW, databases=["oxdb"], binary_log=log))
    assert said == [VIEW]


def test_all_obstacles_are_found_ahead_at_once() -> None:
    other = {"engines": {"InnoDB": "oxdb.t"}, "collations": {"utf8mb4_uca1400_ai_ci": "oxdb.t"}}
    found = slave()
    survey = found.survey.model_copy(update={"known_collations": ["utf8mb4_general_ci"]})
    said, _ = ahead(Side("dbslave", found.status, survey), master(OXDB, survey=BROKEN_VIEW | other, databases=["oxdb"]))
    assert len(said) == 2
    assert all(sentence.startswith(REFUSED) for sentence in said)


def test_replica_that_is_yet_to_be_installed_is_told_what_stands_against_it_on_its_master() -> None:
    bare = Side("dbslave", MysqlStatus(), Survey())
    said, asked = ahead(bare, master(OXDB, survey=BROKEN_VIEW, databases=["oxdb"]))
    assert said == [VIEW]
    # There is nobody to ask.
    assert asked == [ServerSurvey, Seeding]
    complete = LOG.model_copy(update={"complete": True})
    assert ahead(bare, master(OXDB, survey=BROKEN_VIEW, databases=["oxdb"], binary_log=complete)) == ([], [])


@pytest.mark.parametrize(
    ("found", "source"),
    [
        (slave(OXDB, replica=REPLICATES), master(OXDB, databases=["oxdb"])),
        (slave(), master()),
        (Side("dbslave", MysqlStatus(), Survey()), Side("dbmaster", MysqlStatus(), Survey())),
        (Side("dbslave", MysqlStatus(state=ServerState.NOT_RUNNING), Survey()), master(OXDB, databases=["oxdb"])),
    ],
    ids=["healthy", "nothing yet", "nothing installed", "unknown"],
)
def test_nobody_is_asked_where_no_seeding_is_needed(found: Side, source: Side) -> None:
    assert ahead(found, source) == ([], [])


def test_master_that_cannot_be_asked_is_for_others_to_name() -> None:
    here = FakeHost({Mysql: slave().status}, name="dbslave", dbmaster=FakeHost(name="dbmaster"))
    with in_phase(here, executing=False):
        assert seeding.obstacles_ahead(**ARGUMENTS) == []


def test_deploy_gives_a_replica_of_another_release_the_collations_before_it_is_seeded() -> None:
    alike = {"collation_server": "utf8mb4_general_ci"}
    source = master(OXDB, survey={"alike": alike}, databases=["oxdb"])
    other = Survey(alike={"collation_server": "utf8mb4_uca1400_ai_ci"})
    newer = server("2", version="11.8.9-MariaDB")
    assert ahead(Side("dbslave", newer, other), source)[0] == []
    assert len(ahead(Side("dbslave", server("2"), other), source)[0]) == 1
