"""A third groupware node and a second replica join a running cluster that holds data, and follow its switches."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.integration.database import replica, sql
from tests.integration.deployment import SSH_INVENTORY, Run, deploy, deploy_fails, lab
from tests.integration.switching import SERVERS, SWITCHED, deploy_switched, switch, switch_under_load
from tests.integration.test_switchover import NAMES
from tests.integration.writing import rows, wait_until_equal
from tests.lab import nodes, state
from tests.lab.browser import Browser
from tests.lab.nodes import run
from tests.lab.state import State

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mysql-9.7"), pytest.mark.every_server_in_all]


@pytest.fixture(scope="module")
def grown(cluster: State) -> Run:
    lab("up", "--groupware", "3", "--slaves", "2")
    return deploy()


def test_running_daemons_are_left_alone(grown: Run) -> None:
    assert [change for change in grown.changed() if "Restart the daemons" in change] == []


def test_sessions_go_to_all_three_nodes(grown: Run) -> None:
    routes: Counter[str] = Counter()
    for _ in range(30):
        browser = Browser()
        assert browser.login()["user_id"] == 3
        routes[browser.route] += 1
    assert routes == {"OX-1": 10, "OX-2": 10, "OX-3": 10}


def test_new_slave_has_all_data(grown: Run) -> None:
    query = "SHOW DATABASES; SELECT cid, name FROM configdb.context; SELECT id, uri FROM configdb.filestore"
    data = [sql(node, query) for node in ("dbmaster", "dbslave", "dbslave2")]
    assert data[0] == data[1] == data[2]
    assert "configdb" in data[0]
    assert replica("dbslave2")["Slave_SQL_Running"] == "Yes"


def test_first_slave_stays_the_one_that_is_read_from(grown: Run) -> None:
    query = "SELECT p.name FROM configdb.db_cluster c JOIN configdb.db_pool p ON p.db_pool_id = c.read_db_pool_id"
    assert sql("dbmaster", query) == "oxdatabase_slave"


def test_second_run_changes_nothing(grown: Run) -> None:
    again = deploy()
    assert again.changed() == []
    assert len(again.hosts()) == len(state.load().nodes) >= 7


@pytest.mark.parametrize("limit", ["oxgw03", "dbslave2"])
def test_second_run_on_a_new_host_changes_nothing(grown: Run, limit: str) -> None:
    assert deploy("--limit", limit).changed() == []


def test_second_slave_with_the_id_of_the_first_is_named(grown: Run) -> None:
    number = sql("dbslave", "SELECT @@server_id")
    own = sql("dbslave2", "SELECT @@server_id")
    sql("dbslave2", f"STOP SLAVE; SET GLOBAL server_id = {number}; START SLAVE")
    try:
        run("dbmaster", "sleep 3")
        assert "has the server id of another replica" in deploy_fails("--limit", "db_slave")
    finally:
        sql("dbslave2", f"STOP SLAVE; SET GLOBAL server_id = {own}; START SLAVE")
        sql("dbslave", "STOP SLAVE; START SLAVE")
    assert deploy().changed() == []


@pytest.mark.thorough
def test_all_other_slaves_follow_the_new_master(grown: Run) -> None:
    deploy(inventory=SSH_INVENTORY)
    old, new = SERVERS
    _, writer = switch_under_load(old, new)
    wait_until_equal(new, "dbslave2")
    assert writer.lost("dbslave2") == set()
    assert rows("dbslave2") == rows(new)
    assert replica("dbslave2")["Master_Host"] == nodes.node(new).address
    assert all(NAMES in change for change in deploy_switched().changed())
    assert switch(old, inventory=SWITCHED).code == 0
    deploy(inventory=SSH_INVENTORY)
