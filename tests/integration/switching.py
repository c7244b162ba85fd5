"""What tests and the benchmark do to switch the lab's master: runs with the inventory of that moment."""

from __future__ import annotations

from tests.integration.deployment import PYINFRA, SSH_INVENTORY, Run, command, pyinfra
from tests.integration.writing import Writer, wait_until_equal, writing

SWITCHED = "tests/lab/inventory_switched.py"
SERVERS = ("dbmaster", "dbslave")
# For the switched inventory, and for lines that are not broken.
ENVIRONMENT = {"OXLAB_MASTER": "dbslave", "COLUMNS": "250"}


def switch_command(kind: str, new: str, *options: str, inventory: str = SSH_INVENTORY) -> list[str]:
    data = ["--data", f"new_master={new}"]
    return [*PYINFRA, "-y", *data, *options, inventory, f"ox_deploy.deploys.switchover.{kind}"]


def switch(new: str, *options: str, kind: str = "switchover", inventory: str = SSH_INVENTORY) -> Run:
    argv = switch_command(kind, new, *options, inventory=inventory)
    return pyinfra(argv, env=ENVIRONMENT)


def switch_under_load(old: str, new: str) -> tuple[Run, Writer]:
    """Switch between the two while rows are written; the run has to succeed, and the new replica to follow."""
    with writing(old, new) as writer:
        done = switch(new, inventory=SSH_INVENTORY if old == SERVERS[0] else SWITCHED)
    assert done.code == 0, done.output
    wait_until_equal(new, old)
    return done, writer


def deploy_switched() -> Run:
    """Deploy with the inventory that a switch has asked for."""
    done = pyinfra(command("--json", inventory=SWITCHED), env=ENVIRONMENT)
    assert done.code == 0, done.output
    return done
