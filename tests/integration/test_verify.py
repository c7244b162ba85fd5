"""The guide's tests, run as one command: green on a healthy cluster, and red for what is broken and nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.integration.deployment import INVENTORY, PYINFRA, SSH_INVENTORY, Run, deploy, passwords, pyinfra
from tests.integration.leaks import names_in, watched_process_list
from tests.integration.samples import sampled
from tests.integration.test_status import disable, shell
from tests.lab import nodes, state
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, run, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mariadb-11.8"), pytest.mark.usefixtures("cluster")]

CHECKS = 20
SITE = "/etc/apache2/sites-available/00-open-xchange.conf"
GROUPWARE = "/opt/open-xchange/etc/groupware"


def command(*options: str, inventory: str = INVENTORY) -> list[str]:
    return [*PYINFRA, "-y", *options, inventory, "ox_deploy.deploys.verify.verify"]


def verify(*options: str, inventory: str = INVENTORY, env: dict[str, str] | None = None) -> Run:
    return pyinfra(command(*options, inventory=inventory), env={"COLUMNS": "200", **(env or {})})


def states(done: Run) -> set[str]:
    """Return the names of all findings that made the run fail."""
    return {name for names in re.findall(r"findings \((.*?)\); the table", done.output) for name in names.split(", ")}


def assert_nothing_is_left() -> None:
    assert "ox_verify" not in run("dbmaster", "mariadb -e 'SHOW DATABASES'")
    wait_for("dbslave", "! mariadb -e 'SHOW DATABASES' | grep -q ox_verify")
    assert not run("dbmaster", "find /var/opt/filestore -name '.ox-verify*'")
    for node in ("dbmaster", "oxgw01", "oxgw02"):
        assert "ox-verify" not in run(node, "systemctl list-timers --all --no-legend")


def let_the_hosts_clean_up() -> None:
    """Have done now what the hosts' timers do two minutes after a verification that died, or whose server hung."""
    units = "systemctl list-timers --no-legend 'ox-verify-*' | grep -o 'ox-verify-[a-z0-9-]*.service'"
    for node in ("dbmaster", "oxgw01", "oxgw02"):
        run(
            node,
            f"for unit in $({units}); do systemctl start --wait $unit; systemctl stop ${{unit%service}}timer; done",
        )


def test_healthy_cluster_passes_and_nothing_is_left_behind() -> None:
    with watched_process_list() as log:
        done = verify("-vvv")
        lines = log.read_text(errors="replace")
    assert done.code == 0, done.output
    assert len(re.findall(r"│ ok", done.stderr)) == CHECKS
    assert re.search(r"dbslave: after 0\.\d\d s", done.output)
    assert_nothing_is_left()
    assert "verify_logins" in lines, "the watcher should have seen the programs"
    assert names_in(done.output + lines, passwords()) == []


def test_it_passes_by_ssh_too() -> None:
    done = verify(inventory=SSH_INVENTORY)
    assert done.code == 0, done.output


@dataclass(frozen=True)
class Fault:
    """What is broken on a node, what has to be found, and what mends it where a deploy does not."""

    node: str
    damage: str
    states: set[str]
    mend: str = "true"


# Sooner than anybody can look whether they are gone.
MAKE_AGAIN = """
import glob, time
known = set()
while time.sleep(0.0005) is None:
    known |= set(glob.glob('.ox-verify-*'))
    for name in known:
        open(name, 'a').close()
"""
GRACEFUL = "apachectl graceful; sleep 1"
FAULTS = {
    "replica stopped": Fault("dbslave", "mariadb -e 'STOP SLAVE SQL_THREAD'", {"replica stopped"}),
    "replica writable": Fault("dbslave", "mariadb -e 'SET GLOBAL read_only = 0'", {"replica writable"}),
    "right of an account": Fault(
        "dbslave",
        "mariadb -e \"SET sql_log_bin = 0; REVOKE DELETE ON *.* FROM openexchange@'<oxgw01>'\"",
        {"account differs"},
    ),
    "account of no host": Fault(
        "dbmaster",
        "mariadb -e \"CREATE USER replication@'192.0.2.99' IDENTIFIED BY 'gone'\"",
        {"account of no host"},
        "mariadb -e \"DROP USER replication@'192.0.2.99'\"",
    ),
    "mount": Fault("oxgw02", "umount -l /var/opt/filestore", {"filestore not mounted"}),
    "NFS server hangs": Fault(
        "dbmaster", "pkill -STOP ganesha.nfsd", {"filestore not writable"}, "pkill -CONT ganesha.nfsd"
    ),
    "owner of files": Fault(
        "dbmaster",
        "sed -i 's/Root_Squash/All_Squash/; s/_Uid = 1001/_Uid = 1234/' /etc/ganesha/ox-deploy.conf;"
        " chmod 777 /var/opt/filestore; systemctl reload nfs-ganesha; sleep 1",
        {"file has another owner"},
    ),
    "removed files come back": Fault(
        "dbmaster",
        f'systemd-run -q --unit oxlab-touch --working-directory /var/opt/filestore python3 -c "{MAKE_AGAIN}"',
        {"removed file stays"},
        "systemctl stop oxlab-touch; rm -f /var/opt/filestore/.ox-verify-*",
    ),
    "replica is late": Fault(
        "dbslave",
        "mariadb -e 'STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 30; START SLAVE'",
        {"replica lagging"},
        "mariadb -e 'STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 0; START SLAVE'",
    ),
    "replica stops half way": Fault(
        "dbslave",
        # As soon as the row is here: what is dropped afterwards stays.
        'nohup bash -c \'until mariadb -Ne "SELECT 1 FROM $(mariadb -Ne "SHOW DATABASES" | grep ox_verify).canary" |'
        ' grep -q 1; do sleep 0.02; done; mariadb -e "STOP SLAVE SQL_THREAD"\' > /dev/null 2>&1 &',
        {"dropped database stays"},
        "mariadb -e 'START SLAVE SQL_THREAD'",
    ),
    "plain HTTP": Fault("web", f"sed -i /RedirectMatch.permanent/d {SITE}; {GRACEFUL}", {"HTTP not redirected"}),
    "certificate": Fault(
        "web",
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=other -days 9"
        " -out /etc/ssl/certs/open-xchange.pem 2> /dev/null",
        {"certificate refused"},
    ),
    "member disabled": Fault("web", disable(1), {"sessions spread unevenly"}, disable(0)),
    "sessions not sticky": Fault("web", f"sed -i s/stickysession=JSESSIONID// {SITE}; {GRACEFUL}", {"session moves"}),
    "route of a member": Fault(
        "web",
        f"sed -i s/route=OX-2/route=OX-7/ {SITE}; {GRACEFUL}",
        {"balancer has another route", "session moves"},
    ),
    "multicast route": Fault("oxgw01", "ip route del 224.0.0.0/8", {"no multicast route"}),
    "groupware daemon": Fault(
        "oxgw02", "systemctl stop open-xchange-groupware", {"caches not connected", "sessions spread unevenly"}
    ),
    "route of a node": Fault(
        "oxgw01", f"sed -i s/OX-1/OX-9/ {GROUPWARE}/ajp.properties", {"node configured for another cluster"}
    ),
    "orphaned server": Fault(
        "dbmaster",
        "mariadb -e \"INSERT INTO configdb.server SELECT MAX(server_id) + 1, 'orphan' FROM configdb.server\"",
        {"orphaned server"},
        "mariadb -e \"DELETE FROM configdb.server WHERE name = 'orphan'\"",
    ),
}


# One each of database, filestore and web; the first two leave something behind if they go wrong.
SAMPLE = ("replica stops half way", "removed files come back", "sessions not sticky")


@pytest.mark.parametrize("name", sampled(FAULTS, SAMPLE))
def test_what_is_broken_is_found_and_nothing_else(name: str) -> None:
    fault = FAULTS[name]
    shell(fault.node, fault.damage)
    try:
        done = verify()
        assert done.code == 1, done.output
        assert states(done) == fault.states, done.output
        assert "Traceback" not in done.output
        assert "to do" in done.output
    finally:
        shell(fault.node, fault.mend)
        deploy()
    if "filestore not writable" in fault.states:
        let_the_hosts_clean_up()
    assert_nothing_is_left()


@pytest.mark.thorough
def test_wrong_password_of_the_user_is_found_without_trying_it_often() -> None:
    done = verify(env={"OX_DEPLOY_CONTEXT_1_TESTUSER": "Wrong-but-strong-7"})
    assert (done.code, states(done)) == (1, {"login fails"}), done.output


@pytest.mark.thorough
def test_host_that_cannot_be_reached_is_a_finding() -> None:
    nodes.kill("oxgw02")
    try:
        done = verify(inventory=SSH_INVENTORY)
        assert done.code == 1
        assert "host not checked" in states(done), done.output
        assert "oxgw02" in done.output
    finally:
        nodes.start("oxgw02")
    deploy()


@contextmanager
def killed_after(condition: str) -> Iterator[None]:
    """Start a verification and kill it as soon as a shell line succeeds on the master."""
    process = subprocess.Popen(
        command(), cwd=state.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for("dbmaster", condition)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_what_a_dead_run_leaves_is_removed_by_the_hosts() -> None:
    with killed_after("mariadb -e 'SHOW DATABASES' | grep -q ox_verify"):
        pass
    assert "ox_verify" in run("dbmaster", "mariadb -e 'SHOW DATABASES'")
    let_the_hosts_clean_up()
    wait_for("dbslave", "! mariadb -e 'SHOW DATABASES' | grep -q ox_verify")
    assert_nothing_is_left()


def test_logins_go_on_without_a_node_and_it_gets_sessions_again() -> None:
    run("oxgw02", "systemctl stop open-xchange-groupware")
    try:
        routes = Counter(_route() for _ in range(6))
        assert routes == {"OX-1": 6}
    finally:
        run("oxgw02", "systemctl start open-xchange-groupware")
    deadline = time.monotonic() + 30
    while _route() != "OX-2":
        assert time.monotonic() < deadline, "the node gets no sessions after it came back"
        time.sleep(0.5)


def _route() -> str:
    browser = Browser()
    assert browser.login()["user_id"] == 3
    return browser.route


def test_host_outside_the_export_is_refused() -> None:
    address = state.load().nodes["dbmaster"].address
    assert exec_in("web", f"mount -t nfs -o soft,retry=0 {address}:/var/opt/filestore /mnt").code
