"""What is changed has to work, or the old files come back; every wait for a host that freezes or dies ends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ox_deploy.deploys.web import CERTIFICATE, CERTIFICATE_KEY, ENABLED_SITE
from ox_deploy.operations.service import ManagedFile, Probe, SiteProbe, configure_job
from ox_deploy.questions.program import standalone
from tests.integration.database import kind, sql
from tests.integration.deployment import INVENTORY, SSH_INVENTORY, begun, command, deploy, deploy_fails
from tests.integration.status import status
from tests.lab import nodes
from tests.lab.browser import Browser

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mariadb-11.8"), pytest.mark.usefixtures("cluster")]

LOOK = "Look for what stands in the way"
BALANCE = "Balance sessions over the groupware nodes"
HEADERS = "/etc/apache2/mods-enabled/headers.load"
SLOW = "sleep 30; # by a test"


def run_until(operation: str, then: Callable[[], None], inventory: str) -> tuple[str, float]:
    """Start a deploy, do something when an operation has begun, and wait; it has to fail.

    Returns what was printed, and how many seconds it took from there.
    """
    process, seen = begun(command(inventory=inventory), operation)
    then()
    begin = time.monotonic()
    seen += process.communicate(timeout=100)[0]
    assert process.returncode == 1, seen
    return seen, time.monotonic() - begin


def assert_told(said: str, host: str, operation: str) -> None:
    """Nothing but one sentence says what happened."""
    sentence = rf"{host} no longer answers \(.+\); at \d\d:\d\d:\d\d it was told: {operation}; check that host"
    assert len(re.findall(sentence, said)) == 1, said
    assert not re.search("Traceback|Greenlet|executed 0 commands", said), said


@contextmanager
def at_work() -> Iterator[None]:
    """Let an earlier order be at work on the node, for which the first question of a run waits."""
    nodes.run("oxgw01", "setsid flock /var/lib/ox-deploy/lock sleep 90 >/dev/null 2>&1 & sleep 0.2")
    try:
        yield
    finally:
        nodes.run("oxgw01", "pkill -x sleep")


@contextmanager
def slow_balancer() -> Iterator[None]:
    """Let the order for the balancer take long: Apache's own test sleeps."""
    nodes.run("web", f"rm {HEADERS}; echo '{SLOW}' >> /etc/apache2/envvars")
    try:
        yield
    finally:
        nodes.run("web", f"sed -i '/{SLOW}/d' /etc/apache2/envvars; pkill -x sleep; true")


@pytest.mark.thorough
def test_host_that_freezes_in_a_question_by_ssh_ends_the_run() -> None:
    with at_work():
        try:
            said, seconds = run_until(LOOK, lambda: nodes.pause("oxgw01"), SSH_INVENTORY)
        finally:
            nodes.unpause("oxgw01")
    assert_told(said, "oxgw01", LOOK)
    assert seconds < 75
    assert deploy().changed() == []


def test_host_that_freezes_in_an_order_by_docker_ends_the_run_and_the_next_one_completes_it() -> None:
    with slow_balancer():

        def freeze() -> None:
            nodes.wait_for("web", "pgrep -x sleep")
            nodes.pause("web")

        try:
            said, seconds = run_until(BALANCE, freeze, INVENTORY)
        finally:
            nodes.unpause("web")
    assert_told(said, "web", BALANCE)
    assert "is paused" in said
    assert seconds < 25
    deploy()
    assert deploy().changed() == []


def test_host_that_dies_in_an_order_by_ssh_ends_the_run_and_the_next_one_completes_it() -> None:
    with slow_balancer():

        def die() -> None:
            nodes.wait_for("web", "pgrep -x sleep")
            nodes.kill("web")

        try:
            said, seconds = run_until(BALANCE, die, SSH_INVENTORY)
        finally:
            nodes.start("web")
    assert_told(said, "web", BALANCE)
    assert seconds < 75
    deploy()
    assert deploy().changed() == []


WEAK_PAIR = (
    "openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=weak -days 9 -out /root/weak.pem -keyout /root/weak.key"
)


@pytest.mark.thorough
def test_certificate_that_apache_takes_in_its_check_and_dies_of_gives_way_to_the_old_one() -> None:
    """No deploy would get so far: it looks at certificates first. But not every fault can be seen."""
    nodes.run("web", WEAK_PAIR)
    weak, key = (nodes.run("web", f"cat /root/weak.{kind}") for kind in ("pem", "key"))
    files = [ManagedFile(CERTIFICATE, weak), ManagedFile(CERTIFICATE_KEY, key, mode="0600")]
    probe = Probe(site=SiteProbe(ENABLED_SITE, nodes.node("web").address))
    job = configure_job("apache2", files, ["apache2"], "reload", ["apachectl", "configtest"], probe=probe)
    done = nodes.exec_in("web", ["python3", "-"], input=standalone("service_configure", job))
    assert done.code == 1
    assert done.stderr.startswith("apache2: refused; the old files are back, and work. "), done.stderr
    assert Browser().login()["user_id"] == 3
    assert deploy().changed() == []


def test_database_server_that_does_not_come_back_gets_its_old_files_and_the_next_one_is_not_touched() -> None:
    servers = ("dbmaster", "dbslave")
    shown = f"systemctl show -P MainPID {kind().unit}; cat {kind().configuration}"
    before = {name: nodes.run(name, shown).split("\n", 1) for name in servers}
    said = deploy_fails("--data", 'mysql_settings={"innodb_buffer_pool_size": "900G"}')
    assert "refused; the old files are back, and work" in said
    after = {name: nodes.run(name, shown).split("\n", 1) for name in servers}
    assert after["dbmaster"] == before["dbmaster"]
    assert [after[name][1] for name in servers] == [before[name][1] for name in servers]
    assert sql("dbmaster", "SELECT 1").strip() == "1"
    assert deploy().changed() == []


def test_full_file_system_that_a_service_writes_to_is_a_finding() -> None:
    nodes.run(
        "dbslave", "mount -t tmpfs -o size=1m none /var/log/mysql; head -c 1m /dev/zero > /var/log/mysql/full || :"
    )
    try:
        found = [finding for finding in status().document["findings"] if "/var/log/mysql" in finding["found"]]
        assert [finding["host"] for finding in found] == ["dbslave"]
    finally:
        nodes.run("dbslave", "umount /var/log/mysql")
