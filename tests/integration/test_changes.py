"""What a deploy does on a cluster that lives: puts right what has drifted, and refuses what could lose data."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.deployment import SSH_INVENTORY, command, deploy, deploy_fails, pyinfra
from tests.integration.samples import together
from tests.lab import nodes, state
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, run

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

CCF = "/opt/open-xchange/etc/groupware/cache.ccf"
AJP = "/opt/open-xchange/etc/groupware/ajp.properties"


def sql(node: str, statement: str) -> str:
    return run(node, ["mariadb", "-N", "-e", statement]).strip()


# What goes wrong, on which host, and the one operation that puts it right.
DRIFT = {
    "names": ("web", "sed -i /oxgw01/d /etc/hosts", "Names, user, package sources"),
    "package": ("web", "dpkg --force-depends -r open-xchange-online-help-fr", "Names, user, package sources"),
    "repository credentials": ("oxgw01", "chmod 644 /etc/apt/auth.conf.d/*", "Names, user, package sources"),
    "server configuration": ("dbslave", "echo x >> /etc/mysql/mariadb.conf.d/90-ox-deploy.cnf", "Configure the server"),
    "right of an account": (
        "dbmaster",
        "mariadb -e 'REVOKE DELETE ON *.* FROM openexchange@`'$(getent hosts oxgw02 | cut -d\" \" -f1)'`'",
        "Make the accounts",
    ),
    "replica stopped": ("dbslave", "mariadb -e 'STOP SLAVE'", "Replicate from the master"),
    "export": ("dbmaster", "sed -i s/Root_Squash/No_Root_Squash/ /etc/ganesha/ox-deploy.conf", "Export the filestore"),
    "mount": ("oxgw02", "systemctl stop open-xchange-groupware; umount /var/opt/filestore", "Mount the filestore"),
    "module": ("web", "rm /etc/apache2/mods-enabled/headers.load", "Balance sessions"),
    "balancer stopped": ("web", "systemctl stop apache2", "Balance sessions"),
    "multicast route": ("oxgw01", "systemctl stop ox-multicast-route; ip route del 224.0.0.0/8", "Route multicast"),
    "cache file": ("oxgw02", f"sed -i s/6780/6790/ {CCF}", "Configure the node"),
    "exposed password": (
        "oxgw02",
        "chmod 644 /opt/open-xchange/etc/groupware/configdb.properties",
        "Configure the node",
    ),
    "administrator's password": (
        "oxgw01",
        # The hash of another password. That of the right one may begin with any character.
        "sed -i s/:.*/:ablevSdGaUmRA/ /opt/open-xchange/etc/admindaemon/mpasswd",
        "Configure the node",
    ),
    "daemon stopped": ("oxgw01", "systemctl stop open-xchange-admin", "Start the daemons"),
    "daemon crashed": ("oxgw02", "pkill -KILL -f '^/usr/bin/java|^java'", "Start the daemons"),
}


@pytest.mark.parametrize(
    "drifts",
    together(
        DRIFT,
        (
            "names",
            "server configuration",
            "right of an account",
            "mount",
            "module",
            "multicast route",
            "administrator's password",
        ),
        (
            "package",
            "repository credentials",
            "replica stopped",
            "export",
            "balancer stopped",
            "cache file",
            "exposed password",
            "daemon stopped",
            "daemon crashed",
        ),
    ),
)
def test_drift_is_put_right_by_the_operation_that_is_there_for_it(drifts: tuple[str, ...]) -> None:
    wanted = set()
    for node, damage, operation in (DRIFT[drift] for drift in drifts):
        run(node, damage)
        wanted.add((operation, node))
    changed = deploy().changed()

    def is_of(change: str, operation: str, node: str) -> bool:
        return operation in change and change.endswith(f"-{node}")

    for operation, node in wanted:
        assert any(is_of(change, operation, node) for change in changed), (operation, node, changed)
    # A changed configuration is followed by a restart, a stopped mount by a start, and nothing else.
    others = [change for change in changed if not any(is_of(change, *each) for each in wanted)]
    assert all("the daemons" in change or "connected" in change for change in others), others
    assert deploy().changed() == []
    assert Browser().login()["user_id"] == 3


@contextmanager
def steady_logins() -> Iterator[list[str]]:
    """Log in all the time; yields what went wrong."""
    problems: list[str] = []
    done = threading.Event()

    def log_in() -> None:
        while not done.is_set():
            try:
                answer = Browser().login()
                if "session" not in answer:
                    problems.append(str(answer))
            except OSError as error:
                problems.append(str(error))
            time.sleep(0.05)

    thread = threading.Thread(target=log_in)
    thread.start()
    try:
        yield problems
    finally:
        done.set()
        thread.join()


def started(node: str, unit: str) -> float:
    return float(run(node, f"systemctl show -P ActiveEnterTimestampMonotonic {unit}")) / 1e6


@pytest.mark.usefixtures("used_up")
def test_changed_memory_restarts_one_node_after_the_other_and_logins_go_on() -> None:
    with steady_logins() as problems:
        changed = deploy("--data", "server_memory=160").changed()
    assert len([change for change in changed if "Restart the daemons" in change]) == len(
        state.load().with_role("groupware")
    )
    # A request may be cut off when its node goes down, but at no time is there no node.
    assert len(problems) <= 2, problems
    assert not any("503" in problem for problem in problems), problems
    first, second = (started(node, "open-xchange-groupware") for node in ("oxgw01", "oxgw02"))
    assert abs(first - second) > 1, "both nodes were restarted at once"
    assert "Xmx160m" in run("oxgw01", "ps -o args= -C java")


@pytest.mark.thorough
def test_mail_settings_of_the_administrator_survive_a_new_configuration() -> None:
    mail = "/opt/open-xchange/etc/groupware/mail.properties"
    run("oxgw01", f"sed -i 's/mailServer=.*/mailServer=imap.example.com/' {mail}; sed -i s/OX-1/OX-9/ {AJP}")
    deploy()
    assert "mailServer=imap.example.com" in run("oxgw01", f"cat {mail}")
    assert "AJP_JVM_ROUTE=OX-1" in run("oxgw01", f"cat {AJP}")


def test_configuration_that_the_database_server_refuses_never_becomes_active() -> None:
    before = run("dbslave", "cat /etc/mysql/mariadb.conf.d/90-ox-deploy.cnf")
    pid = run("dbslave", "systemctl show -P MainPID mariadb")
    said = deploy_fails("--limit", "db_slave", "--data", 'mysql_settings={"no_such_setting": 1}')
    assert "refused; the old files are back" in said
    assert "no_such_setting" in said
    assert run("dbslave", "cat /etc/mysql/mariadb.conf.d/90-ox-deploy.cnf") == before
    assert run("dbslave", "systemctl show -P MainPID mariadb") == pid
    assert deploy().changed() == []


@pytest.mark.thorough
def test_configuration_that_apache_refuses_never_becomes_active() -> None:
    run("web", "echo 'NoSuchDirective on' > /etc/apache2/conf-enabled/broken.conf")
    try:
        said = deploy_fails("--limit", "web", "--data", f"web_name={state.OTHER_WEB_NAME}")
        assert "refused; the old files are back" in said
        assert "NoSuchDirective" in said
        assert state.OTHER_WEB_NAME not in run("web", "cat /etc/apache2/sites-enabled/*")
        assert Browser().login()["user_id"] == 3
    finally:
        run("web", "rm /etc/apache2/conf-enabled/broken.conf")
    assert deploy().changed() == []


@pytest.mark.thorough
def test_stale_accounts_are_named_and_removed_on_request_only() -> None:
    sql("dbmaster", "CREATE USER openexchange@'192.0.2.99' IDENTIFIED BY 'gone'")
    named = pyinfra(command("--limit", "db_master"))
    assert "'openexchange'@'192.0.2.99': for addresses that are no longer in the inventory" in named.output
    assert sql("dbmaster", "SELECT COUNT(*) FROM mysql.user WHERE host = '192.0.2.99'") == "1"
    deploy("--data", "remove_stale_accounts=true")
    assert sql("dbmaster", "SELECT COUNT(*) FROM mysql.user WHERE host = '192.0.2.99'") == "0"
    assert sql("dbslave", "SELECT COUNT(*) FROM mysql.user WHERE host = '192.0.2.99'") == "0"


@pytest.mark.thorough
def test_broken_slave_is_named_and_left_alone() -> None:
    sql("dbmaster", "CREATE DATABASE clash; CREATE TABLE clash.t (id INT PRIMARY KEY)")
    nodes.wait_for("dbslave", "mariadb -e 'SELECT * FROM clash.t'")
    sql("dbslave", "SET sql_log_bin = 0; INSERT INTO clash.t VALUES (1)")
    sql("dbmaster", "INSERT INTO clash.t VALUES (1)")
    try:
        nodes.wait_for("dbslave", "mariadb -e 'SHOW SLAVE STATUS\\G' | grep -q 'Slave_SQL_Running: No'")
        said = deploy_fails("--limit", "db_slave")
        assert re.search(r"stopped with an error \(.*Duplicate entry.*\); nothing was changed: .*START SLAVE", said)
        # The statement may hold a password.
        assert "INSERT INTO" not in said
    finally:
        sql("dbslave", "SET sql_log_bin = 0; DELETE FROM clash.t; START SLAVE")
        sql("dbmaster", "DROP DATABASE clash")
    assert deploy().changed() == []


@pytest.mark.thorough
def test_unreachable_master_gives_the_slave_one_clear_sentence() -> None:
    nodes.stop("dbmaster")
    try:
        # By SSH: pyinfra's docker connector would start the stopped container.
        said = deploy_fails("--limit", "db_slave", inventory=SSH_INVENTORY)
        assert re.search(r"dbslave needs to know the state of dbmaster, which cannot be asked .*; make that host", said)
    finally:
        nodes.start("dbmaster")
    nodes.wait_for("oxgw01", "stat /var/opt/filestore")
    deploy()
    assert deploy().changed() == []


def test_host_that_cannot_be_reached_stops_the_run_before_a_change() -> None:
    nodes.kill("oxgw01")
    run("oxgw02", f"sed -i s/6780/6790/ {CCF}")
    try:
        said = deploy_fails(inventory=SSH_INVENTORY)
        assert "oxgw01 cannot be reached, and nothing was changed" in said
        assert "6790" in run("oxgw02", f"cat {CCF}")
    finally:
        nodes.start("oxgw01")
    deploy()


@pytest.mark.thorough
def test_everything_is_back_after_a_reboot_of_all_hosts() -> None:
    for name in ("web", "oxgw01", "oxgw02", "dbslave", "dbmaster"):
        nodes.stop(name)
    for name in ("dbmaster", "dbslave", "oxgw01", "oxgw02", "web"):
        nodes.start(name)
    for name in ("oxgw01", "oxgw02"):
        nodes.wait_for(name, "[ $(ss -Htn state established '( sport = :57461 or dport = :57461 )' | wc -l) -ge 1 ]")
        nodes.wait_for(name, "exec 3<>/dev/tcp/127.0.0.1/8009 && exec 3<>/dev/tcp/127.0.0.1/1099")
    assert deploy().changed() == []
    assert Browser().login()["user_id"] == 3


def test_daemon_does_not_start_without_its_filestore() -> None:
    run("oxgw02", "systemctl stop open-xchange-groupware open-xchange-admin && umount /var/opt/filestore")
    run("oxgw02", "sed -i 's|nfs rw|nfs vers=9,rw|' /etc/fstab && systemctl daemon-reload")
    assert exec_in("oxgw02", "systemctl start open-xchange-groupware").code
    assert exec_in("oxgw02", "pgrep java").code
    deploy()
    assert deploy().changed() == []


ASK_OWN_VHOST = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; grep -q own.example.com <&3"
OWN_EXPORT = "EXPORT { Export_Id = 7; Path = /var/opt/own; Pseudo = /own; Access_Type = RO; FSAL { Name = VFS; } }"
# What the user makes on which host, the damage to our file beside it, and where and how his is seen afterwards.
OWN = {
    "vhost": (
        "web",
        "printf 'Listen 8080\\n<VirtualHost *:8080>\\nRedirect / https://own.example.com/\\n</VirtualHost>\\n'"
        " > /etc/apache2/sites-enabled/own.conf",
        "rm /etc/apache2/sites-enabled/00-open-xchange.conf",
        ("web", ASK_OWN_VHOST),
    ),
    "export": (
        "dbmaster",
        f"mkdir -p /var/opt/own; echo '{OWN_EXPORT}' >> /etc/ganesha/ganesha.conf",
        "sed -i '/BEGIN ox/,/END ox/d' /etc/ganesha/ganesha.conf",
        ("oxgw01", "showmount -e dbmaster | grep -q /var/opt/own"),
    ),
    "database": (
        "dbmaster",
        "mariadb -e 'CREATE DATABASE own; CREATE TABLE own.t SELECT 42 AS n; CREATE USER own@localhost;"
        " GRANT SELECT ON own.* TO own@localhost'",
        "rm /etc/mysql/mariadb.conf.d/90-ox-deploy.cnf",
        ("dbmaster", "mariadb -N -e 'SELECT n FROM own.t; SHOW GRANTS FOR own@localhost' | grep -q 'SELECT ON `own`'"),
    ),
}


def test_what_the_user_has_stays() -> None:
    for node, make, damage, _ in OWN.values():
        run(node, make)
        run(node, damage)
    assert deploy().changed()
    for *_, (asked, check) in OWN.values():
        nodes.wait_for(asked, check)
    assert deploy().changed() == []


STATD = """
import os
while True:
    child = os.fork()
    if child == 0:
        # Its first port below 1024 is 600 and the rest of its process id by 424.
        if os.getpid() % 424 == 275:
            os.execv("/sbin/rpc.statd", ["rpc.statd", "-F", "--no-notify"])
        os._exit(1)
    os.waitpid(child, 0)
"""
STATD_DROP_IN = "/run/systemd/system/nfs-ganesha-lock.service.d/test.conf"
HAS_GANESHAS_PORT = "ss -Huanp 'sport = :875' | grep -q rpc.statd"


@pytest.fixture
def statd_takes_the_port_of_ganesha() -> Iterator[None]:
    """As on a host where statd happens to get that process id at each boot."""
    drop_in = "[Service]\\nType=simple\\nExecStart=\\nExecStart=/usr/bin/python3 /run/statd.py\\n"
    run("dbmaster", "cat > /run/statd.py", STATD)
    run("dbmaster", f"mkdir -p {Path(STATD_DROP_IN).parent}; printf '{drop_in}' > {STATD_DROP_IN}")
    run(
        "dbmaster",
        "systemctl daemon-reload; systemctl stop nfs-ganesha nfs-ganesha-lock; rm /etc/bindresvport.blacklist",
    )
    run("dbmaster", "systemctl start nfs-ganesha-lock")
    nodes.wait_for("dbmaster", HAS_GANESHAS_PORT)
    yield
    run("dbmaster", f"rm {STATD_DROP_IN}; systemctl daemon-reload; systemctl restart nfs-ganesha-lock")


@pytest.mark.usefixtures("statd_takes_the_port_of_ganesha")
def test_statd_leaves_ganesha_its_port() -> None:
    assert any("Export" in change for change in deploy().changed())
    assert run("dbmaster", "systemctl is-active nfs-ganesha nfs-ganesha-lock").split() == ["active", "active"]
    assert exec_in("dbmaster", HAS_GANESHAS_PORT).code
    assert deploy().changed() == []


@pytest.mark.thorough
def test_filestore_of_somebody_else_is_mounted_and_not_exported() -> None:
    source = f"{state.load().nodes['dbmaster'].address}:/var/opt/filestore"
    run("oxgw02", "systemctl stop open-xchange-groupware open-xchange-admin; umount /var/opt/filestore")
    run("oxgw02", "sed -i '/BEGIN ox-deploy filestore/,/END ox-deploy filestore/d' /etc/fstab")
    run("dbmaster", "echo '# mine' >> /etc/ganesha/ox-deploy.conf")
    changed = deploy("--data", f"external_filestore={source}").changed()
    assert any("Mount the filestore" in change and "oxgw02" in change for change in changed)
    assert not any("Export" in change for change in changed), changed
    assert run("oxgw02", "findmnt -n -o SOURCE /var/opt/filestore").strip() == source
    assert deploy("--data", f"external_filestore={source}").changed() == []
    assert any("Export" in change for change in deploy().changed())
