"""Where a server's settings come from: what its option files, its command line and its own file say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ox_deploy.remote.mysql import options
from tests.unit.programs import MARIADB, MYSQL, under_test

OURS = "[mysqld]\nbind-address = 192.0.2.21\nport = 3306\n"


class Server:
    """A server that reads `my.cnf` and what that includes; `conf.d` holds our file."""

    def __init__(self, folder: Path, version: str = MARIADB) -> None:
        self.folder, self.version = folder, version
        self.ours = self.write("conf.d/50-ours.cnf", OURS)
        self.write("my.cnf", f"!includedir {folder}/conf.d/\n")
        self.program: Any = under_test(options)
        self.program.START_FILES = [f"{folder}/none.cnf", f"{folder}/my.cnf"]

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def differences(self, variables: dict[str, str]) -> list[dict[str, Any]]:
        values = {"version": self.version, "datadir": str(self.folder), "pid_file": ""}
        values |= {"bind_address": "192.0.2.21", "port": "3306", "log_bin": "ON", "skip_networking": "OFF"}
        found: list[dict[str, Any]] = self.program.differences(values | variables, [self.ours, "/none"])
        return found

    def says(self, **variables: str) -> list[str]:
        return [self.program.said(each) for each in self.differences(variables)]

    def overruled(self, **variables: str) -> list[bool]:
        return [each["overruled"] for each in self.differences(variables)]

    def one(self, **variables: str) -> str:
        (said,) = self.says(**variables)
        return said


VERSIONS = pytest.mark.parametrize("version", [MARIADB, MYSQL])


@VERSIONS
def test_server_that_does_what_our_file_says_has_no_difference(tmp_path: Path, version: str) -> None:
    assert Server(tmp_path, version).says() == []


def test_nothing_is_compared_before_our_file_is_there(tmp_path: Path) -> None:
    server = Server(tmp_path)
    Path(server.ours).unlink()
    assert server.says(log_bin="OFF", bind_address="127.0.0.1") == []


@VERSIONS
@pytest.mark.parametrize(
    "line",
    ["bind-address = 0.0.0.0", "bind_address=0.0.0.0 # all", "loose-bind-address='0.0.0.0'", "BIND-ADDRESS=0.0.0.0"],
)
def test_file_that_is_read_after_ours_is_named_with_its_line(tmp_path: Path, version: str, line: str) -> None:
    server = Server(tmp_path, version)
    later = server.write("conf.d/60-site.cnf", f"# theirs\n[client]\nport = 1\n[mysqld]\n{line}\n")
    assert server.one(bind_address="0.0.0.0") == (
        f"`bind_address` is 0.0.0.0, but {server.ours} says 192.0.2.21; {later}:5 wins; remove it there and restart "
        "the server"
    )


def test_only_groups_of_this_server_count(tmp_path: Path) -> None:
    server = Server(tmp_path, MYSQL)
    text = "[mariadb]\nbind-address = 0.0.0.0\n[mysqld-5.7]\nbind-address = 0.0.0.0\n"
    server.write("conf.d/60-site.cnf", text)
    assert "it was set while the server runs" in server.one(bind_address="0.0.0.0")
    assert server.overruled(bind_address="0.0.0.0") == [False]
    assert "60-site.cnf:2 wins" in Server(tmp_path, MARIADB).one(bind_address="0.0.0.0")


def test_only_what_is_read_after_ours_wins(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.write("conf.d/40-site.cnf", "[mysqld]\nbind-address = 0.0.0.0\n")
    server.write("conf.d/60-site.txt", "[mysqld]\nbind-address = 0.0.0.0\n")
    assert server.one(bind_address="0.0.0.0").endswith(
        "; it was set while the server runs; restart the server, or set it back with `SET GLOBAL`"
    )
    more = server.write("more.ini", "[mysqld]\nbind-address = 0.0.0.0\n")
    server.write("my.cnf", f"!includedir {tmp_path}/conf.d\n!include {more}\n")
    assert f"{more}:2 wins" in server.one(bind_address="0.0.0.0")


@VERSIONS
def test_file_that_is_not_read_is_named_with_the_line_that_is_missing(tmp_path: Path, version: str) -> None:
    server = Server(tmp_path, version)
    server.write("my.cnf", f"!includedir {tmp_path}/other.d/\n[mysqld]\nserver-id = 1\n")
    assert server.one(bind_address="127.0.0.1") == (
        f"`bind_address` is 127.0.0.1, but {server.ours} says 192.0.2.21; this server does not read our file; let "
        f"{tmp_path}/my.cnf end with the line `!includedir {tmp_path}/conf.d`"
    )
    assert server.overruled(bind_address="127.0.0.1") == [True]


def test_folder_behind_a_link_is_read(tmp_path: Path) -> None:
    server = Server(tmp_path)
    (tmp_path / "linked.d").symlink_to(tmp_path / "conf.d")
    server.write("my.cnf", f"!includedir {tmp_path}/linked.d/\n")
    assert "not read" not in server.one(bind_address="0.0.0.0")


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.write("my.cnf", f"!include {tmp_path}/my.cnf\n!includedir {tmp_path}/conf.d\n")
    assert "it was set while the server runs" in server.one(bind_address="0.0.0.0")


@VERSIONS
def test_binary_log_and_network_that_are_switched_off_are_named(tmp_path: Path, version: str) -> None:
    server = Server(tmp_path, version)
    later = server.write("conf.d/60-site.cnf", "[mysqld]\nskip-log-bin\nskip-networking\n")
    network, log = server.says(log_bin="OFF", skip_networking="ON")
    assert server.overruled(log_bin="OFF", skip_networking="ON") == [True, True]
    assert log == f"`log_bin` is OFF, but {server.ours} says ON; {later}:2 wins; remove it there and restart the server"
    assert network.startswith("`skip_networking` is ON, but ")
    assert f"{later}:3 wins" in network


def test_command_line_wins_and_names_the_files(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.program.command_line = lambda pid_file: ["--bind-address=0.0.0.0", "--basedir=/usr"]
    assert "; its command line wins; " in server.one(bind_address="0.0.0.0")
    only = server.write("only.cnf", "[mysqld]\n")
    server.program.command_line = lambda pid_file: [f"--defaults-file={only}"]
    assert f"let {only} end with the line" in server.one(bind_address="0.0.0.0")


def test_command_line_is_that_of_the_process(tmp_path: Path) -> None:
    program = Server(tmp_path).program
    program.read = lambda path: {"/run/x.pid": b"42\n", "/proc/42/cmdline": b"/usr/sbin/mariadbd\0--port=1\0"}.get(path)
    assert program.command_line("/run/x.pid") == ["--port=1", ""]
    assert program.command_line("") == program.command_line("/run/gone.pid") == []


def test_what_was_persisted_wins(tmp_path: Path) -> None:
    server = Server(tmp_path, MYSQL)
    server.write(
        "mysqld-auto.cnf",
        '{"Version": 2, "mysql_static_variables": {"bind_address": {"Value": "0.0.0.0", "Metadata": {}}}}',
    )
    assert server.one(bind_address="0.0.0.0").endswith(
        f"{tmp_path}/mysqld-auto.cnf wins; run `RESET PERSIST bind_address` there and restart the server"
    )
