"""What could end a seeding is found on both servers before the replica is touched, and all of it is told at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.integration.database import is_mariadb, replica, sql
from tests.integration.deployment import INVENTORY, PYINFRA, deploy, pyinfra
from tests.integration.seeding import empty_slave, seed, seed_fails, wait_until_caught_up
from tests.lab.nodes import exec_in

pytestmark = [pytest.mark.lab, pytest.mark.every_server_in_all, pytest.mark.usefixtures("cluster")]

DATABASES = ("--limit", "db_master", "--limit", "db_slave")
OVERWRITE = ("--data", "overwrite_slave=dbslave")
LOGICAL, BOTH = ("logical",), ("logical", "physical")
MARK = "/var/lib/ox-deploy/seeding"


@dataclass(frozen=True)
class Fault:
    """What is wrong with one server only, and how a seeding refuses it in which ways."""

    node: str
    make: str
    undo: str
    sentence: str
    methods: tuple[str, ...] = BOTH


def faults() -> list[Fault]:
    collation = sql("dbslave", "SELECT @@GLOBAL.collation_server")
    return [
        Fault(
            "dbmaster",
            "CREATE DATABASE obstacles; CREATE TABLE obstacles.t (id INT PRIMARY KEY);"
            "CREATE VIEW obstacles.v AS SELECT id FROM obstacles.t; DROP TABLE obstacles.t",
            "DROP DATABASE obstacles",
            "the view obstacles.v on dbmaster cannot be dumped (",
            LOGICAL,
        ),
        Fault(
            "dbslave",
            "SET GLOBAL collation_server = 'utf8mb4_bin'",
            f"SET GLOBAL collation_server = '{collation}'",
            f"`collation_server` is utf8mb4_bin on dbslave and {collation} on dbmaster",
        ),
        *(faults_of_mariadb() if is_mariadb() else faults_of_mysql()),
    ]


def faults_of_mariadb() -> list[Fault]:
    return [
        Fault(
            "dbmaster",
            "INSTALL SONAME 'auth_ed25519'; CREATE USER obstacles@'%' IDENTIFIED VIA ed25519 USING "
            "PASSWORD('only-in-this-lab')",
            "DROP USER obstacles@'%'; UNINSTALL SONAME 'auth_ed25519'",
            "dbslave has not loaded the plugin ed25519, by which 'obstacles'@'%' log in to dbmaster",
            LOGICAL,
        ),
        Fault(
            "dbslave",
            "INSTALL SONAME 'simple_password_check'",
            "UNINSTALL SONAME 'simple_password_check'",
            "`strict_password_validation` is ON on dbslave",
            LOGICAL,
        ),
        Fault(
            "dbslave",
            "CHANGE MASTER 'prod' TO MASTER_HOST = '192.0.2.99', MASTER_USER = 'nobody'",
            "STOP SLAVE 'prod'; RESET SLAVE 'prod' ALL",
            "dbslave replicates by the named connections 'prod'",
        ),
    ]


def faults_of_mysql() -> list[Fault]:
    return [
        Fault(
            "dbslave",
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '192.0.2.99', SOURCE_USER = 'nobody' FOR CHANNEL 'prod'",
            "STOP REPLICA FOR CHANNEL 'prod'; RESET REPLICA ALL FOR CHANNEL 'prod'",
            "dbslave replicates by the named connections 'prod'",
        ),
        Fault(
            "dbslave",
            "SET GLOBAL super_read_only = ON",
            "SET GLOBAL super_read_only = OFF",
            "`super_read_only` is ON on dbslave",
        ),
    ]


@contextmanager
def faulty() -> Iterator[list[Fault]]:
    made: list[Fault] = []
    try:
        for fault in faults():
            sql(fault.node, f"SET sql_log_bin = 0; {fault.make}")
            made.append(fault)
        yield made
    finally:
        for fault in reversed(made):
            sql(fault.node, f"SET sql_log_bin = 0; {fault.undo}")


def assert_untouched(databases: str) -> None:
    assert sql("dbslave", "SHOW DATABASES") == databases
    assert exec_in("dbslave", f"test -e {MARK}").code
    assert exec_in("dbslave", "systemctl is-active -q ox-seed").code
    assert sql("dbmaster", "SELECT COUNT(*) FROM mysql.user WHERE User = 'ox_seed'") == "0"


def test_all_that_is_in_the_way_is_told_before_the_slave_is_touched() -> None:
    databases = sql("dbslave", "SHOW DATABASES")
    with faulty() as made:
        for method in BOTH:
            # With the hosts' own names, not those that pyinfra's connector has for them.
            said = re.sub(r"@docker/[\w-]+-(db\w+)", r"\1", seed_fails("--data", f"seed_method={method}", *OVERWRITE))
            told = [fault.sentence for fault in made if fault.sentence in said]
            assert told == [fault.sentence for fault in made if method in fault.methods], said
            assert_untouched(databases)
    # It goes on replicating as before.
    sql("dbmaster", "CREATE DATABASE obstacles; DROP DATABASE obstacles")
    wait_until_caught_up()
    status = replica()
    assert (status["Slave_IO_Running"], status["Slave_SQL_Running"]) == ("Yes", "Yes")
    assert deploy(*DATABASES).changed() == []


def test_check_tells_it_of_a_replica_that_has_to_be_seeded() -> None:
    view = faults()[0]
    sql("dbmaster", f"SET sql_log_bin = 0; {view.make}")
    try:
        empty_slave()
        done = pyinfra([*PYINFRA, "-y", INVENTORY, "ox_deploy.deploys.check.check"])
        assert done.code == 1, done.output
        assert "is empty while the master has data that its binary log no longer holds" in done.output
        said = re.sub(r"@docker/[\w-]+-(db\w+)", r"\1", done.output)
        assert f"a seeding, which this replica needs, would be refused: {view.sentence}" in said
    finally:
        sql("dbmaster", f"SET sql_log_bin = 0; {view.undo}")
    seed()
    assert deploy(*DATABASES).changed() == []


@contextmanager
def quotes_for_names() -> Iterator[None]:
    """Let the master take double quotes for those of names, and have accounts with rights on parts of a table."""
    mode = sql("dbmaster", "SELECT @@GLOBAL.sql_mode")
    node = sql("dbmaster", "SELECT MIN(Host) FROM mysql.user WHERE User = 'openexchange'")
    sql("dbmaster", f"SET GLOBAL sql_mode = '{mode},ANSI_QUOTES'")
    sql(
        "dbmaster",
        "CREATE DATABASE quoted; CREATE TABLE quoted.t (id INT PRIMARY KEY); INSERT INTO quoted.t VALUES (1)",
    )
    sql(
        "dbmaster",
        "CREATE USER quoted@'%' IDENTIFIED BY 'only-in-this-lab'; GRANT SELECT (id) ON quoted.t TO quoted@'%'",
    )
    sql("dbmaster", f"GRANT SELECT (id) ON quoted.t TO openexchange@'{node}'")
    yield
    sql("dbmaster", f"SET GLOBAL sql_mode = '{mode}'")
    sql("dbmaster", "DROP DATABASE quoted; DROP USER quoted@'%'")


def test_master_with_other_quotes_is_deployed_and_seeds_its_slave() -> None:
    with quotes_for_names():
        # What the account of a node has too much goes away, once.
        assert deploy(*DATABASES).changed()
        assert deploy(*DATABASES).changed() == []
        seed(*OVERWRITE)
        assert "GRANT SELECT (`id`) ON `quoted`.`t` TO `quoted`@`%`" in sql("dbslave", "SHOW GRANTS FOR quoted@'%'")
    wait_until_caught_up()
    assert deploy(*DATABASES).changed() == []
