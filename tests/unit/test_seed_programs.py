"""The programs of a seeding: what they do to a replica, and what they leave when they fail."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ox_deploy.mysql.dialects import dialect_of
from ox_deploy.questions.program import prelude
from ox_deploy.remote.common.ending import Failure, fail
from ox_deploy.remote.master_slaves.seed import account as seed_account
from ox_deploy.remote.master_slaves.seed import logical as seed_logical
from ox_deploy.remote.master_slaves.seed import physical as seed_physical
from ox_deploy.remote.master_slaves.seed import restore as seed_restore
from ox_deploy.remote.master_slaves.seed import send as seed_send
from ox_deploy.remote.master_slaves.seed import start as seed_start
from ox_deploy.remote.master_slaves.seed import state as seed_state
from ox_deploy.remote.master_slaves.seed import survey as seed_survey
from ox_deploy.remote.master_slaves.seed.stream import PORT
from ox_deploy.topologies.master_slaves.facts.seed import SeedState, Survey
from ox_deploy.topologies.master_slaves.operations.seed import seed_order
from tests.unit.fakes import stdin_of
from tests.unit.programs import MARIADB, Commands, Session, altered, under_test

PASSWORD = "Zc4qLw8mPn2rTx6v"
MASTER = {"host": "192.0.2.21", "port": 3306, "user": "ox_seed", "password": PASSWORD, "ca": ""}
JOB: dict[str, Any] = {
    "master": MASTER,
    "source": MASTER | {"user": "replication", "password": "replication-password"},
    "bytes": 1000,
    "freed": 0,
    "address": "192.0.2.22",
    "certificate": "-----BEGIN PRIVATE KEY-----\n",
    "unit": "mariadb",
    "fence": "",
    "option_file": None,
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("run", "state", "runtime", "lib"):
        (tmp_path / name).mkdir()
    return tmp_path


def program_at(module: ModuleType, place: Path) -> Any:
    program = under_test(module)
    program.STATE_DIRECTORY = str(place / "state")
    program.STATE_FILE = str(place / "run" / "seed.json")
    program.MARK = str(place / "state" / "seeding")
    return program


@pytest.fixture
def logical(place: Path) -> Any:
    return program_at(seed_logical, place)


@pytest.fixture
def physical(place: Path) -> Any:
    return program_at(seed_physical, place)


def state_in(place: Path) -> SeedState:
    return SeedState.model_validate(json.loads((place / "run" / "seed.json").read_text()))


# --- unit, state, mark -----------------------------------------------------------------------------------


def test_unit_gets_its_program_by_a_file_that_it_removes_itself(place: Path) -> None:
    program = under_test(seed_start)
    program.RUN_DIRECTORY = str(place / "run")
    program.run = Commands({"systemctl is-active": 3})
    (place / "run" / "seed.json").write_text("of an earlier run")
    program.seed_start({"program": "print(os.path.exists(__file__))"})
    file = place / "run" / "seed.py"
    assert file.stat().st_mode & 0o777 == 0o600
    assert program.run.done[-1][-2:] == ["python3", str(file)]
    assert "--unit=ox-seed" in program.run.done[-1]
    assert not (place / "run" / "seed.json").exists()
    done = subprocess.run(["python3", str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_second_unit_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = under_test(seed_start)
    program.RUN_DIRECTORY = str(place / "run")
    program.run = Commands({"systemctl is-active": 0})
    with pytest.raises(SystemExit):
        program.seed_start({"program": ""})
    assert "a seeding is under way on this host" in capsys.readouterr().err
    assert list((place / "run").iterdir()) == []


def test_arguments_reach_the_program_as_they_are() -> None:
    arguments = {"password": "a'b\"c\\d\nü{}", "none": None}
    text = stdin_of(seed_order("master_slaves.seed_send", arguments))["program"]
    begin, call = text.rsplit("from ox_deploy.remote.start import start\n", 1)
    assert begin == prelude("master_slaves.seed_send")
    given: list[Any] = []
    eval(call, {"json": json, "start": given.append})  # noqa: S307 - a call of ours
    assert given == [{"as": "unit", "program": "master_slaves.seed_send", "arguments": arguments}]


def work(program: Any, place: Path, action: Any) -> SeedState:
    program.os = altered(os, environ={"RUNTIME_DIRECTORY": str(place / "runtime")})
    program.work(action, JOB)
    return state_in(place)


def test_success_is_told_with_what_came_of_it(logical: Any, place: Path) -> None:
    def action(job: Any, progress: Any, folder: str) -> str:
        assert folder == str(place / "runtime")
        progress.stage("copies")
        progress.count(12)
        assert (state_in(place).stage, state_in(place).done) == ("copies", False)
        return "all well"

    found = work(logical, place, action)
    assert (found.stage, found.bytes, found.done, found.summary, found.error) == ("done", 12, True, "all well", "")


def test_failure_is_told_with_the_stage_it_came_in(logical: Any, place: Path) -> None:
    def action(job: Any, progress: Any, folder: str) -> str:
        progress.stage("copies")
        fail("the disk is full")

    with pytest.raises(SystemExit):
        work(logical, place, action)
    found = state_in(place)
    assert (found.stage, found.done, found.error) == ("copies", False, "the disk is full")


def test_children_that_move_nothing_any_more_are_killed(logical: Any) -> None:
    logical.STALL_SECONDS = -1
    progress = logical.Progress()
    child = subprocess.Popen(["sleep", "60"])
    begun = time.monotonic()
    with progress.moving(child):
        child.wait(20)
    progress.end()
    assert progress.stalled
    assert time.monotonic() - begun < 10


def test_progress_is_written_by_several_at_the_same_time(logical: Any) -> None:
    progress = logical.Progress()
    with ThreadPoolExecutor(max_workers=4) as pool:
        written = [pool.submit(progress.write) for _ in range(2000)]
    assert [attempt.exception() for attempt in written if attempt.exception()] == []
    progress.end()


@pytest.mark.parametrize("runs", [True, False])
def test_state_is_what_the_unit_wrote_last(place: Path, runs: bool) -> None:
    program = under_test(seed_state)
    program.STATE_DIRECTORY = str(place / "state")
    program.read = lambda path: b'{"stage": "copies", "bytes": 5}' if runs else None
    program.run = Commands({"systemctl is-active": 0 if runs else 3})
    found = SeedState.model_validate(program.seed_state({}))
    assert (found.active, found.stage, found.bytes, found.marked) == (
        (True, "copies", 5, False) if runs else (False, "", 0, False)
    )
    (place / "state" / "seeding").touch()
    found = SeedState.model_validate(program.seed_state({}))
    assert (found.marked, found.kept) == (True, False)


@pytest.mark.parametrize(("end", "kept"), [("old", True), ("before", True), ("gone", False)])
def test_state_tells_whether_the_old_data_is_there(place: Path, end: str, kept: bool) -> None:
    program = under_test(seed_state)
    program.STATE_DIRECTORY, program.STATE_FILE = str(place / "state"), str(place / "run" / "seed.json")
    program.run = Commands({"systemctl is-active": 3})
    directories(place, f"mysql.ox-seed-{end}")
    (place / "state" / "seeding").write_text(str(place / "lib" / "mysql"))
    assert SeedState.model_validate(program.seed_state({})).kept is kept


@pytest.mark.parametrize(
    ("known", "touches", "fails", "stays"),
    [
        (False, True, False, False),
        (False, False, True, False),
        (False, True, True, True),
        # It was half seeded before.
        (True, False, True, True),
        (True, False, False, False),
    ],
)
def test_mark_stays_if_the_slave_is_not_what_it_was(
    logical: Any, place: Path, known: bool, touches: bool, fails: bool, stays: bool
) -> None:
    mark = place / "state" / "seeding"
    if known:
        mark.write_text("/var/lib/mysql")

    def seed() -> None:
        with logical.marked("/var/lib/mysql") as touched:
            assert mark.read_text() == "/var/lib/mysql"
            if touches:
                touched()
            if fails:
                fail("no room")

    if fails:
        with pytest.raises(Failure):
            seed()
    else:
        seed()
    assert mark.exists() is stays


# --- data directories ------------------------------------------------------------------------------------


def directories(place: Path, *names: str) -> None:
    for name in names:
        (place / "lib" / name).mkdir()
        (place / "lib" / name / "made-as").write_text(name)


def found_in(place: Path) -> dict[str, str]:
    return {path.name: (path / "made-as").read_text() for path in (place / "lib").iterdir()}


LEFT: dict[str, tuple[list[str], dict[str, str]]] = {
    "nothing": (["mysql"], {"mysql": "mysql"}),
    "while-it-came": (["mysql", "mysql.ox-seed"], {"mysql": "mysql"}),
    "between-the-renames": (["mysql.ox-seed-old", "mysql.ox-seed"], {"mysql": "mysql.ox-seed-old"}),
    "before-the-start": (["mysql", "mysql.ox-seed-old"], {"mysql": "mysql.ox-seed-old"}),
    "while-the-new-one-goes": (["mysql.ox-seed-old", "mysql.ox-seed-gone"], {"mysql": "mysql.ox-seed-old"}),
    "while-it-caught-up": (["mysql", "mysql.ox-seed-before"], {"mysql": "mysql.ox-seed-before"}),
    "while-the-old-one-goes": (["mysql", "mysql.ox-seed-gone"], {"mysql": "mysql"}),
}


@pytest.mark.parametrize(("left", "wanted"), LEFT.values(), ids=LEFT)
def test_directories_of_a_seeding_that_died_are_put_back(
    physical: Any, place: Path, left: list[str], wanted: dict[str, str]
) -> None:
    directories(place, *left)
    (place / "state" / "seeding").write_text(str(place / "lib" / "mysql"))
    physical.run = Commands()
    physical.recover(JOB)
    assert found_in(place) == wanted
    assert physical.run.lines[-1] == "systemctl start mariadb"
    assert ("systemctl stop mariadb" in physical.run.lines) == (
        "mysql.ox-seed-old" in left or "mysql.ox-seed-before" in left
    )


@pytest.mark.parametrize(("end", "replicates"), [("old", True), ("before", False)])
def test_server_that_ran_on_the_new_data_is_nobodys_slave_on_the_old_ones(
    physical: Any, place: Path, end: str, replicates: bool
) -> None:
    directories(place, "mysql", f"mysql.ox-seed-{end}")
    files = ("master.info", "master-prod.info", "relay-log.info", "relay-log-prod.info", "multi-master.info")
    for name in (*files, "ibdata1"):
        (place / "lib" / f"mysql.ox-seed-{end}" / name).touch()
    physical.run = Commands()
    physical.put_back(str(place / "lib" / "mysql"), "mariadb")
    left = {path.name for path in (place / "lib" / "mysql").iterdir()}
    assert left == {"ibdata1", "made-as", *(files if replicates else ())}


def test_without_a_mark_nothing_is_put_back(physical: Any) -> None:
    physical.run = Commands()
    physical.recover(JOB)
    assert physical.run.done == []


def change_over(
    physical: Any, place: Path, start: int | list[str | int], state: str | list[str | int] = "active"
) -> Commands:
    directories(place, "mysql", "mysql.ox-seed")
    for name in ("mysql/debian-10.11.flag", "mysql/mysql_upgrade_info", "mysql/ibdata1"):
        (place / "lib" / name).write_text("old")
    for name in ("xtrabackup_info", "backup-my.cnf", "ox-seed-complete", "ibdata1"):
        (place / "lib" / "mysql.ox-seed" / name).write_text("new")
    (place / "lib" / "mysql").chmod(0o755)
    (place / "state" / "seeding").write_text(str(place / "lib" / "mysql"))
    physical.run = Commands({"systemctl start": start, "systemctl is-active": state})
    physical.change_over(str(place / "lib" / "mysql"), "mariadb")
    done: Commands = physical.run
    return done


def seeded(physical: Any, place: Path, finish: Any) -> dict[str, str]:
    """Seed a replica; returns the directories that there are when it has caught up."""
    directories(place, "mysql")
    datadir = str(place / "lib" / "mysql")
    for name in ("recover", "check_logins", "check_role", "clean_up", "check_place", "check_room"):
        setattr(physical, name, lambda *_: None)
    physical.connect = physical.login_at_master = lambda *_: Session()
    physical.data_directory = lambda _: datadir
    physical.gtid_state_of_master = lambda _: ""
    physical.receive = lambda *_: (place / "lib" / "mysql.ox-seed" / "made-as").write_text("new")
    physical.prepare = lambda *_: {}
    physical.drop_throw_away = lambda *_: None
    physical.run = Commands({"systemctl is-active": "active"})
    during: dict[str, str] = {}

    def catch_up(*_: Any) -> str:
        during.update(found_in(place))
        return str(finish())

    physical.finish = catch_up
    progress = physical.Progress()
    try:
        physical.seed(JOB, progress, str(place / "runtime"))
    finally:
        progress.end()
    return during


def test_old_data_is_kept_until_the_new_one_is_complete(physical: Any, place: Path) -> None:
    during = seeded(physical, place, lambda: "equal")
    assert during == {"mysql": "new", "mysql.ox-seed-before": "mysql"}
    assert found_in(place) == {"mysql": "new"}
    assert not (place / "state" / "seeding").exists()


def test_old_data_stays_if_the_new_one_is_not_complete(physical: Any, place: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        seeded(physical, place, lambda: 1 // 0)
    assert found_in(place) == {"mysql": "new", "mysql.ox-seed-before": "mysql"}
    assert (place / "state" / "seeding").exists()


@pytest.mark.parametrize(
    ("left", "active", "done"),
    [("mysql.ox-seed-before", 3, True), ("mysql.ox-seed-before", 0, False), ("mysql.other", 3, False)],
)
def test_old_data_is_put_back_unless_it_is_gone_or_a_seeding_runs(
    place: Path, left: str, active: int, done: bool
) -> None:
    program = program_at(seed_restore, place)
    directories(place, "mysql", left)
    (place / "state" / "seeding").write_text(str(place / "lib" / "mysql"))
    program.run = Commands({"systemctl is-active --quiet": active, "systemctl is-active": "active"})
    if done:
        program.seed_restore({"unit": "mariadb", "fence": ""})
        assert found_in(place) == {"mysql": left}
        assert program.run.lines[-1] == "systemctl start mariadb"
    else:
        with pytest.raises(Failure, match="the old data of this host was there when this run looked, but is not"):
            program.seed_restore({"unit": "mariadb", "fence": ""})
        assert (place / "lib" / left).exists()
    # It is no replica yet.
    assert (place / "state" / "seeding").exists()


def test_lease_of_the_run_that_began_it_does_not_stop_the_change_over(physical: Any, place: Path) -> None:
    until = int(float(Path("/proc/uptime").read_text().split()[0])) + 600
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (place / "state" / "lease").write_text(
        f"number 1\nrun abc\nboot {boot}\ntaken 0\nseconds 60\nuntil {until}\n"
        'info {"doing": "seeding", "user": "root", "machine": "here", "process": 1}\n'
    )
    change_over(physical, place, 0)
    assert found_in(place) == {"mysql": "mysql.ox-seed", "mysql.ox-seed-before": "mysql"}


def test_server_runs_on_the_new_directory_and_the_old_one_is_kept(physical: Any, place: Path) -> None:
    done = change_over(physical, place, 0)
    assert found_in(place) == {"mysql": "mysql.ox-seed", "mysql.ox-seed-before": "mysql"}
    directory = place / "lib" / "mysql"
    assert sorted(path.name for path in directory.iterdir()) == [
        "debian-10.11.flag",
        "ibdata1",
        "made-as",
        "mysql_upgrade_info",
    ]
    assert (directory / "ibdata1").read_text() == "new"
    assert directory.stat().st_mode & 0o777 == 0o755
    owner = f"{os.getuid()}:{os.getgid()}"
    assert done.lines == [
        f"chown -R {owner} {place}/lib/mysql.ox-seed",
        "systemctl is-active mariadb",
        "systemctl stop mariadb",
        "systemctl start mariadb",
    ]


def test_server_that_is_just_starting_has_started_before_it_is_stopped(physical: Any, place: Path) -> None:
    done = change_over(physical, place, 0, state=["activating", "active"])
    assert [line.split()[1] for line in done.lines[1:]] == ["is-active", "start", "is-active", "stop", "start"]


def test_server_that_hangs_while_it_stops_is_not_exchanged(physical: Any, place: Path) -> None:
    with pytest.raises(Failure, match="mariadb was told to stop, but still runs after 120 s; wait until"):
        change_over(physical, place, 0, state="deactivating")
    assert found_in(place) == {"mysql": "mysql", "mysql.ox-seed": "mysql.ox-seed"}


def test_server_that_does_not_start_on_it_runs_on_the_old_one_again(physical: Any, place: Path) -> None:
    with pytest.raises(Failure, match="does not start with its master's data, and runs on its own again"):
        change_over(physical, place, [1, 0])
    assert found_in(place) == {"mysql": "mysql"}


@pytest.mark.parametrize("failing", ["mysql", "mysql.ox-seed"])
def test_server_runs_again_if_the_system_refuses_the_exchange(physical: Any, place: Path, failing: str) -> None:
    def refuse_one(source: str, target: str) -> None:
        if source == str(place / "lib" / failing):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        os.rename(source, target)  # noqa: PTH104 - what it stands for

    physical.os = altered(os, rename=refuse_one)
    with pytest.raises(OSError, match="cross-device"):
        change_over(physical, place, 0)
    assert found_in(place) == {"mysql": "mysql"}
    assert physical.run.lines[-1] == "systemctl start mariadb"


def test_directory_that_cannot_be_exchanged_is_refused(physical: Any) -> None:
    inside = Session({"SELECT @@": [{"value": "./"}]})
    physical.check_place(inside, "/no/such/directory")
    with pytest.raises(Failure, match="`innodb_data_home_dir` of the server is /fast, outside of"):
        physical.check_place(Session({"SELECT @@": [{"value": "/fast"}]}), "/no/such/directory")
    physical.os = altered(os, path=altered(os.path, ismount=lambda path: path == "/var/lib/mysql"))
    with pytest.raises(Failure, match="is a separate file system, so it cannot be replaced; seed with"):
        physical.check_place(inside, "/var/lib/mysql")


@pytest.mark.parametrize(
    ("name", "text", "gtid"),
    [
        ("xtrabackup_binlog_info", "mysql-bin.000002\t385\t0-1-27\n", "0-1-27"),
        ("mariadb_backup_binlog_info", "mysql-bin.000002\t385\t0-1-27,1-1-5\n", "0-1-27,1-1-5"),
        ("xtrabackup_binlog_info", "mysql-bin.000002\t385\n", ""),
    ],
)
def test_position_is_the_backups_own(physical: Any, place: Path, name: str, text: str, gtid: str) -> None:
    physical.subprocess = altered(subprocess, run=lambda *_, **__: subprocess.CompletedProcess([], 0))
    (place / "lib" / name).write_text(text)
    position = physical.prepare(str(place / "lib"), str(place / "runtime"))
    assert position == {"file": "mysql-bin.000002", "position": 385, "gtid": gtid}


def test_full_disk_is_seen_before_anything_is_touched(logical: Any, place: Path) -> None:
    logical.check_room(str(place), 1000)
    with pytest.raises(Failure, match="make room, and seed again"):
        logical.check_room(str(place), 1 << 60)
    logical.check_room(str(place), 1 << 60, freed=1 << 61)


# --- the backup ------------------------------------------------------------------------------------------


def wait_for_backup(folder: Path, backup: str, connection: str) -> None:
    """Wait for commands in the place of a backup and of its connection."""
    program = under_test(seed_send)
    program.time = time
    for name in ("mariadb-backup", "socat"):
        (folder / f"{name}.log").write_text(f"{name}: error\n")
    with ExitStack() as running:
        children = [running.enter_context(subprocess.Popen(line.split())) for line in (connection, backup)]
        for child in children:
            running.callback(child.kill)
        program.wait_for_backup(JOB, *children, str(folder))


def test_backup_is_waited_for(tmp_path: Path) -> None:
    wait_for_backup(tmp_path, backup="true", connection="sleep 9")


@pytest.mark.parametrize(
    ("backup", "connection", "said"),
    [
        ("false", "sleep 9", "the backup of the master failed (mariadb-backup: error)"),
        ("sleep 9", "false", f"the connection to 192.0.2.22:{PORT} failed (socat: error); "),
    ],
    ids=["backup", "connection"],
)
def test_backup_that_fails_says_whose_fault_it_is(tmp_path: Path, backup: str, connection: str, said: str) -> None:
    with pytest.raises(Failure, match=f"^{re.escape(said)}"):
        wait_for_backup(tmp_path, backup, connection)


# --- statements ------------------------------------------------------------------------------------------


def test_slave_is_emptied_without_a_trace_in_its_binary_log(logical: Any) -> None:
    session = Session({"SELECT SCHEMA_NAME": [{"name": name} for name in ("sys", "oxdb", "o`dd")]})
    logical.clear(session)
    done = session.statements
    assert done[-2:] == ["DROP DATABASE `o``dd`", "DROP DATABASE `oxdb`"]
    assert done.index("SET sql_log_bin = 0") < done.index("STOP SLAVE") < done.index("RESET SLAVE ALL")


EVENT = {"DEFINER": "root@localhost", "EVENT_SCHEMA": "oxdb", "EVENT_NAME": "e`v", "STATUS": "ENABLED"}


@pytest.mark.parametrize(
    ("by_gtid", "clauses", "mode", "where"),
    [
        (True, "", "slave_pos", []),
        (False, "MASTER_LOG_FILE=%s, MASTER_LOG_POS=%s, ", "no", ["mysql-bin.000002", 385]),
    ],
)
def test_replication_begins_exactly_where_the_snapshot_was_taken(
    logical: Any, by_gtid: bool, clauses: str, mode: str, where: list[Any]
) -> None:
    session = Session({"SELECT * FROM information_schema.EVENTS": [EVENT]})
    position = {"file": "mysql-bin.000002", "position": 385, "gtid": "0-1-27", "before": "0-1-25,0-2-7"}
    logical.follow(session, {**JOB, "source": {**JOB["source"], "by_gtid": by_gtid}}, position)
    statements = [statement for statement, _ in session.done[1:]]
    assert statements == [
        "SET sql_log_bin = 0",
        "ALTER DEFINER = `root`@`localhost` EVENT `oxdb`.`e``v` DISABLE ON SLAVE",
        "STOP SLAVE",
        "RESET SLAVE ALL",
        "RESET MASTER",
        "SET GLOBAL gtid_binlog_state = %s",
        "SET GLOBAL gtid_slave_pos = %s",
        f"CHANGE MASTER TO MASTER_USER=%s, MASTER_PASSWORD=%s, MASTER_HOST=%s, MASTER_PORT=%s, {clauses}"
        f"MASTER_SSL=%s, MASTER_SSL_CA=%s, MASTER_SSL_VERIFY_SERVER_CERT=%s, MASTER_USE_GTID = {mode}, "
        "MASTER_CONNECT_RETRY = 10",
        "START SLAVE",
    ]
    values = dict(session.done)
    assert values["SET GLOBAL gtid_binlog_state = %s"] == ["0-1-27,0-2-7"]
    assert values["SET GLOBAL gtid_slave_pos = %s"] == ["0-1-27"]
    assert values[statements[-2]] == ["replication", "replication-password", "192.0.2.21", 3306, *where, 0, "", 0]


@pytest.mark.parametrize(
    ("state", "last", "found"),
    [
        ("", "0-1-5", "0-1-5"),
        ("0-1-4,1-2-3", "0-1-5,1-2-3", "0-1-5,1-2-3"),
        ("0-2-3", "0-1-5", "0-2-3,0-1-5"),
        ("", "", ""),
    ],
)
def test_last_transactions_of_servers_that_write_no_more_are_kept(
    logical: Any, state: str, last: str, found: str
) -> None:
    assert logical.with_last(state, last) == found


def test_setting_is_put_back_by_the_next_seeding_if_one_dies(logical: Any, place: Path) -> None:
    session = Session({"SELECT @@GLOBAL": [{"value": 7}]})
    with logical.settings(session, {"max_allowed_packet": 9}):
        noted = (place / "state" / "seeding-settings").read_text()
    assert not (place / "state" / "seeding-settings").exists()
    # As if it had died in between.
    (place / "state" / "seeding-settings").write_text(noted)
    after = Session()
    logical.clean_up(after)
    logical.clean_up(after)
    assert after.done.count(("SET GLOBAL max_allowed_packet = %s", [7])) == 1


def test_setting_is_put_back_and_never_hides_why_a_dump_failed(logical: Any) -> None:
    session = Session({"SELECT @@GLOBAL": [{"value": 7}]})
    with logical.settings(session, {"max_allowed_packet": 9}):
        assert session.done[-1] == ("SET GLOBAL max_allowed_packet = %s", [9])
    assert session.done[-1] == ("SET GLOBAL max_allowed_packet = %s", [7])
    with pytest.raises(Failure), logical.settings(session, {"max_allowed_packet": 9}):
        fail("the master cannot be dumped")
    assert session.done[-1] == ("SET GLOBAL max_allowed_packet = %s", [7])
    with pytest.raises(RuntimeError, match="disk full"), logical.settings(session, {"max_allowed_packet": 9}):
        session.answers["SET GLOBAL"] = OSError("the server is gone")
        raise RuntimeError("disk full")


def accounts_session() -> Session:
    def one(**row: str) -> list[dict[str, str]]:
        return [row]

    users = [("PUBLIC", "", "Y"), ("reader", "", "Y"), ("", "vm", "N"), ("app", "10.%", "N")]
    own = [("root", "localhost", "N"), ("mysql", "localhost", "N"), ("mariadb.sys", "localhost", "N")]
    return Session(
        {
            "SELECT User": [
                {"user": user, "host": host, "is_role": role}
                for user, host, role in [*users, *own, ("ox_seed", "192.0.2.22", "N")]
            ],
            "SHOW GRANTS FOR PUBLIC": one(grant="GRANT SELECT ON `test`.* TO PUBLIC"),
            "SHOW GRANTS FOR `reader`": one(grant="GRANT SELECT ON `oxdb`.* TO `reader`"),
            "SHOW CREATE USER ``": Exception(1133, "no matching row"),
            "SHOW CREATE USER `app`": one(create="CREATE USER `app`@`10.%` IDENTIFIED BY PASSWORD '*AB'"),
            "SHOW GRANTS FOR `app`": [
                {"grant": "GRANT `reader` TO `app`@`10.%`"},
                {"grant": "GRANT USAGE ON *.* TO x"},
            ],
        }
    )


def test_accounts_and_roles_of_the_master_are_copied_but_for_the_servers_own(logical: Any) -> None:
    assert logical.read_accounts(accounts_session(), "ox_seed") == [
        ("`reader`", "CREATE OR REPLACE ROLE `reader`"),
        ("`app`@`10.%`", "CREATE OR REPLACE USER `app`@`10.%` IDENTIFIED BY PASSWORD '*AB'"),
        ("PUBLIC", "GRANT SELECT ON `test`.* TO PUBLIC"),
        ("`reader`", "GRANT SELECT ON `oxdb`.* TO `reader`"),
        ("`app`@`10.%`", "GRANT `reader` TO `app`@`10.%`"),
        ("`app`@`10.%`", "GRANT USAGE ON *.* TO x"),
    ]


def test_account_that_cannot_be_copied_is_told_without_its_hash(logical: Any) -> None:
    session = Session({"CREATE": Exception(1524, "near 'IDENTIFIED BY PASSWORD '*AB'")})
    with pytest.raises(Failure) as failed:
        logical.write_accounts(session, [("`app`@`10.%`", "CREATE OR REPLACE USER x IDENTIFIED BY PASSWORD '*AB'")])
    assert str(failed.value) == "the account `app`@`10.%` cannot be copied (error 1524)"


def test_wrong_password_is_seen_before_anything_is_touched(logical: Any) -> None:
    def login(master: Any, user: str | None = None, password: str | None = None) -> Session:
        if user == "replication":
            raise RuntimeError("(1045, 'Access denied')")
        return Session()

    logical.login_at_master = login
    with pytest.raises(Failure, match=r"the account replication cannot log in to the master 192.0.2.21:3306 \("):
        logical.check_logins(JOB)


# --- the dump --------------------------------------------------------------------------------------------

NAMES = dialect_of(MARIADB)
HEADER = (
    b"-- CHANGE MASTER TO MASTER_USE_GTID=slave_pos;\n--\n"
    b"-- CHANGE MASTER TO MASTER_LOG_FILE='mysql-bin.000042', MASTER_LOG_POS=101895438;\n-- Current Database\n"
)


def test_position_is_the_dumps_own(logical: Any, place: Path) -> None:
    assert logical.position_in(HEADER, str(place), NAMES) == {"file": "mysql-bin.000042", "position": 101895438}


def test_dump_without_a_position_is_told_with_the_programs_words(logical: Any, place: Path) -> None:
    (place / "mariadb-dump.log").write_text("warning: x\nmariadb-dump: Got error: 1045: Access denied\n")
    with pytest.raises(Failure, match="the master cannot be dumped: mariadb-dump: Got error: 1045: Access denied"):
        logical.position_in(b"-- MariaDB dump", str(place), NAMES)


def test_dump_is_loaded_in_the_same_mode_whatever_the_servers_is(logical: Any) -> None:
    assert logical.load_command(JOB, NAMES)[-1] == (
        "--init-command=SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', "
        "sql_quote_show_create = 1, sql_log_bin = 0"
    )


def test_password_of_the_dump_is_in_a_file_of_roots_only(logical: Any, place: Path) -> None:
    command = logical.dump_command(JOB, str(place), NAMES, ["oxdb", "-odd"])
    assert PASSWORD not in " ".join(command)
    file = place / "master.cnf"
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"password={PASSWORD}\n" in file.read_text()
    assert command[1] == f"--defaults-file={file}"
    assert command[-4:] == ["--databases", "--", "oxdb", "-odd"]
    # Otherwise MariaDB's clients from 11.4 on want the master to be known.
    assert file.read_text().endswith("\nskip-ssl-verify-server-cert\n")
    assert "ssl-ca" not in file.read_text()


def test_dump_is_encrypted_as_replication_is(logical: Any, place: Path) -> None:
    job = JOB | {"master": MASTER | {"ca": "/ca.pem"}}
    logical.dump_command(job, str(place), NAMES, ["oxdb"])
    assert (place / "master.cnf").read_text().endswith("ssl-ca=/ca.pem\nssl-verify-server-cert\n")


def test_every_session_at_the_master_is_encrypted_as_replication_is(logical: Any) -> None:
    logical.connect_to = lambda server, **_: server
    job = MASTER | {"ca": "/ca.pem"}
    assert logical.login_at_master(job) == job
    assert logical.login_at_master(job, "replication", "other") == job | {"user": "replication", "password": "other"}


# In a process of its own: pyinfra changes how this one works with pipes.
FLOW = """
import subprocess
from ox_deploy.remote.common.ending import Failure
from ox_deploy.mysql.dialects import dialect_of
from ox_deploy.remote.master_slaves.seed import common
from ox_deploy.remote.master_slaves.seed.logical import let_flow, read_header
common.STATE_FILE = {place!r} + "/run/seed.json"
progress = common.Progress()
logs = [open({place!r} + "/" + name, "w") for name in ("mariadb-dump.log", "mariadb.log")]
dump = subprocess.Popen(["sh", "-c", {dump!r}], stdout=subprocess.PIPE, stderr=logs[0])
load = subprocess.Popen(["sh", "-c", {load!r}], stdin=subprocess.PIPE, stderr=logs[1])
try:
    with progress.moving(dump, load):
        let_flow(read_header(dump.stdout), dump, load, progress, {place!r}, dialect_of("10.11-MariaDB"))
except Failure as error:
    print(error)
print(progress.state["bytes"])
"""


def flow(place: Path, dump: str, load_with: str) -> list[str]:
    """Let a shell line's output flow into another one, as a dump into a server; return what was said."""
    script = FLOW.format(place=str(place), dump=dump.format(place), load=load_with.format(place))
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def test_dump_flows_whole_and_is_counted(place: Path) -> None:
    (place / "dump").write_bytes(HEADER + os.urandom(3_000_000))
    (count,) = flow(place, "cat {0}/dump", "cat > {0}/loaded")
    assert (place / "loaded").read_bytes() == (place / "dump").read_bytes()
    # What stands before the position is counted elsewhere.
    assert len(HEADER) + 3_000_000 - 4096 <= int(count) < len(HEADER) + 3_000_000


BROKEN_OFF = {
    "dump": (
        "cat {0}/dump; echo 'Error 2013: Lost connection' >&2; exit 3",
        "cat > {0}/loaded",
        "the dump of the master failed (Error 2013: Lost connection); seed again",
    ),
    "load": (
        "cat {0}/dump {0}/dump; sleep 60",
        "head -c 9 > /dev/null; printf 'INSERT INTO secrets\\nERROR 1114 (HY000): The table is full\\n' >&2; exit 1",
        "this server refused the dump (ERROR 1114 (HY000): The table is full); seed again",
    ),
    "load-at-the-end": (
        "cat {0}/dump",
        "cat > /dev/null; echo 'ERROR 1062' >&2; exit 1",
        "this server refused the dump (ERROR 1062); seed again",
    ),
}


@pytest.mark.parametrize(("dump", "load_with", "sentence"), BROKEN_OFF.values(), ids=BROKEN_OFF)
def test_dump_that_breaks_off_on_either_side_is_told(place: Path, dump: str, load_with: str, sentence: str) -> None:
    (place / "dump").write_bytes(HEADER + b"x" * 3_000_000)
    assert flow(place, dump, load_with)[0] == sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "mysqldump: Error: 'SELECT command denied to user' when trying to dump masking policies",
            "the dump of the master finished, but reported errors (mysqldump: Error: 'SELECT command denied to user' "
            "when trying to dump masking policies); fix them, and seed again",
        ),
        ("mysqldump: [Warning] This option is going to be removed.", None),
        ("Warning: A partial dump from a server that has GTIDs will by default include the GTIDs.", None),
        ("WARNING: option --ssl-verify-server-cert is disabled, because of an insecure passwordless login.", None),
    ],
)
def test_dump_that_tells_an_error_and_ends_well_has_failed(place: Path, words: str, sentence: str | None) -> None:
    (place / "dump").write_bytes(HEADER + b"x" * 3_000_000)
    said = flow(place, f'cat {{0}}/dump; echo "{words}" >&2', "cat > {0}/loaded")
    assert said[:-1] == ([sentence] if sentence else [])


# --- the comparison --------------------------------------------------------------------------------------


def test_values_are_compared_and_not_how_they_are_stored(logical: Any) -> None:
    session = Session({"SELECT COLUMN_NAME": [{"name": "x"}, {"name": "y`z"}]})
    assert logical.selected(session, "oxdb", "a`b", 8 << 20) == (
        "COUNT(*) AS number, COALESCE(SUM(CRC32(CONCAT_WS(',', IFNULL(CRC32(`x`), '-'), "
        "IFNULL(CRC32(`y``z`), '-')))), 0) AS checksum FROM `oxdb`.`a``b`"
    )


def test_of_a_large_table_the_rows_at_both_ends_are_compared(logical: Any) -> None:
    key = "SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS"
    session = Session({key: [{"name": "cid"}, {"name": "id"}], "SELECT COLUMN_NAME": [{"name": "x"}]})
    row = "SELECT CRC32(CONCAT_WS(',', IFNULL(CRC32(`x`), '-'))) AS row_checksum FROM `oxdb`.`t`"
    assert logical.selected(session, "oxdb", "t", (8 << 20) + 1) == (
        "COUNT(*) AS number, COALESCE(SUM(row_checksum), 0) AS checksum FROM "
        f"(({row} ORDER BY `cid`, `id` LIMIT 1000) UNION ALL ({row} ORDER BY `cid` DESC, `id` DESC LIMIT 1000)) AS ends"
    )


def test_rows_of_a_large_table_without_a_key_are_counted(logical: Any) -> None:
    key = "SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS"
    session = Session({key: [], "SELECT COLUMN_NAME": [{"name": "x"}]})
    assert logical.selected(session, "oxdb", "t", 1 << 40) == "COUNT(*) AS number, 0 AS checksum FROM `oxdb`.`t`"


def test_table_for_which_no_time_is_left_is_left_out_on_the_master(logical: Any) -> None:
    sample = {("oxdb", "big"): "COUNT(*)", ("oxdb", "small"): "COUNT(*)"}
    session = Session({"SET STATEMENT": Exception(1969, "max_statement_time exceeded")})
    assert logical.measure_all(session, sample) == {}
    session = Session({"SET STATEMENT": [{"number": 7, "checksum": 0}]})
    assert logical.measure_all(session, sample) == dict.fromkeys(sample, (7, "0"))


class Slave(Session):
    """A replica that stops where it is told to, with as many rows as it is told."""

    def __init__(self, rows: int, objects: tuple[str, ...]) -> None:
        status = {"Last_SQL_Errno": 0, "Slave_SQL_Running": "No"}
        super().__init__(side(rows, objects) | {"SHOW SLAVE STATUS": [status]})


def side(rows: int, objects: tuple[str, ...]) -> dict[str, Any]:
    return {
        "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA": [{"name": "oxdb"}],
        "SELECT CONCAT(TABLE_SCHEMA": [{"name": name} for name in objects],
        "SELECT TABLE_SCHEMA AS s": [{"s": "oxdb", "t": "t", "bytes": 1}],
        "SELECT COLUMN_NAME": [{"name": "id"}],
        "SET STATEMENT max_statement_time": [{"number": rows, "checksum": 42}],
        "SHOW STATUS LIKE 'binlog_snapshot_%'": [
            {"Variable_name": "Binlog_snapshot_file", "Value": "mysql-bin.000009"},
            {"Variable_name": "Binlog_snapshot_position", "Value": "1234"},
        ],
    }


TABLES = ("oxdb.t (BASE TABLE)", "oxdb.v (VIEW)")


def compared(logical: Any, slave: Slave) -> str:
    logical.login_at_master = lambda _: Session(side(7, TABLES))
    text: str = logical.compare(slave, JOB)
    return text


def test_slave_is_compared_where_the_masters_snapshot_was_taken(logical: Any) -> None:
    slave = Slave(7, TABLES)
    text = compared(logical, slave)
    assert text == "equal to the master: 1 databases, 2 tables; 7 rows of 1 tables compared"
    until = "START SLAVE SQL_THREAD UNTIL MASTER_LOG_FILE = %s, MASTER_LOG_POS = %s"
    assert (until, ["mysql-bin.000009", 1234]) in slave.done
    order = [statement for statement in slave.statements if "SLAVE SQL" in statement]
    assert order == ["STOP SLAVE SQL_THREAD", until, "START SLAVE SQL_THREAD"]


@pytest.mark.parametrize(
    ("rows", "objects", "sentence"),
    [
        (6, TABLES, "oxdb.t has 6 rows instead of 7"),
        (7, TABLES[:1], r"it lacks the table oxdb.v \(VIEW\)"),
        (7, (*TABLES, "oxdb.u (BASE TABLE)"), r"only it has the table oxdb.u"),
    ],
)
def test_slave_that_differs_is_stopped_and_told(
    logical: Any, rows: int, objects: tuple[str, ...], sentence: str
) -> None:
    slave = Slave(rows, objects)
    with pytest.raises(Failure, match="the replica differs from its master: " + sentence):
        compared(logical, slave)
    assert slave.statements[-1] == "STOP SLAVE"
    # A table may just have been altered: it was tried more than once.
    assert slave.statements.count("STOP SLAVE SQL_THREAD") == 3


def test_other_values_in_as_many_rows_are_a_difference(logical: Any) -> None:
    found = list(logical.differing_rows([("a", "t")], {("a", "t"): (7, "1")}, {("a", "t"): (7, "2")}))
    assert found == ["a.t has other values"]


# --- account and survey ----------------------------------------------------------------------------------


ACCOUNT: dict[str, Any] = {
    "user": "ox_seed",
    "host": "192.0.2.22",
    "timer": "t",
    "clone": False,
    "option_file": None,
}


@pytest.mark.parametrize(
    ("written", "stop"), [('{"to": "192.0.2.22"}', True), ('{"to": "192.0.2.29"}', False), ("{}", False), (None, False)]
)
def test_sender_that_is_left_is_stopped(tmp_path: Path, written: str | None, stop: bool) -> None:
    program = under_test(seed_account)
    program.STATE_FILE = str(tmp_path / "seed.json")
    if written:
        (tmp_path / "seed.json").write_text(written)
    program.run = Commands()
    program.connect = lambda _: Session()
    program.seed_account({**ACCOUNT, "guarded": False, "statements": []})
    assert ("systemctl stop ox-seed" in program.run.lines) is stop


@pytest.mark.parametrize("guarded", [True, False])
def test_account_has_a_timer_that_drops_it(guarded: bool) -> None:
    program = under_test(seed_account)
    program.run = Commands()
    session = Session()
    program.connect = lambda _: session
    statements = [{"label": "x", "sql": "DROP USER IF EXISTS %s@%s", "values": ["ox_seed", "192.0.2.22"]}]
    program.seed_account({**ACCOUNT, "guarded": guarded, "statements": statements})
    assert program.run.lines[0] == "systemctl stop t.timer"
    assert any(line.startswith("systemd-run") and "DROP USER" in line for line in program.run.lines) is guarded
    assert session.statements[1:] == ["SET sql_log_bin = 0", "DROP USER IF EXISTS %s@%s"]


def test_survey_tells_what_would_be_copied_or_lost(place: Path) -> None:
    program = under_test(seed_survey)
    (place / "lib" / "ibdata1").write_bytes(b"x" * 5000)
    session = Session(
        {
            "SELECT SCHEMA_NAME": [{"name": "oxdb"}, {"name": "mysql"}],
            "SELECT COUNT(*) AS tables": [{"tables": 3, "number": 70, "bytes": 4096}],
            "SELECT CONCAT(TABLE_SCHEMA": [{"name": "oxdb.old"}],
            "SELECT @@datadir": [{"path": str(place / "lib")}],
            "SELECT @@plugin_dir": [{"path": str(place)}],
        }
    )
    program.connect = lambda _: session
    found = Survey.model_validate(program.seed_survey({"programs": [], "option_file": None}))
    assert [contents.model_dump() for contents in found.databases] == [
        {"name": "oxdb", "tables": 3, "rows": 70, "bytes": 4096}
    ]
    assert found.not_transactional == ["oxdb.old"]
    assert found.directory_bytes >= 5000


def test_server_that_does_not_answer_has_an_empty_survey() -> None:
    program = under_test(seed_survey)
    program.shutil = SimpleNamespace(which=lambda name: None if name == "socat" else name)

    def connect(_: object) -> None:
        raise OSError

    program.connect = connect
    assert Survey.model_validate(
        program.seed_survey({"programs": ["mariadb", "socat"], "option_file": None})
    ) == Survey(missing=["socat"])
