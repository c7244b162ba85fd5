"""Encrypted and semi-synchronous replication: switched on and off on a running pair that is written to."""

from __future__ import annotations

import time

import pytest

from tests.integration.database import is_mariadb, kind, replica, shell, sql, uses_gtid
from tests.integration.deployment import SSH_INVENTORY, Run, command, deploy, deploy_fails, pyinfra
from tests.integration.switching import ENVIRONMENT, SWITCHED, switch
from tests.integration.test_switchover import LONGEST_GAP, NAMES, assert_roles
from tests.integration.writing import rows, wait_until_equal, writing
from tests.lab.nodes import exec_in, run, wait_for

pytestmark = [
    pytest.mark.lab,
    pytest.mark.every_server_in_all,
    pytest.mark.usefixtures("cluster"),
]

TLS = ("--data", "replication_tls=true")
SEMI_SYNCHRONOUS = ("--data", "semi_synchronous=true")
SERVERS = ("dbmaster", "dbslave")
PAIR, TRUSTED = "/etc/mysql/ssl/replication.pem", "/etc/mysql/ssl/replication-ca.pem"
REFUSED = "2026"
# Seconds that MySQL's first transaction waits for a replica that is down (rpl_semi_sync_source_timeout).
MYSQL_NOTICES = 10
CLIENTS = "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'"


def requirements(server: str) -> set[str]:
    """Return what a server demands of those who log in as replicas, by REQUIRE."""
    found = sql(server, "SELECT CONCAT('.', ssl_type) FROM mysql.user WHERE User = 'replication'")
    return {line.removeprefix(".") for line in found.splitlines()}


def assert_encrypted(encrypted: bool, master: str = "dbmaster", slave: str = "dbslave") -> None:
    status = replica(slave)
    assert (status["Slave_IO_Running"], status["Slave_SQL_Running"]) == ("Yes", "Yes")
    yes = "Yes" if encrypted else "No"
    assert (status["Master_SSL_Allowed"], status["Master_SSL_Verify_Server_Cert"]) == (yes, yes)
    assert status["Master_SSL_CA_File"] == (TRUSTED if encrypted else "")
    assert uses_gtid(slave)
    assert requirements(master) == requirements(slave) == ({"ANY"} if encrypted else {""})
    assert way_of_login(master, slave).endswith("SSL/TLS" if encrypted else "TCP/IP")


def way_of_login(master: str, slave: str) -> str:
    """Return how the master says that its replica connects."""
    sql(master, "SET sql_log_bin = 0; TRUNCATE mysql.general_log")
    sql(master, "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1")
    try:
        sql(slave, "STOP SLAVE IO_THREAD; START SLAVE IO_THREAD")
        seen = (
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log"
            " WHERE command_type = 'Connect' AND argument LIKE 'replication@%'"
        )
        wait_for(master, f'[ -n "$({shell(seen)})" ]', 20)
        return sql(master, seen).splitlines()[-1]
    finally:
        sql(master, "SET GLOBAL general_log = 0; SET GLOBAL log_output = 'FILE'")


def deployed_under_load(*options: str) -> Run:
    """Deploy while rows are written; none may be lost, and the replica has to go on where it stands."""
    with writing("dbmaster") as writer:
        done = deploy(*options)
    wait_until_equal(*SERVERS)
    assert len(writer.acknowledged) > 100
    assert writer.lost("dbmaster") == writer.lost("dbslave") == set()
    assert rows("dbmaster") == rows("dbslave")
    return done


@pytest.mark.thorough
def test_running_pair_is_encrypted_and_nothing_is_left_to_do() -> None:
    deploy()
    deployed_under_load(*TLS)
    assert_encrypted(True)
    for limit in ([], ["--limit", "db_slave"], ["--limit", "db_master"]):
        assert deploy(*TLS, *limit).changed() == []
    for server in SERVERS:
        assert run(server, f"stat -c '%a %U' {PAIR}").strip() == "600 mysql"
        assert run(server, f"grep -c BEGIN {TRUSTED}").strip() == "2"
        assert "PRIVATE" not in run(server, f"cat {TRUSTED}")


def connect_again() -> dict[str, str]:
    sql("dbslave", "STOP SLAVE; START SLAVE")
    time.sleep(2)
    return replica()


@pytest.mark.thorough
def test_master_that_shows_another_certificate_is_refused_until_a_deploy() -> None:
    deploy(*TLS)
    run("dbslave", f"cp {TRUSTED} /root/trusted; openssl x509 -in {PAIR} > {TRUSTED}")
    status = connect_again()
    assert (status["Slave_IO_Running"], status["Last_IO_Errno"]) == ("Connecting", REFUSED)
    assert "Trust the certificates" in deploy(*TLS, "--limit", "db_slave").changed()[0]
    assert run("dbslave", f"cat {TRUSTED}") == run("dbslave", "cat /root/trusted")
    assert_encrypted(True)
    assert deploy(*TLS).changed() == []


@pytest.mark.thorough
def test_master_that_nobody_can_trust_is_named_in_the_servers_words() -> None:
    """Its certificate is for another address; only a deploy of the master itself can change that."""
    deploy(*TLS)
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 3000 -subj /CN=x -addext subjectAltName=IP:192.0.2.99"
    run("dbmaster", f"cp -p {PAIR} /root/pair; {make} -keyout /root/key -out /root/certificate 2> /dev/null")
    run("dbmaster", f"cat /root/certificate /root/key > {PAIR}; {shell('FLUSH NO_WRITE_TO_BINLOG SSL')}")
    assert connect_again()["Last_IO_Errno"] == REFUSED
    said = deploy_fails(*TLS, "--limit", "db_slave")
    assert "the replica cannot read from its master" in said
    assert "SSL connection error" in said
    assert any("Make the server's certificate" in change for change in deploy(*TLS).changed())
    assert_encrypted(True)
    assert deploy(*TLS).changed() == []


@pytest.mark.thorough
def test_pair_is_as_before_when_encryption_is_switched_off() -> None:
    deploy(*TLS)
    deployed_under_load()
    assert_encrypted(False)
    for server in SERVERS:
        assert exec_in(server, f"test -e {PAIR} || test -e {TRUSTED}").code
    assert deploy().changed() == []


@pytest.mark.thorough
@pytest.mark.parametrize("first", ["db_master", "db_slave"])
def test_hosts_can_be_encrypted_one_after_the_other(first: str) -> None:
    deploy()
    deploy(*TLS, "--limit", first)
    wait_for(
        "dbslave",
        f"{shell('STOP SLAVE; START SLAVE')}; sleep 1; {shell('SHOW SLAVE STATUS', '-E')} | grep 'IO_Running: Yes'",
        30,
    )
    assert replica()["Master_SSL_Allowed"] == "No"
    deployed_under_load(*TLS)
    assert_encrypted(True)
    assert deploy(*TLS).changed() == []


@pytest.mark.thorough
def test_slave_that_may_not_log_in_any_more_is_put_right() -> None:
    """As a run leaves it that dies at the worst moment on the way back."""
    deploy(*TLS)
    sql("dbslave", "STOP SLAVE; CHANGE MASTER TO MASTER_SSL = 0, MASTER_SSL_VERIFY_SERVER_CERT = 0; START SLAVE")
    time.sleep(2)
    assert replica()["Last_IO_Errno"] == "1045"
    deploy(*TLS)
    assert_encrypted(True)


def global_status(server: str, name: str) -> str:
    """Return a number or word of SHOW STATUS; "" where the server does not know the name."""
    return sql(server, f"SHOW GLOBAL STATUS LIKE '{name}'").partition("\t")[2]


def assert_acknowledged(master: str = "dbmaster", slave: str = "dbslave") -> None:
    assert global_status(slave, "Rpl_semi_sync_slave_status") == "ON"
    # MySQL waits again from the first transaction on that a replica has acknowledged after it came back, and sees by
    # its second message that a connection of before is closed.
    sql(master, "CREATE DATABASE first; DROP DATABASE first")
    wait_for(master, f"{shell(CLIENTS)} | grep -w 1", 10)
    before = int(global_status(master, "Rpl_semi_sync_master_yes_tx"))
    sql(master, "CREATE DATABASE acknowledged; DROP DATABASE acknowledged")
    assert int(global_status(master, "Rpl_semi_sync_master_yes_tx")) == before + 2


@pytest.mark.thorough
def test_slave_acknowledges_what_it_receives_and_nothing_is_left_to_do() -> None:
    deployed_under_load(*SEMI_SYNCHRONOUS)
    assert_acknowledged()
    for limit in ([], ["--limit", "db_slave"]):
        assert deploy(*SEMI_SYNCHRONOUS, *limit).changed() == []


@pytest.mark.thorough
def test_slave_that_no_longer_acknowledges_is_made_to() -> None:
    deploy(*SEMI_SYNCHRONOUS)
    sql("dbslave", "STOP SLAVE; SET GLOBAL rpl_semi_sync_slave_enabled = 0; START SLAVE")
    changed = deploy(*SEMI_SYNCHRONOUS).changed()
    assert len(changed) == 1
    assert "Replicate from the master" in changed[0]
    assert_acknowledged()


@pytest.mark.thorough
def test_nobody_waits_for_a_slave_that_is_down() -> None:
    deploy(*SEMI_SYNCHRONOUS)
    run("dbslave", f"systemctl stop {kind().unit}")
    try:
        begun = time.monotonic()
        sql("dbmaster", "CREATE DATABASE alone; DROP DATABASE alone")
        assert time.monotonic() - begun < LONGEST_GAP + (0 if is_mariadb() else MYSQL_NOTICES)
        begun = time.monotonic()
        sql("dbmaster", "CREATE DATABASE alone; DROP DATABASE alone")
        assert time.monotonic() - begun < LONGEST_GAP
    finally:
        run("dbslave", f"systemctl start {kind().unit}")
    wait_for("dbmaster", f"{shell(CLIENTS)} | grep -w 1", 70)


@pytest.mark.thorough
def test_pair_is_as_before_when_nobody_has_to_acknowledge() -> None:
    deploy(*SEMI_SYNCHRONOUS)
    deployed_under_load()
    # MySQL has no such status without its plugins.
    assert global_status("dbmaster", "Rpl_semi_sync_master_clients") == ("0" if is_mariadb() else "")
    assert global_status("dbslave", "Rpl_semi_sync_slave_status") == ("OFF" if is_mariadb() else "")
    assert deploy().changed() == []


THERE = ("dbslave", "dbmaster", SSH_INVENTORY, SWITCHED)
BACK = ("dbmaster", "dbslave", SWITCHED, SSH_INVENTORY)


# With the usual kind, test_switchover goes there and back on each change.
@pytest.mark.usefixtures("used_up")
@pytest.mark.parametrize(
    "ways",
    [
        pytest.param((THERE, BACK), marks=[pytest.mark.every_server, pytest.mark.thorough]),
        pytest.param((THERE,), marks=pytest.mark.other_servers),
    ],
    ids=["there and back", "there"],
)
def test_master_is_switched_with_both(ways: tuple[tuple[str, str, str, str], ...]) -> None:
    both = (*TLS, *SEMI_SYNCHRONOUS)
    deploy(*both, inventory=SSH_INVENTORY)
    pids = {server: run(server, f"systemctl show -P MainPID {kind().unit}") for server in SERVERS}
    for master, slave, before, after in ways:
        with writing(slave, master) as writer:
            done = switch(master, *both, inventory=before)
        assert done.code == 0, done.output
        wait_until_equal(master, slave)
        assert writer.lost(master) == writer.lost(slave) == set()
        assert writer.both == []
        assert writer.gap < LONGEST_GAP
        assert_roles(master, slave)
        assert_encrypted(True, master, slave)
        assert_acknowledged(master, slave)
        again = pyinfra(command("--json", *both, inventory=after), env=ENVIRONMENT)
        assert again.code == 0, again.output
        assert all(NAMES in change for change in again.changed())
    assert {server: run(server, f"systemctl show -P MainPID {kind().unit}") for server in SERVERS} == pids
