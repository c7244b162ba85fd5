"""The programs of a switch: who stops writes, who opens them again, and who opens the new master."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ox_deploy.questions.program import standalone
from ox_deploy.remote.configdb import repoint as configdb_repoint
from ox_deploy.remote.master_slaves.switch import guard as switch_guard
from ox_deploy.remote.master_slaves.switch import promote as switch_promote
from ox_deploy.remote.master_slaves.switch import stop_writes as switch_stop_writes
from tests.unit.programs import Commands, Session, under_test

PASSWORD = "Zc4qLw8mPn2rTx6v"
LAST = "0-1-345"
OLD = {"name": "dbmaster", "host": "192.0.2.21", "port": 3306, "user": "replication", "password": PASSWORD}
NEW = OLD | {"name": "dbslave", "host": "192.0.2.22"}


class Server(Session):
    """A database server with its user locks; `at` lets something happen when a statement comes."""

    def __init__(self, read_only: bool = False, arrives: bool = True) -> None:
        super().__init__({})
        self.read_only, self.arrives = read_only, arrives
        self.locks: dict[str, int] = {}
        self.replica: dict[str, Any] | None = None
        self.at: dict[str, Callable[[], None]] = {}

    def execute(self, statement: str, values: Any = None) -> None:
        self.done.append((statement, values))
        for begin, happens in self.at.items():
            if statement.startswith(begin):
                happens()
        self._rows = self.answer(statement, values)

    def answer(self, statement: str, values: Any) -> list[dict[str, Any]]:
        if statement.startswith("SET GLOBAL read_only"):
            self.read_only = statement.endswith("1")
        elif "@@GLOBAL.read_only" in statement:
            return [{"value": int(self.read_only)}]
        elif "gtid_binlog_pos" in statement:
            return [{"value": LAST}]
        elif "MASTER_GTID_WAIT" in statement:
            return [{"value": 0 if self.arrives else -1}]
        elif "IS_USED_LOCK" in statement:
            return [{"value": self.locks.get(values[0])}]
        elif "GET_LOCK" in statement:
            free = self.locks.setdefault(values[0], 1) == 1
            return [{"value": int(free)}]
        elif statement == "SHOW SLAVE STATUS":
            return [self.replica] if self.replica else []
        elif statement == "RESET SLAVE ALL":
            self.replica = None
        return []

    @property
    def said(self) -> list[str]:
        """The statements that change something."""
        return [statement for statement in self.statements if not statement.startswith(("SELECT", "SHOW"))]


# --- the guard -------------------------------------------------------------------------------------------


def guarded(old: Server, fence: Path) -> Any:
    program = under_test(switch_guard)
    program.connect = lambda _: old
    fence.write_text("read_only = ON\n")
    return program, {"option_file": None, "fence": str(fence), "seconds": 15}


def test_guard_opens_writes_again_when_nobody_goes_on(tmp_path: Path) -> None:
    old, fence = Server(read_only=True), tmp_path / "fence"
    program, job = guarded(old, fence)
    program.switch_guard(job)
    assert not old.read_only
    assert not fence.exists()
    assert program.time.monotonic() >= 15


@pytest.mark.parametrize(("lock", "opens"), [("CLAIM", False), ("ABORT", True)])
def test_guard_ends_at_once_when_it_is_told_to(tmp_path: Path, lock: str, opens: bool) -> None:
    old, fence = Server(read_only=True), tmp_path / "fence"
    program, job = guarded(old, fence)
    old.locks[getattr(program, lock)] = 7
    program.switch_guard(job)
    assert old.read_only is not opens
    assert fence.exists() is not opens
    assert program.time.monotonic() < 1


def test_guard_opens_nothing_when_it_is_claimed_in_the_last_moment(tmp_path: Path) -> None:
    old = Server(read_only=True)
    program, job = guarded(old, tmp_path / "fence")
    old.locks[program.ABORT] = old.locks[program.CLAIM] = 7
    program.switch_guard(job)
    assert old.read_only


def test_guard_does_not_work_beside_another_one(tmp_path: Path) -> None:
    old = Server(read_only=True)
    program, job = guarded(old, tmp_path / "fence")
    old.locks[program.GUARD] = 7
    with pytest.raises(SystemExit):
        program.switch_guard(job)
    assert old.read_only


def test_guard_holds_its_lock_before_it_waits_and_opens_before_it_lets_go(tmp_path: Path) -> None:
    old = Server(read_only=True)
    program, job = guarded(old, tmp_path / "fence")
    program.switch_guard(job)
    assert old.done[0] == ("SELECT GET_LOCK(%s, 0) AS value", [program.GUARD])
    assert not any("RELEASE" in statement for statement in old.statements)


def test_guard_is_a_whole_program() -> None:
    text = standalone("master_slaves.switch_guard", {"option_file": "/no/such/file", "fence": "/etc/x", "seconds": 15})
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'File "ox_deploy/remote/master_slaves/switch/guard.py", line ' in done.stderr


# --- writes are stopped ----------------------------------------------------------------------------------


class Old:
    """The program on the old master's host, with a guard that systemd runs as it should."""

    def __init__(self, folder: Path, new: Server | None = None) -> None:
        self.program = under_test(switch_stop_writes)
        self.old, self.new = Server(), new or Server(read_only=True)
        self.fence = folder / "fence"
        self.commands = Commands()
        self.program.run = self.run
        self.program.RUN_DIRECTORY = str(folder / "run")
        self.program.connect = lambda _: self.old
        self.program.reach = lambda _: self.new
        self.started: list[str] = []
        # How often systemd refuses to start it.
        self.refuses = 0
        # The guard does what it is told, unless it is dead.
        self.guard_works = True
        self.old.at["SELECT GET_LOCK"] = self.guard_opens

    def run(self, argv: list[str]) -> Any:
        if argv[0] != "systemd-run":
            return self.commands(argv)
        self.refuses -= 1
        if self.refuses < 0:
            self.started = argv
            self.old.locks[self.program.GUARD] = 9
        return SimpleNamespace(returncode=int(self.refuses >= 0))

    def guard_opens(self) -> None:
        if self.guard_works:
            self.old.locks.pop(self.program.GUARD, None)
            self.old.read_only = False
            self.fence.unlink(missing_ok=True)

    def stop(self) -> None:
        guard = "print('$x')"
        job = {"name": "dbmaster", "new": NEW, "option_file": None, "fence": str(self.fence), "guard": guard}
        self.program.switch_stop_writes(job)

    def fails(self, capsys: pytest.CaptureFixture[str]) -> str:
        with pytest.raises(SystemExit):
            self.stop()
        return capsys.readouterr().err


def test_writes_are_stopped_under_a_guard_and_a_fence(tmp_path: Path) -> None:
    host = Old(tmp_path)
    host.old.at["FLUSH TABLES"] = lambda: order.append((bool(host.started), host.fence.exists()))
    order: list[tuple[bool, bool]] = []
    host.stop()
    assert order == [(True, True)]
    assert host.old.read_only
    assert host.old.said == [
        "SET SESSION lock_wait_timeout = 2",
        "FLUSH TABLES WITH READ LOCK",
        "SET GLOBAL read_only = 1",
        "UNLOCK TABLES",
    ]
    assert ("SELECT MASTER_GTID_WAIT(%s, %s) AS value", [LAST, 5]) in host.new.done
    assert "read_only = ON" in host.fence.read_text()
    assert host.old.locks[host.program.GUARD] == 9


def test_master_that_is_a_slave_by_now_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Old(tmp_path)
    host.old.replica = {"Master_Host": "192.0.2.22", "Master_Port": 3306}
    assert "dbmaster is a replica of 192.0.2.22:3306 by now, so it is not the master" in host.fails(capsys)
    assert host.old.said == []
    assert not host.fence.exists()


def test_old_master_knows_on_its_disk_to_whom_it_hands_over(tmp_path: Path) -> None:
    host = Old(tmp_path)
    host.stop()
    assert host.program.decided_in(host.fence.read_text()) == {"to": "dbslave"}


def test_systemd_gets_the_guard_in_a_file_that_removes_itself(tmp_path: Path) -> None:
    host = Old(tmp_path)
    host.stop()
    assert host.started[:4] == ["systemd-run", "--quiet", "--collect", "--unit=ox-deploy-guard.service"]
    file = tmp_path / "run" / "guard.py"
    assert host.started[4:] == ["python3", str(file)]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == f"import os\nos.unlink({str(file)!r})\nprint('$x')"
    assert host.commands.lines[0] == "systemctl stop ox-deploy-guard.service"
    assert PASSWORD not in shlex.join(host.started)


def test_without_the_new_master_nothing_is_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Old(tmp_path)

    def refuse(_: object) -> None:
        raise OSError("Connection refused")

    host.program.reach = refuse
    assert host.fails(capsys) == ("dbmaster cannot log in to dbslave: Connection refused; nothing was changed\n")
    assert host.started == []
    assert host.old.done == []


def test_without_a_guard_writes_are_not_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Old(tmp_path)
    host.refuses = 10000
    assert "the guard that would open writes again did not start; nothing was changed" in host.fails(capsys)
    assert host.old.said == []


def test_guard_is_started_though_systemd_still_knows_the_last_one(tmp_path: Path) -> None:
    host = Old(tmp_path)
    host.refuses = 2
    host.stop()
    assert host.old.read_only
    assert host.started


def test_guard_that_an_earlier_run_left_has_to_end_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Old(tmp_path)
    host.old.locks[host.program.GUARD] = 5
    assert "a guard of an earlier run does not end" in host.fails(capsys)
    assert host.started == []


def test_statement_that_does_not_end_is_named_and_writes_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Old(tmp_path)

    def locked() -> None:
        raise Exception(1205, "Lock wait timeout exceeded")

    host.old.at["FLUSH TABLES"] = locked
    busy = [{"id": 8, "user": "openexchange", "seconds": 70}]
    usual = host.old.answer
    vars(host.old)["answer"] = lambda said, values: busy if "PROCESSLIST" in said else usual(said, values)
    assert host.fails(capsys) == (
        "dbmaster did not get the lock on all tables within 2 s (session 8 of openexchange has run for 70 s); it "
        "takes writes as before\n"
    )
    assert not host.old.read_only
    assert not host.fence.exists()


def test_new_master_that_does_not_get_everything_leaves_all_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Old(tmp_path, Server(read_only=True, arrives=False))
    assert host.fails(capsys) == "dbslave did not catch up with dbmaster within 5 s; it takes writes as before\n"
    assert not host.old.read_only
    # It is the guard who opens: only it knows whether somebody has claimed the place.
    assert "SET GLOBAL read_only = 0" not in host.old.said


def test_guard_that_does_not_open_is_not_told_as_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Old(tmp_path, Server(read_only=True, arrives=False))
    host.guard_works = False
    assert "check if it takes writes, then run again" in host.fails(capsys)
    assert host.old.read_only


@pytest.mark.parametrize("by", ["claim", "open"])
def test_place_that_is_taken_is_left_alone(tmp_path: Path, by: str) -> None:
    host = Old(tmp_path, Server(read_only=by == "claim"))
    host.old.read_only = True
    if by == "claim":
        host.old.locks[host.program.CLAIM] = 4
    host.stop()
    assert host.old.said == []
    assert host.commands.lines[-1] == "systemctl stop ox-deploy-guard.service"


# --- the new master is opened ----------------------------------------------------------------------------


class New:
    """The program on the new master's host, with the old master and its guard."""

    def __init__(self) -> None:
        self.program = under_test(switch_promote)
        self.old, self.new = Server(read_only=True), Server(read_only=True)
        self.new.replica = {"Using_Gtid": "Slave_Pos", "Gtid_IO_Pos": LAST, "Last_SQL_Error": ""}
        self.program.connect = lambda _: self.new
        self.program.reach = lambda _: self.old
        self.old.locks[self.program.GUARD] = 9
        self.old.at["SELECT GET_LOCK"] = self.guard_ends
        self.alive = False
        self.program.switch_reach = lambda _: {"answers": self.alive}
        self.fence = Path(tempfile.mkdtemp()) / "fence"

    def guard_ends(self) -> None:
        self.old.locks.pop(self.program.GUARD, None)

    def promote(self, old: dict[str, Any] | None = OLD) -> None:
        fence = str(self.fence)
        job = {"old": old, "lost": OLD | {"seconds": 3}, "from": "dbmaster", "fence": fence, "option_file": None}
        self.program.switch_promote(job)

    def fails(self, capsys: pytest.CaptureFixture[str]) -> str:
        with pytest.raises(SystemExit):
            self.promote()
        # Nothing of a failure is past the point of no return.
        assert self.new.said == []
        assert self.new.replica is not None
        return capsys.readouterr().err


def test_new_master_is_opened_first_and_then_forgets_the_old_one() -> None:
    host = New()
    host.promote()
    assert host.new.said == ["FLUSH PRIVILEGES", "SET GLOBAL read_only = 0", "STOP SLAVE", "RESET SLAVE ALL"]
    assert host.old.said == []


def test_nothing_is_opened_before_the_guard_has_ended_and_the_old_master_is_still_closed() -> None:
    host = New()
    seen: list[tuple[bool, bool, int | None]] = []
    host.new.at["SET GLOBAL read_only = 0"] = lambda: seen.append(
        (host.program.GUARD in host.old.locks, host.old.read_only, host.old.locks.get(host.program.CLAIM))
    )
    host.promote()
    assert seen == [(False, True, 1)]
    claimed = host.old.done.index(("SELECT GET_LOCK(%s, 0) AS value", [host.program.CLAIM]))
    assert any("read_only" in statement for statement, _ in host.old.done[claimed:])


def test_old_master_that_takes_writes_again_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()
    host.old.read_only = False
    assert host.fails(capsys) == "dbmaster takes writes again; nothing was changed; run again\n"
    assert host.program.CLAIM not in host.old.locks


def test_guard_that_opened_the_old_master_before_it_ended_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()

    def opens() -> None:
        host.guard_ends()
        host.old.read_only = False

    host.old.at["SELECT GET_LOCK"] = opens
    assert "takes writes again" in host.fails(capsys)


def test_guard_that_hangs_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()
    host.old.at.clear()
    assert host.fails(capsys) == "the guard of dbmaster does not answer; nothing was changed; run again\n"


def test_transactions_that_did_not_arrive_stop_it(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()
    host.new.arrives = False
    assert "dbmaster has transactions that did not arrive" in host.fails(capsys)


def test_another_run_that_is_about_to_open_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()
    host.old.locks[host.program.CLAIM] = 4
    assert "another run is about to switch" in host.fails(capsys)


def test_claim_that_took_too_long_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()

    def end_late() -> None:
        host.guard_ends()
        host.program.time.sleep(6)

    host.old.at["SELECT GET_LOCK"] = end_late
    assert "dbmaster answers too slowly" in host.fails(capsys)


def test_unreachable_old_master_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()

    def refuse(_: object) -> None:
        raise OSError("no route to host")

    host.program.reach = refuse
    assert "dbmaster cannot be asked: no route to host; nothing was changed" in host.fails(capsys)


def test_run_that_died_after_the_point_of_no_return_is_completed() -> None:
    host = New()
    host.new.read_only = False
    host.promote()
    # The mark may be missing, or be there twice.
    assert host.new.said == ["FLUSH PRIVILEGES", "STOP SLAVE", "RESET SLAVE ALL"]
    assert host.old.done == []
    host.promote()
    assert host.new.said == ["FLUSH PRIVILEGES", "STOP SLAVE", "RESET SLAVE ALL"]


def test_what_is_decided_is_on_the_disk_and_in_the_log_before_it_is_done() -> None:
    host = New()
    seen: list[tuple[bool, bool]] = []
    for statement in ("FLUSH PRIVILEGES", "SET GLOBAL read_only = 0"):
        host.new.at[statement] = lambda: seen.append((host.fence.exists(), host.new.read_only))
    host.promote()
    assert seen == [(True, True), (True, True)]
    assert host.program.decided_in(host.fence.read_text()) == {"from": "dbmaster"}
    assert "read_only = OFF" in host.fence.read_text()


def test_dead_master_that_answers_after_all_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()
    host.alive = True
    with pytest.raises(SystemExit):
        host.promote(None)
    assert host.new.read_only
    assert not host.fence.exists()
    assert capsys.readouterr().err == "dbmaster answers, so it is alive; nothing was changed: use the switchover\n"


# --- the old master is dead ------------------------------------------------------------------------------


def test_without_the_old_master_all_that_it_sent_is_applied_first() -> None:
    host = New()
    host.promote(None)
    assert host.new.said == [
        "START SLAVE SQL_THREAD",
        "STOP SLAVE IO_THREAD",
        "FLUSH PRIVILEGES",
        "SET GLOBAL read_only = 0",
        "STOP SLAVE",
        "RESET SLAVE ALL",
    ]
    assert ("SELECT MASTER_GTID_WAIT(%s, %s) AS value", [LAST, 60]) in host.new.done
    assert host.old.done == []


def test_what_cannot_be_applied_is_not_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    host = New()
    host.new.arrives = False
    assert host.new.replica is not None
    host.new.replica["Last_SQL_Error"] = "Duplicate entry"
    with pytest.raises(SystemExit):
        host.promote(None)
    assert host.new.read_only
    assert "has not applied all that it received within 60 s: Duplicate entry" in capsys.readouterr().err


# --- configdb --------------------------------------------------------------------------------------------


def test_addresses_in_configdb_change_together(capsys: pytest.CaptureFixture[str]) -> None:
    program = under_test(configdb_repoint)
    session = Session()
    program.settings = lambda file: {"database": file}
    program.connect = lambda server, database: session if database == "configdb" else None
    pools = [
        {"id": 3, "name": "oxdatabase", "was": "a", "url": "jdbc:mysql://192.0.2.22/?x"},
        {"id": 5, "name": "oxdatabase_slave", "was": "b", "url": "jdbc:mysql://192.0.2.21/?x"},
    ]
    program.configdb_repoint({"file": "configdb", "pools": pools})
    update = "UPDATE db_pool SET url = %s WHERE db_pool_id = %s AND url = %s"
    assert session.done == [
        ("BEGIN", None),
        (update, ["jdbc:mysql://192.0.2.22/?x", 3, "a"]),
        (update, ["jdbc:mysql://192.0.2.21/?x", 5, "b"]),
        ("COMMIT", None),
    ]
    assert capsys.readouterr().out.splitlines()[0] == "oxdatabase is at jdbc:mysql://192.0.2.22/?x"
