"""service.configure: what is written, and when nothing is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from ox_deploy.facts.service import FileState, HandMade, Service, ServiceStatus, UnitState
from ox_deploy.operations.service import ManagedFile, configure
from tests.unit.fakes import FakeHost, Outcome, both_phases, file_state

RUNS = UnitState(active=True, enabled=True)


def configured(status: ServiceStatus, *files: ManagedFile, **options: Any) -> Outcome:
    host = FakeHost({Service: status})
    arguments = {"service": "apache2", "files": files, "units": ["apache2"]} | options
    outcome = both_phases(configure, host, **arguments)
    paths = {file.path: file.block for file in files}
    assert host.asked[-1] == (Service, {"service": "apache2", "files": paths, "units": ["apache2"]})
    return outcome


def written(state: FileState | None, file: ManagedFile) -> list[str]:
    """The paths that are written when this is there and that is wanted."""
    outcome = configured(ServiceStatus({file.path: state}, {"apache2": RUNS}), file)
    if not outcome.commands:
        outcome.assert_noop()
        return []
    return [entry["path"] for entry in outcome.job("service_configure")["files"]]


FILE = ManagedFile("/etc/x.conf", "old\n")
BLOCK = ManagedFile("/etc/hosts", "old\n", block="cluster")
LINK = ManagedFile("/etc/x.load", target="../x.load")
DIRECTORY = ManagedFile("/var/x", mode="2750", owner="mysql", group="adm", directory=True)
SHARED_LINK = ManagedFile("/etc/x.load", target="../x.load", shared=True)
SHARED_DIRECTORY = ManagedFile("/etc/x", mode="0755", directory=True, shared=True)
NOTHING = ManagedFile("/etc/x.conf")
NO_BLOCK = ManagedFile("/etc/hosts", block="cluster")
LINK_STATE = file_state(None, mode="0777", target="../x.load")
DIRECTORY_STATE = file_state(None, mode="2750", owner="mysql", group="adm")

RIGHT: dict[str, tuple[FileState | None, ManagedFile]] = {
    "file": (file_state(), FILE),
    "empty-file": (file_state(""), ManagedFile("/etc/x.conf", "")),
    "block": (file_state(), BLOCK),
    "block-in-a-file-of-somebody-else": (file_state(mode="0600", owner="me", group="me"), BLOCK),
    "link": (LINK_STATE, LINK),
    "directory": (DIRECTORY_STATE, DIRECTORY),
    "link-of-somebody-else": (file_state(None, mode="0777", target="/usr/x.load"), SHARED_LINK),
    "file-of-somebody-else-instead-of-a-link": (file_state(), SHARED_LINK),
    "directory-of-somebody-else": (file_state(None, mode="0750", group="mysql"), SHARED_DIRECTORY),
    "no-file": (None, NOTHING),
    "no-block": (file_state(None), NO_BLOCK),
    "no-block-no-file": (None, NO_BLOCK),
}
WRONG: dict[str, tuple[FileState | None, ManagedFile]] = {
    "no-file": (None, FILE),
    "other-content": (file_state("new\n"), FILE),
    "other-mode": (file_state(mode="0640"), FILE),
    "other-owner": (file_state(owner="me"), FILE),
    "other-group": (file_state(group="me"), FILE),
    "link-instead-of-a-file": (LINK_STATE, FILE),
    "directory-instead-of-a-file": (file_state(None, mode="0755"), FILE),
    "no-block": (file_state(None), BLOCK),
    "no-file-for-the-block": (None, BLOCK),
    "other-block": (file_state("new\n"), BLOCK),
    "no-link": (None, LINK),
    "other-link": (file_state(None, target="../y.load"), LINK),
    "file-instead-of-a-link": (file_state(), LINK),
    "no-directory": (None, DIRECTORY),
    "directory-with-another-mode": (file_state(None, mode="0755", owner="mysql", group="adm"), DIRECTORY),
    "directory-of-somebody-else": (file_state(None, mode="2750"), DIRECTORY),
    "no-link-of-anybody": (None, SHARED_LINK),
    "no-directory-of-anybody": (None, SHARED_DIRECTORY),
    "directory-that-only-root-can-enter": (file_state(None, mode="0700"), SHARED_DIRECTORY),
    "surplus-file": (file_state(), NOTHING),
    "surplus-block": (file_state(), NO_BLOCK),
}


@pytest.mark.parametrize(("state", "file"), RIGHT.values(), ids=RIGHT)
def test_right_file_is_left_alone(state: FileState | None, file: ManagedFile) -> None:
    assert written(state, file) == []


@pytest.mark.parametrize(("state", "file"), WRONG.values(), ids=WRONG)
def test_wrong_file_is_written(state: FileState | None, file: ManagedFile) -> None:
    assert written(state, file) == [file.path]


def test_only_wrong_files_are_sent_with_all_that_is_to_be_done() -> None:
    other = ManagedFile("/etc/y.conf", "new\n", mode="0600")
    status = ServiceStatus({FILE.path: file_state(), other.path: file_state()}, {"apache2": RUNS})
    options = {"on_change": "reload", "check": ["apachectl", "configtest"], "commands": [["true"]]}
    assert configured(status, FILE, other, **options).job("service_configure") == {
        "name": "apache2",
        "files": [
            {
                "path": "/etc/y.conf",
                "content": "new\n",
                "mode": "0600",
                "owner": "root",
                "group": "root",
                "target": None,
                "block": None,
                "directory": False,
                "adopt": True,
                "shared": False,
                "optional": False,
            }
        ],
        "units": ["apache2"],
        "on_change": "reload",
        "check": ["apachectl", "configtest"],
        "commands": [["true"]],
        "probe": {"database": None, "site": None, "export": None, "logs": []},
        "seconds": None,
        "daemon_reload": False,
    }


def test_change_of_an_earlier_run_that_is_not_in_use_yet_is_finished() -> None:
    status = ServiceStatus({FILE.path: file_state()}, {"apache2": RUNS}, pending=True)
    assert configured(status, FILE).job("service_configure")["files"] == []


@pytest.mark.parametrize(
    "units",
    [
        {},
        {"apache2": UnitState(active=False, enabled=True)},
        {"apache2": UnitState(active=True, enabled=False)},
        {"apache2": UnitState(active=False, enabled=False)},
    ],
    ids=["unknown", "stopped", "disabled", "missing"],
)
def test_unit_that_does_not_run_now_or_at_boot_is_started(units: dict[str, UnitState]) -> None:
    job = configured(ServiceStatus({FILE.path: file_state()}, units), FILE).job("service_configure")
    assert (job["files"], job["units"]) == ([], ["apache2"])


def test_bare_host_gets_everything() -> None:
    job = configured(ServiceStatus(), FILE, LINK).job("service_configure")
    assert [entry["path"] for entry in job["files"]] == [FILE.path, LINK.path]


@pytest.mark.parametrize("path", ["/etc/systemd/system/x.service", "/etc/fstab"])
def test_systemd_is_told_of_changed_units_and_mounts(path: str) -> None:
    file = ManagedFile(path, "new\n")
    assert configured(ServiceStatus(), file).job("service_configure")["daemon_reload"]


def test_systemd_is_told_of_units_that_an_earlier_run_wrote_before_it_died() -> None:
    file = ManagedFile("/etc/systemd/system/x.service", "old\n")
    status = ServiceStatus({file.path: file_state()}, {"apache2": RUNS}, pending=True)
    assert configured(status, file).job("service_configure")["daemon_reload"]


HAND_MADE = HandMade("/etc/fstab", [[2, 2], [5, 6]], "a mount of the filestore", "digest", "/before/etc/fstab")


def test_what_was_made_by_hand_is_named_and_taken_over() -> None:
    status = ServiceStatus({FILE.path: file_state()}, {"apache2": RUNS}, hand_made=[HAND_MADE])
    outcome = configured(status, FILE)
    job = outcome.job("service_configure")
    assert (job["files"], job["hand_made"], job["daemon_reload"]) == ([], [asdict(HAND_MADE)], True)
    assert outcome.logged == [
        "/etc/fstab:2, 5-6: a mount of the filestore, made by hand; ox-deploy takes it over and keeps the old lines in "
        "/before/etc/fstab"
    ]


def test_what_is_in_use_stays_in_our_text() -> None:
    kept = {"old": "in use"}
    found = ServiceStatus({FILE.path: file_state()}, {"apache2": RUNS}, kept=kept)
    (file,) = configured(found, FILE).job("service_configure")["files"]
    assert file["content"] == "in use\n"
    configured(ServiceStatus({FILE.path: file_state("in use\n")}, {"apache2": RUNS}, kept=kept), FILE).assert_noop()
