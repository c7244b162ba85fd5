"""`python -m tests.benchmark [PART]...`: how long deploys, seedings and switchovers take in the lab.

It replaces the lab that is up. Figures are printed, not judged: compare them with those in docs/performance.md, taken
on the same kind of machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
from rich.console import Console

from tests.benchmark import deploys, seeding, switchover
from tests.benchmark.figures import Figures, console, rounded, table
from tests.integration.deployment import lab

PARTS = ("deploys", "seeding", "switchover")


def measure(parts: Sequence[str], groupware: int, megabytes: int) -> Figures:
    """Return the figures of these parts by name; each part makes a lab of its own."""
    figures: Figures = {}
    for part in parts:
        console.print(f"[bold]{part}")
        if part == "deploys":
            figures |= deploys.measure(groupware)
        elif part == "seeding":
            figures |= seeding.measure(megabytes)
        else:
            figures |= switchover.measure()
    lab("down")
    return rounded(figures)


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--groupware", default=20, show_default=True, help="Nodes of the large cluster; 2 leaves it out.")
@click.option("--megabytes", default=1000, show_default=True, help="Data that is seeded.")
def main(parts: Sequence[str], as_json: bool, groupware: int, megabytes: int) -> None:
    """Measure PARTS in the lab, all of them by default."""
    figures = measure(parts or PARTS, groupware, megabytes)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        Console().print(table(figures))


if __name__ == "__main__":
    main()
