"""The programs of a seeding on MySQL: the dump and its accounts, the clone, its plugin, the comparison."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ox_deploy.mysql.dialects import dialect_of
from ox_deploy.remote.common.ending import Failure
from ox_deploy.remote.master_slaves.seed import account as seed_account
from ox_deploy.remote.master_slaves.seed import clone as seed_clone
from ox_deploy.remote.master_slaves.seed import logical as seed_logical
from ox_deploy.remote.master_slaves.seed import survey as seed_survey
from tests.unit.programs import MYSQL, Commands, Session, under_test

PASSWORD = "Zc4qLw8mPn2rTx6v"
MASTER = {"host": "192.0.2.21", "port": 3306, "user": "ox_seed", "password": PASSWORD, "ca": "/ca.pem"}
GTIDS = "24da167a-0c0c-11e8-8442-00059a3c7b00:1-19:tag:1-5,34da167a-0c0c-11e8-8442-00059a3c7b00:7"
NAMES = dialect_of(MYSQL)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    return {
        "master": MASTER,
        "source": MASTER | {"user": "replication", "password": "replication-password", "by_gtid": True},
        "bytes": 1000,
        "freed": 0,
        "unit": "mysql",
        "fence": str(tmp_path / "zzz-ox-deploy-seed.cnf"),
        "option_file": None,
    }


def program_at(module: ModuleType, place: Path) -> Any:
    program = under_test(module)
    program.STATE_DIRECTORY = str(place)
    if module in (seed_logical, seed_clone):
        program.STATE_FILE = str(place / "run" / "seed.json")
        program.MARK = str(place / "seeding")
    if module is not seed_survey:
        program.run = Commands()
    return program


@pytest.fixture
def logical(tmp_path: Path) -> Any:
    return program_at(seed_logical, tmp_path)


@pytest.fixture
def clone(tmp_path: Path) -> Any:
    return program_at(seed_clone, tmp_path)


def session(answers: dict[str, Any] | None = None) -> Session:
    return Session(answers, version=MYSQL)


# --- the dump --------------------------------------------------------------------------------------------

HEADER = b"""SET @@SESSION.SQL_LOG_BIN= 0;
/* SET @@GLOBAL.GTID_PURGED='+24da167a-0c0c-11e8-8442-00059a3c7b00:1-19:tag:1-5,
34da167a-0c0c-11e8-8442-00059a3c7b00:7';*/
-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='mysql-bin.000042', SOURCE_LOG_POS=3353;
"""


def test_snapshot_is_where_the_dump_says(logical: Any, tmp_path: Path) -> None:
    position = {"file": "mysql-bin.000042", "position": 3353}
    assert logical.position_in(HEADER, str(tmp_path), NAMES) == position
    assert logical.position_in(HEADER.replace(b"REPLICATION SOURCE", b"MASTER"), str(tmp_path), NAMES) == position
    assert logical.gtid_at(session(), position, HEADER) == GTIDS


def test_dump_without_gtids_is_none(logical: Any) -> None:
    with pytest.raises(Failure, match="the dump of the master has no GTIDs; deploy the master"):
        logical.gtid_at(session(), {}, HEADER.replace(b"GTID_PURGED", b"X"))


def test_master_with_a_long_statement_is_told_so(logical: Any, tmp_path: Path) -> None:
    words = "mysqldump: Couldn't execute 'FLUSH TABLES': Lock wait timeout exceeded; error (1205)"
    (tmp_path / "mysqldump.log").write_text(words)
    with pytest.raises(Failure) as failed:
        logical.position_in(b"-- MySQL dump", str(tmp_path), NAMES)
    assert str(failed.value) == (
        f"the master cannot be dumped: {words}; a long statement runs there: wait until it ends (`SHOW PROCESSLIST`), "
        "and seed again"
    )


def test_dump_waits_for_a_lock_for_seconds_and_knows_the_master(
    logical: Any, tmp_path: Path, job: dict[str, Any]
) -> None:
    command = logical.dump_command(job, str(tmp_path), NAMES, ["oxdb"])
    assert command[0] == "mysqldump"
    assert "--loose-init-command=SET SESSION lock_wait_timeout = 5" in command
    assert {"--single-transaction", "--source-data=2", "--set-gtid-purged=COMMENTED"} < set(command)
    text = (tmp_path / "master.cnf").read_text()
    assert text.endswith("ssl-ca=/ca.pem\nssl-mode=VERIFY_IDENTITY\n")
    assert PASSWORD in text
    assert PASSWORD not in " ".join(command)
    assert logical.load_command(job, NAMES)[0] == "mysql"


@pytest.mark.parametrize(("scheduler", "stopped"), [("ON", True), ("OFF", False), ("DISABLED", False)])
def test_no_event_runs_while_the_dump_comes(logical: Any, scheduler: str, stopped: bool) -> None:
    wanted = logical.for_the_dump(session({"SELECT @@GLOBAL.event_scheduler": [{"value": scheduler}]}))
    assert (wanted.get("event_scheduler") == "OFF") is stopped


def test_directories_that_an_ended_clone_left_are_removed_if_they_are_empty(logical: Any, tmp_path: Path) -> None:
    for name in ("oxdb", "odd@002d", "sys", "lost+found", "#innodb_redo", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "auto.cnf").touch()
    logical.remove_empty(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"sys", "lost+found", "#innodb_redo", "full", "auto.cnf"}


EVENT = {"DEFINER": "root@localhost", "EVENT_SCHEMA": "oxdb", "EVENT_NAME": "e`v", "STATUS": "ENABLED"}


@pytest.mark.parametrize("by_gtid", [True, False])
def test_replication_begins_exactly_where_the_snapshot_was_taken(
    logical: Any, job: dict[str, Any], by_gtid: bool
) -> None:
    slave = session({"SELECT * FROM information_schema.EVENTS": [EVENT]})
    position = {"file": "mysql-bin.000002", "position": 385, "gtid": GTIDS, "before": ""}
    logical.follow(slave, {**job, "source": {**job["source"], "by_gtid": by_gtid}}, position)
    *before, change, start = slave.statements[1:]
    assert before == [
        "SET sql_log_bin = 0",
        "ALTER DEFINER = `root`@`localhost` EVENT `oxdb`.`e``v` DISABLE ON REPLICA",
        "STOP REPLICA",
        "RESET REPLICA ALL",
        "RESET BINARY LOGS AND GTIDS",
        "SET GLOBAL gtid_purged = %s",
    ]
    values = dict(slave.done)
    assert values["SET GLOBAL gtid_purged = %s"] == [GTIDS]
    assert f"SOURCE_AUTO_POSITION = {int(by_gtid)}" in change
    assert ("SOURCE_LOG_POS" in change) is not by_gtid
    assert (385 in values[change]) is not by_gtid
    assert start == "START REPLICA"


# --- accounts --------------------------------------------------------------------------------------------

CREATED = (
    "CREATE USER `a``pp`@`10.%` IDENTIFIED WITH 'caching_sha2_password' AS 0x2441 DEFAULT ROLE `r1`@`%`,`r``2`@`10.%` "
    'REQUIRE NONE ATTRIBUTE \'{"comment": "a DEFAULT ROLE `b`@`c`"}\''
)


def accounts_session() -> Session:
    users = [("a`pp", "10.%"), ("r1", "%"), ("ox_seed", "192.0.2.22"), *sorted(NAMES["own_accounts"])]
    edges = [
        ("r1", "%", "a`pp", "10.%", "Y"),
        ("r`2", "10.%", "a`pp", "10.%", "N"),
        ("r1", "%", "root", "localhost", "N"),
    ]
    defaults = [("r1", "%", "a`pp", "10.%"), ("r`2", "10.%", "a`pp", "10.%")]
    return session(
        {
            "SELECT User": [{"user": user, "host": host} for user, host in users],
            "SHOW CREATE USER `a``pp`": [{"x": CREATED}],
            "SHOW CREATE USER `r1`": [{"x": "CREATE USER `r1`@`%` ACCOUNT LOCK"}],
            "SHOW GRANTS FOR `a``pp`": [
                {"x": "GRANT SELECT ON *.* TO `a``pp`@`10.%`"},
                {"x": "REVOKE SELECT ON `mysql`.* FROM `a``pp`@`10.%`"},
                {"x": "GRANT `r1`@`%` TO `a``pp`@`10.%`"},
            ],
            "SHOW GRANTS FOR `r1`": [{"x": "GRANT USAGE ON *.* TO `r1`@`%`"}],
            "\nSELECT FROM_USER": [
                dict(zip(("FROM_USER", "FROM_HOST", "TO_USER", "TO_HOST", "WITH_ADMIN_OPTION"), edge, strict=True))
                for edge in edges
            ],
            "\nSELECT DEFAULT_ROLE_USER": [
                dict(zip(("DEFAULT_ROLE_USER", "DEFAULT_ROLE_HOST", "USER", "HOST"), each, strict=True))
                for each in defaults
            ],
        }
    )


def test_accounts_come_with_roles_and_default_roles_but_for_the_servers_own(logical: Any) -> None:
    master = accounts_session()
    app = "`a``pp`@`10.%`"
    found = logical.read_accounts(master, "ox_seed")
    assert found == [
        (app, f"DROP USER IF EXISTS {app}"),
        (app, CREATED.replace(" DEFAULT ROLE `r1`@`%`,`r``2`@`10.%`", "", 1)),
        ("`r1`@`%`", "DROP USER IF EXISTS `r1`@`%`"),
        ("`r1`@`%`", "CREATE USER `r1`@`%` ACCOUNT LOCK"),
        (app, f"GRANT SELECT ON *.* TO {app}"),
        (app, "REVOKE SELECT ON `mysql`.* FROM `a``pp`@`10.%`"),
        ("`r1`@`%`", "GRANT USAGE ON *.* TO `r1`@`%`"),
        (app, f"GRANT `r1`@`%` TO {app} WITH ADMIN OPTION"),
        (app, f"GRANT `r``2`@`10.%` TO {app}"),
        (app, f"SET DEFAULT ROLE `r1`@`%`, `r``2`@`10.%` TO {app}"),
    ]
    assert master.statements[0] == "SET SESSION print_identified_with_as_hex = ON"


# --- the plugin ------------------------------------------------------------------------------------------

INSTALLED = {"SELECT 1 FROM information_schema.PLUGINS": [{"1": 1}]}


def test_plugin_that_was_not_there_is_removed_again(clone: Any, tmp_path: Path) -> None:
    without = session()
    clone.lend_plugin(without)
    assert without.statements[-1] == "INSTALL PLUGIN clone SONAME 'mysql_clone.so'"
    assert (tmp_path / "clone-plugin").exists()
    lent = session(INSTALLED)
    clone.return_plugin(lent)
    assert lent.statements[-1] == "UNINSTALL PLUGIN clone"
    assert not (tmp_path / "clone-plugin").exists()


def test_plugin_that_was_there_stays(clone: Any) -> None:
    server = session(INSTALLED)
    clone.lend_plugin(server)
    clone.return_plugin(server)
    assert not any("INSTALL" in statement for statement in server.statements)


def test_plugin_stays_while_another_slave_uses_it(clone: Any, tmp_path: Path) -> None:
    clone.lend_plugin(session())
    server = session(INSTALLED | {"SELECT DISTINCT HOST": [{"host": "192.0.2.29:4711"}]})
    assert clone.cloning_now(server) == ["192.0.2.29"]
    clone.return_plugin(server)
    assert "UNINSTALL PLUGIN clone" not in server.statements
    assert (tmp_path / "clone-plugin").exists()


def test_clone_that_a_dead_seeding_left_is_ended(logical: Any) -> None:
    left: list[list[dict[str, int]]] = [[{"id": 7}], [{"id": 7}], []]
    alive = "SELECT PID AS id FROM performance_schema.clone_status WHERE STATE = 'In Progress' AND PID > 0"
    server = session(INSTALLED | {alive: lambda _: left.pop(0), "KILL": lambda _: []})
    logical.clean_up(server)
    assert server.statements.count("KILL CONNECTION 7") == 2
    # It may end in between.
    left = [[{"id": 7}], []]
    server.answers["KILL"] = Exception(1094, "Unknown thread id: 7")
    logical.end_clone(server)
    left = []
    logical.end_clone(Session())


@pytest.mark.parametrize("lent", [True, False])
def test_timer_of_the_account_removes_the_plugin_if_it_is_ours(tmp_path: Path, lent: bool) -> None:
    program = program_at(seed_account, tmp_path)
    server = session({} if lent else INSTALLED)
    program.connect = lambda _: server
    job = {"user": "ox_seed", "host": "192.0.2.22", "timer": "t", "option_file": None, "clone": True}
    program.seed_account({**job, "guarded": True, "statements": []})
    (line,) = [line for line in program.run.lines if line.startswith("systemd-run")]
    assert "mysql --no-defaults --user=root" in line
    assert ("UNINSTALL PLUGIN clone" in line) is lent
    assert ("rm -f" in line) is lent
    server.answers |= INSTALLED | {"SELECT ID AS id": [{"id": 9}]}
    program.seed_account({**job, "clone": False, "guarded": False, "statements": []})
    # Sessions of a replica that died are ended, before the plugin goes.
    assert "KILL CONNECTION 9" in server.statements
    assert ("UNINSTALL PLUGIN clone" in server.statements) is lent


# --- the clone -------------------------------------------------------------------------------------------


class Server:
    """A replica's server, before and after it is cloned."""

    def __init__(self, clone: Any, error: Exception | None = None) -> None:
        self.sessions: list[Session] = []
        self.error = error
        self.states = iter([OSError("it restarts"), "In Progress", "Completed", "Completed"])
        clone.connect = lambda _: self.connect()

    def connect(self) -> Session:
        answers: dict[str, Any] = INSTALLED | {
            "SELECT @@datadir": [{"path": "/tmp"}],
            "SELECT @@GLOBAL.event_scheduler": [{"value": "ON"}],
            "SELECT CONNECTION_ID": [{"id": 7}],
            "SELECT COALESCE(SUM(DATA)": [{"bytes": 5_000_000}],
            "SELECT User AS user": [{"user": "ox_seed", "host": "192.0.2.22"}],
            "SELECT STATE": lambda _: [self.state()],
            "CLONE": self.error or [],
        }
        self.sessions.append(session(answers))
        return self.sessions[-1]

    def state(self) -> dict[str, Any]:
        state = next(self.states)
        if isinstance(state, Exception):
            raise state
        error = {"number": 1317, "error": "interrupted"} if state == "Died" else {"number": 0, "error": "disk full"}
        where = {"file": "mysql-bin.000002", "position": 385, "gtid": GTIDS.replace(",", ",\n")}
        return {"state": "In Progress" if state == "Died" else str(state), **error, **where}

    def statements(self) -> list[str]:
        return [statement for each in self.sessions for statement in each.statements]


def seeded(clone: Any, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Let the program do its work but for what follows the copy; returns where it would replicate from."""
    clone.check_logins = lambda _: None
    finished: list[dict[str, Any]] = []
    clone.finish = lambda session, job, position, progress: finished.append(position)
    progress = clone.Progress()
    try:
        clone.seed(job, progress, "")
    finally:
        progress.end()
    finished[0]["bytes"] = progress.state["bytes"]
    return finished


def test_slave_runs_on_a_clone_and_begins_where_that_was_taken(clone: Any, job: dict[str, Any], tmp_path: Path) -> None:
    server = Server(clone)
    fence: list[str] = []
    clone.is_cloned = watching(clone.is_cloned, lambda: fence.append(Path(job["fence"]).read_text()))
    assert seeded(clone, job) == [{"file": "mysql-bin.000002", "position": 385, "gtid": GTIDS, "bytes": 5_000_000}]
    done = server.statements()
    # Its threads would wait for the clone, and the clone for them.
    # What is about to lose its data is nobody's replica any more.
    assert done.index("STOP REPLICA") < done.index("RESET REPLICA ALL") < done.index(CLONE)
    assert (CLONE, ["ox_seed", "192.0.2.21", 3306, PASSWORD]) in server.sessions[0].done
    assert ("SET GLOBAL clone_valid_donor_list = %s", ["192.0.2.21:3306"]) in server.sessions[0].done
    assert ("SET GLOBAL clone_ssl_ca = %s", ["/ca.pem"]) in server.sessions[0].done
    assert ("DROP USER %s@%s", ["ox_seed", "192.0.2.22"]) in server.sessions[-1].done
    # What came along runs nothing on its own, and then the server is as it was.
    assert "event_scheduler = OFF\nloose_skip_replica_start = ON\n" in fence[0]
    assert not Path(job["fence"]).exists()
    assert server.sessions[-1].done[-1] == ("SET GLOBAL event_scheduler = %s", ["ON"])
    assert not (tmp_path / "seeding").exists()


CLONE = "CLONE INSTANCE FROM %s@%s:%s IDENTIFIED BY %s REQUIRE SSL"


def watching(function: Any, look: Any) -> Any:
    def watched(*arguments: Any) -> Any:
        look()
        return function(*arguments)

    return watched


@pytest.mark.parametrize("number", [3707, 2013])
def test_server_that_restarts_while_it_answers_is_waited_for(clone: Any, job: dict[str, Any], number: int) -> None:
    Server(clone, Exception(number, "Restart server failed"))
    assert len(seeded(clone, job)) == 1


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_server_that_does_not_restart_itself_is_started(clone: Any, job: dict[str, Any], state: str) -> None:
    Server(clone)
    clone.run = Commands({"systemctl is-active": state + "\n"})
    seeded(clone, job)
    assert "systemctl start mysql" in clone.run.lines


def test_clone_that_fails_is_told_without_the_password_and_leaves_the_mark(
    clone: Any, job: dict[str, Any], tmp_path: Path
) -> None:
    Server(clone, Exception(3862, f"Clone Donor Error: near '{PASSWORD}'"))
    with pytest.raises(Failure) as failed:
        seeded(clone, job)
    assert "the master cannot be cloned ((3862, \"Clone Donor Error: near '...'\")); seed again" in str(failed.value)
    assert (tmp_path / "seeding").exists()


@pytest.mark.parametrize(("state", "words"), [("Failed", "disk full"), ("Died", "interrupted")])
def test_clone_that_failed_or_died_is_told(clone: Any, job: dict[str, Any], state: str, words: str) -> None:
    server = Server(clone)
    server.states = iter([state])
    with pytest.raises(Failure, match=rf"the clone of the master failed \({words}\); seed again"):
        clone.is_cloned(job)


@pytest.mark.parametrize("number", [1045, 1698])
def test_root_who_came_along_with_another_password_is_not_waited_for(
    clone: Any, job: dict[str, Any], number: int
) -> None:
    def connect(_: object) -> None:
        raise RuntimeError(number, "Access denied")

    clone.run = Commands({"systemctl show": "active\n"})
    clone.connect = connect
    with pytest.raises(Failure, match="root of the master cannot log in here as this host's `mysql_option_file`"):
        clone.is_cloned(job)


def test_nothing_is_touched_where_the_plugin_cannot_be_had(clone: Any, job: dict[str, Any], tmp_path: Path) -> None:
    Server(clone)

    def refuse(_: object) -> None:
        raise RuntimeError("no such library")

    clone.lend_plugin = refuse
    with pytest.raises(RuntimeError, match="no such library"):
        seeded(clone, job)
    assert not (tmp_path / "seeding").exists()
    assert not Path(job["fence"]).exists()


def test_file_for_the_restart_that_a_dead_seeding_left_is_removed(
    logical: Any, job: dict[str, Any], tmp_path: Path
) -> None:
    Path(job["fence"]).touch()
    (tmp_path / "seeding").write_text(str(tmp_path / "mysql"))
    logical.recover(job)
    changes = [line for line in logical.run.lines if "is-active" not in line]
    assert changes == ["systemctl restart mysql", "systemctl start mysql"]
    assert not Path(job["fence"]).exists()


def test_file_for_the_restart_stays_while_the_server_hangs(logical: Any, job: dict[str, Any], tmp_path: Path) -> None:
    Path(job["fence"]).touch()
    (tmp_path / "seeding").write_text(str(tmp_path / "mysql"))
    logical.run = Commands({"systemctl is-active": "deactivating"})
    with pytest.raises(Failure, match="mysql was told to stop, but still runs"):
        logical.recover(job)
    assert Path(job["fence"]).exists()


def test_bytes_of_a_clone_are_counted_and_one_that_stands_still_is_seen(clone: Any, job: dict[str, Any]) -> None:
    def stage(name: str, state: str, number: int) -> dict[str, Any]:
        return {"stage": name, "state": state, "bytes": number}

    looks = [
        [stage("DROP DATA", "In Progress", 0)],
        [stage("FILE COPY", "In Progress", 3_000_000)],
        [stage("FILE COPY", "In Progress", 3_000_000)],
        [stage("FILE COPY", "Completed", 5_000_000), stage("FILE SYNC", "In Progress", 0)],
    ]
    server = session({"SELECT STAGE": lambda _: looks.pop(0)})
    clone.connect = lambda _: server

    class Over:
        @staticmethod
        def wait(_: float) -> bool:
            return not looks

    class Counter:
        def __init__(self) -> None:
            self.state = {"bytes": 0}
            self.counted: list[int] = []

        def count(self, number: int) -> None:
            self.counted.append(number)
            self.state["bytes"] += number

    counter = Counter()
    clone.count_clone(job, 7, counter, Over)
    # The third look counts nothing, so that a clone that stays so is given up.
    assert counter.counted == [0, 3_000_000, 2_000_000]


def test_clone_that_stands_still_is_ended(clone: Any, job: dict[str, Any]) -> None:
    server = session()
    clone.connect = lambda _: server
    clone.RunningStatement(job, 7).kill()
    assert server.statements == ["KILL QUERY 7"]
    stalled = type("Progress", (), {"stalled": True})
    assert clone.why_not_cloned(Exception(1317, "interrupted"), stalled, PASSWORD).startswith("no data arrived for 300")


# --- the comparison --------------------------------------------------------------------------------------


CALM: dict[str, Any] = {"\nSELECT MAX(TIME)": [{"longest": None}]}


def test_no_table_is_locked_while_a_statement_runs_long(logical: Any) -> None:
    seen: list[int | None] = [40, 2, 1]
    master = session({"\nSELECT MAX(TIME)": lambda _: [{"longest": seen.pop(0)}]})
    logical.wait_for_calm(master)
    assert seen == []
    logical.CALM_SECONDS = 0
    busy = session({"\nSELECT MAX(TIME)": [{"longest": 40}]})
    with pytest.raises(Failure, match="a statement has run on the master for 40 seconds; others would wait"):
        logical.take_snapshot(busy)
    assert not any("LOCK" in statement for statement in busy.statements)
    logical.wait_for_calm(Session())


def test_snapshot_is_taken_while_nobody_can_commit(logical: Any) -> None:
    tries: list[Any] = [Exception(1205, "Lock wait timeout"), []]

    def lock(_: object) -> Any:
        answer = tries.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    status = {"File": "mysql-bin.000009", "Position": 1234}
    master = session(CALM | {"FLUSH TABLES WITH READ LOCK": lock, "SHOW BINARY LOG STATUS": [status]})
    assert logical.take_snapshot(master) == {"file": "mysql-bin.000009", "position": 1234}
    done = [statement for statement in master.statements if "PROCESSLIST" not in statement]
    assert len(master.statements) == len(done) + 2
    assert done[1:] == [
        "SET SESSION lock_wait_timeout = 2",
        "FLUSH TABLES WITH READ LOCK",
        "FLUSH TABLES WITH READ LOCK",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "SHOW BINARY LOG STATUS",
        "UNLOCK TABLES",
    ]


def test_master_that_never_rests_is_not_compared(logical: Any) -> None:
    with pytest.raises(Failure, match="statements run for so long on the master that it cannot be compared"):
        logical.take_snapshot(session(CALM | {"FLUSH TABLES": Exception(1205, "Lock wait timeout")}))


def test_slave_that_stands_where_it_should_is_stopped_there(logical: Any) -> None:
    """As MySQL and MariaDB 11.8 do not always do themselves."""
    status = {
        "Last_SQL_Errno": 0,
        "Replica_SQL_Running": "Yes",
        "Relay_Source_Log_File": "mysql-bin.000009",
        "Exec_Source_Log_Pos": 1234,
    }
    behind = status | {"Exec_Source_Log_Pos": 1200}
    states = [behind, behind, status]
    slave = session({"SHOW REPLICA STATUS": lambda _: [states.pop(0)]})
    logical.go_to(slave, {"file": "mysql-bin.000009", "position": 1234})
    assert slave.statements[0] == "START REPLICA SQL_THREAD UNTIL SOURCE_LOG_FILE = %s, SOURCE_LOG_POS = %s"
    assert slave.statements[-1] == "STOP REPLICA SQL_THREAD"
    assert states == []


def test_counting_is_limited_as_mysql_does_it(logical: Any) -> None:
    server = session({"SELECT /*+ MAX_EXECUTION_TIME(": Exception(3024, "interrupted")})
    sample = {("oxdb", "t"): "COUNT(*) AS number, 0 AS checksum FROM `oxdb`.`t`"}
    assert logical.measure_all(server, sample) == {}
    server = session({"SELECT /*+ MAX_EXECUTION_TIME(": [{"number": 7, "checksum": 0}]})
    assert logical.measure_all(server, sample) == {("oxdb", "t"): (7, "0")}
    assert server.statements[-1].endswith("*/ COUNT(*) AS number, 0 AS checksum FROM `oxdb`.`t`")


def test_survey_tells_whether_a_server_can_be_cloned(tmp_path: Path) -> None:
    program = program_at(seed_survey, tmp_path)
    server = session(
        {
            "SELECT @@datadir": [{"path": str(tmp_path)}],
            "SELECT @@plugin_dir": [{"path": str(tmp_path)}],
            "SELECT DISTINCT HOST": [{"host": "192.0.2.29:4711"}, {"host": "192.0.2.29:4712"}],
            "SHOW GLOBAL VARIABLES": [{"Variable_name": "innodb_page_size", "Value": "16384"}],
        }
    )
    program.connect = lambda _: server
    found = program.seed_survey({"programs": [], "option_file": None})
    assert (found["can_clone"], found["cloned_by"]) == (False, ["192.0.2.29"])
    assert found["alike"] == {"innodb_page_size": "16384"}
    assert server.statements[0] == "SET SESSION information_schema_stats_expiry = 0"
    (tmp_path / "mysql_clone.so").touch()
    assert program.seed_survey({"programs": [], "option_file": None})["can_clone"]
