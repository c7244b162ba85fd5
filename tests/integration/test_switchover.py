"""Another master: there and back under load, interrupted at every step, and when the old one is dead."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence

import pytest

from tests.integration.database import forget_own, kind, replica, shell, sql
from tests.integration.deployment import SSH_INVENTORY, Run, begun, command, deploy, pyinfra
from tests.integration.samples import sampled
from tests.integration.switching import (
    ENVIRONMENT,
    SERVERS,
    SWITCHED,
    deploy_switched,
    switch,
    switch_command,
    switch_under_load,
)
from tests.integration.writing import prepare, rows, wait_until_equal, writing
from tests.lab import nodes, state
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, run, wait_for

pytestmark = [
    pytest.mark.lab,
    pytest.mark.every_server_in_all,
    pytest.mark.usefixtures("cluster"),
]

GUARD = "ox-deploy-guard.service"
LONGEST_GAP = 5
NAMES = "Names, user, package sources"


def read_only() -> tuple[str, ...]:
    return tuple(sql(server, "SELECT @@read_only") for server in SERVERS)


def assert_roles(master: str, slave: str) -> None:
    """Everything knows who is who: servers, their files, configdb, the files of every node."""
    address, other = nodes.node(master).address, nodes.node(slave).address
    assert replica(master) == {}
    assert replica(slave)["Master_Host"] == address
    assert (sql(master, "SELECT @@read_only"), sql(slave, "SELECT @@read_only")) == ("0", "1")
    assert "read_only = OFF" in run(master, ["cat", kind().configuration])
    assert "read_only = ON" in run(slave, ["cat", kind().configuration])
    for server in (master, slave):
        assert exec_in(server, ["test", "-e", kind().fence]).code, "the fence should be gone"
        assert exec_in(server, f"systemctl is-active {GUARD}").code, "the guard should be gone"
    pools = dict(line.split() for line in sql(master, "SELECT name, url FROM configdb.db_pool").splitlines())
    assert address in pools["oxdatabase"]
    assert other in pools["oxdatabase_slave"]
    for node in state.load().with_role("groupware"):
        for file, reader in (("groupware", other), ("admindaemon", address)):
            text = run(node, f"cat /opt/open-xchange/etc/{file}/configdb.properties")
            assert f"writeUrl=jdbc:mysql://{address}" in text
            assert f"readUrl=jdbc:mysql://{reader}" in text


def test_there_and_back_under_load() -> None:
    gaps = []
    pids = {server: run(server, f"systemctl show -P MainPID {kind().unit}") for server in SERVERS}
    for master, slave in (("dbslave", "dbmaster"), ("dbmaster", "dbslave")):
        done, writer = switch_under_load(slave, master)
        assert writer.lost(master) == writer.lost(slave) == set()
        assert rows(master) == rows(slave)
        assert len(writer.acknowledged) > 500
        assert writer.both == []
        gaps.append(writer.gap)
        assert_roles(master, slave)
        assert Browser().login()["user_id"] == 3
        if master == "dbslave":
            check_the_inventory_is_asked_for(done)
    print("writes were down for " + ", ".join(f"{gap:.2f} s" for gap in gaps))
    assert max(gaps) < LONGEST_GAP
    assert {server: run(server, f"systemctl show -P MainPID {kind().unit}") for server in SERVERS} == pids
    assert all(NAMES in change for change in deploy(inventory=SSH_INVENTORY).changed())
    assert deploy(inventory=SSH_INVENTORY).changed() == []


def check_the_inventory_is_asked_for(done: Run) -> None:
    """The change is told, no deploy goes on without it, and with it there is nothing left to do."""
    assert "move the line of dbslave from `db_slave` to `db_master`" in done.output
    assert "add a group `filestore` with the line of dbmaster" in done.output
    for limit in ([], ["--limit", "groupware"], ["--limit", "db_slave"]):
        refused = pyinfra(command(*limit, inventory=SSH_INVENTORY), env=ENVIRONMENT)
        assert refused.code, refused.output
        assert (
            "inventory: dbmaster is in `db_master` but replicates from dbslave; nothing was changed" in refused.output
        )
    assert_roles("dbslave", "dbmaster")
    # The order of the lines in /etc/hosts is that of the inventory.
    assert all(NAMES in change for change in deploy_switched().changed())
    assert deploy_switched().changed() == []


def show_read_only() -> str:
    return shell("SELECT @@read_only")


def kill_run(argv: list[str], operation: str, dying: tuple[str, str] | None = None, before: str = "") -> None:
    """Start a run and kill it as soon as an operation begins; `dying` are a node and a program that dies, too."""
    process, seen = begun(argv, operation, ENVIRONMENT)
    if before:
        exec_in("dbslave", before)
    assert process.poll() is None, f"the run ended before {operation}:\n{seen}"
    if dying:
        wait_for(dying[0], f"pgrep -f '{dying[1]}' && [ $({show_read_only()}) = 1 ]", 10)
    os.killpg(process.pid, signal.SIGKILL)
    if dying:
        run(dying[0], ["pkill", "-KILL", "-f", dying[1]])
    process.communicate()


@pytest.mark.thorough
def test_writes_go_on_when_everybody_dies_before_the_point_of_no_return() -> None:
    with writing(*SERVERS) as writer:
        # The replica stands still, so that the master's program waits for it while writes are down.
        kill_run(
            switch_command("switchover", "dbslave"),
            "Stop writes on",
            dying=("dbmaster", "switch_stop_write[s]"),
            before=shell("STOP SLAVE SQL_THREAD"),
        )
        assert read_only() == ("1", "1")
        wait_for("dbmaster", f"[ $({show_read_only()}) = 0 ]", 20)
        sql("dbslave", "START SLAVE SQL_THREAD")
    wait_until_equal(*SERVERS)
    assert writer.lost("dbslave") == set()
    assert writer.both == []
    assert_roles("dbmaster", "dbslave")
    assert deploy(inventory=SSH_INVENTORY).changed() == []


@pytest.mark.thorough
def test_writes_go_on_when_only_the_control_machine_dies_before_the_point_of_no_return() -> None:
    with writing(*SERVERS) as writer:
        kill_run(switch_command("switchover", "dbslave"), "Stop writes on")
        # The program on the master may be about to begin.
        time.sleep(3)
        wait_for("dbmaster", f"! systemctl is-active {GUARD} && [ $({show_read_only()}) = 0 ]", 30)
    assert writer.lost("dbmaster") == set()
    assert_roles("dbmaster", "dbslave")


KILLS = [
    "Open dbslave for writes",
    "Write the server's configuration for its new role",
    "Replicate from the master",
    "Configure the node",
    "Change the addresses in configdb",
    "Start the daemons",
    "Restart the daemons",
]


# The servers have their new roles and not yet their files; configdb is about to change.
SAMPLE = ("Write the server's configuration for its new role", "Change the addresses in configdb")


@pytest.mark.usefixtures("used_up")
@pytest.mark.parametrize(
    "steps", [SAMPLE, pytest.param(KILLS, marks=pytest.mark.thorough)], ids=["at two steps", "at every step"]
)
def test_killed_and_run_again_it_completes(steps: Sequence[str]) -> None:
    with writing(*SERVERS) as writer:
        for operation in steps:
            kill_run(switch_command("switchover", "dbslave"), operation)
            # A program that was left alone ends.
            time.sleep(3)
        assert switch("dbslave").code == 0
    wait_until_equal("dbslave", "dbmaster")
    assert writer.lost("dbslave") == writer.lost("dbmaster") == set()
    assert writer.both == []
    assert_roles("dbslave", "dbmaster")
    again = switch("dbslave")
    assert again.code == 0
    assert all(NAMES in change for change in deploy_switched().changed())


REFUSALS = {
    "stopped": ("STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD", "dbslave is stopped, and its master still has"),
    "errant": (
        "CREATE DATABASE errant",
        "DROP DATABASE errant",
        r"dbslave has transactions that its master does not have \((.*up to 0-2-|[0-9a-f-]{36}:)\d+\)",
    ),
    "writable": ("SET GLOBAL read_only = 0", "SET GLOBAL read_only = 1", "dbslave takes writes although"),
}


@pytest.mark.parametrize("fault", sampled(REFUSALS, ["errant"]))
def test_cluster_that_is_not_well_is_not_switched(fault: str) -> None:
    damage, repair, sentence = REFUSALS[fault]
    deploy(inventory=SSH_INVENTORY)
    prepare("dbmaster")
    sql("dbslave", damage)
    try:
        with writing(*SERVERS) as writer:
            done = switch("dbslave")
        assert done.code
        assert re.search(sentence + ".*Nothing was changed", done.output), done.output
        assert writer.gap < 2
        assert writer.refused == 0 or fault == "writable"
    finally:
        sql("dbslave", repair)
        if fault == "errant":
            forget_own("dbslave", "dbmaster")


@pytest.mark.thorough
def test_statement_that_does_not_end_is_not_waited_for() -> None:
    slow = "INSERT INTO lab_writer.numbers SELECT -1 - SLEEP(25)"
    at_work = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'INSERT % SLEEP(25)'"
    # In this order: on MySQL, who makes sure that the table is there would wait for the statement.
    with writing(*SERVERS) as writer:
        busy = subprocess.Popen(["docker", "exec", nodes.node("dbmaster").container, kind().client, "-e", slow])
        try:
            wait_for("dbmaster", f"{shell(at_work)} | grep -w 1", 10)
            done = switch("dbslave")
        finally:
            busy.wait()
    assert done.code
    # The replica's session is at work for longer, and that is not told.
    assert re.search(r"did not get the lock on all tables within 2 s \(session \d+ of root is at", done.output)
    assert "it takes writes as before" in done.output
    assert writer.gap < LONGEST_GAP
    assert read_only() == ("0", "1")
    sql("dbmaster", "DELETE FROM lab_writer.numbers WHERE n < 0")


def fail_over(*options: str) -> Run:
    # It is left out: pyinfra would end with an error because of it.
    return switch("dbslave", "--exclude", "dbmaster", *options, kind="failover")


def test_living_master_is_not_failed_over() -> None:
    done = fail_over("--data", "accept_loss=dbmaster")
    assert done.code
    assert "dbmaster answers dbslave, so it is alive" in done.output
    assert read_only() == ("0", "1")


@pytest.mark.usefixtures("used_up")
def test_dead_master_is_replaced_and_follows_when_it_is_back() -> None:
    deploy(inventory=SSH_INVENTORY)
    with writing(*SERVERS) as before:
        pass
    wait_until_equal(*SERVERS)
    nodes.kill("dbmaster")
    asked = fail_over()
    assert asked.code
    assert "What dbmaster acknowledged but did not send is lost" in asked.output
    done = fail_over("--data", "accept_loss=dbmaster")
    # The nodes' filestore is dead, too, so their daemons may not start; the databases are switched all the same.
    assert "dbslave is the master now" in done.output, done.output
    assert sql("dbslave", "SELECT @@read_only") == "0"
    assert before.acknowledged <= rows("dbslave")
    nodes.start("dbmaster")
    wait_for("dbmaster", shell("SELECT 1"), 60)
    assert read_only() == ("1", "0"), "the dead one came back beside its successor"
    assert fail_over("--data", "accept_loss=dbmaster").code, "it is alive"
    # What was lost is a replica again, of its own accord.
    deploy_switched()
    assert_roles("dbslave", "dbmaster")
    wait_until_equal("dbslave", "dbmaster")
    assert before.lost("dbmaster") == set()
    assert deploy_switched().changed() == []
    assert Browser().login()["user_id"] == 3


@pytest.mark.thorough
@pytest.mark.usefixtures("used_up")
def test_dead_master_with_transactions_of_its_own_is_shown_and_not_written_to() -> None:
    assert switch("dbslave").code == 0
    deploy_switched()
    prepare("dbslave")
    wait_until_equal("dbslave", "dbmaster")
    sql("dbmaster", "STOP SLAVE IO_THREAD")
    # A new context may be the last that a master makes before it dies.
    sql("dbslave", "INSERT INTO lab_writer.numbers VALUES (-7); CREATE DATABASE oxdatabase_of_a_new_context")
    nodes.kill("dbslave")
    options = ["--exclude", "dbslave", "--data", "accept_loss=dbslave"]
    done = switch("dbmaster", *options, kind="failover", inventory=SWITCHED)
    assert "dbmaster is the master now" in done.output, done.output
    nodes.start("dbslave")
    wait_for("dbslave", shell("SELECT 1"), 60)
    refused = pyinfra(command(inventory=SSH_INVENTORY), env=ENVIRONMENT)
    assert refused.code
    assert re.search(
        r"dbslave was the master, and has transactions that the master lacks \((after 0-2-\d+ up to|[0-9a-f-]{36}:\d)",
        refused.output,
    )
    assert read_only() == ("0", "1")
    assert rows("dbslave") - rows("dbmaster") == {-7}
