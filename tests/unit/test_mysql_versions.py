"""MySQL 5.7 to 9.7: what is said to each version, and what is understood of its answers."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from ox_deploy.facts.mysql import Account, BinaryLog, Grant, Gtid, MysqlStatus, ServerState
from ox_deploy.facts.secret import Fingerprint
from ox_deploy.mysql import gtid, passwords
from ox_deploy.mysql.accounts import WantedAccount, account_statements
from ox_deploy.mysql.dialects import DIALECTS, dialect_of, server_of_version, version_numbers
from ox_deploy.remote.common import fingerprints as common_fingerprints
from ox_deploy.remote.master_slaves.replication import start as replication_start
from ox_deploy.remote.master_slaves.switch import promote as switch_promote
from ox_deploy.remote.master_slaves.switch.fence import TAKEN_OVER
from ox_deploy.remote.mysql import state as mysql_state
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves import history
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.recognise import recognise
from ox_deploy.topologies.master_slaves.situations import Situation
from ox_deploy.topologies.master_slaves.source import Source
from tests.unit.programs import MARIADB, Session, under_test

PASSWORD = "Zc4qLw8mPn2rTx6v"
MASTER_UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
SLAVE_UUID = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
EXECUTED = f"{MASTER_UUID}:1-345"


class Said(NamedTuple):
    """What a version understands; everything else is a syntax error there."""

    replica: str
    source: str
    change: str
    show_log: str
    show_replicas: str
    reset_log: str
    wait: str
    log_updates: str
    semi_sync: str
    more: str


OLD = Said(
    "SLAVE",
    "MASTER",
    "CHANGE MASTER TO",
    "SHOW MASTER STATUS",
    "SHOW SLAVE HOSTS",
    "RESET MASTER",
    "MASTER_POS_WAIT",
    "log_slave_updates",
    "rpl_semi_sync_slave_enabled",
    "MASTER_RETRY_COUNT = 100000",
)
NEW = Said(
    "REPLICA",
    "SOURCE",
    "CHANGE REPLICATION SOURCE TO",
    "SHOW BINARY LOG STATUS",
    "SHOW REPLICAS",
    "RESET BINARY LOGS AND GTIDS",
    "SOURCE_POS_WAIT",
    "log_replica_updates",
    "rpl_semi_sync_replica_enabled",
    "SOURCE_RETRY_COUNT = 100000, GET_SOURCE_PUBLIC_KEY = 1",
)
VERSIONS = {
    "5.7.44-log": OLD,
    "8.0.20": OLD._replace(more="MASTER_RETRY_COUNT = 100000, GET_MASTER_PUBLIC_KEY = 1"),
    "8.0.22": OLD._replace(
        replica="REPLICA", show_replicas="SHOW REPLICAS", more="MASTER_RETRY_COUNT = 100000, GET_MASTER_PUBLIC_KEY = 1"
    ),
    "8.0.36-0ubuntu0.22.04.1": NEW._replace(show_log="SHOW MASTER STATUS", reset_log="RESET MASTER"),
    "8.4.3": NEW,
    "9.7.4-2": NEW,
}

each_version = pytest.mark.parametrize(("version", "said"), VERSIONS.items(), ids=VERSIONS)


def status_row(said: Said, **other: Any) -> dict[str, Any]:
    """What a replica tells of itself, with the columns of its version."""
    old = {
        "Master_Host": "192.0.2.21",
        "Master_User": "replication",
        "Master_Port": 3306,
        "Master_Log_File": "mysql-bin.000002",
        "Read_Master_Log_Pos": 400,
        "Relay_Master_Log_File": "mysql-bin.000002",
        "Slave_IO_Running": "Yes",
        "Slave_SQL_Running": "Yes",
        "Replicate_Do_DB": "",
        "Exec_Master_Log_Pos": 342,
        "Master_SSL_Allowed": "Yes",
        "Master_SSL_CA_File": "/ca.pem",
        "Master_SSL_Verify_Server_Cert": "Yes",
        "Seconds_Behind_Master": 3,
        "Last_IO_Errno": 0,
        "Last_IO_Error": "",
        "Last_SQL_Errno": 0,
        "Last_SQL_Error": "",
        "Master_UUID": MASTER_UUID,
        "Retrieved_Gtid_Set": f"{MASTER_UUID}:300-\n346",
        "Executed_Gtid_Set": EXECUTED,
        "Auto_Position": 1,
        "Channel_Name": "",
    } | other
    names = {name: name for name in old}
    if said.replica == "REPLICA":
        names = {
            name: name.replace("Master_", "Source_").replace("_Master", "_Source").replace("Slave_", "Replica_")
            for name in old
        }
    return {names[name]: value for name, value in old.items()}


def answers(folder: Path, said: Said) -> dict[str, Any]:
    variables = {
        "server_id": "2",
        "server_uuid": SLAVE_UUID,
        "log_bin": "ON",
        "read_only": "ON",
        "datadir": f"{folder}/",
        "log_bin_basename": f"{folder}/mysql-bin",
        "gtid_mode": "ON",
        "gtid_executed": f"{EXECUTED},\n{SLAVE_UUID}:1-2",
        "gtid_purged": "",
        said.log_updates: "ON",
    }

    def listed(values: list[list[str]]) -> list[dict[str, str]]:
        return [{"Variable_name": name, "Value": text} for name, text in variables.items() if name in values[0]]

    user = {"User": "u", "Host": "192.0.2.11", "plugin": "caching_sha2_password", "ssl_type": ""}
    return {
        "SHOW GLOBAL VARIABLES": listed,
        "SELECT SCHEMA_NAME": [{"name": "sys"}, {"name": "mysql"}],
        "SELECT VERSION": [{"version": "to be told"}],
        "SELECT User, Host": [user | {"authentication_string": passwords.stored(PASSWORD, passwords.SHA2)}],
        "SHOW GRANTS": [
            {"g": "GRANT RELOAD, REPLICATION SLAVE ON *.* TO `u`@`192.0.2.11`"},
            {"g": "GRANT BACKUP_ADMIN ON *.* TO `u`@`192.0.2.11` WITH GRANT OPTION"},
        ],
        said.show_log: [{"File": "mysql-bin.000003", "Position": 158, "Executed_Gtid_Set": EXECUTED}],
        "SHOW BINARY LOGS": [{"Log_name": "mysql-bin.000001", "File_size": 1, "Encrypted": "No"}],
        f"SHOW {said.replica} STATUS": [
            status_row(said, Channel_Name="other", Master_Host="x", Replicate_Do_DB="wiki", SQL_Delay=9),
            status_row(said, Channel_Name="group_replication_applier"),
            status_row(said),
        ],
        "SELECT FILTER_NAME": [{"name": "REPLICATE_IGNORE_DB", "rule": "shop"}],
        "SELECT User_password": [{"password": PASSWORD}],
        said.show_replicas: [{"Server_Id" if said.replica == "REPLICA" else "Server_id": 3, "Host": "192.0.2.23"}],
        "SHOW GLOBAL STATUS LIKE": [{"Value": "ON"}],
        # Whatever is not above is no statement of this version.
        "": Exception(1064, "You have an error in your SQL syntax"),
    }


@each_version
def test_state_is_told_alike_by_all_versions(tmp_path: Path, version: str, said: Said) -> None:
    (tmp_path / "mysql-bin.000001").write_bytes(b"\xfebin" + struct.pack("<I", 1000) + b"\x0f")
    session = Session(answers(tmp_path, said) | {"SELECT VERSION": [{"version": version}]}, version)
    program = under_test(mysql_state)
    program.open_session = lambda _: (session, None)
    status = MysqlStatus.model_validate(program.mysql_state({"users": ["u"], "option_file": None}))
    assert not status.is_mariadb
    assert status.binary_log == BinaryLog(
        file="mysql-bin.000003", position=158, first_file="mysql-bin.000001", complete=True, files=["mysql-bin.000001"]
    )
    assert status.gtid_state == f"{EXECUTED},{SLAVE_UUID}:1-2"
    assert status.gtid == Gtid(binlog=status.gtid_state)
    assert {"server_uuid": SLAVE_UUID, "gtid_mode": "ON", "log_slave_updates": "ON"}.items() <= status.variables.items()
    assert status.slaves == {"3": "192.0.2.23"}
    (account,) = status.accounts
    assert account.grants == [
        Grant(on="*.*", privileges=frozenset({"RELOAD", "REPLICATION SLAVE", "BACKUP_ADMIN"}), grant_option=True)
    ]
    wanted = WantedAccount("u", "192.0.2.11", Secret(PASSWORD), frozenset())
    assert wanted.is_stored(account)
    assert not WantedAccount("u", "192.0.2.11", Secret(PASSWORD + "x"), frozenset()).is_stored(account)
    found = status.replica
    assert found is not None and found.password is not None and found.password.matches(PASSWORD)
    assert (found.host, found.port, found.user) == ("192.0.2.21", 3306, "replication")
    assert (found.io_running, found.sql_running, found.seconds_behind) == ("Yes", "Yes", 3)
    assert (found.file, found.position, found.read_file) == ("mysql-bin.000002", 342, "mysql-bin.000002")
    assert (found.using_gtid, found.ca, found.semi_synchronous) == (True, "/ca.pem", True)
    assert [(each.name, each.host, each.delay) for each in status.named] == [("other", "x", 9)]
    to_be = {} if version.startswith("5.") else {"replicate_ignore_db": "shop"}
    assert status.filters == {"replicate_do_db": "wiki"} | to_be
    assert not any("global_priv" in statement for statement in session.statements)


SOURCE = {"host": "192.0.2.21", "port": 3306, "user": "replication", "password": PASSWORD}


def replicated(version: str, said: Said, source: dict[str, Any] | None, gtid: str = "") -> Session:
    program = under_test(replication_start)
    row = status_row(said)
    session = Session(
        {
            f"SHOW {said.replica} STATUS": [row],
            f"SELECT {said.wait}(": [{"waited": 0}],
            "SELECT -WAIT_FOR_EXECUTED_GTID_SET(": [{"waited": 0}],
        },
        version,
    )
    program.connect = lambda _: session
    target = {"file": "mysql-bin.000002", "position": 342, "gtid": gtid}
    program.replication_start({"source": source, "target": target, "databases": [], "seconds": 0, "option_file": None})
    return session


@each_version
def test_new_slave_is_told_in_the_words_of_its_version(version: str, said: Said) -> None:
    session = replicated(version, said, SOURCE | {"by_gtid": True, "gtid": EXECUTED, "ca": ""}, EXECUTED)
    clauses = [f"{said.source}_{name}=%s" for name in ("USER", "PASSWORD", "HOST", "PORT", "SSL", "SSL_CA")]
    clauses += [f"{said.source}_SSL_VERIFY_SERVER_CERT=%s", f"{said.source}_AUTO_POSITION = 1"]
    clauses += [f"{said.source}_CONNECT_RETRY = 10", said.more]
    assert session.done[:6] == [
        (f"STOP {said.replica}", None),
        ("SET GLOBAL read_only = 1", None),
        (said.reset_log, None),
        ("SET GLOBAL gtid_purged = %s", [EXECUTED]),
        (f"{said.change} {', '.join(clauses)}", ["replication", PASSWORD, "192.0.2.21", 3306, 0, "", 0]),
        (f"START {said.replica}", None),
    ]
    assert ("SELECT -WAIT_FOR_EXECUTED_GTID_SET(%s, %s) AS waited", [EXECUTED, 1]) in session.done


@each_version
def test_by_position_it_is_waited_for_by_position(version: str, said: Said) -> None:
    session = replicated(version, said, {"by_gtid": False})
    assert session.statements[2] == f"{said.change} {said.source}_AUTO_POSITION = 0"
    assert (f"SELECT {said.wait}(%s, %s, %s) AS waited", ["mysql-bin.000002", 342, 1]) in session.done


@each_version
def test_slave_that_should_acknowledge_is_told_so(version: str, said: Said) -> None:
    session = replicated(version, said, {"semi_synchronous": True})
    name = "rpl_semi_sync_slave_enabled" if version_numbers(version) < (8, 0, 26) else said.semi_sync
    assert f"SET GLOBAL {name} = 1" in session.statements


def test_time_that_is_over_is_not_taken_for_an_arrival() -> None:
    program = under_test(replication_start)
    for version, answer in ((MARIADB, -1), ("9.7.4-2", -1)):
        session = Session({"SELECT": [{"waited": answer}]}, version)
        assert program.reached(session, {"gtid": EXECUTED}) is False


@pytest.mark.parametrize(
    ("received", "waits"), [(EXECUTED, "SELECT -WAIT_FOR_EXECUTED"), ("", "SELECT SOURCE_POS_WAIT")]
)
def test_at_a_failover_whole_transactions_are_waited_for_also_by_position(received: str, waits: str) -> None:
    # A master that died in the middle of one has sent a part that is never applied.
    program = under_test(switch_promote)
    row = status_row(NEW, Auto_Position=0, Retrieved_Gtid_Set=received)
    session = Session({"SHOW REPLICA STATUS": [row], "SELECT": [{"value": 0}]}, "9.7.4-2")
    program.apply_received(session)
    assert session.statements[-1].startswith(waits)


# --- names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "server", "numbers"),
    [
        ("10.11.14-MariaDB-0+deb12u2", "MariaDB", (10, 11, 14)),
        ("11.8.6-MariaDB-0+deb13u1 from Debian", "MariaDB", (11, 8, 6)),
        ("5.7.44-log", "MySQL", (5, 7, 44)),
        ("8.0.36-0ubuntu0.22.04.1", "MySQL", (8, 0, 36)),
        ("9.7.4-2", "MySQL", (9, 7, 4)),
        ("", "MySQL", ()),
    ],
)
def test_version_is_understood(version: str, server: str, numbers: tuple[int, ...]) -> None:
    assert (server_of_version(version), version_numbers(version)) == (server, numbers)


def test_later_entries_have_no_name_that_the_first_one_lacks() -> None:
    first = {server: set(names) for server, since, names in DIALECTS if since == (0,)}
    assert first["MariaDB"] == first["MySQL"]
    for server, _, names in DIALECTS:
        assert names.keys() <= first[server]


# --- passwords -------------------------------------------------------------------------------------------


def test_password_is_stored_as_the_server_does_it() -> None:
    # CREATE USER ... IDENTIFIED BY 'abc-DEF-123456' on MySQL 9.7, which takes ten thousand rounds.
    own = bytes.fromhex(
        "24412430304124511E642D1A415E6741425206692A39305B44712B415757485A48754A7467545961322E6E766D76526A44364653706B4D"
        "4530712F78522F5A41514458667641"
    ).decode()
    assert passwords.stored("abc-DEF-123456", passwords.SHA2, own[:27]) == own


def test_each_account_has_its_own_salt() -> None:
    one, other = (passwords.stored(PASSWORD, passwords.SHA2) for _ in range(2))
    assert one[:7] == other[:7] == "$A$005$"
    assert one != other
    assert len(one) == 70


def account(plugin: str, stored: str) -> Account:
    fingerprint = Fingerprint.model_validate(common_fingerprints.fingerprint(stored))
    salted = stored[:27] if stored.startswith("$A$") else ""
    grants = [Grant(on="*.*", privileges=frozenset({"SELECT"}), grant_option=False)]
    return Account(user="u", host="h", plugin=plugin, password=fingerprint, grants=grants, salted=salted)


WANTED = WantedAccount("u", "h", Secret(PASSWORD), frozenset({"SELECT"}))


@pytest.mark.parametrize(
    ("version", "identified", "begins"),
    [
        (MARIADB.removeprefix("5.5.5-"), "IDENTIFIED BY PASSWORD %s", "*"),
        ("5.7.44", "IDENTIFIED WITH mysql_native_password AS %s", "*"),
        ("8.0.36", "IDENTIFIED WITH caching_sha2_password AS %s", "$A$005$"),
        ("9.7.4-2", "IDENTIFIED WITH caching_sha2_password AS %s", "$A$005$"),
    ],
)
def test_password_is_set_in_the_servers_way(version: str, identified: str, begins: str) -> None:
    create, _ = account_statements(WANTED, None, dialect_of(version))
    assert create.sql == f"CREATE USER IF NOT EXISTS %s@%s {identified}"
    assert create.values[2].startswith(begins)
    (change,) = account_statements(WANTED, account("mysql_native_password", "*OTHER"), dialect_of(version))
    assert change.sql == f"ALTER USER IF EXISTS %s@%s {identified}"
    assert PASSWORD not in str((create, change))


@pytest.mark.parametrize("plugin", [passwords.NATIVE, passwords.SHA2])
def test_right_password_stays_however_it_is_stored(plugin: str) -> None:
    found = account(plugin, passwords.stored(PASSWORD, plugin))
    assert account_statements(WANTED, found, dialect_of("8.4.3")) == []


def test_account_that_logs_in_without_a_password_gets_one() -> None:
    (change,) = account_statements(WANTED, account("auth_socket", ""), dialect_of("8.4.3"))
    assert change.sql.startswith("ALTER USER")


# --- transactions ----------------------------------------------------------------------------------------

A, B = MASTER_UUID, SLAVE_UUID


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        (f"{A}:1-345", {A: [(1, 345)]}),
        (f"{A}:7", {A: [(7, 7)]}),
        (f"{A}:1-5:7:9-10,{B}:1", {A: [(1, 5), (7, 7), (9, 10)], B: [(1, 1)]}),
        (f"{A}:1-5, {B}:1-2", {A: [(1, 5)], B: [(1, 2)]}),
        # Of 8.3 and later.
        (f"{A}:1-5:backup:1-3:7:other:1", {A: [(1, 5)], f"{A}:backup": [(1, 3), (7, 7)], f"{A}:other": [(1, 1)]}),
        ("0-1-345,0-2-7", {"0-1": [(1, 345)], "0-2": [(1, 7)]}),
    ],
)
def test_gtids_are_understood(text: str, found: dict[str, Any]) -> None:
    assert gtid.parse(text) == found


@pytest.mark.parametrize(
    ("one", "other", "left"),
    [
        (f"{A}:1-345", f"{A}:1-345", []),
        (f"{A}:1-345", f"{A}:1-340", [f"{A}:341-345"]),
        (f"{A}:1-345", f"{A}:1-100:102-344", [f"{A}:101:345"]),
        (f"{A}:1-3", f"{B}:1-3", [f"{A}:1-3"]),
        (f"{A}:1-3:x:1", f"{A}:1-3", [f"{A}:x:1"]),
        ("0-1-345", "0-1-340", ["after 0-1-340 up to 0-1-345"]),
        ("0-1-345", "", ["up to 0-1-345"]),
    ],
)
def test_what_one_has_and_the_other_lacks_is_shown(one: str, other: str, left: list[str]) -> None:
    assert gtid.shown(gtid.minus(gtid.parse(one), gtid.parse(other))) == left


def server(uuid: str, executed: str, **other: Any) -> MysqlStatus:
    number = "1" if uuid == A else "2"
    values: dict[str, Any] = {
        "state": ServerState.RUNNING,
        "version": "9.7.4-2",
        "variables": {"server_id": number, "server_uuid": uuid, "gtid_mode": "ON"},
        "gtid_state": executed,
        "gtid": Gtid(binlog=executed),
        "databases": ["configdb"],
        "binary_log": BinaryLog(file="mysql-bin.000002", position=158, first_file="mysql-bin.000001", complete=False),
    }
    return MysqlStatus(**values | other)


def reading(received: str = "", **other: Any) -> Replica:
    values: dict[str, Any] = {
        "host": "192.0.2.21",
        "port": 3306,
        "user": "replication",
        "io_running": "Yes",
        "sql_running": "Yes",
        "io_error": "",
        "sql_error": "",
        "file": "mysql-bin.000002",
        "position": 158,
        "password": None,
        "using_gtid": True,
        "received": received,
    }
    return Replica(**values | other)


PURGED = BinaryLog(
    file="mysql-bin.000009", position=158, first_file="mysql-bin.000008", complete=False, before=f"{A}:1-340"
)
STOPPED = {"io_running": "No", "sql_running": "No"}
SITUATIONS: dict[str, tuple[MysqlStatus, MysqlStatus, Situation]] = {
    "healthy": (server(B, f"{A}:1-340", replica=reading()), server(A, f"{A}:1-345"), Situation.HEALTHY),
    "ahead-of-what-the-master-said": (
        server(B, f"{A}:1-346", replica=reading()),
        server(A, f"{A}:1-345"),
        Situation.HEALTHY,
    ),
    "errant": (
        server(B, f"{A}:1-345,{B}:1-2", replica=reading()),
        server(A, f"{A}:1-345,{B}:1"),
        Situation.ERRANT,
    ),
    "purged": (
        server(B, f"{A}:1-300", replica=reading(**STOPPED)),
        server(A, f"{A}:1-345", binary_log=PURGED),
        Situation.PURGED,
    ),
    "received-what-is-purged": (
        server(B, f"{A}:1-300", replica=reading(f"{A}:290-340", **STOPPED)),
        server(A, f"{A}:1-345", binary_log=PURGED),
        Situation.CAN_CATCH_UP,
    ),
    "purged-in-the-servers-words": (
        server(
            B,
            f"{A}:1-345",
            replica=reading(
                io_running="No", io_error="Cannot replicate because the source purged required binary logs."
            ),
        ),
        server(A, f"{A}:1-345"),
        Situation.PURGED,
    ),
    "former-master": (server(B, f"{A}:1-9,{B}:1-5"), server(A, f"{A}:1-345,{B}:1-5"), Situation.FORMER_MASTER),
    "former-master-with-more": (server(B, f"{A}:1-9,{B}:1-6"), server(A, f"{A}:1-345,{B}:1-5"), Situation.DIVERGED),
    "has-data": (server(B, f"{B}:1-6"), server(A, f"{A}:1-345"), Situation.HAS_DATA),
    "slave-of-another-of-ours": (
        server(B, f"{A}:1-340", replica=reading(host="192.0.2.23")),
        server(A, f"{A}:1-345"),
        Situation.MOVED,
    ),
    "slave-of-another-of-ours-that-lacks-what-is-purged": (
        server(B, f"{A}:1-300", replica=reading(host="192.0.2.23")),
        server(A, f"{A}:1-345", binary_log=PURGED),
        Situation.OTHER_MASTER,
    ),
    "id-of-another-slave": (
        server(B, f"{A}:1-345", replica=reading()),
        server(A, f"{A}:1-345", slaves={"2": "192.0.2.23"}),
        Situation.SAME_SERVER_ID_AS_SLAVE,
    ),
    "slaves-that-do-not-tell-who-they-are": (
        server(B, f"{A}:1-345", replica=reading()),
        server(A, f"{A}:1-345", slaves={"2": ""}),
        Situation.HEALTHY,
    ),
    "cloned-with-its-name": (
        server(A, f"{A}:1-345", variables={"server_id": "2", "server_uuid": A}),
        server(A, f"{A}:1-345"),
        Situation.SAME_SERVER_UUID,
    ),
}


@pytest.mark.parametrize(("slave", "master", "situation"), SITUATIONS.values(), ids=SITUATIONS)
def test_situation_is_recognised_by_sets_of_gtids(
    slave: MysqlStatus, master: MysqlStatus, situation: Situation
) -> None:
    source = Source("dbmaster", "192.0.2.21", 3306, "replication", Secret(PASSWORD))
    assert recognise(slave, master, source, "192.0.2.22", ["192.0.2.23"]) is situation


HISTORIES = {
    "never-switched": (f"{A}:1-345", f"{A}:1-345", False),
    "switched": (f"{A}:1-345,{TAKEN_OVER}:500", f"{A}:1-345", True),
    # Its numbers are small, since it was the master for a moment only.
    "switched-and-used": (f"{A}:1-345,{B}:1-3,{TAKEN_OVER}:500", f"{A}:1-345", True),
    "failed-over": (f"{A}:1-345,{TAKEN_OVER}:500", f"{A}:1-350", True),
    "there-and-back": (f"{A}:1-300,{B}:1-20,{TAKEN_OVER}:500", f"{A}:1-345,{B}:1-20,{TAKEN_OVER}:500:600", False),
    "there-and-back-and-failed-over": (
        f"{A}:1-345,{B}:1-20,{TAKEN_OVER}:500:600:700",
        f"{A}:1-350,{B}:1-20,{TAKEN_OVER}:500:600",
        True,
    ),
}


@pytest.mark.parametrize(("of_slave", "of_master", "later"), HISTORIES.values(), ids=HISTORIES)
def test_later_master_is_who_took_over_last(of_slave: str, of_master: str, later: bool) -> None:
    assert history.is_later_master(server(B, of_slave), server(A, of_master)) is later


def test_mark_of_a_new_master_is_the_time_and_never_an_older_one() -> None:
    program = under_test(switch_promote)
    program.time = SimpleNamespace(time=lambda: 700.5)
    assert program.next_number(f"{A}:1-345") == 700
    assert program.next_number(f"{A}:1-999,{TAKEN_OVER}:500-501:600,{B}:1-2000") == 700
    assert program.next_number(f"{TAKEN_OVER}:500:900-901") == 902


def test_new_master_leaves_its_mark(tmp_path: Path) -> None:
    program = under_test(switch_promote)
    program.time = SimpleNamespace(time=lambda: 700.5)
    session = Session({"SELECT @@GLOBAL.gtid_executed": [{"value": f"{A}:1-5,\n{B}:1"}]}, "9.7.4-2")
    fence = tmp_path / "fence"
    program.open_writes(session, {"fence": str(fence), "from": "dbmaster"})
    assert "read_only = OFF" in fence.read_text()
    assert session.statements[-1] == "SET GLOBAL read_only = 0"
    assert [done for done in session.done if "SELECT" not in done[0]][:-1] == [
        ("SET SESSION gtid_next = %s", [f"{TAKEN_OVER}:700"]),
        ("BEGIN", None),
        ("COMMIT", None),
        ("SET SESSION gtid_next = 'AUTOMATIC'", None),
    ]


def test_slave_without_gtids_has_no_position() -> None:
    off = server(B, "", variables={"server_id": "2", "server_uuid": B, "gtid_mode": "OFF"})
    assert not history.has_position_in(off, server(A, f"{A}:1-345"))
    assert history.has_position_in(server(B, ""), server(A, f"{A}:1-345"))
