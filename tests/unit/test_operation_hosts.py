"""hosts.check and hosts.prepare: what stands in the way, and what is done to a bare host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import OperationError

from ox_deploy.facts.hosts import GroupEntry, HostState, HostStatus, UserEntry
from ox_deploy.facts.service import Service, ServiceStatus
from ox_deploy.operations import hosts
from ox_deploy.operations.service import ManagedFile
from ox_deploy.preflight import Subject, find_conflicts
from tests.unit.fakes import FakeHost, Outcome, both_phases, file_state, run

OURS = {"user": "open-xchange", "uid": 1001, "gid": 1001}
SUBJECT = Subject(
    "oxgw01", frozenset({"groupware"}), "192.0.2.11", "open-xchange", 1001, 1001, ("python3", "nfs-common")
)
CHECKED: dict[str, Any] = {"subject": SUBJECT}
CLEARED: dict[str, Any] = {"subjects": {"node": SUBJECT}}
NAMES = ManagedFile("/etc/hosts", "192.0.2.11 oxgw01\n", block="cluster")
PREPARED: dict[str, Any] = OURS | {"files": [NAMES], "packages": ["python3", "nfs-common"]}
BARE = HostStatus(system="debian 12", init="systemd", addresses=["192.0.2.11", "fe80::1"])
DONE = replace(
    BARE,
    has_python=True,
    packages={"python3": "3.11.2-1+b1", "nfs-common": "1:2.6.2-4"},
    user_by_name=UserEntry("open-xchange", 1001, 1001),
    user_by_id=UserEntry("open-xchange", 1001, 1001),
    group_by_name=GroupEntry("open-xchange", 1001),
    group_by_id=GroupEntry("open-xchange", 1001),
)
FILES_DONE = ServiceStatus({NAMES.path: file_state(NAMES.content)})


def checked(host: FakeHost) -> Outcome:
    """What comes of both operations, in both phases."""
    both_phases(hosts.check, host, **CHECKED).assert_noop()
    return both_phases(hosts.stop_on_obstacles, host, **CLEARED)


@pytest.mark.parametrize("status", [BARE, DONE], ids=["bare", "done"])
def test_nothing_stands_in_the_way(status: HostStatus) -> None:
    host = FakeHost({HostState: status})
    assert checked(host).texts == []
    asked = OURS | {"packages": ["python3", "nfs-common"], "questions": (), "wait": 600}
    assert host.asked == [(HostState, asked)] * 2


CONFLICTS: dict[str, tuple[dict[str, Any], str]] = {
    "busy": (
        {"busy": True},
        "an earlier run is still at work on this host; wait for it to end, then run again.",
    ),
    "address": (
        {"addresses": ["192.0.2.99", "10.0.0.1"]},
        "inventory: `address` is 192.0.2.11, but the host has 192.0.2.99, 10.0.0.1; correct the address, "
        "or the way the host is reached.",
    ),
    "no-address": (
        {"addresses": []},
        "inventory: `address` is 192.0.2.11, but the host has none; correct the address, "
        "or the way the host is reached.",
    ),
    "init": (
        {"init": "tail"},
        "process 1 is tail; it should be systemd; use a host that boots with systemd.",
    ),
    "users-uid": (
        {"user_by_name": UserEntry("open-xchange", 998, 1001)},
        "user open-xchange has uid 998 and gid 1001; it should have 1001 and 1001, as on all hosts; set "
        "`filestore_uid` and `filestore_gid` to ids that all hosts can use, or stop its processes, run `groupmod -g "
        "1001 open-xchange; usermod -u 1001 -g 1001 open-xchange` and restore the ownership of its files with "
        "`find / -xdev -uid 998 -exec chown -h 1001:1001 {} +`.",
    ),
    "users-gid": (
        {"user_by_name": UserEntry("open-xchange", 1001, 998)},
        "user open-xchange has uid 1001 and gid 998; it should have 1001 and 1001, as on all hosts; set "
        "`filestore_uid` and `filestore_gid` to ids that all hosts can use, or stop its processes, run `groupmod -g "
        "1001 open-xchange; usermod -u 1001 -g 1001 open-xchange` and restore the ownership of its files with "
        "`find / -xdev -uid 1001 -exec chown -h 1001:1001 {} +`.",
    ),
    "uid-of-another": (
        {"user_by_id": UserEntry("anna", 1001, 100)},
        "uid 1001 belongs to user anna; it should be free for open-xchange; set `filestore_uid` to a number that is "
        "free on all hosts.",
    ),
    "groups-gid": (
        {"group_by_name": GroupEntry("open-xchange", 998)},
        "group open-xchange has gid 998; it should have 1001, as on all hosts; set `filestore_gid` to this group's "
        "gid if that is free everywhere, or run `groupmod -g 1001 open-xchange`.",
    ),
    "gid-of-another": (
        {"group_by_id": GroupEntry("staff", 1001)},
        "gid 1001 belongs to group staff; it should be free for open-xchange; set `filestore_gid` to a number that "
        "is free on all hosts.",
    ),
}


@pytest.mark.parametrize(("found", "sentence"), CONFLICTS.values(), ids=CONFLICTS)
def test_conflict_ends_the_run_before_anything_is_changed(found: dict[str, Any], sentence: str) -> None:
    host = FakeHost({HostState: replace(BARE, **found)})
    run(hosts.check, host, executing=False, **CHECKED)
    with pytest.raises(OperationError) as stopped:
        run(hosts.stop_on_obstacles, host, executing=False, **CLEARED)
    assert str(stopped.value) == f"oxgw01: {sentence}"


@pytest.mark.parametrize(("found", "sentence"), CONFLICTS.values(), ids=CONFLICTS)
def test_conflict_fails_the_host_in_a_run_without_a_plan(found: dict[str, Any], sentence: str) -> None:
    host = FakeHost({HostState: replace(BARE, **found)})
    assert run(hosts.check, host, **CHECKED).texts == []
    with pytest.raises(OperationError) as stopped:
        run(hosts.stop_on_obstacles, host, **CLEARED)
    assert str(stopped.value) == f"oxgw01: {sentence}"


def test_all_conflicts_are_told_at_once() -> None:
    found = replace(BARE, init="sh", user_by_id=UserEntry("anna", 1001, 100), group_by_id=GroupEntry("staff", 1001))
    assert len(find_conflicts(found, "192.0.2.99", "open-xchange", 1001, 1001)) == 4


def test_ids_do_not_matter_where_the_filestore_is_not_used() -> None:
    found = replace(BARE, user_by_id=UserEntry("anna", 1001, 100), group_by_id=GroupEntry("staff", 1001))
    host = FakeHost({HostState: found})
    run(hosts.check, host, subject=replace(SUBJECT, user=""))
    run(hosts.stop_on_obstacles, host, **CLEARED).assert_noop()


@pytest.mark.parametrize("group", [GroupEntry("open-xchange", 998), None])
def test_group_that_is_not_the_users_is_a_conflict(group: GroupEntry | None) -> None:
    # The user has the right ids, but its gid is not that of the group which files and daemons are given.
    found = replace(DONE, group_by_name=group, group_by_id=None)
    assert find_conflicts(found, "192.0.2.11", "open-xchange", 1001, 1001)


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a host has kept of an installation that was done twice."""
    lines: list[str] = []
    monkeypatch.setattr(hosts, "carry_out", lambda *_: "".join(lines))
    return lines


def prepared(status: HostStatus, files: ServiceStatus, **options: Any) -> Outcome:
    return both_phases(hosts.prepare, FakeHost({HostState: status, Service: files}), **PREPARED | options)


def test_prepared_host_is_left_alone() -> None:
    prepared(DONE, FILES_DONE).assert_noop()


def test_bare_host_gets_python_first_and_then_everything_in_one_job() -> None:
    outcome = prepared(BARE, ServiceStatus())
    python, everything = outcome.commands
    assert python.get_raw_value().endswith(f" install {hosts._POLICY} {hosts._REPEATED} {hosts._PAUSE_SECONDS} python3")
    job = Outcome([everything]).job("service_configure")
    assert [file["path"] for file in job["files"]] == ["/etc/hosts"]
    group, user, install = job["commands"]
    assert group[4:] == ["group", "open-xchange", "groupadd", "--gid", "1001", "open-xchange"]
    assert user[4:11] == ["passwd", "open-xchange", "useradd", "--uid", "1001", "--gid", "1001"]
    assert user[-1] == "open-xchange"
    assert install[3] == "install"
    assert install[-2:] == ["python3", "nfs-common"]
    # Another database server than the one that is wanted may run there.
    assert 'apt="apt-get -qq --no-remove ' in install[2]


def test_only_missing_packages_are_installed() -> None:
    job = prepared(replace(DONE, packages={"python3": "3.11.2-1+b1"}), FILES_DONE).job("service_configure")
    assert [command[-1] for command in job["commands"]] == ["nfs-common"]
    assert "python3" not in job["commands"][0]
    assert job["files"] == []


def test_group_that_is_there_is_used_for_the_user() -> None:
    found = replace(DONE, user_by_name=None, user_by_id=None)
    job = prepared(found, FILES_DONE).job("service_configure")
    assert [command[6] for command in job["commands"]] == ["useradd"]


@pytest.mark.parametrize(("name", "made"), [("root", ""), ("no-such-group", "groupadd\n")])
def test_somebody_who_was_quicker_with_the_group_is_no_failure(name: str, made: str) -> None:
    command = hosts._unless_known("group", name, ["echo", "groupadd"])
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == made


def test_host_without_the_filestore_gets_no_user() -> None:
    found = replace(DONE, user_by_name=None, group_by_name=None)
    prepared(found, FILES_DONE, user="").assert_noop()


@pytest.mark.parametrize("trouble", [{"start_block": True}, {"broken_packages": True}])
def test_interrupted_installation_is_completed(trouble: dict[str, Any]) -> None:
    job = prepared(replace(DONE, **trouble), FILES_DONE).job("service_configure")
    ((shell, _, script, _, _policy, _repeated, _pause, *packages),) = job["commands"]
    assert (shell, packages) == ("sh", [])
    assert "dpkg --configure -a" in script


LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)"
DPKG_LOCKED = "dpkg: error: dpkg frontend lock was locked by another process with pid 4711"
UPDATED = "E: Failed to fetch http://packages.example.com/dists  File has unexpected size (1 != 2). Mirror sync?"
ABSENT = "E: Unable to locate package no-such-package"


@dataclass(frozen=True)
class Installed:
    """What came of an installation with an apt that fails at first: exit code, output, attempts, what was kept."""

    code: int
    output: str
    attempts: int
    kept: str


def install_with(folder: Path, errors: Sequence[str]) -> Installed:
    """Install with an apt-get that prints one of these errors at each attempt, until there are none left."""
    tools, log, repeated = folder / "tools", folder / "log", folder / "run" / "repeated"
    tools.mkdir()
    for number, error in enumerate(errors, 1):
        (folder / f"error{number}").write_text(error)
    apt = f"""#!/bin/sh
echo "$*" >>{log}
case "$*" in *update) exit 0 ;; esac
error={folder}/error$(grep -c update {log})
[ ! -e $error ] || {{ cat $error >&2; exit 100; }}
"""
    for name, text in (("apt-get", apt), ("dpkg", "#!/bin/sh\n"), ("sleep", "#!/bin/sh\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    command = hosts.install_command(["nfs-common"], str(folder / "policy"), str(repeated))
    path = f"{tools}:{os.environ['PATH']}"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    assert not (folder / "policy").exists()
    kept = repeated.read_text() if repeated.exists() else ""
    return Installed(done.returncode, done.stderr, log.read_text().count("update"), kept)


def test_installation_is_done_once_more_after_an_error_that_passes(tmp_path: Path) -> None:
    done = install_with(tmp_path, [UPDATED])
    assert (done.code, done.attempts, done.kept) == (0, 2, f"{UPDATED}\n")


def test_installation_is_done_twice_at_most_and_the_failure_says_so(tmp_path: Path) -> None:
    done = install_with(tmp_path, [UPDATED, UPDATED, UPDATED])
    assert (done.code, done.attempts) == (100, 2)
    assert f"this was the second attempt; the first failed with: {UPDATED}" in done.output


@pytest.mark.parametrize("lock", [LOCKED, DPKG_LOCKED])
def test_another_package_manager_is_waited_for(tmp_path: Path, lock: str) -> None:
    done = install_with(tmp_path, [lock, lock, UPDATED])
    assert (done.code, done.attempts, done.kept) == (0, 4, f"{UPDATED}\n")


def test_package_manager_that_ends_at_last_is_not_named_as_one_that_does_not(tmp_path: Path) -> None:
    done = install_with(tmp_path, [LOCKED] * 60)
    assert (done.code, done.attempts) == (0, 61)
    assert "waited two minutes" not in done.output


def test_package_manager_that_does_not_end_is_named(tmp_path: Path) -> None:
    done = install_with(tmp_path, [LOCKED] * 70)
    assert (done.code, done.attempts, done.kept) == (100, 61, f"{LOCKED}\n")
    assert f"{LOCKED}\nwaited two minutes for it; run again when it has ended" in done.output


@pytest.mark.parametrize(("errors", "code"), [([], 0), ([ABSENT], 100)])
def test_installation_that_succeeds_or_fails_for_good_is_done_once(
    tmp_path: Path, errors: list[str], code: int
) -> None:
    done = install_with(tmp_path, errors)
    assert (done.code, done.attempts, done.kept) == (code, 1, "")
    assert "".join(errors) in done.output


def test_second_attempt_is_told(kept: list[str]) -> None:
    assert not prepared(BARE, ServiceStatus()).logged
    kept.append(LOCKED)
    (told,) = prepared(BARE, ServiceStatus()).logged
    assert told == f"the first attempt to install the packages failed; apt said: {LOCKED}"


def test_interrupted_writing_of_files_is_completed() -> None:
    assert prepared(DONE, replace(FILES_DONE, pending=True)).job("service_configure")["commands"]


def test_changed_names_alone_install_nothing() -> None:
    job = prepared(DONE, ServiceStatus({NAMES.path: file_state("192.0.2.9 oxgw09\n")})).job("service_configure")
    assert [file["content"] for file in job["files"]] == [NAMES.content]
    assert job["commands"] == []


def test_what_check_saw_is_not_asked_again_but_once_only() -> None:
    host = FakeHost({HostState: DONE, Service: FILES_DONE})
    for _ in range(2):
        run(hosts.check, host, **CHECKED)
        run(hosts.prepare, host, **PREPARED)
    assert [fact for fact, _ in host.asked] == [HostState, Service] * 2
    run(hosts.prepare, host, **PREPARED)
    assert [fact for fact, _ in host.asked][4:] == [HostState, Service]
