"""`python -m tests.lab`: bring the lab up and down."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import docker
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.lab import engine, images, login, snapshots, state
from tests.lab.browser import Browser
from tests.lab.engine import LabError
from tests.lab.images import ImageError
from tests.lab.ready import NotReady
from tests.lab.state import LabDown

console = Console(stderr=True, highlight=False)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except (LabError, LabDown, ImageError, NotReady) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        sys.exit(1)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
    """Show the newest message in one line that changes; without a terminal, a line every few seconds."""
    with console.status(title) as status:
        last = 0.0

        def show(message: str) -> None:
            nonlocal last
            status.update(f"{title}: {escape(message)}")
            if not console.is_terminal and time.monotonic() - last > 3:
                last = time.monotonic()
                console.print(f"{title}: {escape(message)}", soft_wrap=True)

        yield show


@click.group()
def main() -> None:
    """The Docker lab: bare Debian hosts for the deployment, as containers."""


@main.command()
@click.option("--groupware", default=2, show_default=True, help="Number of groupware nodes.")
@click.option("--slaves", default=1, show_default=True, help="Number of database replicas.")
@click.option("--filestore", is_flag=True, help="Add a file server of its own.")
@click.option("--stranger", is_flag=True, help="Add a host that belongs to no group.")
@click.option(
    "--deployed", is_flag=True, help="Replace the lab by a deployed cluster, from a snapshot if there is one."
)
@click.option(
    "--database",
    envvar="OXLAB_DATABASE",
    type=click.Choice(list(engine.DATABASES)),
    help=f"What the database hosts are for, if not {engine.USUAL_DATABASE}. A running lab keeps its kind.",
)
def up(groupware: int, slaves: int, filestore: bool, stranger: bool, deployed: bool, database: str | None) -> None:
    """Start the lab, or add what is missing to a running one."""
    with _clear_errors():
        client = engine.connect()
        kind = (database or engine.USUAL_DATABASE) if deployed else engine.choose_database(client, database)
        wanted = engine.wishes(groupware, slaves, filestore, stranger, kind)
        with _progress("lab") as progress:
            current = (snapshots.deployed if deployed else engine.up)(client, wanted, progress)
        console.print(f"The lab is up: {', '.join(current.nodes)}", soft_wrap=True)


@main.command("images")
@click.option("--database", default=engine.USUAL_DATABASE, show_default=True, type=click.Choice(list(engine.DATABASES)))
def make_images(database: str) -> None:
    """Make the images that a lab is made from, if they are not there."""
    with _clear_errors(), _progress("lab") as progress:
        client = engine.connect()
        engine.node_images(client, engine.wishes(database=database), progress)
        engine.repo_image(client, progress)


@main.command()
@click.option("--images", "with_images", is_flag=True, help="Remove the images and snapshots, too.")
def down(with_images: bool) -> None:
    """Remove containers, volumes and networks of the lab."""
    with _clear_errors():
        client = engine.connect()
        with _progress("lab: removing"):
            removed = engine.down(client)
            if with_images:
                removed += images.remove_images(client)
        console.print(f"Removed: {', '.join(removed) or 'nothing, there was no lab'}", soft_wrap=True)


@main.command()
def status() -> None:
    """Print the containers of the lab, and all snapshots with their sizes."""
    with _clear_errors():
        client = engine.connect()
        Console().print(_status_table(client))
        if kept := snapshots.find(client):
            Console().print(_snapshot_table(kept))


@main.command()
def check() -> None:
    """Log in through the balancer until every node has answered."""
    with _clear_errors():
        nodes = {node.name for node in state.load().with_role("groupware")}
        answered: set[str] = set()
        for _ in range(10 * len(nodes)):
            browser = Browser()
            browser.login()
            answered.add(browser.whoami()["hostname"])
            if answered == nodes:
                break
        console.print(f"Logged in as {login.USER}; {', '.join(sorted(answered))} answered.")
        if answered != nodes:
            raise LabError(f"{', '.join(sorted(nodes - answered))} never answered.")


@main.command("login")
def print_login() -> None:
    """Print where and as whom a person can log in."""
    with _clear_errors():
        click.echo(login.text())


def _status_table(client: docker.DockerClient) -> Table:
    table = Table("host", "role", "address", "container", "state")
    for name, container in sorted(engine.containers(client).items()):
        node = engine.node(container)
        table.add_row(name, node.role, node.address, node.container, engine.status_of(container))
    return table


def _snapshot_table(kept: list[snapshots.Snapshot]) -> Table:
    table = Table("snapshot", "nodes", "subnet", "made", "MB")
    for snapshot in sorted(kept, key=lambda snapshot: snapshot.created):
        nodes = ", ".join(snapshot.nodes)
        table.add_row(snapshot.key, nodes, snapshot.subnet, snapshot.created[:16], f"{snapshot.bytes / 1e6:.0f}")
    return table


if __name__ == "__main__":
    main()
