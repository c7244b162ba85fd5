"""mysql.accounts and replication.replica: statements for what differs, and when nothing may be touched."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from pyinfra.api.exceptions import OperationError

from ox_deploy.facts.mysql import Account, BinaryLog, Grant, Gtid, Mysql, MysqlStatus, ServerState
from ox_deploy.facts.secret import Fingerprint
from ox_deploy.mysql import passwords
from ox_deploy.mysql.accounts import WantedAccount
from ox_deploy.mysql.not_ready import not_ready
from ox_deploy.operations import mysql
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.operations import replication
from ox_deploy.topologies.master_slaves.recognise import recognise
from ox_deploy.topologies.master_slaves.situations import ADDITIONAL, FIXED_BY_DEPLOY, Situation
from ox_deploy.topologies.master_slaves.source import Source
from ox_deploy.topologies.master_slaves.switch_rules import Server
from tests.unit.fakes import FakeHost, Outcome, both_phases, run, stop_sentence
from tests.unit.programs import MARIADB, MYSQL

PASSWORD = "Zc4qLw8mPn2rTx6v"
HASH = "*" + hashlib.sha1(hashlib.sha1(PASSWORD.encode()).digest()).hexdigest().upper()  # noqa: S324 - the server's way
WANTED = WantedAccount("openexchange", "192.0.2.11", Secret(PASSWORD), frozenset({"SELECT", "SHOW VIEW"}), True)
WHO = ["openexchange", "192.0.2.11"]


def fingerprint(secret: str) -> Fingerprint:
    return Fingerprint(salt="ab", digest=hashlib.sha256(f"ab{secret}".encode()).hexdigest())


def grant(*privileges: str, on: str = "*.*", option: bool = False) -> Grant:
    return Grant(on=on, privileges=frozenset(privileges), grant_option=option)


RIGHT = grant("SELECT", "SHOW VIEW", option=True)


def account(*grants: Grant, password: str = HASH, host: str = "192.0.2.11") -> Account:
    return Account(
        user="openexchange",
        host=host,
        plugin="mysql_native_password",
        password=fingerprint(password),
        grants=list(grants),
    )


def server(*accounts: Account, **other: Any) -> MysqlStatus:
    return MysqlStatus(state=ServerState.RUNNING, accounts=list(accounts), **{"version": MARIADB} | other)


def made(status: MysqlStatus, **options: Any) -> Outcome:
    host = FakeHost({Mysql: status}, name="dbmaster")
    return both_phases(mysql.accounts, host, **{"wanted": [WANTED], "users": ["openexchange"]} | options)


def statements(*found: Account, **options: Any) -> list[tuple[str, list[str]]]:
    job = made(server(*found), **options).job("mysql_run")
    return [(statement["sql"], statement["values"]) for statement in job["statements"]]


RESTRICTED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "locked": ({"locked": True}, ["ALTER USER IF EXISTS %s@%s ACCOUNT UNLOCK"]),
    "limits": (
        {"limits": ["MAX_USER_CONNECTIONS", "MAX_QUERIES_PER_HOUR"]},
        ["ALTER USER IF EXISTS %s@%s WITH MAX_USER_CONNECTIONS 0 MAX_QUERIES_PER_HOUR 0"],
    ),
    "expired": ({"expired": True}, ["ALTER USER IF EXISTS %s@%s IDENTIFIED BY PASSWORD %s"]),
    "without-password": (
        {"password": fingerprint("")},
        ["ALTER USER IF EXISTS %s@%s IDENTIFIED BY PASSWORD %s"],
    ),
    "other-plugin": ({"plugin": "ed25519"}, ["ALTER USER IF EXISTS %s@%s IDENTIFIED BY PASSWORD %s"]),
}


@pytest.mark.parametrize(("state", "wanted"), RESTRICTED.values(), ids=RESTRICTED)
def test_what_keeps_an_account_from_logging_in_is_taken_away(state: dict[str, Any], wanted: list[str]) -> None:
    assert [sql for sql, _ in statements(account(RIGHT).model_copy(update=state))] == wanted


def test_expired_password_is_set_in_the_way_of_mysql() -> None:
    expired = account(RIGHT).model_copy(update={"expired": True})
    (statement,) = made(server(expired, version=MYSQL)).job("mysql_run")["statements"]
    assert statement["sql"] == "ALTER USER IF EXISTS %s@%s IDENTIFIED WITH caching_sha2_password AS %s"


@pytest.mark.parametrize("shown", ["SELECT (a, key)", "SELECT (`a`, `key`)", 'SELECT ("a", "key")'])
def test_columns_are_quoted_however_the_server_shows_them(shown: str) -> None:
    ((sql, _),) = statements(account(RIGHT, grant(shown, on="db.t")))
    assert sql == "REVOKE SELECT (`a`, `key`) ON `db`.`t` FROM %s@%s"


@pytest.mark.parametrize("of", ["''@'%'", "``@`%`"])
@pytest.mark.parametrize("all_rights", [False, True])
def test_proxy_is_revoked_as_it_is_shown(of: str, all_rights: bool) -> None:
    held = grant("ALL PRIVILEGES") if all_rights else RIGHT
    done = [sql for sql, _ in statements(account(held, grant("PROXY", on=of, option=True)))]
    assert done[-1] == f"REVOKE PROXY ON {of.replace('%', '%%')} FROM %s@%s"
    assert len(done) == (4 if all_rights else 1)


GRANT_ALL_WANTED = ("GRANT SELECT, SHOW VIEW ON *.* TO %s@%s WITH GRANT OPTION", WHO)


def test_right_account_is_left_alone() -> None:
    host = FakeHost({Mysql: server(account(RIGHT))})
    both_phases(mysql.accounts, host, wanted=[WANTED], users=["openexchange"], option_file="/root/my.cnf").assert_noop()
    assert host.asked[-1] == (Mysql, {"users": ["openexchange"], "option_file": "/root/my.cnf"})


def test_hash_is_the_one_that_the_server_stores() -> None:
    # SELECT PASSWORD('password') on any MySQL or MariaDB.
    known = passwords.stored("password", passwords.NATIVE)
    assert known == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_missing_account_is_created_with_its_rights() -> None:
    assert statements() == [
        ("CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY PASSWORD %s", [*WHO, HASH]),
        GRANT_ALL_WANTED,
    ]


def test_account_for_another_address_does_not_count() -> None:
    assert len(statements(account(RIGHT, host="192.0.2.12"))) == 2


@pytest.mark.parametrize("stored", ["", "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19", "invalid"])
def test_wrong_password_is_set(stored: str) -> None:
    assert statements(account(RIGHT, password=stored)) == [
        ("ALTER USER IF EXISTS %s@%s IDENTIFIED BY PASSWORD %s", [*WHO, HASH])
    ]


RIGHTS: dict[str, tuple[list[Grant], list[str]]] = {
    "none": ([grant()], ["GRANT SELECT, SHOW VIEW ON *.* TO %s@%s WITH GRANT OPTION"]),
    "one-missing": ([grant("SELECT", option=True)], ["GRANT SHOW VIEW ON *.* TO %s@%s WITH GRANT OPTION"]),
    "option-missing": (
        [grant("SELECT", "SHOW VIEW")],
        ["GRANT SELECT, SHOW VIEW ON *.* TO %s@%s WITH GRANT OPTION"],
    ),
    "surplus": (
        [grant("SELECT", "SHOW VIEW", "SUPER", "PROCESS", option=True)],
        ["REVOKE PROCESS, SUPER ON *.* FROM %s@%s"],
    ),
    "missing-and-surplus": (
        [grant("SELECT", "SUPER", option=True)],
        ["GRANT SHOW VIEW ON *.* TO %s@%s WITH GRANT OPTION", "REVOKE SUPER ON *.* FROM %s@%s"],
    ),
    "on-a-database": ([RIGHT, grant("SELECT", on="test.*")], ["REVOKE SELECT ON `test`.* FROM %s@%s"]),
    "on-a-pattern": ([RIGHT, grant("INSERT", on=r"test\_1.*")], [r"REVOKE INSERT ON `test\_1`.* FROM %s@%s"]),
    "on-a-table": (
        [RIGHT, grant("SELECT (`a`, `b`)", on="test.t")],
        ["REVOKE SELECT (`a`, `b`) ON `test`.`t` FROM %s@%s"],
    ),
    "option-on-a-database": (
        [RIGHT, grant("ALL PRIVILEGES", on="test.*", option=True)],
        ["REVOKE ALL PRIVILEGES, GRANT OPTION ON `test`.* FROM %s@%s"],
    ),
}


@pytest.mark.parametrize(("found", "wanted"), RIGHTS.values(), ids=RIGHTS)
def test_only_differing_rights_are_granted_and_revoked(found: list[Grant], wanted: list[str]) -> None:
    assert statements(account(*found)) == [(sql, WHO) for sql in wanted]


def test_grant_option_that_is_not_wanted_is_revoked() -> None:
    replication = WantedAccount("openexchange", "192.0.2.11", Secret(PASSWORD), frozenset({"SELECT", "SHOW VIEW"}))
    assert statements(account(RIGHT), wanted=[replication]) == [("REVOKE GRANT OPTION ON *.* FROM %s@%s", WHO)]


@pytest.mark.parametrize("option", [True, False])
def test_all_privileges_is_replaced_by_the_wanted_ones(option: bool) -> None:
    done = statements(account(grant("ALL PRIVILEGES", option=option)))
    assert done[-2:] == [("REVOKE ALL PRIVILEGES, GRANT OPTION FROM %s@%s", WHO), GRANT_ALL_WANTED]


def test_what_all_privileges_took_along_is_not_revoked_again() -> None:
    done = [sql for sql, _ in statements(account(grant("ALL PRIVILEGES"), grant("SELECT", on="test.*")))]
    revoked_all = done.index("REVOKE ALL PRIVILEGES, GRANT OPTION FROM %s@%s")
    assert "REVOKE SELECT ON `test`.* FROM %s@%s" not in done[revoked_all:]


def test_right_on_a_pattern_with_a_percent_sign_can_be_revoked() -> None:
    ((sql, values),) = statements(account(RIGHT, grant("SELECT", on="ox%.*")))
    assert sql % tuple(repr(value) for value in values) == ("REVOKE SELECT ON `ox%`.* FROM 'openexchange'@'192.0.2.11'")


@pytest.mark.parametrize(
    ("line", "sql"),
    [
        ("GRANT `reader`", "REVOKE `reader` FROM %s@%s"),
        ("GRANT EXECUTE ON PROCEDURE `test`.`p`", "REVOKE EXECUTE ON PROCEDURE `test`.`p` FROM %s@%s"),
        ("GRANT SELECT ON `my db`.*", "REVOKE SELECT ON `my db`.* FROM %s@%s"),
        ("SET DEFAULT ROLE `reader` FOR `openexchange`@`192.0.2.11`", "SET DEFAULT ROLE NONE FOR %s@%s"),
    ],
)
def test_role_routine_and_odd_name_are_revoked_as_the_server_tells_them(line: str, sql: str) -> None:
    assert statements(account(RIGHT, grant(line, on=""))) == [(sql, WHO)]


def test_every_statement_has_a_label_without_the_password_or_its_hash() -> None:
    job = made(server(account(password="*OTHER"))).job("mysql_run")
    assert [statement["label"] for statement in job["statements"]] == [
        "set the password of 'openexchange'@'192.0.2.11'",
        "grant SELECT, SHOW VIEW to 'openexchange'@'192.0.2.11'",
    ]


@pytest.mark.parametrize("replicate", [True, False])
def test_slave_keeps_its_statements_out_of_its_binary_log(replicate: bool) -> None:
    job = made(server(), replicate=replicate, option_file="/root/my.cnf").job("mysql_run")
    assert (job["replicate"], job["option_file"]) == (replicate, "/root/my.cnf")


@pytest.mark.parametrize(
    ("found", "wanted", "word"), [("", True, "SSL"), ("X509", True, "SSL"), ("ANY", False, "NONE")]
)
def test_encrypted_login_is_required_or_not(found: str, wanted: bool, word: str) -> None:
    known = account(RIGHT).model_copy(update={"tls": found})
    done = statements(known, wanted=[replace(WANTED, tls=wanted)])
    assert done == [(f"ALTER USER IF EXISTS %s@%s REQUIRE {word}", WHO)]


@pytest.mark.parametrize(("found", "wanted"), [("ANY", True), ("", False), ("X509", False), ("X509", None), ("", None)])
def test_requirement_that_is_right_or_not_ours_stays(found: str, wanted: bool | None) -> None:
    known = account(RIGHT).model_copy(update={"tls": found})
    made(server(known), wanted=[replace(WANTED, tls=wanted)]).assert_noop()


def test_new_account_requires_an_encrypted_login_from_the_beginning() -> None:
    done = [sql.split()[0] for sql, _ in statements(wanted=[replace(WANTED, tls=True)])]
    assert done == ["CREATE", "ALTER", "GRANT"]


STALE = account(RIGHT, host="192.0.2.99")


def test_stale_account_is_named_and_kept() -> None:
    outcome = made(server(account(RIGHT), STALE))
    outcome.assert_noop()
    assert outcome.logged == [
        "'openexchange'@'192.0.2.99': for addresses that are no longer in the inventory; run with `--data "
        "remove_stale_accounts=true` to drop them"
    ]


def test_account_with_a_password_of_somebody_else_is_named() -> None:
    outcome = made(server(account(RIGHT).model_copy(update={"password": fingerprint("old")})))
    assert outcome.logged == [
        f"'{WHO[0]}'@'{WHO[1]}': with another password than in the secrets; it gets that one, and our rights"
    ]


def test_stale_account_is_dropped_on_request() -> None:
    outcome = made(server(account(RIGHT), STALE), remove_stale=True)
    (statement,) = outcome.job("mysql_run")["statements"]
    assert (statement["sql"], statement["values"]) == (
        "DROP USER IF EXISTS %s@%s",
        ["openexchange", "192.0.2.99"],
    )
    assert outcome.logged == []


NOT_READY = {
    ServerState.NOT_INSTALLED: "is not installed; run the whole deploy, or this part with the database hosts included.",
    ServerState.NO_DRIVER: "has no Python driver; install python3-pymysql there, or run the whole deploy.",
    ServerState.NOT_RUNNING: "is not running; start it and look at its log (`journalctl -u mariadb` or `-u mysql`).",
    ServerState.NO_RIGHTS: "does not let root log in; let root log in over the socket, or set `mysql_option_file` to "
    "a root-only option file.",
}


@pytest.mark.parametrize(("state", "why"), NOT_READY.items())
def test_server_that_cannot_be_asked_stops_the_operation_but_not_the_plan(state: ServerState, why: str) -> None:
    host = FakeHost({Mysql: MysqlStatus(state=state)}, name="dbmaster")
    arguments: dict[str, Any] = {"wanted": [WANTED], "users": ["openexchange"]}
    assert stop_sentence(mysql.accounts, host, **arguments) == f"the database server of dbmaster {why}"
    # It will be installed and started by what comes before.
    assert run(mysql.accounts, host, executing=False, **arguments).texts == ["true"]


def test_servers_own_error_is_told() -> None:
    status = MysqlStatus(state=ServerState.NO_RIGHTS, error="(1698, 'Access denied')")
    sentence = not_ready(status, "dbmaster")
    assert sentence is not None
    assert sentence.startswith(
        "the database server of dbmaster does not let root log in ((1698, 'Access denied')); let root"
    )


# --- replica ---------------------------------------------------------------------------------------------

SOURCE = Source("dbmaster", "192.0.2.21", 3306, "replication", Secret(PASSWORD))
LOG = BinaryLog(file="mysql-bin.000003", position=342, first_file="mysql-bin.000001", complete=True)
PURGED = BinaryLog(
    file="mysql-bin.000003",
    position=342,
    first_file="mysql-bin.000002",
    complete=False,
    files=["mysql-bin.000002", "mysql-bin.000003"],
    before="0-1-342",
)
ADDRESS = "192.0.2.22"
# What was written on the replica itself.
OWN = "0-1-7,0-2-8"
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def master(**other: Any) -> MysqlStatus:
    values: dict[str, Any] = {"variables": {"server_id": "1"}, "binary_log": LOG, "databases": ["configdb"]}
    return server(**values | {"gtid": Gtid(binlog="0-1-345")} | other)


def slave(replicating: Replica | None = None, **other: Any) -> MysqlStatus:
    values: dict[str, Any] = {"variables": {"server_id": "2"}, "replica": replicating}
    return server(**values | {"gtid": Gtid(slave="0-1-340")} | other)


def replica(**other: Any) -> Replica:
    values: dict[str, Any] = {
        "host": "192.0.2.21",
        "port": 3306,
        "user": "replication",
        "io_running": "Yes",
        "sql_running": "Yes",
        "io_error": "",
        "sql_error": "",
        "file": "mysql-bin.000003",
        "position": 342,
        "password": fingerprint(PASSWORD),
        "using_gtid": True,
    }
    return Replica(**values | other)


SIBLINGS = ["192.0.2.23"]
SITUATIONS: dict[str, tuple[MysqlStatus, MysqlStatus, Situation]] = {
    "healthy": (slave(replica()), master(), Situation.HEALTHY),
    "healthy-without-known-password": (slave(replica(password=None)), master(), Situation.HEALTHY),
    "healthy-with-data": (slave(replica(), databases=["configdb"]), master(), Situation.HEALTHY),
    "fresh": (slave(), master(), Situation.FRESH),
    "fresh-with-empty-master": (slave(), master(databases=[]), Situation.FRESH),
    "fresh-pair": (slave(), master(binary_log=PURGED, databases=[]), Situation.FRESH_PAIR),
    "needs-seed": (slave(), master(binary_log=PURGED), Situation.NEEDS_SEED),
    "has-data": (slave(databases=["wiki"]), master(), Situation.HAS_DATA),
    "stopped": (slave(replica(io_running="No", sql_running="No")), master(), Situation.CAN_CATCH_UP),
    "io-stopped": (slave(replica(io_running="No")), master(), Situation.CAN_CATCH_UP),
    "sql-stopped": (slave(replica(sql_running="No")), master(), Situation.CAN_CATCH_UP),
    "sql-error": (slave(replica(sql_running="No", sql_error="Duplicate entry")), master(), Situation.BROKEN),
    "io-error": (slave(replica(io_running="No", io_error="1236 impossible position")), master(), Situation.BROKEN),
    "other-password": (
        slave(replica(io_running="Connecting", io_error="1045", password=fingerprint("old"))),
        master(),
        Situation.OTHER_PASSWORD,
    ),
    "other-user": (slave(replica(user="repl")), master(), Situation.OTHER_PASSWORD),
    "other-master": (slave(replica(host="192.0.2.99")), master(), Situation.OTHER_MASTER),
    "slave-of-another-of-ours": (slave(replica(host="192.0.2.23")), master(), Situation.MOVED),
    "slave-of-another-of-ours-without-a-position": (
        slave(replica(host="192.0.2.23"), gtid=Gtid()),
        master(),
        Situation.OTHER_MASTER,
    ),
    "slave-of-another-of-ours-with-errant-transactions": (
        slave(replica(host="192.0.2.23"), gtid_state="0-2-7"),
        master(),
        Situation.OTHER_MASTER,
    ),
    "former-master": (
        slave(databases=["configdb"], gtid_state="0-2-300"),
        master(gtid_state="0-2-300,0-1-345"),
        Situation.FORMER_MASTER,
    ),
    "former-master-of-a-seeded-one": (
        slave(databases=["configdb"], gtid_state="0-2-300"),
        master(gtid_state="0-1-345", gtid=Gtid(slave="0-2-300", binlog="0-1-345")),
        Situation.FORMER_MASTER,
    ),
    "former-master-with-more": (
        slave(databases=["configdb"], gtid_state="0-2-301"),
        master(gtid_state="0-2-300,0-1-345"),
        Situation.DIVERGED,
    ),
    # The last that it wrote made a database.
    "former-master-with-more-and-a-database-of-its-own": (
        slave(databases=["configdb", "oxdatabase_9"], gtid_state="0-2-301"),
        master(gtid_state="0-2-300,0-1-345"),
        Situation.DIVERGED,
    ),
    "stranger-with-the-id-of-a-former-master": (
        slave(databases=["wiki"], gtid_state="0-2-301"),
        master(gtid_state="0-2-300,0-1-345"),
        Situation.HAS_DATA,
    ),
    "stranger-with-a-binary-log": (
        slave(databases=["configdb"], gtid_state="0-2-300"),
        master(gtid_state="0-1-345"),
        Situation.HAS_DATA,
    ),
    "former-master-with-a-database-of-its-own": (
        slave(databases=["configdb", "wiki"], gtid_state="0-2-300"),
        master(gtid_state="0-2-300,0-1-345"),
        Situation.HAS_DATA,
    ),
    "other-port": (slave(replica(port=3307)), master(), Situation.OTHER_MASTER),
    "same-server-id": (slave(variables={"server_id": "1"}), master(), Situation.SAME_SERVER_ID),
    "same-server-uuid": (
        slave(version=MYSQL, variables={"server_id": "2", "server_uuid": UUID}),
        master(version=MYSQL, variables={"server_id": "1", "server_uuid": UUID}),
        Situation.SAME_SERVER_UUID,
    ),
    "no-binary-log": (slave(), master(binary_log=None), Situation.NO_BINARY_LOG),
    "purged": (
        slave(replica(io_running="No", read_file="mysql-bin.000001", using_gtid=False)),
        master(binary_log=PURGED),
        Situation.PURGED,
    ),
    "purged-for-gtid": (
        slave(replica(io_running="No", io_error="...required binlog files have been purged.")),
        master(binary_log=PURGED),
        Situation.PURGED,
    ),
    "stopped-within-the-log": (
        slave(replica(io_running="No", read_file="mysql-bin.000002", using_gtid=False)),
        master(binary_log=PURGED),
        Situation.CAN_CATCH_UP,
    ),
    "old-file-does-not-matter-with-gtid": (
        slave(replica(io_running="No", read_file="mysql-bin.000001"), gtid=Gtid(slave="0-1-342")),
        master(binary_log=PURGED),
        Situation.CAN_CATCH_UP,
    ),
    "purged-for-gtid-before-the-master-says-so": (
        slave(replica(io_running="No", received="0-1-341"), gtid=Gtid(slave="0-1-340")),
        master(binary_log=PURGED),
        Situation.PURGED,
    ),
    "received-what-is-purged": (
        slave(replica(io_running="Connecting", received="0-1-342"), gtid=Gtid(slave="0-1-300")),
        master(binary_log=PURGED),
        Situation.CAN_CATCH_UP,
    ),
    "same-server-id-as-slave": (
        slave(replica(io_running="Connecting")),
        master(slaves={"2": "192.0.2.29"}),
        Situation.SAME_SERVER_ID_AS_SLAVE,
    ),
    "other-slaves-with-other-ids": (
        slave(replica(io_running="Connecting")),
        master(slaves={"3": "192.0.2.29", "2": "192.0.2.22"}),
        Situation.CAN_CATCH_UP,
    ),
    "new-slave-with-the-id-of-another": (
        slave(),
        master(slaves={"2": "192.0.2.29"}),
        Situation.SAME_SERVER_ID_AS_SLAVE,
    ),
    "the-one-that-reads": (slave(replica()), master(slaves={"2": "192.0.2.22"}), Situation.HEALTHY),
    "errant": (slave(replica(), gtid_state=OWN), master(gtid_state="0-1-7"), Situation.ERRANT),
    "errant-and-stopped": (
        slave(replica(io_running="No"), gtid_state=OWN),
        master(gtid_state="0-1-7"),
        Situation.ERRANT,
    ),
    "ahead-of-what-the-master-said": (
        slave(replica(), gtid_state="0-1-9"),
        master(gtid_state="0-1-7"),
        Situation.HEALTHY,
    ),
    "unknown": (slave(replica(io_running="Dreaming")), master(), Situation.UNKNOWN),
    "filtered": (slave(replica()), master(filters={"binlog_do_db": "configdb"}), Situation.FILTERED),
    "named": (slave(named=[replica(name="prod")]), master(), Situation.NAMED),
    "named-and-stopped": (
        slave(named=[replica(name="prod", sql_running="No", sql_error="Duplicate entry")]),
        master(),
        Situation.NAMED_STUCK,
    ),
    "named-from-another-master": (
        slave(named=[replica(name="prod", host="192.0.2.99")]),
        master(),
        Situation.OTHER_MASTER,
    ),
    "ring": (slave(replica()), master(replica=replica(host=ADDRESS)), Situation.RING),
    "ring-by-named-connections": (
        slave(named=[replica(name="prod")]),
        master(named=[replica(name="back", host=ADDRESS)]),
        Situation.RING,
    ),
    "ring-with-the-slave-as-its-master": (
        slave(replica(), variables={"server_id": "2", "read_only": "OFF"}),
        master(replica=replica(host=ADDRESS), variables={"server_id": "1", "read_only": "ON"}),
        Situation.RING_TURNED,
    ),
    "half-seeded": (slave(replica(), seeding=True), master(), Situation.HALF_SEEDED),
    "half-seeded-and-down": (MysqlStatus(seeding=True), master(), Situation.HALF_SEEDED),
}


@pytest.mark.parametrize(("found", "source", "situation"), SITUATIONS.values(), ids=SITUATIONS)
def test_situation_is_recognised(found: MysqlStatus, source: MysqlStatus, situation: Situation) -> None:
    assert recognise(found, source, SOURCE, ADDRESS, SIBLINGS) is situation


def test_every_situation_is_covered() -> None:
    alone = {Situation.NOT_SET_UP, Situation.STOPPED}
    assert {situation for _, _, situation in SITUATIONS.values()} == set(Situation) - ADDITIONAL - alone


@pytest.mark.parametrize("error", ["error connecting to master 'replication@192.0.2.21:3306'", ""])
def test_replica_that_cannot_reach_its_master_is_not_healthy(error: str) -> None:
    found = slave(replica(io_running="Connecting", io_error=error))
    assert recognise(found, master(), SOURCE) is not Situation.HEALTHY


ARGUMENTS: dict[str, Any] = {"source": SOURCE, "master_host": "dbmaster", "address": ADDRESS}


def pair(found: MysqlStatus, source: object) -> FakeHost:
    return FakeHost({Mysql: found}, name="dbslave", dbmaster=FakeHost({Mysql: source}, name="dbmaster"))


def replicate(found: MysqlStatus, source: MysqlStatus, **other: Any) -> dict[str, Any]:
    return both_phases(replication.replica, pair(found, source), **ARGUMENTS | other).job(
        "master_slaves.replication_start"
    )


LOGIN = {"user": "replication", "password": PASSWORD}


def start(**position: Any) -> dict[str, Any]:
    there = {"host": "192.0.2.21", "port": 3306, "ca": "", "semi_synchronous": False}
    return LOGIN | there | {"by_gtid": True} | position


def test_slave_that_replicates_by_now_is_not_started_on_what_it_was_before() -> None:
    host = FakeHost({Mysql: [slave(), slave(replica())]}, name="dbslave", dbmaster=FakeHost({Mysql: master()}))
    run(replication.replica, host, **ARGUMENTS).assert_noop()
    assert len(host.asked) == 2


def test_healthy_replica_that_can_be_written_to_is_made_read_only() -> None:
    writable = slave(replica(), variables={"server_id": "2", "read_only": "OFF"})
    host = FakeHost({Mysql: writable}, dbmaster=FakeHost({Mysql: master()}))
    job = both_phases(replication.replica, host, source=SOURCE, master_host="dbmaster").job("mysql_run")
    assert [statement["sql"] for statement in job["statements"]] == ["SET GLOBAL read_only = 1"]
    assert job["replicate"] is False


def test_healthy_replica_is_left_alone() -> None:
    host = pair(slave(replica()), master())
    arguments = ARGUMENTS | {"option_file": "/root/slave.cnf", "master_option_file": "/root/master.cnf"}
    both_phases(replication.replica, host, **arguments).assert_noop()
    assert host.asked[-1] == (Mysql, {"users": [], "option_file": "/root/slave.cnf"})
    assert host.peers["dbmaster"].asked[-1] == (Mysql, {"users": [], "option_file": "/root/master.cnf"})


STARTS: dict[str, tuple[MysqlStatus, MysqlStatus, dict[str, Any] | None]] = {
    "fresh-at-the-beginning-of-the-log": (slave(), master(), start(gtid="")),
    "fresh-pair-at-the-position-of-now": (
        slave(),
        master(binary_log=PURGED, databases=[]),
        start(gtid="0-1-345"),
    ),
    "stopped-as-it-was": (slave(replica(io_running="No")), master(), None),
    "other-password-at-its-own-position": (slave(replica(user="repl")), master(), LOGIN),
    "other-password-by-file-and-position": (
        slave(replica(user="repl", using_gtid=False)),
        master(),
        LOGIN | {"by_gtid": True},
    ),
    "other-password-by-file-and-position-that-gtids-would-lose": (
        slave(replica(user="repl", using_gtid=False)),
        master(binary_log=PURGED),
        LOGIN,
    ),
    "former-master-where-it-ended": (
        slave(databases=["configdb"], gtid_state="0-2-300", gtid=Gtid(slave="0-1-2", binlog="0-2-300")),
        master(gtid_state="0-2-300,0-1-345"),
        start(gtid="0-2-300"),
    ),
    "slave-of-the-former-master-as-it-was": (slave(replica(host="192.0.2.23")), master(), start()),
}


@pytest.mark.parametrize(("found", "source", "wanted"), STARTS.values(), ids=STARTS)
def test_replication_starts_where_nothing_is_lost(
    found: MysqlStatus, source: MysqlStatus, wanted: dict[str, Any] | None
) -> None:
    job = replicate(found, source, siblings=SIBLINGS)
    assert job["source"] == wanted
    by_gtid = wanted is not None and "by_gtid" in wanted
    assert job["target"] == {"file": "mysql-bin.000003", "position": 342, "gtid": "0-1-345" if by_gtid else ""}
    assert job["databases"] == source.databases
    assert job["option_file"] is None


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (master(), {"file": "mysql-bin.000001", "position": 4}),
        (master(binary_log=PURGED, databases=[]), {"file": "mysql-bin.000003", "position": 342}),
    ],
)
def test_by_position_a_fresh_slave_gets_file_and_position(source: MysqlStatus, wanted: dict[str, Any]) -> None:
    job = replicate(slave(), source, by_gtid=False)
    assert job["source"] == start(by_gtid=False, **wanted)
    assert job["target"]["gtid"] == ""


@pytest.mark.parametrize("by_gtid", [True, False])
def test_healthy_replica_is_moved_between_position_and_gtid(by_gtid: bool) -> None:
    job = replicate(slave(replica(using_gtid=not by_gtid)), master(), by_gtid=by_gtid)
    assert job["source"] == {"by_gtid": by_gtid}
    moved = pair(slave(replica(using_gtid=by_gtid)), master())
    both_phases(replication.replica, moved, **ARGUMENTS, by_gtid=by_gtid).assert_noop()


CA = "/etc/mysql/ssl/replication-ca.pem"
ENCRYPTED = replace(SOURCE, ca=CA)
WITH_TLS = {"server_id": "1", "ssl_cert": "/etc/mysql/ssl/replication.pem"}


def connected(found: MysqlStatus, source: MysqlStatus, wanted: Source = ENCRYPTED) -> Any:
    outcome = both_phases(replication.replica, pair(found, source), **ARGUMENTS | {"source": wanted})
    return outcome.job("master_slaves.replication_start")["source"]


@pytest.mark.parametrize(("before", "wanted", "ca"), [("", ENCRYPTED, CA), (CA, SOURCE, ""), ("/other", ENCRYPTED, CA)])
@pytest.mark.parametrize("io", ["Yes", "Connecting"])
def test_replica_is_moved_to_an_encrypted_connection_and_back_from_where_it_stands(
    before: str, wanted: Source, ca: str, io: str
) -> None:
    found = slave(replica(ca=before, io_running=io))
    assert connected(found, master(variables=WITH_TLS), wanted) == {"ca": ca}


def test_replica_that_reads_encrypted_is_left_alone() -> None:
    found = pair(slave(replica(ca=CA)), master(variables=WITH_TLS))
    both_phases(replication.replica, found, **ARGUMENTS | {"source": ENCRYPTED}).assert_noop()


def test_encryption_that_somebody_else_set_up_is_not_taken_away() -> None:
    found = pair(slave(replica(ca="/etc/mysql/own-ca.pem")), master(variables=WITH_TLS))
    both_phases(replication.replica, found, **ARGUMENTS).assert_noop()


def test_replica_that_asks_a_master_without_encryption_for_it_by_itself_reads_in_clear() -> None:
    error = "error connecting to master 'x@y:3306' - message: SSL is required, but the server does not support it"
    asks = {"io_running": "Connecting", "io_error": error}
    assert connected(slave(replica(**asks)), master(), SOURCE) == {"ca": ""}
    # With a file of its own it is somebody's.
    assert connected(slave(replica(**asks, ca="/etc/mysql/own-ca.pem")), master(), SOURCE) is None
    assert connected(slave(replica(**asks)), master(), ENCRYPTED) is None


def test_replica_reads_on_in_clear_until_its_master_can_do_better() -> None:
    without = master(variables={"server_id": "1", "ssl_cert": ""})
    arguments = ARGUMENTS | {"source": ENCRYPTED}
    both_phases(replication.replica, pair(slave(replica()), without), **arguments).assert_noop()
    assert connected(slave(replica(io_running="No")), without) is None


def test_replica_is_moved_in_two_ways_at_once() -> None:
    found = slave(replica(using_gtid=False))
    assert connected(found, master(variables=WITH_TLS)) == {"by_gtid": True, "ca": CA}


def test_new_replica_and_one_with_another_password_read_encrypted() -> None:
    assert connected(slave(), master()) == start(gtid="", ca=CA)
    assert connected(slave(replica(user="repl")), master(variables=WITH_TLS)) == LOGIN | {"ca": CA}


ACKNOWLEDGED = replace(SOURCE, semi_synchronous=True)
WAITING = {"server_id": "1", "rpl_semi_sync_master_enabled": "ON"}


def test_replica_that_does_not_acknowledge_is_made_to() -> None:
    assert connected(slave(replica()), master(variables=WAITING), ACKNOWLEDGED) == {"semi_synchronous": True}
    assert connected(slave(), master(variables=WAITING), ACKNOWLEDGED)["semi_synchronous"] is True


@pytest.mark.parametrize(
    ("found", "variables", "source"),
    [
        (replica(semi_synchronous=True), WAITING, ACKNOWLEDGED),
        # Its thread was restarted in vain.
        (replica(), WAITING | {"rpl_semi_sync_master_enabled": "OFF"}, ACKNOWLEDGED),
        (replica(), WAITING, SOURCE),
    ],
)
def test_replica_that_acknowledges_or_need_not_is_left_alone(
    found: Replica, variables: dict[str, str], source: Source
) -> None:
    host = pair(slave(found), master(variables=variables))
    both_phases(replication.replica, host, **ARGUMENTS | {"source": source}).assert_noop()


def test_stopped_replica_keeps_what_it_has_received() -> None:
    # Once both threads are stopped on purpose, it would be thrown away.
    assert connected(slave(replica(io_running="No")), master(variables=WAITING), ACKNOWLEDGED) is None


SLAVES = [Server("dbslave", "@dbslave", "192.0.2.22", 3306, "/root/my.cnf")]
READER = WantedAccount("replication", "192.0.2.22", Secret(PASSWORD), frozenset(), tls=True)
NOBODY_YET = WantedAccount("replication", "192.0.2.21", Secret(PASSWORD), frozenset(), tls=True)


def encrypted_logins(reader: object, *stored: str) -> tuple[FakeHost, Outcome]:
    accounts = [
        Account(
            user="replication",
            host=each.host,
            plugin="mysql_native_password",
            password=fingerprint(HASH),
            grants=[],
            tls=tls,
        )
        for each, tls in zip([READER, NOBODY_YET], stored, strict=True)
    ]
    slave_host = FakeHost({Mysql: reader}, name="@dbslave")
    found = FakeHost({Mysql: server(*accounts)}, name="dbmaster", **{"@dbslave": slave_host})
    arguments: dict[str, Any] = {"wanted": [READER, NOBODY_YET], "users": ["replication"], "slaves": SLAVES}
    return slave_host, both_phases(replication.encrypt_logins, found, **arguments)


@pytest.mark.parametrize("reader", [slave(), slave(replica(ca=CA))])
def test_account_of_a_slave_that_reads_encrypted_requires_it(reader: MysqlStatus) -> None:
    slave_host, outcome = encrypted_logins(reader, "", "")
    job = outcome.job("mysql_run")
    assert [statement["values"] for statement in job["statements"]] == [
        ["replication", "192.0.2.22"],
        ["replication", "192.0.2.21"],
    ]
    assert job["replicate"] is True
    assert slave_host.asked[-1] == (Mysql, {"users": [], "option_file": "/root/my.cnf"})
    encrypted_logins(reader, "ANY", "ANY")[1].assert_noop()


IN_CLEAR = [slave(replica()), MysqlStatus(state=ServerState.NOT_RUNNING), ConnectionError("no route to host")]


@pytest.mark.parametrize("reader", IN_CLEAR)
def test_account_of_a_slave_that_may_read_in_clear_goes_on_to_allow_it(reader: object) -> None:
    outcome = encrypted_logins(reader, "", "")[1]
    (statement,) = outcome.job("mysql_run")["statements"]
    assert statement["values"] == ["replication", "192.0.2.21"]
    assert outcome.logged == ["dbslave: may log in unencrypted until it is deployed, too"]
    encrypted_logins(reader, "", "ANY")[1].assert_noop()


def test_logins_are_left_alone_while_the_server_cannot_be_asked() -> None:
    down = FakeHost({Mysql: MysqlStatus(state=ServerState.NOT_RUNNING)}, name="dbmaster")
    arguments: dict[str, Any] = {"wanted": [READER], "users": ["replication"], "slaves": SLAVES}
    sentence = stop_sentence(replication.encrypt_logins, down, **arguments)
    assert sentence.startswith("the database server of dbmaster is not running")
    assert run(replication.encrypt_logins, down, executing=False, **arguments).texts == ["true"]


@pytest.mark.parametrize(
    "found",
    [
        # It would begin again at the beginning of the log.
        slave(replica(using_gtid=False), gtid=Gtid()),
        slave(replica(using_gtid=False), gtid=Gtid(slave="7-1-5")),
    ],
)
def test_replica_without_a_gtid_position_is_left_at_its_file_and_position(found: MysqlStatus) -> None:
    both_phases(replication.replica, pair(found, master()), **ARGUMENTS).assert_noop()


def test_replica_that_is_not_healthy_is_not_moved() -> None:
    assert replicate(slave(replica(using_gtid=False, io_running="No")), master())["source"] is None


def test_by_position_a_former_master_is_moved_back_after_it_followed() -> None:
    found, source, _ = STARTS["former-master-where-it-ended"]
    jobs = run(replication.replica, pair(found, source), **ARGUMENTS, by_gtid=False).jobs
    assert [job["source"] for _, job in jobs] == [start(gtid="0-2-300"), {"by_gtid": False}]


SEED = "pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave=dbslave"
OVERWRITE = SEED + " --data overwrite_slave=dbslave"
STOPS: dict[str, str] = {
    "needs-seed": "dbslave is empty while the master has data that its binary log no longer holds; nothing was "
    f"changed: seed it (`{SEED}`).",
    "has-data": "dbslave has databases of its own but does not replicate (wiki); nothing was changed: take it out of "
    f"`db_slave`, or replace all its data with the master's (`{OVERWRITE}`).",
    "sql-error": "dbslave stopped with an error (Slave_SQL_Running is No: Duplicate entry); nothing was changed: "
    f"fix what the error names, then run `START SLAVE`, or seed it (`{OVERWRITE}`).",
    "io-error": "dbslave stopped with an error (Slave_IO_Running is No: 1236 impossible position); nothing was "
    f"changed: fix what the error names, then run `START SLAVE`, or seed it (`{OVERWRITE}`).",
    "former-master-with-more": "dbslave was the master, and has transactions that the master lacks (after 0-2-300 up "
    "to 0-2-301); nothing was changed: inspect them there with `mariadb-binlog`, repeat on the master what is needed, "
    f"then seed it (`{OVERWRITE}`).",
    "purged": f"dbslave lacks what its master's binary log no longer holds; nothing was changed: seed it "
    f"(`{OVERWRITE}`).",
    "errant-and-stopped": "dbslave has transactions that its master does not have (up to 0-2-8); nothing was changed: "
    "inspect them with `mariadb-binlog` there; undo them (with `SET sql_log_bin = 0`) or repeat them on the master, "
    f"then run `RESET MASTER` on dbslave, or seed it (`{OVERWRITE}`).",
    "half-seeded": "dbslave is half seeded; nothing was changed: wait until its seeding ends (`systemctl status "
    f"ox-seed` there), or seed it again (`{SEED}`).",
    "half-seeded-and-down": "dbslave is half seeded; nothing was changed: wait until its seeding ends (`systemctl "
    f"status ox-seed` there), or seed it again (`{SEED}`).",
    "unknown": "dbslave is in an unknown state (Slave_IO_Running is Dreaming); nothing was "
    "changed: look at `SHOW SLAVE STATUS` there.",
    "same-server-id-as-slave": "dbslave has the server id of another replica (2, under which 192.0.2.29 reads); "
    "nothing was changed: give each a `server_id` of its own in the inventory, restart their servers and deploy them.",
    "other-master": "dbslave replicates from another master (192.0.2.99:3306); nothing was changed: correct "
    f"`db_master`, or run `STOP SLAVE; RESET SLAVE ALL` there and seed it (`{OVERWRITE}`).",
    "same-server-id": "dbslave has the server id of its master; nothing was changed: give the host a `server_id` of "
    "its own and deploy it.",
    "same-server-uuid": "dbslave has the server_uuid of its master; nothing was changed: remove `auto.cnf` from its "
    "data directory, restart its server and deploy.",
    "filtered": "dbslave does not get all that its master writes (dbmaster: `binlog_do_db` is configdb, set in no "
    "file); nothing was changed: take the filter out of that server's options and restart it; to get the missing rows, "
    f"seed it (`{OVERWRITE}`).",
    "named-and-stopped": "dbslave replicates from its master by a named connection that cannot be made the default one "
    "yet (prod: Slave_SQL_Running is No: Duplicate entry); nothing was changed: fix the cause shown, start it "
    "(`START SLAVE 'prod'`), wait until it has caught up, then deploy.",
    "named-from-another-master": "dbslave replicates from another master (192.0.2.99:3306); nothing was changed: "
    f"correct `db_master`, or run `STOP SLAVE 'prod'; RESET SLAVE 'prod' ALL` there and seed it (`{OVERWRITE}`).",
    "ring": "dbslave and its master replicate from each other; nothing was changed: run `STOP SLAVE; RESET SLAVE ALL` "
    "on dbmaster; dbslave stays its replica.",
    "ring-by-named-connections": "dbslave and its master replicate from each other; nothing was changed: run `STOP "
    "SLAVE 'back'; RESET SLAVE 'back' ALL` on dbmaster; dbslave stays its replica.",
    "ring-with-the-slave-as-its-master": "dbslave and its master replicate from each other, and it is the one that "
    "takes writes; nothing was changed: run `STOP SLAVE; RESET SLAVE ALL` on dbslave, and make it `db_master` in the "
    "inventory; dbmaster stays its replica.",
    "no-binary-log": "dbslave has a master that writes no binary log; nothing was changed: deploy the master first.",
}


def test_every_stop_has_its_sentence() -> None:
    alone = {Situation.NOT_SET_UP, Situation.STOPPED}
    stops = set(Situation) - FIXED_BY_DEPLOY - ADDITIONAL - alone - {Situation.HEALTHY}
    assert {SITUATIONS[name][2] for name in STOPS} == stops


@pytest.mark.parametrize("read_only", ["ON", "OFF"])
def test_running_slave_with_transactions_of_its_own_is_told_and_left_alone(read_only: str) -> None:
    variables = {"server_id": "2", "read_only": read_only}
    found = slave(replica(), gtid_state=OWN, variables=variables)
    outcome = both_phases(replication.replica, pair(found, master(gtid_state="0-1-7")), **ARGUMENTS)
    if read_only == "OFF":
        assert outcome.job("mysql_run")["statements"][0]["sql"] == "SET GLOBAL read_only = 1"
    else:
        outcome.assert_noop()
        assert "up to 0-2-8" in outcome.logged[0]


@pytest.mark.parametrize(("name", "sentence"), STOPS.items(), ids=STOPS)
def test_what_could_lose_data_stops_the_operation(name: str, sentence: str) -> None:
    found, source, _ = SITUATIONS[name]
    assert stop_sentence(replication.replica, pair(found, source), **ARGUMENTS) == sentence


@pytest.mark.parametrize("name", ["needs-seed", "has-data", "sql-error", "other-master"])
def test_what_could_lose_data_ends_the_run_before_anything_is_changed(name: str) -> None:
    found, source, _ = SITUATIONS[name]
    with pytest.raises(OperationError, match="nothing was changed"):
        run(replication.replica, pair(found, source), executing=False, **ARGUMENTS)


# A server that Debian set up has the id 1 and no binary log until it is configured.
@pytest.mark.parametrize("name", ["no-binary-log", "same-server-id"])
def test_what_the_configuration_will_put_right_does_not_end_the_plan(name: str) -> None:
    found, source, _ = SITUATIONS[name]
    assert run(replication.replica, pair(found, source), executing=False, **ARGUMENTS).texts == ["true"]


@pytest.mark.parametrize("state", NOT_READY)
def test_neither_side_is_touched_while_one_cannot_be_asked(state: ServerState) -> None:
    down = MysqlStatus(state=state)
    for host, name in ((pair(down, master()), "dbslave"), (pair(slave(), down), "dbmaster")):
        sentence = stop_sentence(replication.replica, host, **ARGUMENTS)
        assert sentence == f"the database server of {name} {NOT_READY[state]}"
        assert run(replication.replica, host, executing=False, **ARGUMENTS).texts == ["true"]


@pytest.mark.parametrize(
    ("answer", "reason"), [(ConnectionError("no route to host"), "no route to host"), (None, "it did not answer")]
)
def test_master_that_cannot_be_reached_is_named(answer: object, reason: str) -> None:
    sentence = (
        f"dbslave needs to know the state of dbmaster, which cannot be asked ({reason}); make that host reachable and "
        "run again."
    )
    assert stop_sentence(replication.replica, pair(slave(), answer), **ARGUMENTS) == sentence
    with pytest.raises(OperationError) as stopped:
        run(replication.replica, pair(slave(), answer), executing=False, **ARGUMENTS)
    assert str(stopped.value) == sentence


@pytest.mark.parametrize("name", STARTS)
def test_password_is_on_standard_input_only(name: str) -> None:
    found, source, _ = STARTS[name]
    (command,) = run(replication.replica, pair(found, source), **ARGUMENTS).commands
    for shown in (str(command), repr(command), command.get_raw_value(), repr(SOURCE)):
        assert PASSWORD not in shown
