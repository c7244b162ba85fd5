"""The programs at the database server: its state, accounts, replication."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pymysql import OperationalError

from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.mysql import gtid
from ox_deploy.remote.common.once import looked_up_once
from ox_deploy.remote.configdb import state as configdb_state
from ox_deploy.remote.master_slaves.replication import catch_up as replication_catch_up
from ox_deploy.remote.master_slaves.replication import start as replication_start
from ox_deploy.remote.mysql import run as mysql_run
from ox_deploy.remote.mysql import state as mysql_state
from tests.unit.programs import Session, under_test

PASSWORD = "Zc4qLw8mPn2rTx6v"
PER_USER = "MAX_USER_CONNECTIONS"


@pytest.fixture
def program() -> Any:
    return under_test(mysql_state)


HASH = "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"
# As MariaDB 10.11 writes them; before ` TO ` the object, after it the account and how it logs in.
GRANTS: dict[str, tuple[str, str, list[str], bool]] = {
    "usage": (f"GRANT USAGE ON *.* TO `u`@`192.0.2.11` IDENTIFIED BY PASSWORD '{HASH}'", "*.*", [], False),
    "one": (
        f"GRANT REPLICATION SLAVE ON *.* TO `replication`@`192.0.2.22` IDENTIFIED BY PASSWORD '{HASH}'",
        "*.*",
        ["REPLICATION SLAVE"],
        False,
    ),
    "many": (
        "GRANT SELECT, INSERT, CREATE TEMPORARY TABLES, LOCK TABLES, SHOW VIEW ON *.* TO `u`@`192.0.2.11` "
        f"IDENTIFIED BY PASSWORD '{HASH}' WITH GRANT OPTION",
        "*.*",
        ["CREATE TEMPORARY TABLES", "INSERT", "LOCK TABLES", "SELECT", "SHOW VIEW"],
        True,
    ),
    "all": (
        "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED VIA mysql_native_password USING 'invalid' "
        "OR unix_socket WITH GRANT OPTION",
        "*.*",
        ["ALL PRIVILEGES"],
        True,
    ),
    "option-alone": ("GRANT USAGE ON *.* TO `u`@`%` WITH GRANT OPTION", "*.*", [], True),
    "option-and-limits": (
        "GRANT SELECT ON *.* TO `u`@`%` REQUIRE SSL WITH GRANT OPTION MAX_QUERIES_PER_HOUR 5",
        "*.*",
        ["SELECT"],
        True,
    ),
    "limits-without-option": (
        "GRANT SELECT ON *.* TO `u`@`%` WITH MAX_QUERIES_PER_HOUR 5",
        "*.*",
        ["SELECT"],
        False,
    ),
    "host-with-wildcard": ("GRANT SELECT ON `ox_1`.* TO `u`@`10.20.%`", "ox_1.*", ["SELECT"], False),
    "host-with-mask": ("GRANT SELECT ON `Ox1`.* TO `u`@`10.0.0.0/255.255.255.0`", "Ox1.*", ["SELECT"], False),
    "database-pattern": (r"GRANT SELECT ON `ox\_%`.* TO `u`@`%`", r"ox\_%.*", ["SELECT"], False),
    "table": ("GRANT DELETE HISTORY, SELECT ON `db`.`t` TO `u`@`%`", "db.t", ["DELETE HISTORY", "SELECT"], False),
    "columns": (
        "GRANT SELECT (`a`, `b`), INSERT (`a`), UPDATE ON `db`.`t` TO `u`@`%`",
        "db.t",
        ["INSERT (`a`)", "SELECT (`a`, `b`)", "UPDATE"],
        False,
    ),
    "columns-without-quotes": (
        "GRANT SELECT (b, a), UPDATE (a) ON `db`.`t` TO 'u'@'h'",
        "db.t",
        ["SELECT (b, a)", "UPDATE (a)"],
        False,
    ),
    "quotes-of-mysql-5": ("GRANT SELECT ON `db`.* TO 'u'@'10.20.%'", "db.*", ["SELECT"], False),
    "proxy-of-mysql": ("GRANT PROXY ON ``@`` TO `root`@`localhost`", "``@``", ["PROXY"], False),
    "proxy": ("GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION", "''@'%'", ["PROXY"], True),
}


@pytest.mark.parametrize(("line", "on", "privileges", "option"), GRANTS.values(), ids=GRANTS)
def test_grant_is_parsed_whole(program: Any, line: str, on: str, privileges: list[str], option: bool) -> None:
    assert program.parse_grant(line) == {"on": on, "privileges": privileges, "grant_option": option}


@pytest.mark.parametrize(
    "line",
    [
        "GRANT `reader` TO `u`@`%`",
        "GRANT `reader` TO `u`@`%` WITH ADMIN OPTION",
        "SET DEFAULT ROLE `reader` FOR `u`@`%`",
        "GRANT EXECUTE ON PROCEDURE `db`.`p` TO `u`@`%`",
        "GRANT SELECT ON `my db`.* TO `u`@`%`",
    ],
)
def test_line_that_is_not_understood_is_kept_as_one_privilege(program: Any, line: str) -> None:
    found = program.parse_grant(line)
    assert found == {"on": "", "privileges": [line.split(" TO ")[0]], "grant_option": False}


def test_hash_in_a_grant_is_not_told(program: Any) -> None:
    told = [program.parse_grant(line) for line, *_ in GRANTS.values()]
    assert HASH not in str(told)


def test_statement_that_failed_is_not_told(program: Any) -> None:
    error = "Error 'Table 'configdb.db_pool' doesn't exist' on query. Default database: 'configdb'."
    assert program.without_statement(f"{error} Query: 'ALTER USER x IDENTIFIED BY 'x''") == error
    assert program.without_statement(error) == error


# --- the whole state -------------------------------------------------------------------------------------

SLAVE_STATUS: dict[str, Any] = {
    "Master_Host": "192.0.2.21",
    "Master_Port": 3306,
    "Master_User": "replication",
    "Slave_IO_Running": "Yes",
    "Slave_SQL_Running": "Yes",
    "Last_IO_Error": "",
    "Last_SQL_Error": "",
    "Last_IO_Errno": 0,
    "Last_SQL_Errno": 0,
    "Relay_Master_Log_File": "mysql-bin.000002",
    "Exec_Master_Log_Pos": 342,
    "Master_SSL_Allowed": "No",
    "Master_SSL_CA_File": "",
    "Master_SSL_Verify_Server_Cert": "No",
}


def answers(folder: Path, **other: Any) -> dict[str, Any]:
    variables = {
        "server_id": "2",
        "log_bin": "ON",
        "datadir": f"{folder}/data/",
        "log_bin_basename": f"{folder}/log/mysql-bin",
    }
    return {
        "SHOW GLOBAL VARIABLES": [{"Variable_name": name, "Value": value} for name, value in variables.items()],
        "SELECT SCHEMA_NAME": [{"name": name} for name in ("sys", "mysql", "oxdb", "configdb", "information_schema")],
        "SELECT VERSION": [{"version": "10.11.6-MariaDB"}],
        "SELECT User": [
            {
                "User": "u",
                "Host": "192.0.2.11",
                "plugin": "mysql_native_password",
                "authentication_string": HASH,
                "ssl_type": "ANY",
            }
        ],
        "SHOW GRANTS": [{"Grants for u@192.0.2.11": "GRANT SELECT ON *.* TO `u`@`192.0.2.11`"}],
        "SHOW MASTER STATUS": [{"File": "mysql-bin.000002", "Position": 342}],
        "SHOW BINARY LOGS": [{"Log_name": "mysql-bin.000001"}, {"Log_name": "mysql-bin.000002"}],
        "SHOW BINLOG EVENTS": [
            {"Event_type": "Format_desc", "Info": "Server ver: 10.11"},
            {"Event_type": "Gtid_list", "Info": "[]"},
        ],
        "SHOW SLAVE STATUS": [SLAVE_STATUS],
        "SHOW SLAVE HOSTS": [{"Server_id": 3, "Host": "192.0.2.23", "Port": 3306, "Master_id": 2}],
    } | other


def make_files(folder: Path, begun: int = 1000, made: Mapping[str, int] | None = None) -> None:
    """The server's own files: the first log with its time, the databases' options, the stored password."""
    for name in ("data", "log"):
        (folder / name).mkdir()
    (folder / "log/mysql-bin.000001").write_bytes(b"\xfebin" + struct.pack("<I", begun) + b"\x0f")
    (folder / "data/master.info").write_text(f"33\nlog\n4\n192.0.2.21\nreplication\n{PASSWORD}\n3306\n")
    for name, time in (made or {"configdb": 1000, "oxdb": 2000}).items():
        options = folder / "data" / name / "db.opt"
        options.parent.mkdir()
        options.touch()
        os.utime(options, (time, time))


def asked(program: Any, session: Session, users: list[str]) -> tuple[dict[str, Any], MysqlStatus]:
    program.open_session = lambda _: (session, None)
    document = program.mysql_state({"users": users, "option_file": None})
    return document, MysqlStatus.model_validate(document)


def test_server_is_asked_once_for_all_but_the_accounts(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    session = Session(answers(tmp_path))
    with looked_up_once():
        nobody, _ = asked(program, session, [])
        somebody, _ = asked(program, session, ["u"])
    assert (nobody, [each["user"] for each in somebody["accounts"]]) == ({**somebody, "accounts": []}, ["u"])
    assert session.statements.count("SELECT VERSION() AS version") == 1


def test_answer_is_what_the_fact_understands(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    document, status = asked(program, Session(answers(tmp_path)), ["u"])
    assert status.state is ServerState.RUNNING
    assert status.databases == ["configdb", "oxdb"]
    assert status.accounts[0].password.matches(HASH)
    assert status.accounts[0].grants[0].privileges == {"SELECT"}
    assert status.accounts[0].tls == "ANY"
    assert status.binary_log is not None
    assert status.binary_log.model_dump() == {
        "file": "mysql-bin.000002",
        "position": 342,
        "first_file": "mysql-bin.000001",
        "complete": True,
        "files": ["mysql-bin.000001", "mysql-bin.000002"],
        "before": "",
    }
    assert status.replica is not None
    assert status.replica.password is not None
    assert status.replica.password.matches(PASSWORD)
    assert status.slaves == {"3": "192.0.2.23"}
    assert PASSWORD not in str(document)
    assert HASH not in str(document)


def restricted(**other: Any) -> dict[str, Any]:
    stored = {"plugin": "mysql_native_password", "authentication_string": HASH, "ssl_type": ""}
    return {"SELECT User": [{"User": "u", "Host": "192.0.2.11", **stored, **other}]}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({}, (False, False, [])),
        # What MariaDB's JSON_VALUE makes of `true`, and MySQL's column.
        ({"account_locked": "1", "password_expired": "N"}, (True, False, [])),
        ({"account_locked": "Y"}, (True, False, [])),
        ({"account_locked": "N", "password_expired": "Y"}, (False, True, [])),
        ({"account_locked": None, "max_questions": 5, "max_connections": 0}, (False, False, ["MAX_QUERIES_PER_HOUR"])),
        ({"max_user_connections": 2, "max_statement_time": 1.5}, (False, False, ["MAX_STATEMENT_TIME", PER_USER])),
    ],
)
def test_what_restricts_an_account_is_told(
    program: Any, tmp_path: Path, columns: dict[str, Any], found: tuple[bool, bool, list[str]]
) -> None:
    make_files(tmp_path)
    session = Session(answers(tmp_path, **restricted(**columns)))
    _, status = asked(program, session, ["u"])
    (account,) = status.accounts
    assert (account.locked, account.expired, account.limits) == found
    (query,) = (statement for statement in session.statements if statement.startswith("SELECT User"))
    assert "mysql.global_priv" in query


def test_connections_with_a_name_are_told_beside_the_default_one(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    named = SLAVE_STATUS | {"Connection_name": "prod", "Master_Host": "192.0.2.99", "SQL_Delay": 60}
    all_of_them = {"SHOW ALL SLAVES STATUS": [SLAVE_STATUS | {"Connection_name": ""}, named]}
    _, status = asked(program, Session(answers(tmp_path, **all_of_them)), [])
    assert [(each.name, each.host, each.delay) for each in status.connections] == [
        ("", "192.0.2.21", 0),
        ("prod", "192.0.2.99", 60),
    ]
    assert status.role is not None
    _, status = asked(program, Session(answers(tmp_path, **all_of_them, **{"SHOW SLAVE STATUS": []})), [])
    assert status.replica is None
    assert [each.name for each in status.named] == ["prod"]


def test_filters_are_told_with_what_sets_them(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    (tmp_path / "my.cnf").write_text("[mysqld]\nbinlog-do-db = configdb\n")
    program.START_FILES = [str(tmp_path / "my.cnf")]
    log = {"File": "mysql-bin.000002", "Position": 342, "Binlog_Do_DB": "configdb", "Binlog_Ignore_DB": ""}
    slave = SLAVE_STATUS | {"Replicate_Ignore_DB": "wiki", "Replicate_Do_DB": ""}
    _, status = asked(
        program, Session(answers(tmp_path, **{"SHOW MASTER STATUS": [log], "SHOW SLAVE STATUS": [slave]})), []
    )
    assert status.filters == {"binlog_do_db": "configdb", "replicate_ignore_db": "wiki"}
    assert status.set_in == {"binlog_do_db": f"{tmp_path}/my.cnf:2", "replicate_ignore_db": ""}


@pytest.mark.parametrize("line", ["skip-grant-tables", "skip_grant_tables = 1", ""])
def test_server_without_accounts_is_told_with_what_sets_it(program: Any, tmp_path: Path, line: str) -> None:
    make_files(tmp_path)
    (tmp_path / "my.cnf").write_text(f"[mysqld]\n{line}\n")
    program.START_FILES = [str(tmp_path / "my.cnf")]
    refused = OperationalError(1290, "The server is running with the --skip-grant-tables option")
    _, status = asked(program, Session(answers(tmp_path, **{"SHOW GRANTS": refused})), ["u"])
    assert status.state is ServerState.NO_ACCOUNTS
    assert status.error == (f"{tmp_path}/my.cnf:2 sets it" if line else "")


def test_parallel_threads_are_told(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    usual = answers(tmp_path)
    usual["SHOW GLOBAL VARIABLES"].append({"Variable_name": "slave_parallel_threads", "Value": "4"})
    _, status = asked(program, Session(usual), [])
    assert status.parallel == 4


def test_server_that_is_neither_master_nor_slave_has_neither(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    session = Session(answers(tmp_path) | {"SHOW MASTER STATUS": [], "SHOW SLAVE STATUS": []})
    _, status = asked(program, session, [])
    assert (status.binary_log, status.replica, status.accounts) == (None, None, [])
    assert not any("mysql.user" in statement for statement in session.statements)


def test_values_are_never_part_of_a_statement(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    session = Session(answers(tmp_path))
    asked(program, session, ["u'; DROP"])
    assert all("DROP" not in statement for statement in session.statements)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ({"gtid_binlog_state": "0-1-345,0-2-7"}, "0-1-345,0-2-7"),
        ({"gtid_binlog_state": ""}, ""),
        ({}, ""),
    ],
)
def test_transactions_are_told_in_the_servers_own_form(
    program: Any, tmp_path: Path, listed: dict[str, str], found: str
) -> None:
    make_files(tmp_path)
    usual = answers(tmp_path)
    more = [{"Variable_name": name, "Value": value} for name, value in listed.items()]
    session = Session(usual | {"SHOW GLOBAL VARIABLES": usual["SHOW GLOBAL VARIABLES"] + more})
    _, status = asked(program, session, [])
    assert status.gtid_state == found
    assert set(status.variables) == {"server_id", "log_bin", "datadir", "log_bin_basename"}
    # A server answers with the variables it was asked for.
    ((_, values),) = [done for done in session.done if done[0].startswith("SHOW GLOBAL VARIABLES")]
    assert "gtid_binlog_state" in values[0]


def test_gtid_positions_are_told(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    usual = answers(tmp_path)
    positions = {"gtid_slave_pos": "0-1-5", "gtid_binlog_pos": "0-1-7"}
    more = [{"Variable_name": name, "Value": value} for name, value in positions.items()]
    slave = SLAVE_STATUS | {"Using_Gtid": "Slave_Pos", "Gtid_IO_Pos": "0-1-9"}
    changed = {"SHOW GLOBAL VARIABLES": usual["SHOW GLOBAL VARIABLES"] + more, "SHOW SLAVE STATUS": [slave]}
    _, status = asked(program, Session(usual | changed), [])
    assert status.gtid.model_dump() == {"slave": "0-1-5", "binlog": "0-1-7"}
    assert status.replica is not None
    assert (status.replica.using_gtid, status.replica.received) == (True, "0-1-9")
    assert status.free is not None
    assert status.free > 0


@pytest.mark.parametrize(("column", "by_gtid"), [({}, False), ({"Using_Gtid": "No"}, False)])
def test_replica_by_position_is_told(program: Any, tmp_path: Path, column: dict[str, str], by_gtid: bool) -> None:
    make_files(tmp_path)
    _, status = asked(program, Session(answers(tmp_path) | {"SHOW SLAVE STATUS": [SLAVE_STATUS | column]}), [])
    assert status.replica is not None
    assert status.replica.using_gtid is by_gtid


@pytest.mark.parametrize(
    ("column", "seconds"),
    [({"Seconds_Behind_Master": 12}, 12), ({"Seconds_Behind_Master": 0}, 0), ({"Seconds_Behind_Master": None}, None)],
)
def test_lag_is_told_as_the_server_guesses_it(
    program: Any, tmp_path: Path, column: dict[str, int | None], seconds: int | None
) -> None:
    make_files(tmp_path)
    session = Session(answers(tmp_path) | {"SHOW SLAVE STATUS": [SLAVE_STATUS | column]})
    _, status = asked(program, session, [])
    assert status.replica is not None
    assert status.replica.seconds_behind == seconds


LOGS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "from-the-beginning": ({}, {}, True),
    "database-as-old-as-the-log": ({}, {"made": {"configdb": 1000, "oxdb": 2000}}, True),
    "database-of-unknown-age": ({}, {"made": {"configdb": 1000}}, False),
    "database-older-than-the-log": ({}, {"made": {"configdb": 999, "oxdb": 2000}}, False),
    "first-log-purged": ({"SHOW BINARY LOGS": [{"Log_name": "mysql-bin.000002"}]}, {}, False),
    "log-begun-again": ({"SHOW BINLOG EVENTS": [{"Event_type": "Gtid_list", "Info": "[0-1-5]"}]}, {}, False),
    "many-logs": ({"SHOW BINARY LOGS": [{"Log_name": "mysql-bin.1000001"}]}, {}, False),
}


@pytest.mark.parametrize(("changed", "files", "complete"), LOGS.values(), ids=LOGS)
def test_log_is_complete_only_if_nothing_is_older(
    program: Any, tmp_path: Path, changed: dict[str, Any], files: dict[str, Any], complete: bool
) -> None:
    make_files(tmp_path, **files)
    _, status = asked(program, Session(answers(tmp_path) | changed), [])
    assert status.binary_log is not None
    assert status.binary_log.complete is complete


def test_last_transactions_before_the_log_are_told(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    events = [{"Event_type": "Gtid_list", "Info": "[0-1-5, 0-2-7]"}]
    _, status = asked(program, Session(answers(tmp_path) | {"SHOW BINLOG EVENTS": events}), [])
    assert status.binary_log is not None
    assert gtid.position(status.binary_log.before) == {"0": 7}


def test_replica_without_its_file_has_no_known_password(program: Any, tmp_path: Path) -> None:
    assert program.stored_password(Session(), str(tmp_path)) is None


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ImportError("pymysql"), "no driver"),
        (Exception(1698, "Access denied"), "no rights"),
        (Exception(1045, "Access denied"), "no rights"),
        (Exception(2002, "no socket"), "not running"),
        (Exception(), "not running"),
    ],
)
def test_reason_for_no_session_is_told(program: Any, error: Exception, state: str) -> None:
    def connect(_: object) -> None:
        raise error

    program.shutil = SimpleNamespace(which=lambda name: "/usr/sbin/mariadbd")
    program.connect = connect
    document = program.mysql_state({"users": [], "option_file": None})
    assert MysqlStatus.model_validate(document).state.value == state


def test_host_without_server_is_told(program: Any) -> None:
    program.shutil = SimpleNamespace(which=lambda name: None)
    assert program.mysql_state({"users": [], "option_file": None}) == {
        "state": "not installed",
        "seeding": False,
        "handed_to": "",
        "taken_from": "",
    }


@pytest.mark.parametrize("runs", [True, False])
def test_slave_that_is_half_seeded_is_told_even_if_its_server_is_down(program: Any, tmp_path: Path, runs: bool) -> None:
    make_files(tmp_path)
    program.STATE_DIRECTORY = str(tmp_path)
    (tmp_path / "seeding").touch()
    session = Session(answers(tmp_path)) if runs else None
    program.open_session = lambda _: (session, {"state": "not running"})
    status = MysqlStatus.model_validate(program.mysql_state({"users": [], "option_file": None}))
    assert status.seeding
    assert status.state is (ServerState.RUNNING if runs else ServerState.NOT_RUNNING)


def test_directory_that_the_server_did_not_make_is_no_database(program: Any) -> None:
    session = Session({"SELECT SCHEMA_NAME": [{"name": name} for name in ("#mysql50#lost+found", "sys", "b", "a")]})
    assert program.user_databases(session) == ["a", "b"]


def test_what_the_slave_reads_next_is_told(program: Any, tmp_path: Path) -> None:
    make_files(tmp_path)
    columns = {"Master_Log_File": "mysql-bin.000009", "Using_Gtid": "Slave_Pos"}
    _, status = asked(program, Session(answers(tmp_path) | {"SHOW SLAVE STATUS": [SLAVE_STATUS | columns]}), [])
    assert status.replica is not None
    assert (status.replica.read_file, status.replica.using_gtid) == ("mysql-bin.000009", True)


# --- statements ------------------------------------------------------------------------------------------


def run_statements(session: Session, replicate: bool = True) -> None:
    program = under_test(mysql_run)
    program.connect = lambda _: session
    statements = [
        {"label": "create 'u'@'h'", "sql": "CREATE USER %s", "values": ["u"]},
        {"label": "grant SELECT to 'u'@'h'", "sql": "GRANT", "values": []},
    ]
    program.mysql_run({"statements": statements, "replicate": replicate, "option_file": None})


@pytest.mark.parametrize(("replicate", "first"), [(True, []), (False, [("SET sql_log_bin = 0", None)])])
def test_statements_are_run_in_order_and_told(
    capsys: pytest.CaptureFixture[str], replicate: bool, first: list[tuple[str, None]]
) -> None:
    session = Session()
    run_statements(session, replicate)
    assert session.done == [*first, ("CREATE USER %s", ["u"]), ("GRANT", [])]
    assert capsys.readouterr().out == "create 'u'@'h'\ngrant SELECT to 'u'@'h'\n"


def test_failed_statement_is_told_by_its_label_and_ends_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session({"CREATE USER": Exception(1396, "Operation failed")})
    with pytest.raises(SystemExit):
        run_statements(session)
    assert capsys.readouterr().err == "create 'u'@'h': (1396, 'Operation failed')\n"
    assert session.statements == ["CREATE USER %s"]


# --- replication -----------------------------------------------------------------------------------------

SOURCE = {
    "host": "192.0.2.21",
    "port": 3306,
    "user": "replication",
    "password": PASSWORD,
    "file": "mysql-bin.000001",
    "position": 4,
}


def replicate(
    session: Session,
    source: dict[str, Any] | None,
    databases: tuple[str, ...] = ("configdb",),
    target: Mapping[str, Any] = {"file": "mysql-bin.000002", "position": 342},
) -> None:
    program = under_test(replication_start)
    program.connect = lambda _: session
    program.replication_start(
        {"source": source, "target": target, "databases": list(databases), "seconds": 0, "option_file": None}
    )


def replica(waited: int | None = 0, **status: Any) -> Session:
    return Session(
        {
            "SHOW SLAVE STATUS": [SLAVE_STATUS | status],
            "SELECT MASTER_POS_WAIT": [{"waited": waited}],
            "SELECT MASTER_GTID_WAIT": [{"waited": waited}],
            "SELECT SCHEMA_NAME": [{"name": "configdb"}, {"name": "mysql"}],
        }
    )


def test_fresh_replica_is_pointed_at_its_master_and_waited_for() -> None:
    session = replica()
    replicate(session, SOURCE)
    assert session.done[:4] == [
        ("STOP SLAVE", None),
        ("SET GLOBAL read_only = 1", None),
        (
            "CHANGE MASTER TO MASTER_USER=%s, MASTER_PASSWORD=%s, MASTER_HOST=%s, MASTER_PORT=%s, "
            "MASTER_LOG_FILE=%s, MASTER_LOG_POS=%s, MASTER_CONNECT_RETRY = 10",
            ["replication", PASSWORD, "192.0.2.21", 3306, "mysql-bin.000001", 4],
        ),
        ("START SLAVE", None),
    ]
    assert ("SELECT MASTER_POS_WAIT(%s, %s, %s) AS waited", ["mysql-bin.000002", 342, 1]) in session.done


def test_other_password_does_not_move_the_position() -> None:
    session = replica()
    replicate(session, {"user": "replication", "password": PASSWORD})
    assert session.done[2] == (
        "CHANGE MASTER TO MASTER_USER=%s, MASTER_PASSWORD=%s",
        ["replication", PASSWORD],
    )


BY_GTID = {key: value for key, value in SOURCE.items() if key not in ("file", "position")} | {"by_gtid": True}
GTID_TARGET = {"file": "mysql-bin.000002", "position": 342, "gtid": "0-1-345"}


@pytest.mark.parametrize("begin", ["", "0-1-345"])
def test_by_gtid_a_server_begins_where_it_is_told_to(begin: str) -> None:
    session = replica()
    replicate(session, BY_GTID | {"gtid": begin}, target=GTID_TARGET)
    assert session.done[2:5] == [
        ("SET GLOBAL gtid_slave_pos = %s", [begin]),
        (
            "CHANGE MASTER TO MASTER_USER=%s, MASTER_PASSWORD=%s, MASTER_HOST=%s, MASTER_PORT=%s, "
            "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 10",
            ["replication", PASSWORD, "192.0.2.21", 3306],
        ),
        ("START SLAVE", None),
    ]
    assert ("SELECT MASTER_GTID_WAIT(%s, %s) AS waited", ["0-1-345", 1]) in session.done


@pytest.mark.parametrize(("by_gtid", "mode"), [(True, "slave_pos"), (False, "no")])
def test_running_replica_is_moved_between_gtid_and_position_and_nothing_else(by_gtid: bool, mode: str) -> None:
    session = replica()
    replicate(session, {"by_gtid": by_gtid})
    assert session.statements[:4] == [
        "STOP SLAVE",
        "SET GLOBAL read_only = 1",
        f"CHANGE MASTER TO MASTER_USE_GTID = {mode}",
        "START SLAVE",
    ]


def test_stopped_replica_is_started_only() -> None:
    session = replica()
    replicate(session, None)
    # A thread that waits for its next attempt makes it now, and what was received is kept.
    assert session.statements[:3] == ["START SLAVE SQL_THREAD", "STOP SLAVE IO_THREAD", "START SLAVE"]


@pytest.mark.parametrize(("ca", "on"), [("/etc/mysql/ssl/replication-ca.pem", 1), ("", 0)])
def test_connection_is_encrypted_or_not_and_the_rest_stays(ca: str, on: int) -> None:
    session = replica()
    replicate(session, {"ca": ca})
    assert session.statements[:2] == ["STOP SLAVE", "SET GLOBAL read_only = 1"]
    change = "CHANGE MASTER TO MASTER_SSL=%s, MASTER_SSL_CA=%s, MASTER_SSL_VERIFY_SERVER_CERT=%s"
    assert session.done[2] == (change, [on, ca, on])


def test_refused_certificate_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    program = under_test(replication_start)
    program.time = SimpleNamespace(monotonic=lambda: 0, sleep=lambda _: pytest.fail("it should not wait"))
    status: dict[str, Any] = {"Slave_IO_Running": "Connecting", "Last_IO_Error": "SSL", "Last_IO_Errno": 2026}
    cursor = replica(**status, Master_SSL_CA_File="/ca.pem")
    with pytest.raises(SystemExit):
        program.wait_until_caught_up(cursor, {"file": "mysql-bin.000002", "position": 342}, 600)
    assert "(error 2026)" in capsys.readouterr().err


def test_replica_acknowledges_from_its_next_start_on() -> None:
    session = replica()
    replicate(session, {"semi_synchronous": True})
    begun = session.statements[: session.statements.index("START SLAVE") + 1]
    semi_synchronous = "SET GLOBAL rpl_semi_sync_slave_enabled = 1"
    assert begun == ["STOP SLAVE", "SET GLOBAL read_only = 1", semi_synchronous, "START SLAVE"]
    session = replica()
    replicate(session, {"by_gtid": False, "semi_synchronous": False})
    assert semi_synchronous not in session.statements


@pytest.mark.parametrize(("listed", "found"), [([{"Value": "ON"}], True), ([{"Value": "OFF"}], False), ([], False)])
def test_acknowledgement_is_told(program: Any, tmp_path: Path, listed: list[dict[str, str]], found: bool) -> None:
    make_files(tmp_path)
    more = {"SHOW GLOBAL STATUS LIKE %s": lambda values: listed if values == ["Rpl_semi_sync_slave_status"] else []}
    _, status = asked(program, Session(answers(tmp_path) | more), [])
    assert status.replica is not None
    assert status.replica.semi_synchronous is found


CHECKED = {"Master_SSL_Allowed": "Yes", "Master_SSL_CA_File": "/ca.pem", "Master_SSL_Verify_Server_Cert": "Yes"}


@pytest.mark.parametrize(
    ("columns", "ca"),
    [
        (CHECKED, "/ca.pem"),
        (CHECKED | {"Master_SSL_Allowed": "No"}, ""),
        (CHECKED | {"Master_SSL_Verify_Server_Cert": "No"}, ""),
    ],
)
def test_connection_counts_as_encrypted_only_if_the_master_has_to_show_who_it_is(
    program: Any, tmp_path: Path, columns: dict[str, str], ca: str
) -> None:
    make_files(tmp_path)
    _, status = asked(program, Session(answers(tmp_path) | {"SHOW SLAVE STATUS": [SLAVE_STATUS | columns]}), [])
    assert status.replica is not None
    assert status.replica.ca == ca


class Driver:
    """pymysql, as far as a connection to another server needs it."""

    def __init__(self, encrypts: bool) -> None:
        self.session = Session()
        vars(self.session)["_secure"] = encrypts
        self.cursors = SimpleNamespace(DictCursor=None)
        self.options: dict[str, Any] = {}

    def connect(self, **options: Any) -> Session:
        self.options = options
        return self.session


MODE = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', sql_quote_show_create = 1"
THERE = {"host": "192.0.2.21", "port": 3306, "user": "replication", "password": PASSWORD}


@pytest.fixture
def ca(tmp_path: Path) -> str:
    (tmp_path / "ca.pem").touch()
    return str(tmp_path / "ca.pem")


def test_other_server_has_to_show_a_certificate(program: Any, ca: str) -> None:
    driver = Driver(encrypts=True)
    program.driver = lambda: driver
    assert program.connect_to(THERE | {"ca": ca}, connect_timeout=3) is driver.session
    assert driver.options["ssl"] == {"ca": ca}
    assert driver.options["connect_timeout"] == 3
    program.connect_to(THERE | {"ca": ""})
    assert "ssl" not in driver.options


def test_every_session_has_the_same_mode_whatever_the_servers_is(program: Any) -> None:
    driver = Driver(encrypts=False)
    program.driver = lambda: driver
    program.connect(None)
    assert driver.options.pop("init_command") == MODE
    program.connect_to(THERE | {"ca": ""})
    assert driver.options["init_command"] == MODE


def test_session_of_a_node_has_the_same_mode() -> None:
    program, driver = under_test(configdb_state), Driver(encrypts=False)
    program.driver = lambda: driver
    program.connect(THERE)
    assert driver.options["init_command"] == MODE


def test_other_server_that_offers_no_encryption_is_not_talked_to(program: Any, ca: str) -> None:
    driver = Driver(encrypts=False)
    program.driver = lambda: driver
    with pytest.raises(RuntimeError, match=r"192\.0\.2\.21 offers no encrypted connection"):
        program.connect_to(THERE | {"ca": ca})
    assert driver.session.statements == ["close"]
    assert program.connect_to(THERE | {"ca": ""}) is driver.session


def test_missing_certificates_are_named(program: Any) -> None:
    program.driver = lambda: Driver(encrypts=True)
    with pytest.raises(RuntimeError, match=r"^/no/such\.pem is missing; deploy this host$"):
        program.connect_to(THERE | {"ca": "/no/such.pem"})


FAILURES: dict[str, tuple[Session, str]] = {
    "sql-thread": (
        replica(Slave_SQL_Running="No", Last_SQL_Error=f"Duplicate entry Query: '{PASSWORD}'", Last_SQL_Errno=1062),
        "the replica's SQL thread stopped: Duplicate entry (error 1062)\n",
    ),
    "login": (
        replica(Slave_IO_Running="Connecting", Last_IO_Error="Access denied", Last_IO_Errno=1045),
        "the replica cannot read from its master: Access denied (error 1045)\n",
    ),
    "certificate": (
        replica(
            Slave_IO_Running="Connecting",
            Last_IO_Error="SSL connection error",
            Last_IO_Errno=2026,
            Master_SSL_CA_File="/ca.pem",
        ),
        "the replica cannot read from its master: SSL connection error (error 2026); the master shows no certificate "
        "for 192.0.2.21 that is in /ca.pem or issued by it\n",
    ),
    "not-in-time": (
        replica(waited=-1),
        "the replica did not reach mysql-bin.000002:342 within 0 seconds; it is at mysql-bin.000002:342; run again "
        "when it has caught up\n",
    ),
    "stopped-while-waiting": (
        replica(waited=None),
        "the replica did not reach mysql-bin.000002:342 within 0 seconds; it is at mysql-bin.000002:342; run again "
        "when it has caught up\n",
    ),
}


@pytest.mark.parametrize(("session", "sentence"), FAILURES.values(), ids=FAILURES)
def test_replica_that_does_not_catch_up_fails_with_the_servers_error(
    capsys: pytest.CaptureFixture[str], session: Session, sentence: str
) -> None:
    with pytest.raises(SystemExit):
        replicate(session, SOURCE)
    said = capsys.readouterr()
    assert said.err == sentence
    assert PASSWORD not in said.err + said.out


def test_replica_that_lacks_a_database_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    session = replica()
    with pytest.raises(SystemExit):
        replicate(session, SOURCE, ("configdb", "oxdb", "wiki"))
    assert session.statements[-1] == "STOP SLAVE", "the next run should not take it for a healthy one"
    assert capsys.readouterr().err == ("the replica caught up but lacks the databases oxdb, wiki; seed it\n")


# --- the way to a server -------------------------------------------------------------------------------------


def test_server_that_takes_a_connection_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    program = under_test(mysql_state)
    program.SOCKET, program.GREETING_SECONDS = str(tmp_path / "socket"), 0.1
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(program.SOCKET)
        listening.listen()
        with pytest.raises(OperationalError, match="timed out"):
            program.connect(None)


@pytest.mark.parametrize(("limits", "greeting", "silent"), [({}, 30, None), ({"read_timeout": 7}, 7, 7)])
def test_statements_of_a_server_that_let_us_in_may_take_long(
    program: Any, limits: dict[str, Any], greeting: int, silent: int | None
) -> None:
    driver = Driver(encrypts=False)
    program.driver = lambda: driver
    session = program.connect(None, **limits)
    assert session._read_timeout == silent
    assert driver.options["read_timeout"] == greeting


# --- a replica that comes back -------------------------------------------------------------------------------

ANEW = ["STOP SLAVE IO_THREAD", "START SLAVE IO_THREAD"]


@pytest.mark.parametrize(
    ("states", "anew", "waits"),
    [
        (["Yes"], [], True),
        (["No"], [], True),
        (["Connecting", "Connecting", "Yes"], ANEW, True),
        (["Connecting"], ANEW, False),
    ],
)
def test_replica_that_waits_for_its_next_attempt_connects_anew_and_catches_up(
    states: list[str], anew: list[str], waits: bool
) -> None:
    program = under_test(replication_catch_up)
    left = list(states)
    waited_for = []

    def status(_: object) -> list[dict[str, str]]:
        return [{"Slave_IO_Running": left.pop(0) if len(left) > 1 else left[0]}]

    session = Session({"SHOW SLAVE STATUS": status})
    program.connect = lambda _: session
    program.arrives = lambda _, gtids, seconds: waited_for.append((gtids, seconds))
    program.replication_catch_up({"option_file": None, "seconds": 0.1, "gtids": "0-1-7"})
    assert [statement for statement in session.statements if "STATUS" not in statement] == anew
    assert waited_for == ([("0-1-7", 0.1)] if waits else [])


def test_replica_of_a_master_that_cannot_be_asked_is_not_waited_for() -> None:
    program = under_test(replication_catch_up)
    program.connect = lambda _: Session({"SHOW SLAVE STATUS": [{"Slave_IO_Running": "Yes"}]})
    program.arrives = None
    program.replication_catch_up({"option_file": None, "seconds": 10, "gtids": ""})


def test_server_that_takes_no_hashes_is_named_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    refused = OperationalError(1290, "The MariaDB server is running with the --strict-password-validation option")
    program = under_test(mysql_run)
    program.connect = lambda option_file: Session({"CREATE USER": refused})
    statement = {"label": "create 'u'@'h'", "sql": "CREATE USER %s@%s IDENTIFIED BY PASSWORD %s", "values": []}
    job = {"statements": [statement], "replicate": True, "option_file": None}
    with pytest.raises(SystemExit):
        program.mysql_run(job)
    said = capsys.readouterr().err
    assert said.startswith("create 'u'@'h': ")
    assert "run `SET GLOBAL strict_password_validation = OFF` there, deploy, and switch it ON again" in said
