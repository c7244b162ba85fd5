"""The main cases of seeding, for whichever database server the lab has; test_seed.py has more for the usual one.

Only the database hosts take part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ox_deploy.questions.program import prelude
from tests.integration.database import is_mariadb, kind, replica, sql
from tests.integration.deployment import Run, deploy, deploy_fails, passwords
from tests.integration.leaks import names_in, watched_process_list
from tests.integration.seeding import (
    empty_slave,
    make_data,
    purge_master,
    remove_data,
    seed,
    seed_fails,
    under_way,
    wait_until_caught_up,
    writing,
)
from tests.lab.nodes import exec_in, run, wait_for
from tests.lab.state import State

pytestmark = [pytest.mark.lab, pytest.mark.other_servers, pytest.mark.usefixtures("data")]

METHODS = ["logical", "physical"]
DATABASES = ("--limit", "db_master", "--limit", "db_slave")
OVERWRITE = ("--data", "overwrite_slave=dbslave")
MARK = "/var/lib/ox-deploy/seeding"


def by(method: str) -> tuple[str, str]:
    return "--data", f"seed_method={method}"


def deploy_databases() -> Run:
    return deploy(*DATABASES)


@pytest.fixture(scope="module")
def data(cluster: State) -> Iterator[None]:
    make_data()
    yield
    remove_data()
    wait_until_caught_up()
    assert deploy_databases().changed() == []


@pytest.mark.parametrize("method", [pytest.param("logical", marks=pytest.mark.only_on(kind="mysql-9.7")), "physical"])
def test_empty_slave_is_seeded_while_the_master_is_written_to(method: str) -> None:
    with writing(), watched_process_list() as log:
        empty_slave()
        said = deploy_fails("--limit", "db_slave")
        assert "is empty while the master has data that its binary log no longer holds" in said
        done = seed("-vvv", *by(method))
        lines = log.read_text(errors="replace")
    assert re.search(r"seeded with \d\d+ MB, equal to the master: \d+ databases, \d+ tables; \d+ rows", done.output)
    assert names_in(lines + done.output, passwords()) == []
    assert deploy_databases().changed() == []


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
def test_slave_whose_position_is_purged_replicates_by_position(method: str) -> None:
    with writing():
        sql("dbslave", "STOP SLAVE")
        purge_master()
        assert "lacks what its master's binary log no longer holds" in deploy_fails("--limit", "db_slave")
        assert re.search(r"data that would be lost: .*seedtest \(\d+ tables, about \d+ rows\)", seed_fails(*by(method)))
        seed(*by(method), *OVERWRITE, "--data", "replication_by=position")
        status = replica()
        assert status["Using_Gtid"] == "No" if is_mariadb() else status["Auto_Position"] == "0"
    assert any("Replicate from the master" in change for change in deploy_databases().changed())


@contextmanager
def slow() -> Iterator[None]:
    """Let a clone take long enough to be disturbed."""
    if is_mariadb():
        yield
        return
    sql("dbslave", "INSTALL PLUGIN clone SONAME 'mysql_clone.so'; SET GLOBAL clone_max_data_bandwidth = 20")
    yield
    # It was there before, so a seeding leaves it.
    sql("dbslave", "UNINSTALL PLUGIN clone")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("method", "then"),
    [("logical", "logical"), ("physical", "logical"), ("physical", "physical")],
)
def test_seeding_dies_in_the_middle_and_the_next_one_ends_well(method: str, then: str) -> None:
    with writing(), slow():
        empty_slave()
        with under_way(*by(method)) as process:
            run("dbslave", "systemctl kill -s KILL ox-seed")
            said = process.communicate(timeout=200)[0]
            assert process.returncode != 0, said
            assert "Traceback" not in said, said
        said = deploy_fails("--limit", "db_slave")
        assert "is half seeded" in said or "is empty while the master has data" in said
        seed(*by(then))
    assert deploy_databases().changed() == []


@pytest.mark.thorough
def test_server_that_dies_in_the_middle_of_a_seeding_is_seeded_again() -> None:
    with writing(), slow():
        empty_slave()
        with under_way(*by("physical")) as process:
            run("dbslave", f"systemctl kill -s KILL {kind().unit}")
            said = process.communicate(timeout=200)[0]
        wait_for("dbslave", f"systemctl is-active -q {kind().unit}", 60)
        # The master's backup flows into another directory, which needs no server.
        if process.returncode:
            assert "half seeded" in said, said
            seed(*by("physical"))
    assert deploy_databases().changed() == []


@pytest.mark.thorough
def test_wrong_password_of_replication_is_found_before_anything_is_touched() -> None:
    with writing():
        for method in METHODS:
            said = seed_fails(*by(method), *OVERWRITE, env={"OX_DEPLOY_MYSQL_REPLICATION": "Wrong-but-strong-7"})
            assert "the account replication cannot log in to the master" in said
            assert "Wrong-but-strong-7" not in said
        assert exec_in("dbslave", f"test -e {MARK}").code
        assert replica()["Slave_SQL_Running"] == "Yes"


@pytest.mark.thorough
def test_transactions_of_the_slaves_own_are_named_and_gone_after_a_seeding() -> None:
    with writing():
        sql("dbslave", "INSERT INTO seedtest.bulk VALUES (0, 'by mistake')")
        assert "has transactions that its master does not have" in deploy_databases().output
        seed(*OVERWRITE)
        assert sql("dbslave", "SELECT COUNT(*) FROM seedtest.bulk WHERE id = 0") == "0"
        assert "that its master does not have" not in deploy_databases().output


# One row has come since the replica stood still, and then no more come.
GO_ON = """
from ox_deploy.remote.mysql.session import connect
from ox_deploy.remote.master_slaves.replication.status import replica_status
from ox_deploy.remote.master_slaves.seed.compare import go_to
with connect(None) as session:
    go_to(session, {{"file": {file!r}, "position": {position}}})
    status = replica_status(session)
    print(status["Exec_Master_Log_Pos"], status["Slave_SQL_Running"])
"""


def test_slave_stops_exactly_there_though_the_master_is_not_written_to() -> None:
    sql("dbslave", "STOP SLAVE SQL_THREAD")
    sql("dbmaster", "INSERT INTO seedtest.bulk VALUES (-1, 'the last one')")
    file, position = sql("dbmaster", "SHOW MASTER STATUS").split()[:2]
    program = prelude("master_slaves.seed_logical") + GO_ON.format(file=file, position=position)
    said = run("dbslave", ["timeout", "30", "python3", "-c", program]).split()
    sql("dbslave", "START SLAVE")
    sql("dbmaster", "DELETE FROM seedtest.bulk WHERE id = -1")
    wait_until_caught_up()
    assert said == [position, "No"]
