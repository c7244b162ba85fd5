"""What the parts of the benchmark share: the clock, and how figures are shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

# By name, in the order in which they are shown.
Figures = dict[str, float]
# Checkouts of this project by what they are called in the figures; the first one is this one.
Builds = dict[str, Path]

# For what is going on: standard output has the figures only.
console = Console(stderr=True)


def seconds(work: Callable[[], Any]) -> float:
    """Return how long something took."""
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def rounded(figures: Figures) -> Figures:
    return {name: round(value, 2) for name, value in figures.items()}


def table(figures: Figures) -> Table:
    shown = Table("what", "figure")
    for name, value in figures.items():
        # Numbers of rows in full.
        shown.add_row(name, f"{value:.12g}")
    return shown
