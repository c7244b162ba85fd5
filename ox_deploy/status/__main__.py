"""`python -m ox_deploy.status inventory.py`: what is wrong right now.

Exit code for a monitoring system: 0 fine, 1 warning, 2 critical, 3 if the status could not be taken.
"""

from __future__ import annotations

# Before anything else.
import ox_deploy.status.patched  # noqa: F401 - patches what others import # isort: skip

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from ox_deploy.errors import InputError
from ox_deploy.questions.pyinfra_internals import ask_no_password, look_up_once
from ox_deploy.status import memory
from ox_deploy.status.gather import gather
from ox_deploy.status.page import render_page
from ox_deploy.status.snapshot import Changes, Snapshot, compare
from ox_deploy.status.states.find import find
from ox_deploy.status.table import print_snapshot
from ox_deploy.status.view import view

CANNOT_TELL = 3


def refuse_to_ask(prompt: str = "", stream: TextIO | None = None) -> str:
    """Stand in for the question for a password: nobody may be there, and all hosts would wait."""
    raise EOFError


def take_snapshot(inventory_file: str, ssh_user: str | None, sudo: bool) -> Snapshot:
    """Look at all hosts of an inventory and return what they are like."""
    cluster, seen = gather(inventory_file, ssh_user, sudo)
    return view(cluster, seen, find(cluster, seen), datetime.now(UTC))


def show(snapshot: Snapshot, changes: Changes, as_json: bool) -> None:
    """Print a status for people, or for other programs."""
    if as_json:
        document = {"level": int(snapshot.level), **snapshot.model_dump(mode="json")}
        click.echo(json.dumps(document | {"changes": changes.model_dump(mode="json")}, indent=2))
    else:
        print_snapshot(Console(), snapshot, changes)


@click.command()
@click.argument("inventory", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--html", type=click.Path(dir_okay=False, writable=True), help="Also write a page with a picture.")
@click.option("--ssh-user", help="User to log in as over SSH.")
@click.option("--sudo", is_flag=True, help="Become root with sudo on the hosts.")
def main(inventory: str, as_json: bool, html: str | None, ssh_user: str | None, sudo: bool) -> None:
    """Show what is wrong in the cluster of INVENTORY right now. Reads only."""
    logging.getLogger("pyinfra").setLevel(logging.CRITICAL + 1)
    ask_no_password(refuse_to_ask)
    look_up_once()
    snapshot = take_snapshot(inventory, ssh_user, sudo)
    file = memory.state_file(inventory)
    changes = compare(memory.load(file), snapshot)
    show(snapshot, changes, as_json)
    sys.stdout.flush()
    if html:
        Path(html).write_text(render_page(snapshot, changes), encoding="utf-8")
    try:
        memory.save(file, snapshot)
    except OSError as error:
        click.echo(f"This status could not be saved, so the next one cannot be compared with it: {error}", err=True)
    # A host that does not answer may hold a thread or a child process that is still waiting for it.
    os._exit(snapshot.level)


def run() -> None:
    """Run the command; whatever keeps it from telling the status ends with the exit code for that."""
    try:
        sys.exit(main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
    except click.Abort:
        click.echo("Interrupted.", err=True)
    except InputError as error:
        click.echo(str(error), err=True)
    except Exception as error:
        click.echo(f"The status could not be taken: {type(error).__name__}: {error}", err=True)
    sys.exit(CANNOT_TELL)


if __name__ == "__main__":
    run()
