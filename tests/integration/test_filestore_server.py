"""A cluster whose filestore is a host of its own, not the database master."""

from __future__ import annotations

import pytest

from tests.integration.deployment import deploy, deployed_lab
from tests.lab import state
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, run
from tests.lab.state import State

pytestmark = [pytest.mark.lab, pytest.mark.thorough, pytest.mark.usefixtures("cold")]


@pytest.fixture(scope="module")
def cold() -> State:
    return deployed_lab(filestore=True)


def test_nodes_mount_the_file_server() -> None:
    source = f"{state.load().nodes['filestore'].address}:/var/opt/filestore"
    for node in ("oxgw01", "oxgw02"):
        assert run(node, "findmnt -n -o SOURCE /var/opt/filestore").strip() == source
    assert exec_in("dbmaster", "systemctl is-active nfs-ganesha").code


def test_files_of_users_arrive_there() -> None:
    browser = Browser()
    browser.login()
    browser.ask(f"/ajax/infostore?action=new&name=note.txt&session={browser.session}", b"kept on the file server")
    assert run("filestore", "grep -rl 'kept on the file server' /var/opt/filestore | wc -l").strip() == "1"


def test_host_outside_the_export_is_refused() -> None:
    address = state.load().nodes["filestore"].address
    assert exec_in("web", f"mount -t nfs -o soft,retry=0 {address}:/var/opt/filestore /mnt").code


def test_second_run_changes_nothing() -> None:
    again = deploy()
    assert again.changed() == []
    assert len(again.hosts()) == 6
    assert deploy("--limit", "filestore").changed() == []
