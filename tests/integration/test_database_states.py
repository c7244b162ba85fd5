"""Database servers that somebody has set up otherwise: named as what they are, and fine after the remedy."""

from __future__ import annotations

import time
from pathlib import PurePath

import pytest

from tests.integration.database import is_mariadb, kind, replica, sql, uses_gtid
from tests.integration.deployment import deploy, deploy_fails, passwords
from tests.integration.status import status
from tests.integration.writing import wait_until_equal, writing
from tests.lab import state
from tests.lab.nodes import run

pytestmark = [pytest.mark.lab, pytest.mark.every_server_in_all, pytest.mark.usefixtures("cluster")]

MASTER, SLAVE = "dbmaster", "dbslave"
NAME = "zzzz-site.cnf"


def address(node: str) -> str:
    return state.load().nodes[node].address


def site() -> str:
    """Return a file that is read after ours."""
    return str(PurePath(kind().configuration).with_name(NAME))


def restart(node: str) -> None:
    run(node, f"systemctl restart {kind().unit}")


def set_options(node: str, *lines: str) -> None:
    """Give a server settings that are read after ours; the first one is on line 2."""
    run(node, ["tee", site()], input="\n".join(["[mysqld]", *lines, ""]))
    restart(node)


def take_back(node: str) -> None:
    run(node, f"rm {site()}")
    restart(node)


def wait_for_states(*wanted: tuple[str, str], seconds: float = 40) -> None:
    """Take the status until it is this one: a replica that is started needs a moment."""
    deadline = time.monotonic() + seconds
    while (seen := status()).states != set(wanted):
        assert time.monotonic() < deadline, seen.output
        time.sleep(1)


def assert_fine() -> None:
    """After the remedy a deploy is green, and the next one changes nothing."""
    deploy()
    assert deploy().changed() == []
    wait_for_states()


# On which server, its options, the named states, and what a deploy says before it changes anything.
OPTIONS = {
    "skip-grant-tables": (
        SLAVE,
        ["skip-grant-tables"],
        [("server without accounts", SLAVE)],
        "runs with `skip_grant_tables`, so everybody may do everything ({site}:2 sets it); take",
    ),
    "require_secure_transport": (
        MASTER,
        ["require_secure_transport = ON"],
        [("encryption demanded", MASTER)],
        "takes encrypted connections only (`require_secure_transport` is ON), while `replication_tls` is off; nothing "
        "was changed: switch it off ({site}:2), or set `replication_tls`",
    ),
    "filter": (
        MASTER,
        ["binlog_do_db = configdb", "binlog_do_db = oxdatabase_7"],
        [("replication filtered", SLAVE)],
        "dbslave does not get all that its master writes (dbmaster: `binlog_do_db` is configdb,oxdatabase_7, set in "
        "{site}:3); nothing was changed: take the filter out",
    ),
    "other address and server id": (
        SLAVE,
        ["bind-address = 0.0.0.0", "server-id = 77"],
        [("server setting differs", SLAVE)],
        "this server does not do what our file says: `",
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_stand_against_the_cluster_are_named_with_their_line(name: str) -> None:
    node, lines, states, said = OPTIONS[name]
    set_options(node, *lines)
    try:
        wait_for_states(*states)
        assert said.format(site=site()) in " ".join(deploy_fails().split())
    finally:
        take_back(node)
    assert_fine()


def test_file_of_ours_that_is_not_read_is_named(used_up: None) -> None:
    folder = str(PurePath(kind().configuration).parent)
    other = "!includedir /etc/mysql/ox.conf.d/\n[mysqld]\nloose-skip-slave-start\nloose-skip-replica-start\n"
    run(SLAVE, "mkdir -p /etc/mysql/ox.conf.d; mv /etc/mysql/my.cnf /root/my.cnf")
    run(SLAVE, ["tee", "/etc/mysql/my.cnf"], input=other)
    restart(SLAVE)
    remedy = f"this server does not read our file; let /etc/mysql/my.cnf end with the line `!includedir {folder}`"
    assert ("server setting differs", SLAVE) in status().states
    said = " ".join(deploy_fails().split())
    assert remedy in said
    assert "has the server id of its master" not in said
    run(SLAVE, f"echo '!includedir {folder}' >>/etc/mysql/my.cnf; sed -i /loose-skip/d /etc/mysql/my.cnf")
    restart(SLAVE)
    assert_fine()


def break_accounts(user: str) -> None:
    """Lock an account, let its password expire, limit it, and give it rights, roles and a proxy, on both servers."""
    role = f"SET DEFAULT ROLE reader {'FOR' if is_mariadb() else 'TO'} {user}"
    sql(
        MASTER,
        "CREATE DATABASE app_db; CREATE TABLE app_db.t (id INT, `key` INT); CREATE ROLE reader; "
        f"GRANT SELECT (id, `key`), UPDATE (id) ON app_db.t TO {user}; GRANT INSERT ON app_db.t TO {user}; "
        f"GRANT PROXY ON root@localhost TO {user}; GRANT reader TO {user}; {role}; "
        f"ALTER USER {user} WITH MAX_USER_CONNECTIONS 1 MAX_QUERIES_PER_HOUR 5; "
        f"ALTER USER {user} PASSWORD EXPIRE; ALTER USER {user} ACCOUNT LOCK",
    )
    wait_until_equal(MASTER, SLAVE)


def test_accounts_are_put_right_on_both_servers() -> None:
    user = f"openexchange@'{address('oxgw02')}'"
    break_accounts(user)
    assert any("Make the accounts" in change and MASTER in change for change in deploy().changed())
    for node in (MASTER, SLAVE):
        shown = sql(node, f"SHOW GRANTS FOR {user}")
        assert not any(word in shown for word in ("app_db", "PROXY", "reader", "MAX_")), shown
    assert sql(MASTER, f"SHOW CREATE USER {user}").count("ACCOUNT LOCK") == 0
    sql(MASTER, "DROP ROLE reader; DROP DATABASE app_db")
    assert_fine()


@pytest.mark.only_on(kind="mariadb-10.11")
def test_password_plugin_that_takes_no_hashes_is_named() -> None:
    if not is_mariadb():
        pytest.skip("MySQL does not judge hashes")
    sql(MASTER, "INSTALL SONAME 'simple_password_check'")
    sql(MASTER, f"DROP USER openexchange@'{address('oxgw02')}'")
    assert "run `SET GLOBAL strict_password_validation = OFF` there, deploy, and switch it ON again" in " ".join(
        deploy_fails().split()
    )
    sql(MASTER, "SET GLOBAL strict_password_validation = OFF")
    deploy()
    sql(MASTER, "SET GLOBAL strict_password_validation = ON; UNINSTALL SONAME 'simple_password_check'")
    assert_fine()


def name_connection() -> None:
    """Let the replica replicate by a named connection, from where it stands."""
    host, password = address(MASTER), passwords()["mysql_replication"]
    login = f"MASTER_HOST='{host}', MASTER_USER='replication', MASTER_PASSWORD='{password}'"
    if is_mariadb():
        change = f"CHANGE MASTER 'prod' TO {login}, MASTER_USE_GTID=slave_pos; START SLAVE 'prod'"
    else:
        login = login.replace("MASTER_", "SOURCE_")
        change = (
            f"CHANGE REPLICATION SOURCE TO {login}, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1 FOR CHANNEL "
            "'prod'; START REPLICA FOR CHANNEL 'prod'"
        )
    sql(SLAVE, f"STOP SLAVE; RESET SLAVE ALL; {change}")


def test_named_connection_becomes_the_default_one_and_no_row_is_lost(used_up: None) -> None:
    with writing(MASTER) as writer:
        name_connection()
        wait_for_states(("named connection", SLAVE))
        assert any("Replicate from the master" in change for change in deploy().changed())
    wait_until_equal(MASTER, SLAVE)
    assert len(writer.acknowledged) > 100
    assert writer.lost(MASTER) == writer.lost(SLAVE) == set()
    assert (replica()["Slave_IO_Running"], replica()["Slave_SQL_Running"]) == ("Yes", "Yes")
    assert uses_gtid()
    assert "prod" not in sql(SLAVE, "SHOW ALL SLAVES STATUS" if is_mariadb() else "SHOW REPLICA STATUS")
    assert deploy().changed() == []


def follow_back() -> None:
    """Let the master follow its replica, too."""
    password = passwords()["mysql_replication"]
    login = f"MASTER_HOST='{address(SLAVE)}', MASTER_USER='replication', MASTER_PASSWORD='{password}'"
    how = "MASTER_USE_GTID=slave_pos" if is_mariadb() else "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"
    login = login if is_mariadb() else login.replace("MASTER_", "SOURCE_")
    sql(MASTER, f"CHANGE MASTER TO {login}, {how}; START SLAVE")


def test_ring_is_named_and_one_command_ends_it(used_up: None) -> None:
    follow_back()
    wait_for_states(("replication ring", SLAVE))
    replica_word = "SLAVE" if is_mariadb() else "REPLICA"
    command = f"STOP {replica_word}; RESET {replica_word} ALL"
    said = " ".join(deploy_fails().split())
    assert f"dbslave and its master replicate from each other; nothing was changed: run `{command}` on dbmaster" in said
    sql(MASTER, command)
    assert_fine()


def test_slave_that_is_delayed_is_told_and_left_alone(used_up: None) -> None:
    word, change = ("MASTER", "CHANGE MASTER TO") if is_mariadb() else ("SOURCE", "CHANGE REPLICATION SOURCE TO")
    sql(SLAVE, f"STOP SLAVE; {change} {word}_DELAY = 3600; START SLAVE")
    wait_for_states(("replica delayed", SLAVE))
    assert deploy().changed() == []
    sql(SLAVE, f"STOP SLAVE; {change} {word}_DELAY = 0; START SLAVE")
    assert_fine()


def test_slave_of_several_masters_is_told_and_left_alone(used_up: None) -> None:
    other = "MASTER_HOST='192.0.2.99', MASTER_USER='x', MASTER_PASSWORD='not-in-use-4711'"
    change = (
        f"CHANGE MASTER 'wiki' TO {other}"
        if is_mariadb()
        else f"CHANGE REPLICATION SOURCE TO {other.replace('MASTER_', 'SOURCE_')} FOR CHANNEL 'wiki'"
    )
    sql(SLAVE, change)
    wait_for_states(("replica of several masters", SLAVE))
    assert deploy().changed() == []
    sql(SLAVE, "RESET SLAVE 'wiki' ALL" if is_mariadb() else "RESET REPLICA ALL FOR CHANNEL 'wiki'")
    assert_fine()
