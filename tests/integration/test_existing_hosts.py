"""Hosts that already have a life are deployed: what they have goes on and stays, and a second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.database import kind, position, replica, sql
from tests.integration.deployment import SSH_INVENTORY, deploy
from tests.lab import state
from tests.lab.browser import Browser
from tests.lab.nodes import run, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mariadb-11.8"), pytest.mark.usefixtures("bare_hosts")]

MASTER, SLAVE = "dbmaster", "dbslave"
NOISE = "-qq -o Dpkg::Use-Pty=0"
LOGS = {"log_bin": "/var/lib/mysql/mariadb-bin", "relay_log": "/var/lib/mysql/mariadb-relay"}
# A folder with a name that is not UTF-8.
ODD = r"$'/mnt/gr\xfc\xdfe'"


def install(node: str, packages: str) -> None:
    run(node, f"apt-get {NOISE} update && DEBIAN_FRONTEND=noninteractive apt-get {NOISE} install -y {packages}")


def make_pair() -> None:
    """Two servers that replicate by GTID, with settings, accounts and log names of their own."""
    addresses = {node: state.load().nodes[node].address for node in (MASTER, SLAVE)}
    for number, node in enumerate(addresses, 101):
        install(node, "mariadb-server")
        names = "\\n".join(f"{option}={value}" for option, value in LOGS.items())
        text = f"[mysqld]\\nserver_id={number}\\nbind-address=0.0.0.0\\nlog_slave_updates=ON\\n{names}\\n"
        run(node, f"printf '{text}' >/etc/mysql/mariadb.conf.d/60-site.cnf; systemctl restart mariadb")
    sql(MASTER, f"CREATE USER repl@'{addresses[SLAVE]}' IDENTIFIED BY 'by-hand-4711-x'")
    sql(MASTER, f"GRANT REPLICATION SLAVE ON *.* TO repl@'{addresses[SLAVE]}'")
    sql(
        SLAVE,
        f"CHANGE MASTER TO MASTER_HOST='{addresses[MASTER]}', MASTER_USER='repl', "
        "MASTER_PASSWORD='by-hand-4711-x', MASTER_USE_GTID=slave_pos; START SLAVE",
    )
    sql(MASTER, "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY)")
    sql(MASTER, "INSERT INTO shop.orders SELECT seq FROM shop.seq_1_to_30")
    wait_for(SLAVE, "mariadb -Ne 'SELECT COUNT(*) FROM shop.orders' | grep -qx 30", 20)


def give_a_life() -> None:
    for node in state.load().nodes:
        # Small, and nothing in it can be run.
        run(node, "mount -t tmpfs -o noexec,nosuid,nodev,size=20m,mode=1777 tmpfs /tmp")
    make_pair()
    for node in state.load().nodes:
        run(node, "echo 'session optional pam_umask.so umask=0077' >>/etc/pam.d/sshd")
        run(node, "echo 'Defaults use_pty' >/etc/sudoers.d/site")
    install("oxgw01", "fish")
    run("oxgw01", "usermod -s /usr/bin/fish admin; mv /var/lib/dpkg/info/gzip.md5sums /root/")
    install("oxgw02", "tcsh")
    run("oxgw02", "usermod -s /usr/bin/tcsh admin")
    run("oxgw02", f"mkdir -p {ODD} && mount -t tmpfs none {ODD}")
    install("web", "apache2")
    run(
        "web",
        "a2enmod -q ssl; sed -i 's/^.*SSLProtocol .*/SSLProtocol -all +TLSv1.3/' /etc/apache2/mods-enabled/ssl.conf",
    )
    run("oxgw01", "mkdir -p /srv/etc; touch /etc/fstab; mv /etc/fstab /srv/etc/fstab; ln -s /srv/etc/fstab /etc/fstab")
    # Somebody else's apt, for a while.
    hold = "import fcntl, time; f = open('/var/lib/apt/lists/lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(20)"
    run("web", ["systemd-run", "--quiet", "--unit=other-apt", "python3", "-c", hold])


@pytest.fixture(scope="module")
def adopted(bare_hosts: None) -> str:
    """The position of the master before; all of it is deployed by then."""
    give_a_life()
    before = position(MASTER)
    deploy(inventory=SSH_INVENTORY)
    return before


def test_second_run_changes_nothing(adopted: str) -> None:
    assert deploy(inventory=SSH_INVENTORY).changed() == []


def test_pair_goes_on_where_it_was(adopted: str) -> None:
    domain, _, number = adopted.split("-")
    assert position(MASTER).startswith(f"{domain}-")
    assert int(position(MASTER).split("-")[2]) > int(number)
    status = replica(SLAVE)
    assert (status["Slave_IO_Running"], status["Slave_SQL_Running"]) == ("Yes", "Yes")
    for node in (MASTER, SLAVE):
        assert sql(node, "SELECT COUNT(*) FROM shop.orders") == "30"
        assert sql(node, "SELECT @@log_bin_basename") == LOGS["log_bin"]
    assert sql(SLAVE, "SELECT @@relay_log") == LOGS["relay_log"]
    assert "mariadb-bin.000001" in sql(MASTER, "SHOW BINARY LOGS")
    assert kind().logs in run(MASTER, "ls /etc/mysql/mariadb.conf.d/89-ox-deploy-logs.cnf")


def test_what_somebody_made_stays(adopted: str) -> None:
    assert run(
        "web", "test ! -L /etc/apache2/mods-enabled/ssl.conf; grep -c TLSv1.3 /etc/apache2/mods-enabled/ssl.conf"
    )
    assert "ox-deploy" in run("oxgw01", "test -L /etc/fstab; cat /srv/etc/fstab")


def test_users_are_served(adopted: str) -> None:
    assert Browser(trusted=Path(state.TLS_CERTIFICATE)).login()["user_id"] == 3
