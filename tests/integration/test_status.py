"""Each named state, provoked by breaking the real thing: reported as itself and nothing else, and gone when mended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ox_deploy.deploys.web import CERTIFICATE, SITE
from tests.integration.deployment import SSH_INVENTORY, deploy, passwords
from tests.integration.leaks import names_in
from tests.integration.samples import together
from tests.integration.status import status
from tests.lab import keys, nodes, state
from tests.lab.browser import Browser
from tests.lab.nodes import run

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]


@dataclass(frozen=True)
class Fault:
    """What is broken on a node, what has to be reported, and what mends it where a deploy does not."""

    node: str
    damage: str
    states: tuple[tuple[str, str], ...]
    mend: str = "true"


# Sets a status of a member in Apache's balancer-manager: address, name of the status, 1 or 0.
MANAGER = """
import html, re, ssl, sys, urllib.request
page = "https://127.0.0.1/balancer-manager"
def ask(form=None):
    request = urllib.request.Request(page, form, {"Referer": page})
    return urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=5).read().decode()
links = [html.unescape(link) for link in re.findall(r"balancer-manager[?]([^\\x22]*)", ask())]
(link,) = {link for link in links if sys.argv[1] in link and "w=" in link}
ask(f"{link}&w_status_{sys.argv[2]}={sys.argv[3]}".encode())
"""


def disable(value: int) -> str:
    return f"python3 -c '{MANAGER}' <oxgw02> D {value}"


# All containers have the clock of this machine. So a program that changes what a process takes for the time.
INSTALL_FAKETIME = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y faketime > /dev/null"
FAKE_CLOCK = (
    "printf '#!/bin/sh\\nexec faketime -f +60s /usr/bin/python3 \"$@\"\\n' > /usr/local/sbin/python3;"
    " chmod 755 /usr/local/sbin/python3"
)
REAL_CLOCK = "rm /usr/local/sbin/python3"
OTHER_SITE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=other -keyout /root/other.key -out /root/other.pem"
    " 2>/dev/null; printf '<VirtualHost <web>:443>\\nSSLEngine on\\nSSLCertificateFile /root/other.pem\\n"
    "SSLCertificateKeyFile /root/other.key\\n</VirtualHost>\\n' >/etc/apache2/sites-enabled/other.conf;"
    " apachectl graceful"
)
FAULTS = {
    "replica stopped": Fault("dbslave", "mariadb -e 'STOP SLAVE SQL_THREAD'", (("replica stopped", "dbslave"),)),
    "replica half seeded": Fault(
        "dbslave",
        "touch /var/lib/ox-deploy/seeding",
        (("replica half seeded", "dbslave"),),
        "rm /var/lib/ox-deploy/seeding",
    ),
    "replica writable": Fault("dbslave", "mariadb -e 'SET GLOBAL read_only = 0'", (("replica writable", "dbslave"),)),
    "errant transactions": Fault(
        "dbslave",
        "mariadb -e 'CREATE DATABASE errant'",
        (("errant transactions", "dbslave"),),
        "mariadb -e 'SET sql_log_bin = 0; DROP DATABASE errant; STOP SLAVE; RESET MASTER; START SLAVE'",
    ),
    "database server down": Fault("dbslave", "systemctl stop mariadb", (("database server down", "dbslave"),)),
    "master unreachable": Fault("dbmaster", "systemctl stop mariadb", (("master unreachable", "dbmaster"),)),
    "master read-only": Fault(
        "dbmaster",
        "mariadb -e 'SET GLOBAL read_only = 1'",
        (("master read-only", "dbmaster"),),
        "mariadb -e 'SET GLOBAL read_only = 0'",
    ),
    "replica of another master": Fault(
        "dbslave",
        "mariadb -e 'STOP SLAVE; SHOW SLAVE STATUS\\G' > /root/status;"
        " mariadb -e \"CHANGE MASTER TO MASTER_HOST = '<oxgw01>'\"",
        (("replica of another master", "dbslave"),),
        'value() { sed -n "s/^ *$1: //p" /root/status; }; mariadb -e "CHANGE MASTER TO MASTER_HOST = \'<dbmaster>\','
        " MASTER_LOG_FILE = '$(value Relay_Master_Log_File)', MASTER_LOG_POS = $(value Exec_Master_Log_Pos);"
        ' START SLAVE"',
    ),
    "configdb not reachable": Fault(
        "dbmaster",
        "mariadb -e \"SET sql_log_bin = 0; ALTER USER openexchange@'<oxgw01>' ACCOUNT LOCK\"",
        (("configdb not reachable", "oxgw01"), ("configuration drifted", "dbmaster")),
        "mariadb -e \"SET sql_log_bin = 0; ALTER USER openexchange@'<oxgw01>' ACCOUNT UNLOCK\"",
    ),
    "configdb damaged": Fault(
        "dbmaster",
        "mariadb -e 'RENAME TABLE configdb.filestore TO configdb.gone'",
        (("configdb damaged", "oxgw01"),),
        "mariadb -e 'RENAME TABLE configdb.gone TO configdb.filestore'",
    ),
    "mount missing": Fault("oxgw02", "umount -l /var/opt/filestore", (("mount missing", "oxgw02"),)),
    "mount stale": Fault(
        "dbmaster",
        "pkill -STOP ganesha.nfsd",
        (("mount stale", "oxgw01"), ("mount stale", "oxgw02")),
        "pkill -CONT ganesha.nfsd",
    ),
    "NFS server down": Fault("dbmaster", "systemctl stop nfs-ganesha", (("NFS server down", "dbmaster"),)),
    "balancer down": Fault("web", "systemctl stop apache2", (("balancer down", "web"),)),
    "balancer member disabled": Fault("web", disable(1), (("balancer member disabled", "web"),), disable(0)),
    "balancer member missing": Fault(
        "web",
        f"sed -i /route=OX-2/d {SITE}; apachectl graceful",
        (("balancer member missing", "web"),),
    ),
    "site not served": Fault(
        "web",
        OTHER_SITE,
        (("site not served", "web"),),
        "rm /etc/apache2/sites-enabled/other.conf; apachectl graceful",
    ),
    "certificate unreadable": Fault("web", f"echo gone > {CERTIFICATE}", (("certificate unreadable", "web"),)),
    "clock differs": Fault("dbslave", f"{INSTALL_FAKETIME}; {FAKE_CLOCK}", (("clock differs", "dbslave"),), REAL_CLOCK),
    "route missing": Fault("oxgw01", "ip route del 224.0.0.0/8", (("multicast route missing", "oxgw01"),)),
    "admin daemon down": Fault("oxgw01", "systemctl stop open-xchange-admin", (("admin daemon down", "oxgw01"),)),
    "groupware daemon down": Fault("oxgw02", "pkill -KILL java", (("groupware daemon down", "oxgw02"),)),
    "disk nearly full": Fault(
        "dbmaster",
        "mount -t tmpfs -o size=20m,mode=0750,uid=1001,gid=1001 tmpfs /var/opt/filestore;"
        " head -c 18m /dev/zero > /var/opt/filestore/big",
        (("disk nearly full", "dbmaster"),),
        "umount /var/opt/filestore",
    ),
    "drift": Fault(
        "dbslave",
        "mariadb -e \"SET sql_log_bin = 0; REVOKE DELETE ON *.* FROM openexchange@'<oxgw01>'\"",
        (("configuration drifted", "dbslave"),),
    ),
}


def shell(node: str, line: str) -> None:
    """Run a line on a node; `<name>` in it stands for the address of that node."""
    for name, other in state.load().nodes.items():
        line = line.replace(f"<{name}>", other.address)
    run(node, line)


def wait_for_states(wanted: set[tuple[str, str]], seconds: float = 40) -> None:
    """Take the status until it is this one: systems need a moment to notice, and to come back.

    Meanwhile users log in: the balancer tries a node again that it could not reach only when somebody comes.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            Browser().login()
        seen = status()
        if seen.states == wanted:
            assert seen.code == seen.document["level"]
            assert bool(seen.code) == bool(wanted)
            return
        assert time.monotonic() < deadline, seen.output
        time.sleep(1)


@contextmanager
def broken(*faults: Fault) -> Iterator[None]:
    """Break something and mend it again; a deploy after that leaves nothing to report."""
    try:
        for fault in faults:
            shell(fault.node, fault.damage)
        yield
    finally:
        for fault in faults:
            shell(fault.node, fault.mend)
    if status().states:
        deploy()
    wait_for_states(set())


@pytest.mark.parametrize(
    "names",
    together(
        FAULTS,
        (
            "replica writable",
            "mount missing",
            "balancer member disabled",
            "certificate unreadable",
            "route missing",
            "admin daemon down",
            "drift",
        ),
        (
            "errant transactions",
            "site not served",
            "clock differs",
            "configdb not reachable",
            "balancer member missing",
            "NFS server down",
            "groupware daemon down",
        ),
        ("database server down", "configdb damaged", "disk nearly full"),
    ),
)
def test_state_is_reported_as_itself_and_goes_with_its_cause(names: tuple[str, ...]) -> None:
    faults = [FAULTS[name] for name in names]
    with broken(*faults):
        wait_for_states({state for fault in faults for state in fault.states}, seconds=20)


@pytest.mark.thorough
def test_slave_that_lags() -> None:
    shell("dbmaster", "mariadb -e 'CREATE DATABASE IF NOT EXISTS slow; CREATE TABLE IF NOT EXISTS slow.t (n INT)'")
    nodes.wait_for("dbslave", "mariadb -e 'SELECT * FROM slow.t'")
    hold = "nohup mariadb -e 'LOCK TABLES slow.t READ; SELECT SLEEP(600)' > /dev/null 2>&1 &"
    fault = Fault("dbslave", hold, (("replica lagging", "dbslave"),), "pkill -f SLEEP.600")
    with broken(fault):
        shell("dbmaster", "sleep 1; mariadb -e 'INSERT INTO slow.t VALUES (1)'")
        # It counts as late after a minute.
        wait_for_states(set(fault.states), seconds=80)
    shell("dbmaster", "mariadb -e 'DROP DATABASE slow'")


@pytest.mark.thorough
def test_member_that_the_balancer_cannot_reach() -> None:
    # A new Apache has no connection left that is still open.
    damage = "ip route add blackhole <oxgw02>; systemctl restart apache2"
    fault = Fault("web", damage, (("balancer member in error", "web"),), "ip route del blackhole <oxgw02>")
    with broken(fault):
        wait_for_states(set(fault.states), seconds=20)


@pytest.mark.thorough
def test_nodes_that_are_alone_among_the_caches() -> None:
    # One was started with other ports, which the files do not have any more; everything else is as it should be.
    files = "/opt/open-xchange/etc/*/*cache.ccf"
    restart = "systemctl restart open-xchange-admin open-xchange-groupware"
    damage = f"sed -i.kept s/=678/=668/ {files} && {restart}; for file in {files}; do mv $file.kept $file; done"
    fault = Fault("oxgw02", damage, (("node alone", "oxgw01"),), restart)
    with broken(fault):
        # It would go on looking for the one that it knew.
        shell("oxgw01", restart)
        wait_for_states(set(fault.states), seconds=30)


@pytest.mark.thorough
def test_caches_of_sessions_that_are_not_connected() -> None:
    file = "/opt/open-xchange/etc/groupware/sessioncache.ccf"
    restart = "systemctl restart open-xchange-groupware"
    damage = f"sed -i.kept s/=6781/=6681/ {file} && {restart}; mv {file}.kept {file}"
    fault = Fault("oxgw02", damage, (("cache link missing", "oxgw01"),), restart)
    with broken(fault):
        shell("oxgw01", restart)
        wait_for_states(set(fault.states), seconds=30)


def test_host_that_is_switched_off_is_one_finding_and_the_rest_is_complete() -> None:
    wait_for_states(set())
    nodes.kill("oxgw02")
    try:
        seen = status(inventory=SSH_INVENTORY)
        assert seen.states == {("host unreachable", "oxgw02")}, seen.output
        assert seen.code == 2
        views = {host["name"]: host for host in seen.document["hosts"]}
        assert [name for name, host in views.items() if not host["reachable"]] == ["oxgw02"]
        assert views["oxgw01"]["details"]
    finally:
        nodes.start("oxgw02")
    deploy()
    wait_for_states(set())


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("lose", "find"),
    [(nodes.pause, nodes.unpause), (nodes.disconnect, nodes.reconnect)],
    ids=["hangs", "drops packets"],
)
def test_host_that_does_not_answer_holds_up_nothing(lose: Callable[[str], None], find: Callable[[str], None]) -> None:
    wait_for_states(set())
    lose("oxgw02")
    try:
        seen = status(inventory=SSH_INVENTORY)
        assert seen.states == {("host unreachable", "oxgw02")}, seen.output
        # Bounded, with room for a busy machine; how long it really takes is for the benchmark.
        assert seen.seconds < 30
    finally:
        find("oxgw02")
    nodes.wait_for("oxgw02", "stat /var/opt/filestore")
    deploy()
    wait_for_states(set())


@pytest.mark.thorough
def test_dead_master_that_is_the_filestore_too_is_one_finding() -> None:
    wait_for_states(set())
    nodes.pause("dbmaster")
    try:
        seen = status(inventory=SSH_INVENTORY)
        assert seen.states == {("master unreachable", "dbmaster")}, seen.output
        assert seen.seconds < 30
    finally:
        nodes.unpause("dbmaster")
    nodes.wait_for("oxgw01", "stat /var/opt/filestore")
    deploy()
    wait_for_states(set())


@pytest.mark.thorough
def test_certificate_that_expires() -> None:
    wait_for_states(set())
    keys.replace_certificate(days=10)
    try:
        deploy()
        wait_for_states({("certificate expiring", "web")})
    finally:
        keys.replace_certificate(days=365)
    deploy()
    wait_for_states(set())


@pytest.mark.thorough
def test_what_changed_since_the_last_time_is_told(tmp_path: Path) -> None:
    memory = str(tmp_path)
    assert status(memory=memory).document["changes"]["since"] is None
    shell("dbslave", "mariadb -e 'STOP SLAVE'")
    changes = status(memory=memory).document["changes"]
    assert [finding["state"] for finding in changes["new"]] == ["replica stopped"]
    assert status(memory=memory).document["changes"]["new"] == []
    deploy()
    changes = status(memory=memory).document["changes"]
    assert ([finding["state"] for finding in changes["gone"]], changes["new"]) == (["replica stopped"], [])


def test_status_by_ssh_is_the_same_and_shows_no_password() -> None:
    seen = status(inventory=SSH_INVENTORY)
    assert (seen.code, seen.states) == (0, set()), seen.output
    assert names_in(seen.output, passwords()) == []
    assert len(seen.document["hosts"]) == len(state.load().nodes)
