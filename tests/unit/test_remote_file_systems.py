"""Which file systems the services of a host write to: by their open files and by what the database server says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.remote.host import health as host_health
from tests.unit.programs import Session, under_test

# As the kernel tells them; the space in a name is \040.
MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 8:2 / /var/lib/mysql rw - ext4 /dev/sdb1 rw
23 21 8:3 / /var/log/mysql rw,noatime shared:2 master:1 - xfs /dev/sdc1 rw
24 21 0:40 / /var/opt/filestore rw - nfs4 dbmaster:/var/opt/filestore rw
25 21 0:41 / /srv/with\040space rw - tmpfs tmpfs rw
26 21 0:42 / /var/logs rw - tmpfs tmpfs rw
""".strip()
VARIABLES = {
    "datadir": "/var/lib/mysql/",
    "tmpdir": "/var/lib/mysql/tmp:/srv/with space/b",
    "innodb_log_group_home_dir": "./",
    "innodb_tmpdir": "",
    "log_bin_basename": "/var/log/mysql/binlog/mariadb-bin",
    "general_log_file": "dbmaster.log",
}


def program(variables: dict[str, str] | Exception | None = None) -> Any:
    """The program on a host with these mounts, no process of ours, and a server that says this, if there is one."""
    loaded = under_test(host_health)
    files = {"/proc/self/mountinfo": MOUNTS.encode()}
    real = loaded.read
    loaded.read = lambda path: files.get(path) or real(path)

    def connect(option_file: str | None, **limits: int) -> Session:
        if not isinstance(variables, dict):
            raise variables or AssertionError("there is no server")
        rows = [{"Variable_name": name, "Value": value} for name, value in variables.items()]
        return Session({"SHOW GLOBAL VARIABLES": rows})

    loaded.connect = connect
    return loaded


def test_directories_of_the_server_come_from_its_variables() -> None:
    assert sorted(set(program(VARIABLES).places_of_server(None))) == [
        "/srv/with space/b",
        "/var/lib/mysql",
        "/var/lib/mysql/tmp",
        "/var/log/mysql/binlog",
    ]


def test_only_file_systems_that_are_not_known_are_named() -> None:
    found = program(VARIABLES).separate_places(["/", "/var/lib/mysql"], [], [], None)
    assert found == ["/srv/with space/b", "/var/log/mysql/binlog"]


def test_server_that_does_not_answer_names_nothing() -> None:
    assert program(OSError("no answer")).separate_places(["/"], [], [], None) == []


def test_host_without_a_server_is_not_asked_for_one() -> None:
    assert program().separate_places(["/"], ["/var/log"], [], False) == []


def test_places_that_are_written_to_now_and_then_are_named_if_they_are_mounts() -> None:
    found = program().separate_places(["/"], ["/var/log", "/var/logs/x", "/var/opt/filestore"], [], False)
    assert found == ["/var/logs/x", "/var/opt/filestore"]


def test_files_on_the_disk_of_another_host_are_left_to_that_one() -> None:
    loaded = program()
    loaded.places_of_units = lambda units: {"/var/opt/filestore/1", "/var/log/mysql"}
    assert loaded.separate_places(["/"], [], ["x"], False) == ["/var/log/mysql"]


def test_link_is_followed_but_not_on_what_may_hang(tmp_path: Path) -> None:
    loaded = program()
    mounts = loaded.mount_points()
    (tmp_path / "data").symlink_to("/var/log/mysql")
    assert loaded.mount_of_path(str(tmp_path / "data/x"), mounts) == "/var/log/mysql"
    assert loaded.mount_of_path(str(tmp_path / "data/x"), mounts | {str(tmp_path): "nfs4"}) == str(tmp_path)


def test_directories_of_files_that_a_unit_writes_to_are_found(tmp_path: Path) -> None:
    for name in ("written", "read", "both"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    loaded = under_test(host_health)
    loaded.unit_of = lambda process: "mine" if int(process) == os.getpid() else "other"
    with (
        (tmp_path / "written/file").open("a"),
        (tmp_path / "read/file").open(),
        (tmp_path / "both/file").open("r+"),
    ):
        found = {place for place in loaded.places_of_units(["mine"]) if place.startswith(str(tmp_path))}
        assert loaded.places_of_units([]) == set()
    assert found == {str(tmp_path / "written"), str(tmp_path / "both")}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/mariadb.service\n", "mariadb"),
        ("12:pids:/system.slice/apache2.service\n1:name=systemd:/system.slice/apache2.service\n", "apache2"),
        ("0::/system.slice/system-x.slice/x.service/child\n", "x"),
        ("0::/init.scope\n", None),
        ("", None),
    ],
)
def test_unit_of_a_process_is_that_of_its_cgroup(text: str, unit: str | None) -> None:
    loaded = under_test(host_health)
    loaded.read = lambda path: text.encode() if path == "/proc/7/cgroup" else None
    assert loaded.unit_of("7") == unit
