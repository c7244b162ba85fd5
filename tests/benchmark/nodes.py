"""Many groupware nodes against two, by SSH: with nothing to change, and added to a cluster that runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median

from tests.benchmark.builds import SSH_INVENTORY, Build
from tests.benchmark.figures import Figures, console, in_turn, ratio
from tests.integration.deployment import lab, make_bare_lab

FEW = 2
ROUNDS = 3


def unchanged(builds: Sequence[Build]) -> dict[str, list[float]]:
    """Return the seconds of runs with nothing to change, of each build in turn."""
    return in_turn({build.name: partial(build.deploy, SSH_INVENTORY) for build in builds}, ROUNDS)


def measure(builds: Sequence[Build], groupware: int) -> Figures:
    """Return the figures by name; each build adds nodes to a cluster of its own."""
    figures: Figures = {}
    for build in builds:
        console.print(f"{groupware} groupware nodes, added by the {build.name} build")
        make_bare_lab()
        build.deploy()
        few = unchanged(builds) if build is builds[-1] else {}
        lab("up", "--groupware", str(groupware))
        figures[f"{build.name}: deploy of {groupware - FEW} more nodes, s"] = build.deploy()
    many = unchanged(builds)
    for build in builds:
        name = f"{build.name}: nothing to change by SSH"
        for nodes, taken in ((FEW, few), (groupware, many)):
            figures[f"{name}, {nodes} nodes, s"] = median(taken[build.name])
        figures[f"{name}, {groupware} nodes / {FEW} nodes"] = ratio(many[build.name], few[build.name])
    return figures
