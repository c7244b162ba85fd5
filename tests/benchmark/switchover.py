"""Switchovers there and back under load: how long nothing can be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmark.figures import Figures, console
from tests.integration.deployment import deploy, make_bare_lab
from tests.integration.switching import SERVERS, switch_under_load

TIMES = 10


@dataclass(frozen=True)
class Switch:
    """What the writer saw of one: the seconds between two acknowledged rows, and how many rows there were."""

    gap: float
    acknowledged: int
    lost: int


def measure() -> Figures:
    """Return the figures by name, of a lab with five nodes."""
    make_bare_lab()
    deploy()
    switches = []
    old, new = SERVERS
    for _ in range(TIMES):
        _, writer = switch_under_load(old, new)
        # Both have to have it: the next switch makes the other one the master.
        lost = writer.lost(old) | writer.lost(new)
        switches.append(Switch(writer.gap, len(writer.acknowledged), len(lost)))
        console.print(f"  from {old} to {new}: {writer.gap:.2f} s, {len(lost)} rows lost")
        old, new = new, old
    return figures_of(switches)


def figures_of(switches: Sequence[Switch]) -> Figures:
    gaps = [switch.gap for switch in switches]
    name = f"{len(switches)} switchovers"
    return {
        f"{name}: write gap, median, s": median(gaps),
        f"{name}: write gap, maximum, s": max(gaps),
        f"{name}: rows acknowledged": sum(switch.acknowledged for switch in switches),
        f"{name}: rows lost": sum(switch.lost for switch in switches),
    }
