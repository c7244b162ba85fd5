"""A master and a replica of different releases give the same collations to what does not say them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.integration.database import replica, sql
from tests.integration.deployment import deploy, lab
from tests.integration.seeding import wait_until_caught_up
from tests.lab import engine, images
from tests.lab.nodes import exec_in, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.thorough]

MASTER, SLAVE = "dbmaster", "dbslave"
DATABASES = ("--limit", "db_master", "--limit", "db_slave")
FILE = "/etc/mysql/mariadb.conf.d/89-ox-deploy-collations.cnf"
NEWER = "mariadb-11.8"
# As in the older release.
DEFAULTS = "utf8mb4\tutf8mb4_general_ci"


def make_lab(newer: str) -> None:
    """Replace the lab by one with bare hosts, of which one has a newer release than the others."""
    lab("down")
    wishes = [
        replace(wish, suite=engine.DATABASES[NEWER], database=NEWER) if wish.name == newer else wish
        for wish in engine.wishes(groupware=1)
    ]
    engine.up(engine.connect(), wishes, images.quiet)


def collations_of(node: str, database: str) -> str:
    return sql(
        node,
        "SELECT TABLE_NAME, COLLATION_NAME FROM information_schema.COLUMNS "
        f"WHERE TABLE_SCHEMA = '{database}' ORDER BY TABLE_NAME",
    )


MAKE = (
    "CREATE DATABASE {0}; CREATE TABLE {0}.a (x VARCHAR(9)); CREATE TABLE {0}.b (x VARCHAR(9)) CHARSET=utf8mb4;"
    "CREATE TABLE {0}.c (x VARCHAR(9)) CHARSET=utf8mb3"
)


def assert_replica_asks_for_no_encryption() -> None:
    """As MariaDB 11.8 does by itself where a person has set it up, from a master that has none."""
    sql(SLAVE, "STOP SLAVE; CHANGE MASTER TO MASTER_SSL = 1, MASTER_SSL_VERIFY_SERVER_CERT = 1; START SLAVE")
    wait_for(SLAVE, "mariadb -e 'SHOW SLAVE STATUS\\G' | grep -q 'SSL is required, but the server does not support it'")
    (change,) = deploy(*DATABASES).changed()
    assert "Replicate from the master" in change
    assert replica()["Slave_IO_Running"] == "Yes"


@pytest.mark.parametrize("newer", [SLAVE, MASTER])
def test_new_servers_of_two_releases_agree(newer: str) -> None:
    make_lab(newer)
    deploy(*DATABASES)
    assert deploy(*DATABASES).changed() == []
    for node in (MASTER, SLAVE):
        assert sql(node, "SELECT @@GLOBAL.character_set_server, @@GLOBAL.collation_server") == DEFAULTS
        assert (exec_in(node, f"test -e {FILE}").code == 0) is (node == newer)
    assert sql(newer, "SELECT @@GLOBAL.character_set_collations") == ""

    sql(MASTER, MAKE.format("ours"))
    wait_until_caught_up()
    status = replica()
    assert (status["Slave_IO_Running"], status["Slave_SQL_Running"]) == ("Yes", "Yes")
    if newer == SLAVE:
        assert_replica_asks_for_no_encryption()
    # The newer one as it would do as a master, too.
    sql(newer, "SET sql_log_bin = 0; " + MAKE.format("own"))
    expected = "a\tutf8mb4_general_ci\nb\tutf8mb4_general_ci\nc\tutf8mb3_general_ci"
    assert {collations_of(MASTER, "ours"), collations_of(SLAVE, "ours"), collations_of(newer, "own")} == {expected}
