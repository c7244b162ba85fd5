"""A host, the control machine or the network dies at a step of a switchover; whatever is done then, nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass

import pytest

from tests.integration import seeding
from tests.integration.database import shell
from tests.integration.deployment import SSH_INVENTORY, begun, command, pyinfra
from tests.integration.switching import ENVIRONMENT, SERVERS, SWITCHED, switch, switch_command
from tests.integration.two_runs import watching
from tests.integration.writing import Writer, rows, wait_until_equal, writing
from tests.lab import nodes
from tests.lab.nodes import exec_in, wait_for

pytestmark = [
    pytest.mark.lab,
    pytest.mark.every_server_in_all,
    pytest.mark.thorough,
    pytest.mark.usefixtures("cluster", "used_up"),
]

STOP = "Stop writes on"
OPEN = "Open dbslave for writes"
WRITE = "Write the server's configuration for its new role"
REPLICATE = "Replicate from the master"
NODES = "Configure the node"
STEPS = (STOP, OPEN, WRITE, REPLICATE, NODES)
OLD, NEW = SERVERS
DIVERGED = f"{OLD} was the master, and has transactions that the master lacks"
# What a run may take to notice that a host is gone; then somebody ends it.
PATIENCE_SECONDS = 12


@dataclass(frozen=True)
class Death:
    """What dies when a step begins, and what is done first when it is back, or before."""

    step: str
    dies: str
    then: str = "deploy"
    early: bool = False

    def __str__(self) -> str:
        return f"{self.dies} at {self.step.split(' ')[0]}, {self.then}{' before it is back' if self.early else ''}"


MATRIX = [
    Death(step, dies, then, early)
    for step in STEPS
    for dies in ("old", "new", "control", "network")
    for then in ("deploy", "switchover", "failover")
    for early in (False, True)
    if not (early and dies in ("control", "network"))
]


def run_until(death: Death) -> None:
    """Begin a switchover, and let something die when a step begins."""
    process, seen = begun(switch_command("switchover", NEW), death.step, ENVIRONMENT)
    assert process.poll() is None, f"the run ended before {death.step}:\n{seen}"
    if death.dies == "control":
        os.killpg(process.pid, signal.SIGKILL)
    elif death.dies == "network":
        nodes.disconnect(NEW)
    else:
        nodes.kill(OLD if death.dies == "old" else NEW)
    try:
        process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def come_back(death: Death) -> None:
    if death.dies == "network":
        nodes.reconnect(NEW)
    elif death.dies in ("old", "new"):
        node = OLD if death.dies == "old" else NEW
        nodes.start(node)
        wait_for(node, shell("SELECT 1"), 60)
    else:
        # A program that was left alone ends.
        time.sleep(3)


def next_command(then: str, *options: str) -> tuple[int, str]:
    if then == "deploy":
        done = pyinfra(command(*options, inventory=SSH_INVENTORY), env=ENVIRONMENT)
    elif then == "switchover":
        done = switch(NEW, *options)
    else:
        done = switch(NEW, *options, "--data", f"accept_loss={OLD}", kind="failover")
    assert "Traceback" not in done.output, done.output
    return done.code, done.output


def is_open(server: str) -> bool:
    done = exec_in(server, shell("SELECT @@read_only"))
    return done.code == 0 and done.stdout.strip() == "0"


def check(death: Death) -> None:
    with watching() as watcher:
        with writing(*SERVERS) as writer:
            run_until(death)
            if death.early:
                lost = OLD if death.dies == "old" else NEW
                next_command(death.then, "--exclude", lost)
                come_back(death)
            else:
                come_back(death)
                code, output = next_command(death.then)
                check_answer(death, code, output)
            complete(writer, death)
        assert writer.both == [], death
    assert watcher.seen.both == [], death
    assert not watcher.seen.missing, death


def check_answer(death: Death, code: int, output: str) -> None:
    """A deploy of the old inventory goes on as if nothing had been, or says who took over or is about to."""
    if death.then == "deploy" and code:
        # The programs of a dead run end by themselves.
        said = r"dbslave is in `db_slave` but has taken over|replicates from dbslave|the master is being switched"
        assert re.search(said, output), output
        assert "nothing was changed" in output
    elif death.then == "deploy":
        assert is_open(OLD) and not is_open(NEW), output
    elif death.then == "switchover":
        assert code == 0, output
        assert is_open(NEW) and not is_open(OLD), output


def complete(writer: Writer, death: Death) -> None:
    """The switchover comes to its end from anywhere, and every acknowledged row is on both."""
    for _ in range(3):
        time.sleep(1)
        if sum(map(is_open, SERVERS)) == 0:
            # The guard of a dead run may be about to open again.
            time.sleep(15)
        done = switch(NEW)
        if done.code == 0 or DIVERGED in done.output:
            break
        repaired = pyinfra(command(inventory=SSH_INVENTORY), env=ENVIRONMENT)
        print(done.output[-1500:], repaired.output[-1500:])
    writer.stop()
    time.sleep(2)
    unsent = seed_old(writer, death, done.output) if done.code else set()
    wait_until_equal(NEW, OLD)
    assert writer.lost(NEW) == writer.lost(OLD) == unsent
    assert rows(NEW) == rows(OLD)


def seed_old(writer: Writer, death: Death, said: str) -> set[int]:
    """What a dead master did not send is lost only by a failover, which says so; then it is seeded as it is told.

    Returns these rows.
    """
    assert death.then == "failover", said
    assert DIVERGED in said, said
    assert writer.lost(NEW, OLD) == set()
    unsent = writer.lost(NEW)
    assert unsent
    command = seeding.command("--data", f"overwrite_slave={OLD}", inventory=SWITCHED, slave=OLD)
    done = pyinfra(command, env=ENVIRONMENT)
    assert done.code == 0, done.output
    return unsent


@pytest.mark.parametrize("death", MATRIX, ids=str)
def test_switch_is_completed_or_refused_wherever_anything_dies(death: Death) -> None:
    check(death)
