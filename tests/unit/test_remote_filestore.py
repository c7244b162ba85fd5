"""The programs that look at the filestore's mount and make it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.facts.nfs import BareDirectory, FilestoreMount, Mount
from ox_deploy.operations.service import configure_job
from ox_deploy.remote.filestore import mount as filestore_mount
from ox_deploy.remote.filestore import state as filestore_state
from tests.unit.programs import Commands, altered, under_test, with_environment

PATH, SOURCE = "/var/opt/filestore", "192.0.2.21:/var/opt/filestore"
OURS = f"# BEGIN ox-deploy filestore\n{SOURCE} {PATH} nfs rw 0 0\n# END ox-deploy filestore\n"
FSTAB = "# <file system> <mount point> <type>\nUUID=1234-5678 / ext4 errors=remount-ro 0 1\n\n"
MOUNTS = "sysfs /sys sysfs rw 0 0\n/dev/sda1 / ext4 rw 0 0\n"

REFUSED = "mount.nfs: Connection refused for 192.0.2.21:/var/opt/filestore"


def reading(files: dict[str, str]) -> Callable[[str], bytes | None]:
    def read(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    return read


@pytest.fixture
def program() -> Any:
    return under_test(filestore_state)


FOREIGN = f"/dev/sdb1\t{PATH}\text4 defaults 0 2"


@pytest.mark.parametrize(
    ("fstab", "line"),
    [
        ("", None),
        (FSTAB, None),
        (FSTAB + OURS, None),
        (FSTAB + FOREIGN + "\n", FOREIGN),
        (FSTAB + FOREIGN + "\n" + OURS, FOREIGN),
        (FSTAB + FOREIGN.replace(PATH, PATH + "/"), FOREIGN.replace(PATH, PATH + "/")),
        (f"#{FOREIGN}\n", None),
        (f"/dev/sdb1 {PATH}2 ext4 defaults 0 2\n", None),
        (f"{PATH} /mnt none bind 0 0\n", None),
        (f"  # {PATH} is mounted by hand\n", None),
    ],
)
def test_line_of_fstab_that_is_not_ours_is_found(program: Any, fstab: str, line: str | None) -> None:
    program.read = reading({"/etc/fstab": fstab})
    assert program.foreign_line(PATH) == line


def test_fstab_that_is_not_utf8_is_read(program: Any) -> None:
    program.read = lambda _: b"# f\xfcr Daten\n" + FOREIGN.encode()
    assert program.foreign_line(PATH) == FOREIGN


def test_host_without_fstab_has_no_foreign_line(program: Any) -> None:
    program.read = reading({})
    assert program.foreign_line(PATH) is None


UNIT = "var-opt-filestore"


@pytest.mark.parametrize(
    ("units", "found"),
    [
        ([], None),
        (["b/var-opt-filestore2.mount", "b/var-opt-filestore.service"], None),
        ([f"b/{UNIT}.mount"], f"b/{UNIT}.mount"),
        ([f"b/{UNIT}.mount", f"a/{UNIT}.automount"], f"a/{UNIT}.automount"),
    ],
)
def test_unit_that_mounts_something_else_is_found(
    program: Any, tmp_path: Path, units: list[str], found: str | None
) -> None:
    program.UNIT_FOLDERS = [str(tmp_path / name) for name in ("a", "b")]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for unit in units:
        (tmp_path / unit).touch()
    assert program.foreign_unit(PATH) == (found and str(tmp_path / found))


def test_unit_that_is_masked_mounts_nothing(program: Any, tmp_path: Path) -> None:
    program.UNIT_FOLDERS = [str(tmp_path)]
    (tmp_path / f"{UNIT}.mount").symlink_to("/dev/null")
    assert program.foreign_unit(PATH) is None


# As `systemd-escape --path` of systemd 252 has them.
@pytest.mark.parametrize(
    ("path", "name"),
    [
        (PATH, UNIT),
        ("/srv//a-b.c/", r"srv-a\x2db.c"),
        ("/mnt/grün_x", r"mnt-gr\xc3\xbcn_x"),
        ("/.x/y", r"\x2ex-y"),
    ],
)
def test_unit_of_a_mount_point_is_called_as_systemd_calls_it(program: Any, path: str, name: str) -> None:
    assert program.unit_name(path) == name


def test_mount_with_a_name_that_is_not_utf8_is_no_trouble(program: Any) -> None:
    odd = b"none /mnt/gr\xfc\xdfe tmpfs rw 0 0\n"
    program.read_present = lambda _: odd + f"filestore:/x {PATH} nfs rw 0 0\n".encode()
    assert program.mount_of(PATH) == {"source": "filestore:/x", "type": "nfs"}


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        (MOUNTS, None),
        (f"{MOUNTS}{SOURCE} {PATH} nfs4 rw 0 0\n", {"source": SOURCE, "type": "nfs4"}),
        (f"{MOUNTS}{SOURCE} {PATH}2 nfs4 rw 0 0\n", None),
        # The last one is what is seen.
        (f"a:/b {PATH} nfs rw 0 0\n{SOURCE} {PATH} nfs4 rw 0 0\n", {"source": SOURCE, "type": "nfs4"}),
    ],
)
def test_mount_is_read_from_the_kernels_table(program: Any, mounts: str, found: dict[str, str] | None) -> None:
    program.read = reading({"/proc/self/mounts": mounts})
    assert program.mount_of(PATH) == found


@pytest.mark.parametrize(("command", "answers"), [("true", True), ("false", False), ("sleep", False)])
def test_dead_server_is_given_up_after_some_seconds(program: Any, tmp_path: Path, command: str, answers: bool) -> None:
    (tmp_path / "stat").write_text(f'#!/bin/sh\n[ "$*" = "-t {PATH}" ] && {command} 5\n')
    (tmp_path / "stat").chmod(0o755)
    with_environment(program, PATH=f"{tmp_path}:{os.environ['PATH']}")
    program.SECONDS = 0.2
    before = time.monotonic()
    assert program.answers(PATH) is answers
    assert time.monotonic() - before < 2


BARE: dict[str, tuple[str, dict[str, Any] | None]] = {
    "protected": (f"0 root\n----i---------e------- {PATH}\n", {"protected": True, "entries": []}),
    "without-attributes": ("0 root\n", {"protected": True, "entries": []}),
    "not-immutable": (f"0 root\n--------------e------- {PATH}\n", {"protected": False, "entries": []}),
    "open": (f"755 root\n----i---------e------- {PATH}\n", {"protected": False, "entries": []}),
    "of-the-user": ("0 open-xchange\n", {"protected": False, "entries": []}),
    "filled": (
        f"755 root\n--------------e------- {PATH}\n1_ctx_store\nhashed\n",
        {"protected": False, "entries": ["1_ctx_store", "hashed"]},
    ),
    "filled-without-attributes": ("755 root\nhashed\n", {"protected": False, "entries": ["hashed"]}),
    "missing": ("", None),
}


@pytest.mark.parametrize(("output", "found"), BARE.values(), ids=BARE)
def test_directory_under_the_mount_is_told(program: Any, output: str, found: dict[str, Any] | None) -> None:
    program.run = Commands({"unshare": output})
    assert program.bare_state(PATH) == found
    assert program.run.done[0][:2] == ["unshare", "--mount"]
    assert program.run.done[0][-1] == PATH


def test_answer_is_what_the_fact_understands(program: Any) -> None:
    program.read = reading({"/etc/fstab": OURS, "/proc/self/mounts": f"{SOURCE} {PATH} nfs4 rw 0 0\n"})
    program.run = Commands({"unshare": BARE["protected"][0]})
    program.run_for = lambda seconds, argv: subprocess.CompletedProcess(argv, 0)
    document = program.filestore_state({"path": PATH, "service": {"name": "x", "files": {}, "units": []}})
    status = FilestoreMount().parse(document)
    assert (status.mount, status.bare) == (Mount(SOURCE, "nfs4"), BareDirectory(True, []))
    assert (status.answers, status.foreign_line) == (True, None)


@pytest.mark.parametrize(("server", "told"), [("localhost", SOURCE), ("192.0.2.99", f"192.0.2.99:{PATH}")])
def test_server_by_another_name_is_the_same(program: Any, server: str, told: str) -> None:
    program.addresses_of = lambda name: {"127.0.0.1"} if name in ("localhost", SOURCE.partition(":")[0]) else {name}
    program.read = reading({"/proc/self/mounts": f"{server}:{PATH} {PATH} nfs4 rw 0 0\n"})
    assert program.mount_of(PATH, SOURCE) == {"source": told, "type": "nfs4"}


class MountHost:
    """A host with an fstab, on which mount and a look at the mount do what they are told to."""

    def __init__(self, folder: Path, fstab: str = OURS, mounted: bool = False) -> None:
        self.program = under_test(filestore_mount)
        self.program.STATE_DIRECTORY = str(folder)
        self.program.read = reading({"/etc/fstab": fstab})
        self.program.run = self.commands = Commands({})
        self.program.run_for = lambda seconds, argv: self.looked(argv)
        self.done = self.commands.lines
        self.look: subprocess.CompletedProcess[str] | None = subprocess.CompletedProcess([], 0, "", "")
        path = altered(os.path, ismount=lambda _: mounted)
        self.program.os = altered(os, path=path, makedirs=lambda *_, **__: None)

    def looked(self, argv: list[str]) -> subprocess.CompletedProcess[str] | None:
        self.commands(argv)
        return self.look

    def use(self) -> str | None:
        problem: str | None = self.program.use(PATH, "open-xchange")
        return problem

    @property
    def lines(self) -> list[str]:
        return self.commands.lines


LOOK = f"runuser -u open-xchange -- ls -AU {PATH}"


@pytest.mark.parametrize(
    ("fstab", "mounted", "wanted"),
    [(OURS, False, [f"mount {PATH}", LOOK]), (OURS, True, [LOOK]), (FSTAB, False, [])],
)
def test_mount_is_looked_at_as_its_user_where_fstab_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fstab: str, mounted: bool, wanted: list[str]
) -> None:
    host = MountHost(tmp_path, fstab, mounted)
    assert host.use() is None
    assert host.lines == wanted


@pytest.mark.parametrize(
    ("look", "why"),
    [
        (subprocess.CompletedProcess([], 2, "", "Permission denied\n"), "Permission denied"),
        (None, "no answer within 10 s"),
    ],
)
def test_mount_that_its_user_cannot_look_at_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Any, why: str
) -> None:
    host = MountHost(tmp_path)
    host.look = look
    assert host.use() == f"{PATH} is mounted, but user open-xchange cannot list it: {why}"
    assert host.lines[-1] == f"umount -l {PATH}"


def test_mount_that_others_work_in_stays_though_the_server_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = MountHost(tmp_path, mounted=True)
    host.look = None
    assert host.use() == f"{PATH} is mounted, but user open-xchange cannot list it: no answer within 60 s"
    assert host.lines == [LOOK]


@pytest.mark.parametrize("stale", [True, False])
def test_mount_comes_after_its_protected_directory_and_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: bool
) -> None:
    host = MountHost(tmp_path)
    files: list[str] = []

    def configure(job: Any, use: Callable[[], None]) -> None:
        files.append(f"files after {len(host.lines)}")
        use()

    host.program.service_configure = configure
    host.program.filestore_mount(
        {"path": PATH, "stale": stale, "user": "open-xchange", "service": configure_job("filestore", [])}
    )
    before = [f"umount -l {PATH}"] * stale + ["unshare"]
    assert [line if "umount" in line and "unshare" not in line else line.split()[0] for line in host.lines] == [
        *before,
        "mount",
        "runuser",
    ]
    assert files == [f"files after {len(before)}"]


@pytest.mark.parametrize(
    ("answers", "patience", "tries", "problem"),
    [
        ([REFUSED, REFUSED, ""], 30, 3, None),
        ([REFUSED] * 9, 0, 1, f"`mount {PATH}` failed with exit code 32: {REFUSED}"),
        (["mount.nfs: access denied"], 30, 1, f"`mount {PATH}` failed with exit code 32: mount.nfs: access denied"),
    ],
)
def test_server_that_takes_no_connections_yet_is_waited_for(
    answers: list[str], patience: int, tries: int, problem: str | None
) -> None:
    program = under_test(filestore_mount)
    program.PATIENCE_SECONDS = patience
    done = []

    def run(argv: list[str], seconds: int) -> subprocess.CompletedProcess[str]:
        done.append(argv)
        error = answers.pop(0)
        # Some time passes.
        program.time.sleep(0.01)
        return subprocess.CompletedProcess(argv, 32 if error else 0, "", error)

    program.run = run
    assert program.mount(PATH) == problem
    assert done == [["mount", PATH]] * tries
