"""The programs that look once more at a server's role, right before they do what depends on it."""

from __future__ import annotations

from typing import Any

import pytest

from ox_deploy.facts.mysql import Difference, MysqlStatus, ServerState
from ox_deploy.facts.service import Service, ServiceStatus
from ox_deploy.mysql.dialects import LOGS, dialect_of
from ox_deploy.remote.master_slaves.replication import start as replication_start
from ox_deploy.remote.master_slaves.role import check as role_check
from ox_deploy.remote.master_slaves.role import configure as role_configure
from ox_deploy.remote.mysql import logs
from ox_deploy.remote.mysql import run as mysql_run
from ox_deploy.topologies.master_slaves.deploys.database import _probe
from ox_deploy.topologies.master_slaves.notes import notes
from ox_deploy.topologies.master_slaves.operations import roles
from ox_deploy.topologies.master_slaves.roles import master_of
from tests.unit.fakes import FakeHost, both_phases, stop_sentence
from tests.unit.guide import Guide
from tests.unit.programs import Session, under_test

MASTER = {"read_only": False, "source": None, "written": "0-1-345", "databases": ["configdb"]}
SLAVE = {"read_only": True, "source": "192.0.2.21:3306", "written": "0-1-345", "databases": ["configdb"]}
ALONE = {"read_only": True, "source": None, "written": "0-1-345", "databases": ["configdb"]}


def server(role: dict[str, Any], guard: bool = False) -> Session:
    host, _, port = (role["source"] or "").partition(":")
    return Session(
        {
            "SELECT @@GLOBAL.read_only": [{"value": int(role["read_only"])}],
            "SELECT IS_USED_LOCK": [{"value": 7 if guard else None}],
            "SELECT @@GLOBAL.gtid_binlog_pos": [{"value": role["written"]}],
            "SELECT SCHEMA_NAME": [{"name": name} for name in [*role["databases"], "mysql"]],
            "SHOW SLAVE STATUS": [{"Master_Host": host, "Master_Port": int(port)}] if host else [],
        }
    )


def refusal(capsys: pytest.CaptureFixture[str], call: Any, *arguments: Any) -> str:
    with pytest.raises(SystemExit):
        call(*arguments)
    return capsys.readouterr().err


@pytest.mark.parametrize("role", [MASTER, SLAVE, ALONE])
def test_server_that_is_what_it_was_is_gone_on_with(role: dict[str, Any]) -> None:
    program = under_test(replication_start)
    program.check_role(server(role), role)
    program.check_unchanged(server(role), role)


def test_role_that_changed_meanwhile_stops_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, role_check.check_role, server(SLAVE), MASTER)
    assert said == (
        "this server is read-only and a replica of 192.0.2.21:3306, but was open for writes and not a replica when "
        "this run looked; nothing was changed here; run again\n"
    )


def test_no_statement_is_run_on_a_server_of_another_role(capsys: pytest.CaptureFixture[str]) -> None:
    program = under_test(mysql_run)
    session = server(SLAVE)
    program.connect = lambda _: session
    job = {"option_file": None, "seen": MASTER, "replicate": True, "statements": [{"sql": "DROP USER x", "values": []}]}
    refusal(capsys, program.mysql_run, job)
    assert "DROP USER x" not in session.statements


def test_no_replica_is_moved_while_the_master_is_switched(capsys: pytest.CaptureFixture[str]) -> None:
    program = under_test(replication_start)
    session = server(SLAVE, guard=True)
    program.connect = lambda _: session
    said = refusal(capsys, program.replication_start, {"option_file": None, "seen": SLAVE, "source": {"host": "x"}})
    assert said.startswith("the master is being switched; nothing was changed here")
    assert "STOP SLAVE" not in session.statements


@pytest.mark.parametrize("now", [{"written": "0-1-346"}, {"databases": ["configdb", "oxdatabase_5"]}])
def test_server_that_was_written_to_meanwhile_is_not_made_a_slave(
    now: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    program = under_test(replication_start)
    session = server(ALONE | now)
    program.connect = lambda _: session
    said = refusal(capsys, program.replication_start, {"option_file": None, "seen": ALONE, "source": {"host": "x"}})
    assert said.startswith("this server was written to after this run had looked; nothing was changed")


class Files:
    """The program that writes a server's files."""

    def __init__(self, session: Session | None) -> None:
        self.program = under_test(role_configure)
        self.session = session
        self.program.connect = self.connect
        self.program.wait_until_settled = lambda unit: self.steps.append(f"{unit} has settled")
        self.program.service_configure = lambda job: self.written.append(job["name"])
        self.steps: list[str] = []
        self.written: list[str] = []

    def connect(self, _: object) -> Session:
        self.steps.append("its role is looked at")
        if self.session is None:
            raise OSError("no such socket")
        return self.session

    def configure(self, seen: Any, read_only: bool, switched: bool = False) -> None:
        role = {"option_file": None, "seen": seen, "read_only": read_only, "switched": switched}
        self.program.role_configure({"files": {"name": "mariadb", "files": []}, **role})


@pytest.mark.parametrize(
    ("now", "seen", "read_only", "switched"),
    [
        (MASTER, MASTER, False, False),
        (SLAVE, SLAVE, True, False),
        # A master that a person or a dead run made read-only is opened by a deploy.
        (ALONE, ALONE, False, False),
        (MASTER, MASTER, True, False),
        (MASTER, None, False, True),
        (ALONE, None, True, True),
        (MASTER, None, False, False),
        (None, None, False, False),
    ],
)
def test_files_are_written_for_a_server_that_is_what_it_was(
    now: Any, seen: Any, read_only: bool, switched: bool
) -> None:
    files = Files(server(now) if now else None)
    files.configure(seen, read_only, switched)
    # One that was just starting would have been one without a role.
    assert files.steps == ["mariadb has settled", "its role is looked at"]
    assert files.written == ["mariadb"]


@pytest.mark.parametrize(
    ("now", "seen", "read_only", "switched", "sentence"),
    [
        (ALONE, MASTER, False, False, "this server is read-only and not a replica, but was open for writes"),
        (SLAVE, MASTER, False, False, "this server is read-only and a replica of 192.0.2.21:3306, but was open"),
        (MASTER, SLAVE, True, False, "this server is open for writes and not a replica, but was read-only"),
        (
            SLAVE,
            None,
            False,
            False,
            "this server is read-only and a replica of 192.0.2.21:3306, so it is not the master",
        ),
        (ALONE, None, False, True, "this server is read-only and not a replica after the switch"),
        (MASTER, None, True, True, "this server is open for writes and not a replica after the switch"),
        (None, MASTER, False, False, "this server no longer runs, but did when this run looked"),
    ],
)
def test_files_of_a_server_with_another_role_stay(
    now: Any, seen: Any, read_only: bool, switched: bool, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = Files(server(now) if now else None)
    said = refusal(capsys, files.configure, seen, read_only, switched)
    assert said.startswith(sentence)
    assert said.endswith("nothing was changed here; run again\n")
    assert files.written == []


def test_files_stay_while_the_master_is_switched(capsys: pytest.CaptureFixture[str]) -> None:
    files = Files(server(MASTER, guard=True))
    assert "is being switched" in refusal(capsys, files.configure, None, False)
    assert files.written == []


# --- operation ---

CHANGE: dict[str, Any] = {"service_name": "mariadb", "files": [], "check": (), "read_only": False}


def slave_beside(master: FakeHost) -> FakeHost:
    return FakeHost({Service: ServiceStatus(pending=True)}, name="dbslave", dbmaster=master)


def test_no_further_server_is_touched_after_one_that_did_not_come_back() -> None:
    master = FakeHost(name="dbmaster")
    master.error_ops = 1
    said = stop_sentence(roles.configure, slave_beside(master), **CHANGE)
    assert said == "dbslave: not touched, because the server on dbmaster failed; its own runs as before."


def test_server_has_its_turn_after_and_beside_one_that_comes_back() -> None:
    assert both_phases(roles.configure, slave_beside(FakeHost(name="dbmaster")), **CHANGE).job(
        "master_slaves.role_configure"
    )


DIFFERS = Difference(
    name="server_id", value="1", wanted="2", file="/etc/ours.cnf", why="/etc/my.cnf:7 wins; remove it", overruled=True
)


@pytest.mark.parametrize(
    ("difference", "stops"),
    [
        (DIFFERS, True),
        # A deploy restarts no server for it.
        (DIFFERS.model_copy(update={"overruled": False}), False),
        # It has a state of its own, may be tuned, is not ours.
        (DIFFERS.model_copy(update={"name": "read_only"}), False),
        (DIFFERS.model_copy(update={"name": "expire_logs_days"}), False),
        (DIFFERS.model_copy(update={"name": "max_connections"}), False),
    ],
)
def test_server_that_does_not_do_what_its_files_say_is_named(difference: Difference, stops: bool) -> None:
    notes().statuses["dbslave"] = MysqlStatus(state=ServerState.RUNNING, differences=[difference])
    host = FakeHost({Service: ServiceStatus()}, name="dbslave")
    if stops:
        assert stop_sentence(roles.configure, host, **CHANGE) == (
            "this server does not do what our file says: `server_id` is 1, but /etc/ours.cnf says 2; "
            "/etc/my.cnf:7 wins; remove it."
        )
    else:
        both_phases(roles.configure, host, **CHANGE).assert_noop()


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_server_is_asked_for_the_variables_of_the_template_and_not_for_the_users(guide: Guide, kind: str) -> None:
    guide.set(database_server=kind, mysql_settings={"max_connections": 9000})
    cluster = guide.build()
    probe = _probe(cluster, master_of(cluster)).database
    assert probe
    assert {"port", "bind_address", "server_id", "read_only", "sync_binlog"} <= set(probe.names)
    # The server says the last one in other words, or as the user's settings have it.
    assert not {"log_bin", "max_connections", "expire_logs_days", "binlog_expire_logs_seconds"} & set(probe.names)
    assert probe.files == (cluster.database_server.configuration, cluster.database_server.fence)


# --- names of logs -----------------------------------------------------------------------------------------

USUAL = "[mysqld]\nlog_bin = /var/log/mysql/mysql-bin.log\nrelay_log = /var/log/mysql/mysql-relay-bin\n"
FRESH = {"log_bin": "OFF", "log_bin_basename": "", "relay_log": "", "relay_log_basename": "", "relay_log_index": ""}
OURS = {
    "log_bin": "ON",
    "log_bin_basename": "/var/log/mysql/mysql-bin",
    "log_bin_index": "/var/log/mysql/mysql-bin.index",
    "relay_log": "/var/log/mysql/mysql-relay-bin",
    "relay_log_basename": "/var/log/mysql/mysql-relay-bin",
    "relay_log_index": "/var/log/mysql/mysql-relay-bin.index",
}
BESIDE_DATA = {
    "log_bin": "ON",
    "log_bin_basename": "/var/lib/mysql/mariadb-bin",
    "log_bin_index": "/var/lib/mysql/mariadb-bin.index",
    "relay_log": "",
    "relay_log_basename": "/var/lib/mysql/dbslave-relay-bin",
    "relay_log_index": "/var/lib/mysql/dbslave-relay-bin.index",
}
KEPT_LOG = USUAL.replace("/var/log/mysql/mysql-bin.log", "/var/lib/mysql/mariadb-bin")
KEPT_BOTH = KEPT_LOG.replace("/var/log/mysql/mysql-relay-bin", "/var/lib/mysql/dbslave-relay-bin")
OWN_INDEX = {"log_bin_index": "/srv/index", "relay_log_index": "/srv/relay-index"}
NAMED: dict[str, tuple[dict[str, str], bool, str]] = {
    "no log yet": (FRESH, False, USUAL),
    "ours": (OURS, True, USUAL),
    "binary log of somebody else": (BESIDE_DATA, False, KEPT_LOG),
    "replica of somebody else, whose relay log has no name of its own": (BESIDE_DATA, True, KEPT_BOTH),
    "relay log without a replica": (BESIDE_DATA | {"relay_log": "dbslave-relay-bin"}, False, KEPT_BOTH),
    "indexes with names of their own": (
        OURS | OWN_INDEX,
        True,
        USUAL + "log_bin_index = /srv/index\nrelay_log_index = /srv/relay-index\n",
    ),
}


@pytest.mark.parametrize(
    ("connection", "file"), [("", "mysqld-relay-bin.000004"), ("Prod", "mysqld-relay-bin-prod.000004")]
)
def test_relay_log_keeps_the_name_that_mariadb_gave_it(connection: str, file: str) -> None:
    shown = {"Connection_name": connection, "Relay_Log_File": file}
    variables = [{"Variable_name": name, "Value": value} for name, value in FRESH.items()]
    session: Any = Session({"SHOW GLOBAL VARIABLES": variables, "SHOW ALL SLAVES STATUS": [shown]})
    files = [{"path": LOGS["MariaDB"], "content": USUAL}]
    logs.keep_names(session, files)
    assert files[0]["content"] == USUAL.replace("/var/log/mysql/mysql-relay-bin", "mysqld-relay-bin")


@pytest.mark.parametrize(("variables", "replicates", "text"), NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("version", ["10.11.9-MariaDB", "9.7.0"])
def test_logs_keep_the_names_that_they_have(
    version: str, variables: dict[str, str], replicates: bool, text: str
) -> None:
    session: Any = Session(
        {
            "SHOW GLOBAL VARIABLES": [{"Variable_name": name, "Value": value} for name, value in variables.items()],
            dialect_of(version)["show_connections"]: [{"Connection_name": "prod"}] if replicates else [],
        },
        version=version,
    )
    path = LOGS["MySQL" if version == "9.7.0" else "MariaDB"]
    files = [{"path": "/etc/other.cnf", "content": USUAL}, {"path": path, "content": USUAL}]
    logs.keep_names(session, files)
    assert [file["content"] for file in files] == [USUAL, text]


def test_server_that_runs_without_files_of_ours_keeps_the_names_of_its_logs() -> None:
    program = under_test(role_configure)
    placed: list[Any] = []
    program.connect = lambda _: server(MASTER)
    program.wait_until_settled = lambda _: None
    program.keep_names = lambda _, files: placed.append("names")
    program.service_configure = lambda job: placed.append("files")
    files = {"name": "mariadb", "files": []}
    program.role_configure({"files": files, "option_file": None, "seen": MASTER, "read_only": False, "switched": False})
    assert placed == ["names", "files"]


# --- named connections -------------------------------------------------------------------------------------

SAID = {
    "10.11.6-MariaDB": ["STOP SLAVE %s", "RESET SLAVE %s ALL"],
    "9.7.4-2": ["STOP REPLICA FOR CHANNEL %s", "RESET REPLICA ALL FOR CHANNEL %s"],
}


@pytest.mark.parametrize(("version", "said"), SAID.items())
def test_named_connection_goes_before_the_default_one_is_made(version: str, said: list[str]) -> None:
    """Its server goes on writing what it receives, so what was seen of that does not matter; its role does."""
    found = server(ALONE | {"written": "0-1-999"})
    found.version = version
    program = under_test(replication_start)
    program.connect = lambda option_file: found
    program.wait_until_caught_up = lambda *_: None
    source = {"named": ["prod"], "by_gtid": True, "host": "192.0.2.21"}
    job = {"source": source, "seen": ALONE, "target": {}, "databases": [], "seconds": 1, "option_file": None}
    program.replication_start(job)
    at = [(statement, values) for statement, values in found.done if "SELECT" not in statement]
    change = next(index for index, (statement, _) in enumerate(at) if statement.startswith("CHANGE "))
    assert at[change - 2 : change] == [(statement, ["prod"]) for statement in said]
    found.done.clear()
    with pytest.raises(SystemExit):
        program.replication_start(job | {"seen": MASTER})
    assert not any(statement.startswith(("STOP", "RESET", "CHANGE")) for statement in found.statements)
