"""What stands in the way of a deploy: nothing on a healthy cluster, and all of it at once on one that is not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.integration.deployment import INVENTORY, PYINFRA, SSH_INVENTORY, Run, deploy, deploy_fails, dry_run, pyinfra
from tests.lab import nodes, state
from tests.lab.nodes import run

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

CHECK = "ox_deploy.deploys.check.check"
NOTHING = "Nothing stands in the way on 5 hosts."
# Docker has mounted the file, so it cannot be replaced.
FORGET = 'text=$(grep -v 192.0.2.99 /etc/hosts); echo "$text" > /etc/hosts'


def check(inventory: str) -> Run:
    done = pyinfra([*PYINFRA, "-y", inventory, CHECK])
    assert "Traceback" not in done.output, done.output
    return done


@pytest.fixture
def broken() -> Iterator[tuple[str, ...]]:
    """Something is wrong on two hosts; return what has to be said of it."""
    node = nodes.node("oxgw01")
    run("web", "systemctl stop apache2 && systemd-run --quiet --unit=other-web python3 -m http.server 80")
    run("web", f"ip route add unreachable {node.address}")
    run("oxgw02", "echo '192.0.2.99 dbmaster # of another cluster' >> /etc/hosts")
    nodes.wait_for("web", "ss -ltn | grep -q ':80 '")
    try:
        yield (
            "port 80 (tcp) is taken by python3 (unit other-web); it should be free for apache2",
            f"oxgw01 does not answer this host at {node.address} port 8009 (No route to host)",
            "/etc/hosts: dbmaster is 192.0.2.99 in a line that is not ox-deploy's",
        )
    finally:
        run("web", f"systemctl stop other-web; ip route del unreachable {node.address}; systemctl start apache2")
        run("oxgw02", FORGET)


@pytest.mark.parametrize("inventory", [INVENTORY, SSH_INVENTORY])
def test_nothing_stands_in_the_way_on_a_healthy_cluster(inventory: str) -> None:
    begin = time.monotonic()
    done = check(inventory)
    assert done.code == 0, done.output
    assert NOTHING in done.output
    # Most of it is the start of pyinfra; the machine may be busy.
    assert time.monotonic() - begin < 20


def test_all_hosts_say_at_once_what_stands_in_the_way(broken: tuple[str, ...]) -> None:
    plan = pyinfra(dry_run())
    assert plan.code == 1, plan.output
    assert [said for said in broken if said not in plan.output] == []

    nodes.disconnect("dbslave")
    try:
        wanted = (*broken, "dbslave cannot be reached, and nothing was changed")
        done = check(SSH_INVENTORY)
        assert done.code == 1, done.output
        assert [said for said in wanted if said not in done.output] == []
        refused = deploy_fails(inventory=SSH_INVENTORY)
        assert [said for said in wanted if said not in refused] == []
    finally:
        nodes.reconnect("dbslave")


@pytest.fixture
def without_sudo() -> Iterator[tuple[str, ...]]:
    """On each of three hosts sudo, or the login, refuses something else; return what has to be said of it."""
    run("oxgw01", "echo 'Defaults requiretty' >/etc/sudoers.d/zz-site")
    run("oxgw02", "echo 'admin ALL=(ALL:ALL) ALL' >/etc/sudoers.d/zz-site")
    run("web", "usermod -s /usr/sbin/nologin admin")
    try:
        yield (
            "oxgw01 runs no command of ours: sudo demands a terminal (sudo: sorry, you must have a tty to run sudo); "
            "put `Defaults:admin !requiretty` into a file in /etc/sudoers.d there, and run again.",
            "oxgw02 runs no command of ours: sudo demands a password (sudo: a password is required); add",
            "web runs no command of ours: the login shell runs no commands (This account is currently not available.); "
            "give admin a shell there that does",
        )
    finally:
        run("oxgw01", "rm /etc/sudoers.d/zz-site")
        run("oxgw02", "rm /etc/sudoers.d/zz-site")
        run("web", "usermod -s /bin/bash admin")


def test_host_that_lets_nothing_run_as_root_is_named_with_the_remedy(without_sudo: tuple[str, ...]) -> None:
    done = check(SSH_INVENTORY)
    assert done.code == 1, done.output
    assert [said for said in without_sudo if said not in done.output] == []
    assert "could not load fact" not in done.output


@pytest.fixture
def proxy_that_is_down() -> Iterator[None]:
    """On one host, apt has a proxy that nobody listens at."""
    run("web", """echo 'Acquire::http::Proxy "http://127.0.0.1:9";' >/etc/apt/apt.conf.d/zz-proxy""")
    try:
        yield
    finally:
        run("web", "rm /etc/apt/apt.conf.d/zz-proxy")


def test_login_of_the_repository_is_tried_through_apts_proxy_and_shown_nowhere(proxy_that_is_down: None) -> None:
    password = "not-the-right-one"
    done = pyinfra([*PYINFRA, "-y", "-vvv", INVENTORY, CHECK], env={"OX_DEPLOY_OX_REPOSITORY_PASSWORD": password})
    assert done.code == 1, done.output
    url = f"http://{state.REPO_NAME}/"
    for node in ("oxgw01", "oxgw02"):
        assert f"{node}: {url} refuses the login (401 Unauthorized); it should let apt read it" in done.output
    assert f"web: {url} cannot be fetched by apt (Could not connect to 127.0.0.1:9" in done.output
    assert password not in done.output


def test_nothing_is_left_to_do_when_all_is_mended() -> None:
    nodes.wait_for(
        "dbslave", "mariadb -e 'SHOW SLAVE STATUS\\G' | grep -q 'Slave_IO_Running: Yes' || ! command -v mariadb"
    )
    assert check(INVENTORY).code == 0
    assert deploy().changed() == []
