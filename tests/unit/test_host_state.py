"""The first question to a host, with what it starts there replaced."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ox_deploy.facts.hosts import GroupEntry, HostState, HostStatus, Room, UserEntry

Ask = Callable[..., HostStatus]
NAMED, OTHER = "open-xchange:x:1001:1001::/opt/open-xchange:/bin/bash", "anna:x:7001:7001::/home/anna:/bin/bash"


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Asks this machine, where `getent` knows these lines, and dpkg has these packages."""

    def asked(passwd: str = "", group: str = "", packages: str = "") -> HostStatus:
        for database, lines in {"passwd": passwd, "group": group}.items():
            (tmp_path / database).write_text(lines)
        (tmp_path / "packages").write_text(packages)
        for name, script in {
            # As it does: the entry of each key that it knows.
            "getent": f'for key in "$2" "$3"; do grep -m 1 -e "^$key:" -e ":x:$key:" {tmp_path}/$1; done',
            "dpkg-query": f"cat {tmp_path}/packages",
        }.items():
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        command = HostState().command(user="open-xchange", uid=7001, gid=7002, packages=["libstdc++6", "libx.1"])
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", command.get_raw_value()], capture_output=True, text=True, env=environment)
        assert done.stderr == ""
        return HostState().process(done.stdout.splitlines())

    return asked


def test_wanted_ids_and_names_are_told_apart(ask: Ask) -> None:
    status = ask(f"{NAMED}\n{OTHER}\n", "open-xchange:x:7002:\n")
    assert status.user_by_name == UserEntry("open-xchange", 1001, 1001)
    assert status.user_by_id == UserEntry("anna", 7001, 7001)
    assert status.group_by_name == status.group_by_id == GroupEntry("open-xchange", 7002)


@pytest.mark.parametrize(
    ("line", "names"), [(NAMED, ("open-xchange", None)), (OTHER, (None, "anna")), ("", (None,) * 2)]
)
def test_only_one_of_both_may_be_known(ask: Ask, line: str, names: tuple[str | None, str | None]) -> None:
    status = ask(f"{line}\n")
    found = [user.name if user else None for user in (status.user_by_name, status.user_by_id)]
    assert found == list(names)
    assert (status.group_by_name, status.group_by_id) == (None, None)


def test_two_names_of_the_wanted_id_are_an_obstacle(ask: Ask) -> None:
    """The system knows the id by the name that comes first."""
    status = ask(f"{OTHER}\nopen-xchange:x:7001:7001::/:/bin/sh\n")
    assert (status.user_by_name, status.user_by_id) == (
        UserEntry("open-xchange", 7001, 7001),
        UserEntry("anna", 7001, 7001),
    )


DPKG = "ii  package dpkg installed 1.22 arm64\n"


def test_wanted_packages_and_the_architecture_are_told(ask: Ask) -> None:
    lines = (
        "ii  package libstdc++6 installed 12.2 arm64\n"
        "rc  package libx.1 config-files 3 arm64\n"
        "ii  package libstdc++6-dbg installed 12.2 arm64\n"
    )
    status = ask(packages=DPKG + lines)
    assert status.packages == {"dpkg": "1.22", "libstdc++6": "12.2"}
    assert (status.architecture, status.broken_packages) == ("arm64", False)


@pytest.mark.parametrize("short", ["iU ", "iF ", "rFR", "iW ", "it ", "ii ", "rc "])
def test_any_package_that_an_installation_left_behind_is_told(ask: Ask, short: str) -> None:
    status = ask(packages=f"{DPKG}{short} package other half-way 1 all\n")
    assert status.broken_packages == (short not in ("ii ", "rc "))


def test_file_systems_are_told_with_what_is_free(ask: Ask, tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text('#!/bin/sh\nif [ "$1" = -f ]; then printf "4096 2 /\n512 1 /var\n"; else printf "5\n6\n"; fi\n')
    stat.chmod(0o755)
    assert ask().rooms == [Room(8192, 5, "/"), Room(512, 6, "/var")]


def test_rooms_of_this_machine_are_as_python_sees_them(ask: Ask) -> None:
    rooms = {room.path: room for room in ask().rooms}
    assert rooms.keys() >= {"/", "/var"}
    for path, room in rooms.items():
        assert room.file_system == Path(path).stat().st_dev
        assert room.free == pytest.approx(os.statvfs(path).f_bavail * os.statvfs(path).f_frsize, rel=0.2)
