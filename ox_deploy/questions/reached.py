"""A run that reached no host is no success.

pyinfra only warns of a `--limit` that matches nothing, calls no deploy code then, and ends with 0. So the one place of
ours that is read in any case, config.py, has a look taken when pyinfra's command ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

import click
from pyinfra.api import Inventory

from ox_deploy.questions.pyinfra_internals import at_end_of_command, current_inventory, limits_of_command

NO_HOST = "No host was reached, so nothing was done"


def fail_without_hosts() -> None:
    """Have pyinfra's command fail at its end where it left out all hosts, or where a name in `--limit` is none."""
    limits = limits_of_command()
    if limits is not None:
        at_end_of_command(lambda: _look(*limits))


def _look(limit: Sequence[str], exclude: Sequence[str]) -> None:
    inventory = current_inventory()
    sentence = find_fault(inventory, limit, exclude) if inventory is not None else None
    if sentence:
        click.echo(sentence, err=True)
        raise SystemExit(1)


def find_fault(inventory: Inventory, limit: Sequence[str], exclude: Sequence[str]) -> str | None:
    """Return a sentence if `--limit` and `--exclude` leave no host, or one of them names none; else None."""
    if not list(inventory):
        return f"{NO_HOST}: the inventory has no host; add the hosts."
    lost = [pattern for pattern in limit if not _matches(inventory, pattern)]
    chosen = {name for pattern in limit for name in _matches(inventory, pattern)} if limit else _names(inventory)
    left = chosen - {name for pattern in exclude for name in _matches(inventory, pattern)}
    if lost:
        options = " ".join(f"--limit {pattern}" for pattern in lost)
        done = NO_HOST if not left else "The others were done"
        return f"`{options}` is neither a host nor a group of the inventory; correct the name and run again. {done}."
    if not left:
        return f"{NO_HOST}: `--limit` and `--exclude` leave none; name at least one host."
    return None


def _names(inventory: Inventory) -> set[str]:
    return {host.name for host in inventory}


def _matches(inventory: Inventory, pattern: str) -> set[str]:
    group = inventory.get_group(pattern, None)
    if group is not None:
        return {host.name for host in group}
    return {name for name in _names(inventory) if fnmatch(name, pattern)}
