"""nfs.mount: the mount, what it refuses to touch, and what it puts right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pyinfra.api.exceptions import OperationError

from ox_deploy.facts.nfs import BareDirectory, FilestoreMount, Mount, MountStatus
from ox_deploy.facts.service import ServiceStatus
from ox_deploy.operations.nfs import mount
from ox_deploy.operations.service import ManagedFile
from tests.unit.fakes import FakeHost, Outcome, both_phases, file_state, run, stop_sentence

SOURCE, PATH = "192.0.2.21:/var/opt/filestore", "/var/opt/filestore"
LINE = f"{SOURCE} {PATH} nfs rw,hard 0 0\n"
DROP_IN = ManagedFile("/etc/systemd/system/open-xchange-admin.service.d/ox-deploy.conf", "[Unit]\n")
WANTED: dict[str, Any] = {
    "source": SOURCE,
    "path": PATH,
    "options": "rw,hard",
    "files": [DROP_IN],
    "user": "open-xchange",
}
DONE = MountStatus(
    service=ServiceStatus({"/etc/fstab": file_state(LINE), DROP_IN.path: file_state("[Unit]\n")}),
    mount=Mount(SOURCE, "nfs4"),
    answers=True,
    bare=BareDirectory(protected=True, entries=[]),
)


def mounted(status: MountStatus) -> Outcome:
    return both_phases(mount, FakeHost({FilestoreMount: status}), **WANTED)


def test_mounted_filestore_is_left_alone() -> None:
    host = FakeHost({FilestoreMount: DONE})
    both_phases(mount, host, **WANTED).assert_noop()
    files = {"/etc/fstab": "filestore", DROP_IN.path: None}
    assert host.asked[-1] == (FilestoreMount, {"path": PATH, "service": "filestore", "files": files, "source": SOURCE})


def test_mount_that_answers_by_now_is_left_alone() -> None:
    host = FakeHost({FilestoreMount: [replace(DONE, answers=False), DONE]})
    run(mount, host, **WANTED).assert_noop()
    assert len(host.asked) == 2


def test_bare_host_gets_line_directory_and_mount() -> None:
    job = mounted(MountStatus()).job("filestore_mount")
    assert (job["path"], job["user"], job["stale"]) == (PATH, "open-xchange", False)
    fstab, drop_in = job["service"]["files"]
    assert (fstab["path"], fstab["block"], fstab["content"]) == ("/etc/fstab", "filestore", LINE)
    assert drop_in["path"] == DROP_IN.path
    assert job["service"]["daemon_reload"]
    assert job["service"]["units"] == []


PUT_RIGHT: dict[str, tuple[dict[str, Any], bool]] = {
    "not-mounted": ({"mount": None}, False),
    "stale": ({"answers": False}, True),
    "stale-from-another-server": ({"mount": Mount("192.0.2.9:/x", "nfs4"), "answers": False}, True),
    "directory-without-protection": ({"bare": BareDirectory(protected=False, entries=[])}, False),
    "directory-that-could-not-be-seen": ({"bare": None}, False),
    "interrupted": ({"service": replace(DONE.service, pending=True)}, False),
}


@pytest.mark.parametrize(("found", "stale"), PUT_RIGHT.values(), ids=PUT_RIGHT)
def test_trouble_is_put_right_without_touching_right_files(found: dict[str, Any], stale: bool) -> None:
    job = mounted(replace(DONE, **found)).job("filestore_mount")
    assert job["stale"] is stale
    assert job["service"]["files"] == []


def test_other_options_change_the_line_of_a_live_mount_only() -> None:
    service = ServiceStatus(DONE.service.files | {"/etc/fstab": file_state(LINE.replace("hard", "soft"))})
    job = mounted(replace(DONE, service=service)).job("filestore_mount")
    assert [file["path"] for file in job["service"]["files"]] == ["/etc/fstab"]
    assert not job["stale"]


def test_mount_behind_a_link_has_its_own_name_everywhere() -> None:
    drop_in = replace(DROP_IN, content=f"[Unit]\nRequiresMountsFor={PATH}\n")
    host = FakeHost({FilestoreMount: replace(DONE, real="/srv/filestore", mount=None)})
    job = both_phases(mount, host, **WANTED | {"files": [drop_in]}).job("filestore_mount")
    assert job["path"] == "/srv/filestore"
    assert [file["content"] for file in job["service"]["files"]] == [
        LINE.replace(f" {PATH} ", " /srv/filestore "),
        "[Unit]\nRequiresMountsFor=/srv/filestore\n",
    ]


OBSTACLES: dict[str, tuple[dict[str, Any], str]] = {
    "foreign-line": (
        {"foreign_line": f"/dev/sdb1 {PATH} ext4 defaults 0 2"},
        f"/etc/fstab: {PATH} has the line `/dev/sdb1 {PATH} ext4 defaults 0 2`, which ox-deploy did not write; remove "
        "the line and unmount it, or choose another `filestore_path`.",
    ),
    "foreign-unit": (
        {"foreign_unit": "/etc/systemd/system/x.mount"},
        f"/etc/systemd/system/x.mount: it mounts {PATH} at boot, but ox-deploy did not write it, and it takes "
        "precedence over /etc/fstab; stop and remove that unit, run `systemctl daemon-reload`, or choose another "
        "`filestore_path`.",
    ),
    "other-source": (
        {"mount": Mount("192.0.2.9:/x", "nfs4")},
        f"{PATH}: 192.0.2.9:/x is mounted there; it should be {SOURCE}; if another database server became the writer, "
        "add a group `filestore` with the host that serves it; otherwise stop Open-Xchange on this host, unmount it "
        "and run again.",
    ),
    "files-under-the-mount": (
        {"bare": BareDirectory(protected=False, entries=["hashed", "1_ctx_store"])},
        f"{PATH}: the directory under the mount is not empty (hashed, 1_ctx_store), and the mount would hide its "
        "files; move them into the filestore or away, and run again.",
    ),
}


@pytest.mark.parametrize(("found", "sentence"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_is_not_ours_stops_the_operation(found: dict[str, Any], sentence: str) -> None:
    host = FakeHost({FilestoreMount: replace(DONE, **found)})
    assert stop_sentence(mount, host, **WANTED) == sentence
    with pytest.raises(OperationError) as stopped:
        run(mount, host, executing=False, **WANTED)
    assert str(stopped.value) == sentence
