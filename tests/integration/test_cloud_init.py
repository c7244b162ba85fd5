"""A cloud-init that writes /etc/hosts anew at each boot is refused with its file; one that leaves it alone is not."""

from __future__ import annotations

import pytest

from tests.integration.deployment import deploy, deploy_fails
from tests.integration.test_check import check
from tests.lab import nodes
from tests.lab.nodes import run

pytestmark = [pytest.mark.lab, pytest.mark.thorough, pytest.mark.usefixtures("cluster", "used_up")]

HOST = "web"
INVENTORY = "tests/lab/inventory.py"
NOISE = "-qq -o Dpkg::Use-Pty=0"
SEED, INSTANCE = "/var/lib/cloud/seed/nocloud", "/var/lib/cloud/instance"
# Only the module that it is about; others make accounts and the host's SSH keys anew.
CONFIGURATION = """datasource_list: [ NoCloud ]
cloud_init_modules: [ update_etc_hosts ]
cloud_config_modules: []
cloud_final_modules: []
"""
OURS = "# BEGIN"


def install() -> None:
    run(HOST, f"apt-get {NOISE} update")
    run(HOST, f"DEBIAN_FRONTEND=noninteractive apt-get {NOISE} install -y --no-install-recommends cloud-init")
    run(HOST, f"mkdir -p {SEED} && cat >/etc/cloud/cloud.cfg.d/90-lab.cfg", input=CONFIGURATION)


def boot(number: int, user: str = "", vendor: str = "") -> str:
    """Start the host with these data of its provider, as a new instance; return its /etc/hosts."""
    run(HOST, f"printf 'instance-id: i-{number}\\nlocal-hostname: {HOST}\\n' >{SEED}/meta-data")
    for name, text in (("user", user), ("vendor", vendor)):
        run(HOST, f"cat >{SEED}/{name}-data", input=f"#cloud-config\n{text}\n")
    nodes.restart(HOST)
    return run(HOST, "cloud-init status --wait >/dev/null; cat /etc/hosts")


def assert_refused(file: str) -> None:
    sentence = f"web: {file}: `manage_etc_hosts` lets cloud-init write /etc/hosts anew at each boot"
    assert sentence in check(INVENTORY).output
    assert sentence in deploy_fails()


def test_names_are_not_left_to_a_cloud_init_that_takes_them_away() -> None:
    block = run(HOST, f"sed -n '/{OURS}/,$p' /etc/hosts")
    assert "oxgw01" in block
    install()

    text = boot(1, user="manage_etc_hosts: true")
    assert "127.0.1.1 web" in text
    assert "oxgw01" not in text
    assert_refused(f"{INSTANCE}/cloud-config.txt")

    boot(2, vendor="manage_etc_hosts: true")
    assert_refused(f"{INSTANCE}/vendor-cloud-config.txt")

    # What the user says counts more, and `localhost` is about the host's own name only.
    for number, user in ((3, "manage_etc_hosts: false"), (4, "manage_etc_hosts: localhost")):
        boot(number, user=user, vendor="manage_etc_hosts: true")
        deploy()
        assert block in boot(number + 10, user=user, vendor="manage_etc_hosts: true")
        assert deploy().changed() == []
