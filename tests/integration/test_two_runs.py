"""Two runs at once: one of them does its work, the other one says who is at work; never are two masters open."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time

import pytest

from tests.integration.database import kind, sql
from tests.integration.deployment import PYINFRA, SSH_INVENTORY, command, dry_run, pyinfra
from tests.integration.status import status
from tests.integration.switching import ENVIRONMENT, SERVERS, SWITCHED, switch_command
from tests.integration.two_runs import Watcher, both, end, loser_of, start, watching
from tests.integration.writing import rows, wait_until_equal, writing
from tests.lab import state
from tests.lab.nodes import exec_in, run, wait_for

pytestmark = [
    pytest.mark.lab,
    pytest.mark.every_server_in_all,
    pytest.mark.usefixtures("cluster"),
]

LEASE = "/var/lib/ox-deploy/lease"
RELEASE = [*PYINFRA, "-y", SSH_INVENTORY, "ox_deploy.deploys.lease.release"]


def with_settings(number: int, *options: str) -> list[str]:
    """A deploy that changes the servers' files."""
    return command(*options, *settings(number), inventory=SSH_INVENTORY)


def settings(number: int) -> list[str]:
    return ["--data", f"mysql_settings={json.dumps({'max_connections': number})}"]


def seed(slave: str, inventory: str, *more: str) -> list[str]:
    options = [*more, "--data", f"seed_slave={slave}", "--data", f"overwrite_slave={slave}"]
    return [*PYINFRA, "-y", *options, inventory, "ox_deploy.deploys.seed.seed"]


def master() -> str:
    """Return who takes writes; that has to be one."""
    found = [server for server in SERVERS if sql(server, "SELECT @@read_only") == "0"]
    assert len(found) == 1, found
    return found[0]


def assert_one_master(watcher: Watcher) -> None:
    assert watcher.seen.looks > 50
    assert not watcher.seen.both, f"both were open, {len(watcher.seen.both)} looks within {watcher.span:.2f} s"
    assert not watcher.seen.missing


def test_second_deploy_drops_no_configdb_that_the_first_one_makes() -> None:
    for node in state.load().with_role("groupware"):
        run(node, "systemctl stop open-xchange-groupware open-xchange-admin")
    names = sql("dbmaster", "SHOW DATABASES").split()
    for name in names:
        if name == "configdb" or name.startswith("oxdatabase"):
            sql("dbmaster", f"DROP DATABASE `{name}`")
    # Its presence leads the vendor's own guard astray.
    sql("dbmaster", "CREATE DATABASE configdb_backup; CREATE TABLE configdb_backup.x (n INT)")
    try:
        with watching() as watcher:
            runs = both(command(inventory=SSH_INVENTORY), command(inventory=SSH_INVENTORY), 0.4)
        assert_one_master(watcher)
        # On a busy machine the one that was started later may come first.
        done, refused = sorted(runs, key=lambda run: run.code)
        assert done.code == 0, done.output
        assert refused.code, refused.output
        assert loser_of(refused) == "deploy"
        assert sql("dbmaster", "SELECT COUNT(*) FROM configdb.context") != "0"
    finally:
        sql("dbmaster", "DROP DATABASE configdb_backup")


@pytest.mark.thorough
def test_runs_that_are_limited_to_different_hosts_meet() -> None:
    one = start(with_settings(161, "--limit", "db_slave"))
    wait_for("dbslave", f"grep -q '^run' {LEASE}", 20)
    # It must not have ended before the others look.
    os.kill(one.pid, signal.SIGSTOP)
    try:
        other = pyinfra(command("--limit", "web", inventory=SSH_INVENTORY), env=ENVIRONMENT)
        assert other.code
        assert loser_of(other) == "deploy of dbslave"
        # Who only looks is not in the way, and nobody is in the way of that.
        assert pyinfra(dry_run("--limit", "web")).code == 0
        looked = status()
        assert "another run" not in looked.output
        assert "a run is at work: deploy of dbslave, by " in looked.output
    finally:
        os.kill(one.pid, signal.SIGCONT)
    done = end(one)
    assert done.code == 0, done.output


def test_lease_of_a_dead_run_is_taken_over_and_its_orders_are_refused() -> None:
    dead = start(with_settings(162))
    wait_for("web", f"grep -q '^run' {LEASE}", 20)
    os.kill(dead.pid, signal.SIGSTOP)
    try:
        second = pyinfra(command(inventory=SSH_INVENTORY), env=ENVIRONMENT)
        assert loser_of(second) == "deploy"
        # As if time had passed.
        for node in state.load().nodes:
            exec_in(node, f"sed -i 's/^until .*/until 1/' {LEASE}")
        third = pyinfra(command(inventory=SSH_INVENTORY), env=ENVIRONMENT)
        assert third.code == 0, third.output
        assert "took over the lease of a dead run: deploy, by" in third.output
    finally:
        os.kill(dead.pid, signal.SIGCONT)
    done = end(dead)
    assert done.code
    assert "this run has lost the lease of the cluster" in done.output
    assert "162" not in run("dbmaster", ["cat", kind().configuration])


@pytest.mark.thorough
def test_lease_can_be_released_by_hand_and_is_given_back_on_an_interrupt() -> None:
    dead = start(with_settings(163))
    wait_for("web", f"grep -q '^run' {LEASE}", 20)
    dead.send_signal(signal.SIGINT)
    end(dead)
    assert exec_in("web", f"grep -q '^run' {LEASE}").code
    dead = start(with_settings(164, "--limit", "web"))
    wait_for("web", f"grep -q '^run' {LEASE}", 20)
    dead.kill()
    dead.wait()
    ended = pyinfra(RELEASE, env=ENVIRONMENT)
    assert "ended the lease of: deploy of web, by" in ended.output
    again = pyinfra(command("--limit", "web", inventory=SSH_INVENTORY), env=ENVIRONMENT)
    assert again.code == 0, again.output
    assert "took over" not in again.output


@pytest.mark.usefixtures("used_up")
def test_switchover_and_a_deploy_with_other_settings() -> None:
    with watching() as watcher, writing(*SERVERS) as writer:
        switched, deployed = both(switch_command("switchover", "dbslave"), with_settings(160), 0.8)
    assert_one_master(watcher)
    assert writer.both == []
    assert (switched.code == 0, deployed.code == 0) in [(True, False), (False, True)], switched.output + deployed.output
    assert loser_of(deployed, switched) == ("switchover to dbslave" if switched.code == 0 else "deploy")
    assert master() == ("dbslave" if switched.code == 0 else "dbmaster")
    assert writer.lost(*SERVERS) == set()


@pytest.mark.usefixtures("used_up")
def test_status_during_a_switch_names_that_and_gives_no_advice_to_deploy() -> None:
    process = start(switch_command("switchover", "dbslave"))
    deadline = time.monotonic() + 60
    while sql("dbslave", "SELECT @@read_only") == "1":
        assert time.monotonic() < deadline, end(process).output
    os.kill(process.pid, signal.SIGSTOP)
    try:
        looked = status()
    finally:
        os.kill(process.pid, signal.SIGCONT)
    done = end(process)
    assert done.code == 0, done.output
    assert {state for state, _ in looked.states} == {"master being switched"}, looked.output
    (finding,) = looked.document["findings"]
    assert "a run is at work: switchover to dbslave, by " in finding["found"]
    assert "deploy" not in finding["remedy"]


# --- all pairs -------------------------------------------------------------------------------------------

SWEEP = int(os.environ.get("OXLAB_STARTS", "60"))


@pytest.mark.thorough
@pytest.mark.usefixtures("used_up")
def test_no_pair_of_commands_opens_two_masters_or_loses_a_row() -> None:
    """So many starts as OXLAB_STARTS says, of any two commands; the seed of the choice is shown."""
    seed_number = int(os.environ.get("OXLAB_SEED", str(time.time_ns() % 100000)))
    chance = random.Random(seed_number)  # noqa: S311 - no secret
    # What the servers' files say: a switch refuses where that is not what the inventory wants.
    connections = 170
    assert pyinfra(with_settings(connections), env=ENVIRONMENT).code == 0
    for number in range(SWEEP):
        now, other = master(), SERVERS[1 - SERVERS.index(master())]
        inventory = SSH_INVENTORY if now == SERVERS[0] else SWITCHED
        same, next_number = settings(connections), 170 + (connections - 169) % 50
        commands = {
            "switchover": switch_command("switchover", other, *same, inventory=inventory),
            "failover": switch_command("failover", other, *same, "--data", f"accept_loss={now}", inventory=inventory),
            "deploy": command(*settings(next_number), inventory=inventory),
            "limit": command(*same, "--limit", "db_slave", inventory=inventory),
            "verify": [*PYINFRA, "-y", *same, inventory, "ox_deploy.deploys.verify.verify"],
            "seed": seed(other, inventory, *same),
            "status": [sys.executable, "-m", "ox_deploy.status", "--json", inventory],
        }
        # What the loser is told of the other one; a status takes no lease.
        doing = {
            "switchover": f"switchover to {other}",
            "failover": f"failover to {other}",
            "deploy": "deploy",
            "limit": f"deploy of {other}",
            "verify": "verify",
            "seed": f"seeding of {other}",
            "status": None,
        }
        one, two = chance.choice(["switchover", *commands]), chance.choice(list(commands))
        offset = round(chance.uniform(0, 2.5), 2)
        with watching(now) as watcher, writing(now, other) as writer:
            first, second = both(commands[one], commands[two], offset)
        what = f"seed {seed_number}, start {number}: {one}, after {offset} s {two}: {first.code}, {second.code}"
        print(what)
        said = what + first.output + second.output
        if "deploy" in (one, two) and f"= {next_number}" in run(now, ["cat", kind().configuration]):
            connections = next_number
        assert not watcher.seen.both, said
        assert writer.both == [], said
        assert not watcher.seen.missing, said
        assert "Traceback" not in said, said
        assert loser_of(first) in (None, doing[two]), said
        assert loser_of(second) in (None, doing[one]), said
        if first.code and second.code and "status" not in (one, two) and "failover" not in (one, two):
            print("neither came to its end:" + said)
        after = master()
        wait_until_equal(after, *(server for server in SERVERS if server != after))
        assert writer.lost(after) == set(), said
        assert rows(SERVERS[0]) == rows(SERVERS[1]), said
