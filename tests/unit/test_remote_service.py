"""The program that writes a service's files: all of them, or all as they were before."""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Callable
from dataclasses import replace
from grp import getgrgid
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.facts.service import FileState
from ox_deploy.operations.service import ManagedFile, configure_job
from ox_deploy.remote.service import configure as service_configure
from ox_deploy.remote.service import state as service_state
from tests.unit.programs import Commands, altered, shown, under_test

OWNER, GROUP = pwd.getpwuid(os.getuid()).pw_name, getgrgid(os.getgid()).gr_name
RUNNING = {"systemctl show": shown("x")}
STOPPED = shown("x", active="inactive")


class Host:
    """A folder, with the program that works on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = under_test(service_configure)
        self.program.STATE_DIRECTORY = str(folder / "state")
        # Only root may give files to others.
        self.program.os = altered(os, chown=lambda *_: None, fchown=lambda *_: None)
        self.mark = folder / "state" / "x.pending"
        self.commands = Commands(RUNNING)

    def path(self, name: str) -> Path:
        return self.folder / "root" / name

    def file(self, name: str, content: str | None = None, **other: Any) -> ManagedFile:
        return replace(ManagedFile(str(self.path(name)), content, owner=OWNER, group=GROUP), **other)

    def configure(self, *files: ManagedFile, units: tuple[str, ...] = ("x",), **options: Any) -> None:
        self.program.run = self.commands
        self.program.service_configure(configure_job("x", files, units, **options))

    def answering(self, **answers: Any) -> Commands:
        self.commands = Commands({key.replace("_", " "): value for key, value in answers.items()} | RUNNING)
        return self.commands

    @property
    def done(self) -> list[str]:
        asked = ("systemctl show", "systemctl is-active")
        return [line for line in self.commands.lines if not line.startswith(asked)]

    def files(self) -> dict[str, str]:
        """Every file below the root with its content; links with their target."""
        paths = [path for path in (self.folder / "root").rglob("*") if path.is_symlink() or path.is_file()]
        return {path.name: f"-> {path.readlink()}" if path.is_symlink() else path.read_text() for path in sorted(paths)}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "root").mkdir()
    return Host(tmp_path)


def refusal(host: Host, capsys: pytest.CaptureFixture[str], *files: ManagedFile, **options: Any) -> str:
    with pytest.raises(SystemExit) as ended:
        host.configure(*files, **options)
    assert ended.value.code == 1
    return capsys.readouterr().err


# --- writing ---------------------------------------------------------------------------------------------


def test_files_links_and_directories_are_made(host: Host) -> None:
    host.path("old.conf").write_text("x")
    host.configure(
        host.file("a/b/x.conf", "new\n", mode="0640"),
        host.file("x.load", target="../x.load"),
        host.file("data", directory=True, mode="2750"),
        host.file("old.conf"),
        host.file("gone.conf"),
    )
    assert host.files() == {"x.conf": "new\n", "x.load": "-> ../x.load"}
    assert stat.S_IMODE(host.path("a/b/x.conf").stat().st_mode) == 0o640
    assert stat.S_IMODE(host.path("data").stat().st_mode) == 0o2750
    assert not host.mark.exists()


def test_file_is_given_to_its_owner_before_it_is_at_its_place(host: Host) -> None:
    seen: list[tuple[int, int, bool]] = []
    path = host.path("secret")
    host.program.os = altered(os, fchown=lambda _, uid, gid: seen.append((uid, gid, path.exists())))
    host.program.write_whole(str(path), b"x", 0o600, 7, 8)
    assert seen == [(7, 8, False)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_that_is_a_mount_of_its_own_is_written_in_place(host: Host) -> None:
    path = host.path("hosts")
    path.write_text("old")
    number = path.stat().st_ino
    host.program.os = altered(host.program.os, path=altered(os.path, ismount=lambda _: True))
    host.configure(host.file("hosts", "new"))
    assert (path.read_text(), path.stat().st_ino) == ("new", number)
    assert list(host.files()) == ["hosts"]


def test_failed_write_leaves_nothing_behind(host: Host) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space")

    host.program.os = altered(host.program.os, fsync=fail)
    with pytest.raises(OSError, match="no space"):
        host.program.write_whole(str(host.path("x")), b"x", 0o600, 0, 0)
    assert host.files() == {}


def test_block_is_written_into_a_file_of_somebody_else(host: Host) -> None:
    path = host.path("fstab")
    path.write_text("mine\n")
    path.chmod(0o664)
    host.configure(host.file("fstab", "ours\n", block="filestore", mode="0600"))
    assert path.read_text() == "mine\n# BEGIN ox-deploy filestore\nours\n# END ox-deploy filestore\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    host.configure(host.file("fstab", block="filestore"))
    assert path.read_text() == "mine\n"


def test_block_is_written_into_what_a_link_stands_for(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    target, path = host.path("other/hosts"), host.path("hosts")
    target.parent.mkdir()
    target.write_text("mine\n")
    path.symlink_to(target)
    file = host.file("hosts", "ours\n", block="cluster")
    host.configure(file)
    assert path.is_symlink()
    assert target.read_text() == "mine\n# BEGIN ox-deploy cluster\nours\n# END ox-deploy cluster\n"
    state = under_test(service_state).state_of(str(path), "cluster")
    assert not file.differs(FileState(**state))
    host.answering(mycheck=1)
    refusal(host, capsys, host.file("hosts", "other\n", block="cluster"), check=["mycheck"])
    assert path.is_symlink()
    assert "ours" in target.read_text()


def test_block_is_written_into_a_file_that_is_not_utf8(host: Host) -> None:
    path = host.path("fstab")
    path.write_bytes(b"# f\xfcr Daten\n")
    file = host.file("fstab", "ours\n", block="filestore")
    host.configure(file)
    assert path.read_bytes().startswith(b"# f\xfcr Daten\n")
    assert not file.differs(FileState(**service_state.state_of(file.path, file.block) or {}))


def test_directory_with_something_in_it_is_never_removed(host: Host) -> None:
    host.path("data").mkdir()
    host.path("data/file").write_text("x")
    host.path("empty").mkdir()
    host.configure(host.file("data"), host.file("empty"))
    assert host.files() == {"file": "x"}
    assert not host.path("empty").exists()


KINDS: dict[str, dict[str, Any]] = {
    "file": {"content": "x\n", "mode": "0600"},
    "empty-file": {"content": ""},
    "block": {"content": "x\n", "block": "b"},
    "link": {"target": "../x"},
    "directory": {"directory": True, "mode": "2750"},
    "nothing": {},
    "no-block": {"block": "b"},
}
BEFORE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "file": lambda path: path.write_text("x\n"),
    "file-with-block": lambda path: path.write_text("mine\n# BEGIN ox-deploy b\nx\n# END ox-deploy b\n"),
    "link": lambda path: path.symlink_to("../y"),
    "directory": lambda path: path.mkdir(),
}
# The program stops rather than to put a file where a directory is, or the other way round.
CLASH = {
    *((kind, "directory") for kind in ("file", "empty-file", "block", "no-block")),
    *(("directory", before) for before in ("file", "file-with-block", "link")),
}
MEETINGS = [(kind, before) for kind in KINDS for before in BEFORE if (kind, before) not in CLASH]


@pytest.mark.parametrize(("kind", "before"), MEETINGS)
def test_what_was_written_is_right_afterwards(host: Host, kind: str, before: str) -> None:
    BEFORE[before](host.path("x"))
    file = host.file("x", **KINDS[kind])
    host.configure(file)
    state = service_state.state_of(file.path, file.block)
    assert not file.differs(FileState(**state) if state else None)


@pytest.mark.parametrize(("kind", "before"), MEETINGS)
def test_refused_change_leaves_everything_as_it_was(
    host: Host, capsys: pytest.CaptureFixture[str], kind: str, before: str
) -> None:
    BEFORE[before](host.path("x"))
    files, mode = host.files(), os.path.lexists(host.path("x")) and host.path("x").lstat().st_mode
    host.answering(mycheck=1)
    refusal(host, capsys, host.file("x", **KINDS[kind]), check=["mycheck"])
    assert host.files() == files
    assert (os.path.lexists(host.path("x")) and host.path("x").lstat().st_mode) == mode
    assert not host.mark.exists()


# --- units -----------------------------------------------------------------------------------------------


def test_running_unit_is_restarted_after_a_change(host: Host) -> None:
    host.configure(host.file("x", "new"), commands=[["exportfs", "-ra"]])
    assert host.done == ["exportfs -ra", "systemctl restart x"]


def test_running_unit_is_reloaded_where_that_is_enough(host: Host) -> None:
    host.configure(host.file("x", "new"), on_change="reload")
    assert host.done == ["systemctl reload x"]


def test_running_unit_is_left_alone_without_a_change(host: Host) -> None:
    host.configure()
    assert host.done == []


def test_stopped_unit_is_enabled_and_started(host: Host) -> None:
    host.commands = Commands({"systemctl show": [shown("x", active="failed", enabled="disabled"), shown("x")]})
    host.configure(host.file("x", "new"))
    assert host.done == ["systemctl enable x", "systemctl start x"]


@pytest.mark.parametrize("state", ["activating", "reloading"])
def test_unit_that_is_just_starting_is_restarted_when_it_has_started(host: Host, state: str) -> None:
    host.commands = Commands({"systemctl is-active": [state, "active"], **RUNNING})
    host.configure(host.file("x", "new"))
    assert host.done == ["systemctl start x", "systemctl restart x"]


def test_unit_that_is_just_stopped_is_waited_for(host: Host) -> None:
    host.commands = Commands(
        {"systemctl is-active": ["deactivating", "deactivating", "inactive"], "systemctl show": [STOPPED, shown("x")]}
    )
    host.configure(host.file("x", "new"))
    assert host.done == ["systemctl start x"]


def test_unit_that_hangs_while_it_stops_is_named_before_anything_is_written(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.commands = Commands({"systemctl is-active": "deactivating", **RUNNING})
    said = refusal(host, capsys, host.file("x", "new"))
    assert said == (
        "x was told to stop, but still runs after 120 s; wait until it has ended, or, if it hangs, end it with "
        "`systemctl kill -s KILL x`; then run again\n"
    )
    assert host.files() == {}
    assert host.done == []


def test_systemd_reads_changed_units_first(host: Host) -> None:
    job = configure_job("x", [host.file("x.service", "new")], ["x"], check=["mycheck"])
    host.program.run = host.commands
    host.program.service_configure(job | {"daemon_reload": True})
    assert host.done == ["mycheck", "systemctl daemon-reload", "systemctl restart x"]


def test_units_are_not_touched_when_the_check_refuses(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.answering(apachectl=1)
    said = refusal(host, capsys, host.file("x", "new"), check=["apachectl", "configtest"])
    assert said == "x: refused; the old files are back. `apachectl configtest` failed: apachectl says no\n"
    assert host.done == ["apachectl configtest"]


def test_unit_that_refuses_gets_its_old_files_back(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.path("x").write_text("old")
    host.answering(systemctl_restart=[1, 0], journalctl="bad line 3\n")
    said = refusal(host, capsys, host.file("x", "new"))
    assert said == (
        "x: refused; the old files are back, and work. `systemctl restart x` failed: systemctl says no\nbad line 3\n"
    )
    assert host.files() == {"x": "old"}
    assert [line for line in host.done if line.startswith("systemctl")] == ["systemctl restart x"] * 2
    assert not host.mark.exists()


def test_unit_that_dies_of_the_new_files_without_a_word_gets_its_old_ones_back(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.path("x").write_text("old")
    asked: list[str] = []

    def problem_of(job: dict[str, Any], reloaded: bool) -> str | None:
        asked.append(host.path("x").read_text())
        assert reloaded
        return "the unit x does not run" if asked[-1] == "new" else None

    host.program.problem_of = problem_of
    said = refusal(host, capsys, host.file("x", "new"), on_change="reload")
    assert said.startswith("x: refused; the old files are back, and work. the unit x does not run; its")
    assert asked == ["new", "old"]
    assert host.files() == {"x": "old"}
    assert not host.mark.exists()


def test_unit_that_does_not_work_with_its_old_files_either_is_said_to(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.path("x").write_text("old")
    host.program.problem_of = lambda job, reloaded: f"it says {host.path('x').read_text()}"
    said = refusal(host, capsys, host.file("x", "new"))
    assert "the old files are back, but do not work either (it says old; its log: ). it says new" in said
    assert host.files() == {"x": "old"}


def test_what_uses_the_files_is_done_again_with_the_old_ones(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.path("x").write_text("old")
    host.program.run = host.commands
    with pytest.raises(SystemExit):
        host.program.service_configure(
            configure_job("x", [host.file("x", "new")]),
            lambda: "no" if host.path("x").read_text() == "new" else host.commands.done.append(["again"]),
        )
    assert capsys.readouterr().err == "x: refused; the old files are back. no\n"
    assert host.done == ["again"]


def test_text_of_a_script_is_not_part_of_the_message(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.answering(sh=1)
    said = refusal(host, capsys, host.file("x", "new"), commands=[["sh", "-c", "set -e\napt-get\n", "install"]])
    assert "`sh -c` failed: sh says no" in said


def test_unit_that_fails_without_a_change_stays_to_be_finished(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.commands = Commands({"systemctl show": shown("x", active="failed"), "systemctl start": 1})
    said = refusal(host, capsys)
    assert said == "x: `systemctl start x` failed: systemctl says no\n"
    assert host.mark.exists()


def test_failed_installation_is_not_tried_a_second_time(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.answering(install=1)
    refusal(host, capsys, host.file("x", "new"), units=(), commands=[["install", "x"]])
    assert host.done == ["install x"]


# --- interrupted runs ------------------------------------------------------------------------------------


class Killed(BaseException):
    """The run ends here, as by a signal that nothing can catch."""


def interrupt(host: Host, *files: ManagedFile) -> None:
    """Have a run die after it wrote its files."""

    def die(_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        host.program.run = die
        host.program.service_configure(configure_job("x", files, check=["mycheck"]))


def test_interrupted_run_remembers_what_was_there_where_only_root_reads_it(host: Host) -> None:
    host.path("x").write_text("old")
    interrupt(host, host.file("x", "new"))
    assert host.files() == {"x": "new"}
    assert stat.S_IMODE(host.mark.stat().st_mode) == 0o600
    assert json.loads(host.mark.read_text())[str(host.path("x"))]["content"] == "b2xk"


def test_mark_is_set_before_the_first_file_is_written(host: Host) -> None:
    seen: list[bool] = []
    host.program.place = lambda _: seen.append(host.mark.exists())
    host.configure(host.file("x", "new"))
    assert seen == [True]


def test_next_run_has_the_unit_use_the_files_of_an_interrupted_one(host: Host) -> None:
    interrupt(host, host.file("x", "new"))
    host.configure()
    assert host.done == ["systemctl restart x"]
    assert host.files() == {"x": "new"}
    assert not host.mark.exists()


def test_refused_run_restores_what_was_there_before_an_interrupted_one(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.path("x").write_text("oldest")
    interrupt(host, host.file("x", "first"), host.file("y", "first"))
    host.answering(mycheck=1)
    refusal(host, capsys, host.file("x", "second"), check=["mycheck"])
    assert host.files() == {"x": "oldest"}
    assert not host.mark.exists()


def test_unit_that_refuses_the_files_of_an_interrupted_run_gets_its_old_ones_back(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.path("x").write_text("oldest")
    interrupt(host, host.file("x", "first"))
    host.answering(systemctl_restart=[1, 0])
    refusal(host, capsys)
    assert host.files() == {"x": "oldest"}


# --- state -----------------------------------------------------------------------------------------------


def test_state_tells_block_link_directory_and_nothing_apart(tmp_path: Path) -> None:
    program = under_test(service_state)
    shared, link = tmp_path / "shared", tmp_path / "link"
    shared.write_text("mine\n# BEGIN ox-deploy b\n# END ox-deploy b\n")
    shared.chmod(0o640)
    link.symlink_to("../x")
    found = program.state_of(str(shared), None)
    assert (found["mode"], found["owner"], found["group"], found["target"]) == ("0640", OWNER, GROUP, None)
    assert program.state_of(str(shared), "b")["digest"] != found["digest"]
    assert program.state_of(str(shared), "other")["digest"] is None
    assert program.state_of(str(link), None)["target"] == "../x"
    assert program.state_of(str(tmp_path), None)["digest"] is None
    assert program.state_of(str(tmp_path / "none"), None) is None
    assert program.state_of(str(shared / "below"), None) is None


def test_owner_without_a_name_is_told_by_its_number() -> None:
    assert service_state.name_of(pwd.getpwuid, 54321) == "54321"


def test_state_has_units_and_the_pending_mark(tmp_path: Path) -> None:
    program = under_test(service_state)
    program.STATE_DIRECTORY = str(tmp_path)
    program.run = Commands(RUNNING)
    wanted = {"name": "x", "files": {}, "units": ["x"]}
    assert not program.service_state(wanted)["pending"]
    (tmp_path / "x.pending").touch()
    assert program.service_state(wanted) == {
        "files": {},
        "units": {"x": {"active": True, "enabled": True}},
        "pending": True,
    }
