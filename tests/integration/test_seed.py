"""A replica is seeded while its master is written to, and whatever goes wrong on the way, the next run ends well."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.integration.database import sql
from tests.integration.deployment import (
    SSH_INVENTORY,
    command,
    deploy,
    deploy_fails,
    lab,
    passwords,
    pyinfra,
)
from tests.integration.leaks import names_in, watched_process_list
from tests.integration.seeding import (
    empty_slave,
    make_data,
    numbers,
    purge_master,
    rates,
    remove_data,
    seed,
    seed_fails,
    under_way,
    wait_until_caught_up,
    writing,
)
from tests.lab import engine, nodes
from tests.lab.nodes import exec_in, run, wait_for
from tests.lab.state import State

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("data")]

METHODS = ["logical", "physical"]
# What holds for one way of seeding is tried with the other one in `script/test --all` only.
SAMPLE_METHODS = [pytest.param("logical", marks=pytest.mark.thorough), "physical"]
OVERWRITE = ("--data", "overwrite_slave=dbslave")
MARK = "/var/lib/ox-deploy/seeding"


def by(method: str) -> tuple[str, str]:
    return "--data", f"seed_method={method}"


@pytest.fixture(scope="module")
def data(cluster: State) -> Iterator[None]:
    make_data()
    yield
    remove_data()
    wait_until_caught_up()
    assert deploy().changed() == []


@pytest.mark.parametrize("method", SAMPLE_METHODS)
def test_empty_slave_of_a_master_that_holds_not_all_in_its_log(method: str) -> None:
    with writing():
        empty_slave()
        said = deploy_fails("--limit", "db_slave")
        assert "is empty while the master has data that its binary log no longer holds" in said
        assert "ox_deploy.deploys.seed.seed --data seed_slave=" in said
        with watched_process_list() as log:
            done = seed("-vvv", *by(method), inventory=SSH_INVENTORY)
            lines = log.read_text(errors="replace")
    assert_no_password_is_seen(method, lines, done.output)
    assert re.search(r"seeded with \d+ MB, equal to the master: \d+ databases, \d+ tables; \d+ rows", done.output)
    assert rates(done.output) or "copies: " in done.output
    assert deploy().changed() == []


def assert_no_password_is_seen(method: str, lines: str, output: str) -> None:
    """Look at what the process list and the output of a seeding showed."""
    assert names_in(lines + output, passwords()) == []
    assert "PRIVATE KEY" not in lines + output
    if method == "logical":
        assert "mariadb-dump" in lines, "the watcher should have seen the programs"
        # The throw-away password is in the file that only root can read, on no command line.
        assert "--defaults-file=/run/ox-seed/master.cnf" in lines
    else:
        assert "mariadb-backup" in lines, "the watcher should have seen the programs"


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
def test_slave_whose_position_is_purged(method: str) -> None:
    with writing():
        sql("dbslave", "STOP SLAVE")
        purge_master()
        said = deploy_fails("--limit", "db_slave")
        assert "lacks what its master's binary log no longer holds" in said
        assert "overwrite_slave=" in said
        assert re.search(r"data that would be lost: .*seedtest \(\d+ tables, about \d+ rows\)", seed_fails(*by(method)))
        seed(*by(method), *OVERWRITE)
    assert deploy().changed() == []


@pytest.mark.thorough
def test_healthy_slave_with_data_is_not_touched_without_a_request() -> None:
    with writing():
        pid = run("dbslave", "systemctl show -P MainPID mariadb")
        said = seed_fails()
        assert "seedtest (" in said
        assert "nothing was changed" in said
        said = seed_fails("--data", "overwrite_slave=dbmaster")
        assert "`overwrite_slave` is 'dbmaster', but the replica to be seeded is dbslave" in said
        assert run("dbslave", "systemctl show -P MainPID mariadb") == pid


def kill_unit(node: str) -> Callable[[], object]:
    return lambda: run(node, "systemctl kill -s KILL ox-seed")


def switch_off() -> None:
    nodes.kill("dbslave")
    nodes.start("dbslave")


# What dies in the middle, in which way of seeding.
DEATHS: dict[str, tuple[str, Callable[[], object]]] = {
    "logical-slave's-unit": ("logical", kill_unit("dbslave")),
    "logical-slave's-server": ("logical", lambda: run("dbslave", "systemctl kill -s KILL mariadb")),
    "logical-slave": ("logical", switch_off),
    "logical-master-restarts": ("logical", lambda: run("dbmaster", "systemctl restart mariadb")),
    "physical-slave's-unit": ("physical", kill_unit("dbslave")),
    "physical-master's-unit": ("physical", kill_unit("dbmaster")),
    "physical-slave": ("physical", switch_off),
    "physical-master-restarts": ("physical", lambda: run("dbmaster", "systemctl restart mariadb")),
}


SAMPLE = ("physical-slave",)


@pytest.mark.parametrize(
    ("method", "kill"),
    [
        pytest.param(*death, id=name, marks=[] if name in SAMPLE else [pytest.mark.thorough])
        for name, death in DEATHS.items()
    ],
)
def test_seeding_dies_in_the_middle_and_the_next_one_ends_well(method: str, kill: Callable[[], object]) -> None:
    with writing():
        empty_slave()
        with under_way(*by(method)) as process:
            kill()
            said = process.communicate(timeout=200)[0]
            assert process.returncode != 0, said
            assert "Traceback" not in said, said
        said = deploy_fails("--limit", "db_slave")
        assert "is half seeded" in said or "is empty while the master has data" in said
        wait_for("dbslave", "mariadb -e 'SELECT 1'", 60)
        seed(*by(method))
    assert deploy().changed() == []


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
def test_control_machine_goes_away_and_the_next_run_waits(method: str) -> None:
    with writing():
        empty_slave()
        with under_way(*by(method)):
            pass
        # The unit goes on alone; as long as it does, no deploy takes the replica for a healthy one.
        run("dbslave", "systemctl kill -s STOP ox-seed")
        assert "is half seeded" in deploy_fails("--limit", "db_slave")
        run("dbslave", "systemd-run --quiet --collect --on-active=8 systemctl kill -s CONT ox-seed")
        said = seed(*by(method), *OVERWRITE).output
        assert "waiting for a seeding that is already under way" in said
    assert deploy().changed() == []


@pytest.mark.thorough
@pytest.mark.parametrize("other", METHODS)
def test_killed_while_the_directories_change_over(other: str) -> None:
    with writing():
        empty_slave()
        with under_way(*by("physical")) as process:
            there = "until [ -d /var/lib/mysql.ox-seed-old ]; do sleep 0.005; done; systemctl kill -s KILL ox-seed"
            run("dbslave", f"timeout 120 sh -c '{there}'")
            said = process.communicate(timeout=200)[0]
            assert process.returncode != 0, said
        assert exec_in("dbslave", f"test -e {MARK}").code == 0
        assert "is half seeded" in deploy_fails("--limit", "db_slave")
        seed(*by(other))
    assert deploy().changed() == []


@pytest.mark.thorough
def test_old_data_is_put_back_after_a_seeding_that_failed() -> None:
    with writing():
        sql("dbslave", "SET sql_log_bin = 0; CREATE DATABASE old_life")
        with under_way(*by("physical"), *OVERWRITE) as process:
            there = "until [ -d /var/lib/mysql.ox-seed-before ]; do sleep 0.005; done; systemctl kill -s KILL ox-seed"
            run("dbslave", f"timeout 120 sh -c '{there}'")
            said = process.communicate(timeout=200)[0]
            assert process.returncode != 0, said
        assert "ox_deploy.deploys.seed.restore --data seed_slave=dbslave" in said
        assert "old_life" not in sql("dbslave", "SHOW DATABASES")
        restore = [*command("--data", "seed_slave=dbslave")[:-1], "ox_deploy.deploys.seed.restore"]
        done = pyinfra(restore)
        assert done.code == 0, done.output
        assert "old_life" in sql("dbslave", "SHOW DATABASES")
        assert sql("dbslave", "SHOW SLAVE STATUS") == ""
        assert "is half seeded" in deploy_fails("--limit", "db_slave")
        assert "no longer has its old data, so it cannot be put back" in pyinfra(restore).output
        seed(*by("physical"))
    assert deploy().changed() == []


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
def test_network_that_is_cut_for_a_while(method: str) -> None:
    with writing():
        empty_slave()
        with under_way(*by(method)) as process:
            nodes.disconnect("dbslave")
            try:
                run("dbmaster", "sleep 15")
            finally:
                nodes.reconnect("dbslave")
            said = process.communicate(timeout=390)[0]
        if process.returncode:
            assert "seed again" in said, said
            seed(*by(method))
    deploy()
    assert deploy().changed() == []


@pytest.mark.thorough
def test_wrong_password_of_replication_is_found_before_anything_is_touched() -> None:
    with writing():
        wrong = {"OX_DEPLOY_MYSQL_REPLICATION": "Wrong-but-strong-7"}
        said = seed_fails(*OVERWRITE, env=wrong)
        assert "the account replication cannot log in to the master" in said
        assert "Wrong-but-strong-7" not in said
        assert exec_in("dbslave", f"test -e {MARK}").code
        assert "Slave_SQL_Running: Yes" in run("dbslave", "mariadb -e 'SHOW SLAVE STATUS\\G'")


@pytest.mark.thorough
def test_port_that_the_master_cannot_reach_is_named() -> None:
    with writing():
        # Somebody else listens there, and says nothing.
        taken = "import socket,time; s=socket.create_server(('0.0.0.0', 4444)); time.sleep(600)"
        run("dbslave", ["systemd-run", "--quiet", "--collect", "--unit=taken", "python3", "-c", taken])
        try:
            said = seed_fails(*by("physical"), *OVERWRITE)
        finally:
            run("dbslave", "systemctl stop taken")
        assert ":4444" in said
        assert "open that port to the master" in said
        assert "Slave_SQL_Running: Yes" in run("dbslave", "mariadb -e 'SHOW SLAVE STATUS\\G'")


@pytest.mark.thorough
def test_disk_without_room_is_found_before_anything_is_touched() -> None:
    with writing():
        empty_slave()
        # What the server needs to run, and not the 240 MB more.
        size = "$(($(du -sm /var/lib/mysql | cut -f 1) + 60))m"
        small = f"mount -t tmpfs -o size={size},mode=755,uid=$(id -u mysql),gid=$(id -g mysql) tmpfs /var/lib/mysql"
        run("dbslave", f"systemctl stop mariadb && cp -a /var/lib/mysql /var/tmp/own && {small}")
        run("dbslave", "cp -a /var/tmp/own/. /var/lib/mysql/ && systemctl start mariadb")
        try:
            assert re.search(r"the disk of /var/lib/mysql on dbslave has \d+ MB for data", seed_fails())
            said = seed_fails(*by("physical"))
            assert "/var/lib/mysql is a separate file system, so it cannot be replaced" in said
        finally:
            run("dbslave", "systemctl stop mariadb && umount /var/lib/mysql && systemctl start mariadb")
            run("dbslave", "rm -r /var/tmp/own")
        seed()
    assert deploy().changed() == []


@pytest.mark.thorough
def test_transactions_of_the_slaves_own_are_named_and_gone_after_a_seeding() -> None:
    with writing():
        sql("dbslave", "INSERT INTO seedtest.bulk VALUES (0, 'by mistake')")
        assert re.search(r"has transactions that its master does not have \(.*up to 0-2-\d", deploy_all())
        seed(*OVERWRITE)
        assert sql("dbslave", "SELECT COUNT(*) FROM seedtest.bulk WHERE id = 0") == "0"
        assert "that its master does not have" not in deploy_all()


def deploy_all() -> str:
    """Deploy, which changes nothing; returns all that was printed."""
    done = deploy("--limit", "db_slave")
    assert done.changed() == []
    return done.output


@pytest.fixture
def second_slave() -> Iterator[None]:
    lab("up", "--slaves", "2")
    yield
    client = engine.connect()
    engine.remove_node(client, "dbslave2")
    engine.refresh(client)
    deploy("--data", "remove_stale_accounts=true")


@pytest.mark.thorough
@pytest.mark.usefixtures("second_slave")
def test_second_slave_is_seeded() -> None:
    # The new host is set up; it is empty, and the master's log does not hold everything.
    pyinfra(command())
    with writing():
        seed("--data", "overwrite_slave=dbslave2", slave="dbslave2")
    wait_until_caught_up("dbslave2")
    assert numbers("dbslave2") == numbers("dbmaster")
    assert deploy().changed() == []
