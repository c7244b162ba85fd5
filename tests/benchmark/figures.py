"""What the parts of the benchmark share: the clock, and how figures are shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

# By name, in the order in which they are shown.
Figures = dict[str, float]

# For what is going on: standard output has the figures only.
console = Console(stderr=True)


def seconds(work: Callable[[], Any]) -> float:
    """Return how long something took."""
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def in_turn(works: Mapping[str, Callable[[], float]], times: int) -> dict[str, list[float]]:
    """Return what each work measures, so many times, all of them once before any comes again."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(times):
        # Each goes first in turn: other work on the machine is not always the same one's.
        for name in list(works)[:: 1 if number % 2 == 0 else -1]:
            taken[name].append(works[name]())
            console.print(f"  {name}: {taken[name][-1]:.2f}")
    return taken


def ratio(some: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios of what was measured one right after the other."""
    return median(one / other for one, other in zip(some, others, strict=True))


def rounded(figures: Figures) -> Figures:
    return {name: round(value, 2) for name, value in figures.items()}


def table(figures: Figures) -> Table:
    shown = Table("what", "figure")
    for name, value in figures.items():
        # Numbers of rows in full.
        shown.add_row(name, f"{value:.12g}")
    return shown
