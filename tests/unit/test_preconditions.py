"""What is on a host already is compared with the settings before anything is changed."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.facts.preconditions import Directory, Preconditions
from ox_deploy.preconditions import Wanted, find_obstacles, wanted_of
from ox_deploy.remote.preconditions import state as preconditions_state
from ox_deploy.remote.service import configure as service_configure
from tests.unit.guide import Guide
from tests.unit.programs import under_test

PATH = "/var/opt/filestore"
CONFIGDB, SYSTEM = "/etc/ox/configdb.properties", "/etc/ox/system.properties"
SERVER = Wanted(PATH, True, False, (1001, 1001), 3306, "/etc/x.cnf", None, 0, CONFIGDB, SYSTEM)
NODE = Wanted(PATH, False, True, (1001, 1001), 3306, None, "oxserver", 512, CONFIGDB, SYSTEM)
WAY = 'see "What cannot be changed in one run" in docs/settings.md.'


@pytest.mark.parametrize(
    ("preconditions", "wanted"),
    [
        (Preconditions(), SERVER),
        (Preconditions(), NODE),
        (
            Preconditions(
                port=3306, exported=[PATH], directory=Directory(real=PATH, ids=(1001, 1001), entries=["1_ctx"])
            ),
            SERVER,
        ),
        (Preconditions(directory=Directory(real=PATH, ids=(0, 0))), SERVER),
        (Preconditions(mounted=PATH, server_name="oxserver", node_port=3306, memory=512), NODE),
        (Preconditions(server_name="local"), NODE),
        # It was the file server once.
        (Preconditions(exported=["/srv/old"]), NODE),
    ],
)
def test_host_that_fits_is_left_alone(preconditions: Preconditions, wanted: Wanted) -> None:
    assert find_obstacles(preconditions, wanted) == []


MOVED = (
    f"group_data/all.py: `filestore_path` is {PATH}, but this host has the filestore at /srv/old; its files would be "
    f"out of reach, so a run cannot change it; {WAY}"
)
OBSTACLES: list[tuple[Preconditions, Wanted, str]] = [
    (Preconditions(exported=["/srv/old"]), SERVER, MOVED),
    (Preconditions(mounted="/srv/old"), NODE, MOVED),
    (
        Preconditions(port=3307),
        SERVER,
        "group_data/all.py: `mysql_port` is 3306, but the server of this host was set up with 3307; other database "
        f"servers and nodes would lose the databases, so a run cannot change it; {WAY}",
    ),
    (
        Preconditions(node_port=3307),
        NODE,
        "group_data/all.py: `mysql_port` is 3306, but this node was set up with 3307; other database servers "
        f"and nodes would lose the databases, so a run cannot change it; {WAY}",
    ),
    (
        Preconditions(server_name="other"),
        NODE,
        "group_data/all.py: `server_name` is oxserver, but this node was set up with other; the contexts belong to "
        f"that name, and nobody could log in, so a run cannot change it; {WAY}",
    ),
    (
        Preconditions(memory=256),
        NODE,
        "group_data/all.py: `server_memory` is 512 MB, but this host has 256 MB; Open-Xchange would not start; "
        "choose less.",
    ),
    (
        Preconditions(directory=Directory(real=PATH, ids=(0, 33), entries=["a", "b"])),
        SERVER,
        f"`filestore_path`: {PATH} is not empty (a, b) and belongs to uid 0 and gid 33, so it is not taken over; "
        f"choose another directory. If these are Open-Xchange's files, run `chown 1001:1001 {PATH}` and run again.",
    ),
    (
        Preconditions(directory=Directory(real="/etc")),
        SERVER,
        f"`filestore_path`: {PATH} resolves to /etc through a symlink; choose a path without symlinks, which is the "
        "same on all hosts.",
    ),
    (
        Preconditions(directory=Directory(real=PATH, other=True)),
        SERVER,
        f"`filestore_path`: {PATH} exists, but is not a directory; move it away, or choose another path.",
    ),
    (
        Preconditions(taken=["/usr/bin"]),
        NODE,
        "/usr/bin is a system directory, but belongs to open-xchange like a filestore, so an earlier run took it "
        "over; run `chown root:root /usr/bin; chmod 0755 /usr/bin`, check that nothing else in it was changed, then "
        "run again.",
    ),
    (
        Preconditions(exported=["/etc"]),
        SERVER,
        "an earlier run exported /etc, a system directory, to the groupware nodes, which can write there; remove "
        "/etc/exports.d/ox-deploy.exports and run `exportfs -ra`, or remove /etc/ganesha/ox-deploy.conf and its "
        "lines in ganesha.conf and restart nfs-ganesha; find out what the nodes wrote there, then run again.",
    ),
]


@pytest.mark.parametrize(("preconditions", "wanted", "sentence"), OBSTACLES)
def test_what_a_setting_would_ruin_is_one_sentence(preconditions: Preconditions, wanted: Wanted, sentence: str) -> None:
    assert find_obstacles(preconditions, wanted) == [sentence]


def test_each_role_is_compared_with_what_it_has(guide: Guide) -> None:
    cluster = guide.build()
    roles = {node.name: wanted_of(cluster, node) for node in cluster.nodes}
    assert [name for name, wanted in roles.items() if wanted.serves] == ["dbmaster"]
    assert [name for name, wanted in roles.items() if wanted.mounts] == ["oxgw01", "oxgw02"]
    assert [name for name, wanted in roles.items() if wanted.configuration] == ["dbmaster", "dbslave"]
    assert roles["web"] == replace(roles["web"], serves=False, mounts=False, server_name=None, memory=0)


# --- the program ----------------------------------------------------------------------------------------


def asked(program: Any, filestore: str, **more: Any) -> Preconditions:
    values: dict[str, Any] = {
        "filestore": filestore,
        "user": "nobody",
        "configuration": None,
        "shared": [],
        "trees": [],
        "ports": [],
        "needed": [],
        "names": {},
    }
    return Preconditions.model_validate(program.preconditions_state(values | program.files | more))


@pytest.fixture
def program(tmp_path: Path) -> Any:
    loaded = under_test(preconditions_state)
    loaded.EXPORTS = {str(tmp_path / "exports"): r"^(/\S+) "}
    vars(loaded)["files"] = {"configdb": str(tmp_path / "configdb"), "system": str(tmp_path / "system")}
    return loaded


def test_bare_host_has_nothing(program: Any, tmp_path: Path) -> None:
    found = asked(program, str(tmp_path / "new"))
    assert found.directory == Directory(real=str(tmp_path / "new"))
    assert (found.taken, found.exported, found.port, found.server_name, found.node_port) == ([], [], None, None, None)
    assert found.memory > 0


def test_directory_is_told_with_owner_and_what_is_in_it(program: Any, tmp_path: Path) -> None:
    for name in ("d", "a", "c", "b", "lost+found"):
        (tmp_path / "store" / name).mkdir(parents=True)
    found = asked(program, str(tmp_path / "store")).directory
    assert found == Directory(real=str(tmp_path / "store"), ids=(os.getuid(), os.getgid()), entries=["a", "b", "c"])


def test_links_on_the_way_and_files_are_told(program: Any, tmp_path: Path) -> None:
    (tmp_path / "real/x").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    found = asked(program, str(tmp_path / "link/x")).directory
    assert found
    assert found.real == str(tmp_path / "real/x")
    other = asked(program, str(tmp_path / "file")).directory
    assert other
    assert other.other


def test_settings_of_before_are_read_from_the_files(program: Any, tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("# ours\n/srv/old 192.0.2.11(rw)\n/srv/old 192.0.2.12(rw)\n")
    (tmp_path / "system").write_text("# SERVER_NAME=x\nSERVER_NAME=oxserver\n")
    (tmp_path / "configdb").write_text("writeUrl=jdbc:mysql://192.0.2.21:3307/configdb\n")
    (tmp_path / "my.cnf").write_text("[mysqld]\nport = 3308\n")
    found = asked(program, "", configuration=str(tmp_path / "my.cnf"))
    assert (found.exported, found.server_name, found.node_port) == (["/srv/old"], "oxserver", 3307)
    assert (found.port, found.directory) == (3308, None)
    # As the packages bring it.
    (tmp_path / "configdb").write_text("writeUrl=jdbc:mysql://localhost/configdb\n")
    assert asked(program, "").node_port is None


def test_system_directory_that_became_a_filestore_is_found(program: Any, tmp_path: Path) -> None:
    me = pwd.getpwuid(os.getuid())[0]
    for name, mode in {"bin": 0o750, "lib": 0o755, "open-xchange": 0o750}.items():
        (tmp_path / "usr" / name).mkdir(parents=True)
        (tmp_path / "usr" / name).chmod(mode)
    (tmp_path / "usr").chmod(0o755)
    (tmp_path / "usr/link").symlink_to("bin")
    trees = [str(tmp_path / "usr"), str(tmp_path / "none")]
    assert asked(program, "", user=me, trees=trees).taken == [str(tmp_path / "usr/bin")]
    # A directory that only looks like it is somebody else's.
    assert asked(program, "", user=f"not-{me}", trees=trees).taken == []


def test_order_looks_again_before_it_takes_a_directory_over(tmp_path: Path) -> None:
    configure: Any = under_test(service_configure)
    (tmp_path / "store").mkdir()
    configure.refuse_other_owner(str(tmp_path / "store"), os.getuid() + 1)
    (tmp_path / "store/file").write_text("")
    configure.refuse_other_owner(str(tmp_path / "store"), os.getuid())
    with pytest.raises(ValueError, match="is not empty and belongs to another user; choose another directory"):
        configure.refuse_other_owner(str(tmp_path / "store"), os.getuid() + 1)
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with pytest.raises(ValueError, match="through a symlink"):
        configure.refuse_other_owner(str(tmp_path / "link"), os.getuid())
