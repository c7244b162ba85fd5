"""A change of a running cluster is cut off, and run again: the hosts are as if nothing had happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.cuts import CUTS, wait_until_hosts_are_back
from tests.integration.deployment import SSH_INVENTORY, begun, command, lab, pyinfra
from tests.integration.fingerprint import differences, fingerprint
from tests.integration.samples import sampled
from tests.lab import engine, keys, state
from tests.lab.browser import Browser

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("cluster")]

WITHOUT = "tests/lab/inventory_without.py"
CERTIFICATE, KEY = state.TLS_CERTIFICATE.with_suffix(".other"), state.TLS_KEY.with_suffix(".other-key")


@dataclass(frozen=True)
class Change:
    """What is changed, by which run, and what the hosts need before."""

    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    inventory: str = SSH_INVENTORY
    trusted: Path = state.TLS_CERTIFICATE
    prepare: Callable[[], object] = lambda: None

    def run(self) -> list[tuple[str, str]]:
        """Make it; returns the operations that changed something, each with its host."""
        done = pyinfra(self.argv, env=self.env)
        assert done.code == 0, done.output
        return [(operation["name"], host) for operation in done.operations for host in sorted(operation["success"])]

    @property
    def argv(self) -> list[str]:
        return command("--json", *self.options, inventory=self.inventory)


def remove_node() -> None:
    """Take a node out of the cluster, and put a bare one in its place."""
    CHANGES["removed node"].run()
    client = engine.connect()
    engine.remove_node(client, "oxgw02")
    engine.refresh(client)
    lab("up")


CHANGES = {
    "password": Change(env={"OX_DEPLOY_MYSQL_OPENEXCHANGE": "Changed-and-strong-8"}),
    "certificate": Change(
        options=("--data", f"web_certificate={CERTIFICATE}", "--data", f"web_certificate_key={KEY}"),
        trusted=CERTIFICATE,
    ),
    "port": Change(options=("--data", "cache_multicast_port=6790")),
    "removed node": Change(
        options=("--data", "remove_stale_accounts=true"),
        env={"OXLAB_WITHOUT": "oxgw02"},
        inventory=WITHOUT,
    ),
    "added node": Change(prepare=remove_node),
}


# Of each change one operation, of each cut one.
SAMPLE = {
    "password": ("Restart the daemons", "run killed"),
    "certificate": ("Balance sessions", "host killed"),
    "port": ("Configure the node", "host frozen"),
    "removed node": ("Make the accounts", "connection lost"),
    "added node": ("Configure the node", "run and program killed"),
}
# A host that dies, and one that cannot be reached: those are what an administrator meets.
ON_EACH_CHANGE = ("certificate", "removed node")
# In which second of an operation it is cut off: at once, and in the middle of those that take their time.
MOMENTS = (0, 2)


@pytest.fixture(scope="module", autouse=True)
def other_certificate(cluster: object) -> None:
    """Make another certificate and its key beside those of the lab."""
    own = {file: file.read_text() for file in (state.TLS_CERTIFICATE, state.TLS_KEY)}
    keys.replace_certificate(days=300)
    for file, other in ((state.TLS_CERTIFICATE, CERTIFICATE), (state.TLS_KEY, KEY)):
        state.write_private(other, file.read_text())
        state.write_private(file, own[file])


def cut_off(change: Change, operation: str, node: str, cut: str, second: float) -> None:
    """Begin the change, and cut it off some seconds after an operation has begun, if it takes so long."""
    process, _ = begun(change.argv, operation, change.env)
    time.sleep(second)
    if process.poll() is None:
        CUTS[cut](process, node)


def back_to_the_usual() -> None:
    done = pyinfra(command(inventory=SSH_INVENTORY))
    assert done.code == 0, done.output


def made_undisturbed(change: Change) -> tuple[list[tuple[str, str]], dict[str, set[str]]]:
    change.prepare()
    return change.run(), fingerprint()


def assert_completed(
    change: Change,
    wanted: dict[str, set[str]],
    steps: list[tuple[str, str]],
    cut: str,
    moments: Sequence[float] = MOMENTS,
) -> None:
    """The change is cut off in each of these operations, and run again; all hosts are as if it had been undisturbed."""
    back_to_the_usual()
    change.prepare()
    assert differences(wanted, fingerprint()), "there is nothing to change"
    for operation, node, second in [(*step, second) for step in steps for second in moments]:
        cut_off(change, operation, node, cut, second)
        wait_until_hosts_are_back()
    change.run()
    assert differences(wanted, fingerprint()) == [], (steps, cut)
    assert Browser(trusted=change.trusted).login()["user_id"] == 3


@pytest.mark.usefixtures("used_up")
@pytest.mark.parametrize("name", sampled(SAMPLE, ON_EACH_CHANGE))
def test_change_that_is_cut_off_is_completed_by_the_next_run(name: str) -> None:
    change, (operation, cut) = CHANGES[name], SAMPLE[name]
    steps, wanted = made_undisturbed(change)
    assert_completed(change, wanted, [step for step in steps if operation in step[0]][-1:], cut, MOMENTS[:1])


@pytest.mark.thorough
@pytest.mark.usefixtures("used_up")
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", CHANGES)
def test_change_that_is_cut_off_in_every_operation_is_completed_by_the_last_run(name: str, cut: str) -> None:
    change = CHANGES[name]
    steps, wanted = made_undisturbed(change)
    assert_completed(change, wanted, steps, cut)
