"""`python -m tests.benchmark [PART]...`: how long deploys, seedings and switchovers take in the lab.

It replaces the lab that is up. Figures are printed, not judged: compare them with those in docs/performance.md, taken
on the same kind of machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console

from tests.benchmark import by_ansible, control, deploys, nodes, seeding, switchover
from tests.benchmark.builds import Build, builds
from tests.benchmark.figures import Figures, console, rounded, table
from tests.integration.deployment import lab

PARTS = ("control", "deploys", "ansible", "nodes", "seeding", "switchover")
WITHOUT_LAB = {"control"}


def measure(parts: Sequence[str], compared: Sequence[Build], groupware: int, megabytes: int) -> Figures:
    """Return the figures of these parts by name; each part but `control` makes a lab of its own."""
    work: dict[str, Callable[[], Figures]] = {
        "control": lambda: control.measure(compared),
        "deploys": lambda: deploys.measure(compared),
        "ansible": lambda: by_ansible.measure(compared),
        "nodes": lambda: nodes.measure(compared, groupware),
        "seeding": lambda: seeding.measure(megabytes),
        "switchover": switchover.measure,
    }
    figures: Figures = {}
    for part in parts:
        console.print(f"[bold]{part}")
        figures |= work[part]()
    if set(parts) - WITHOUT_LAB:
        lab("down")
    return rounded(figures)


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--groupware", default=20, show_default=True, help="Nodes of the large cluster.")
@click.option("--megabytes", default=1000, show_default=True, help="Data that is seeded.")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another checkout, whose deploys are measured in turn with this one's.",
)
def main(parts: Sequence[str], as_json: bool, groupware: int, megabytes: int, against: Path | None) -> None:
    """Measure PARTS in the lab, all of them by default."""
    with builds(against) as compared:
        figures = measure(parts or PARTS, compared, groupware, megabytes)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        Console().print(table(figures))


if __name__ == "__main__":
    main()
