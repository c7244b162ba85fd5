"""What the states are made of: the observation that they look at, the problems they find, and their form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median_low

from ox_deploy.cluster import Cluster, Node
from ox_deploy.facts.service import ServiceStatus
from ox_deploy.findings import Finding, Level, NamedState
from ox_deploy.questions.lease import Holder
from ox_deploy.status.seen import Seen


class Observation:
    """The cluster with what was seen of its hosts; one that nothing was seen of counts as unreachable."""

    def __init__(self, cluster: Cluster, seen: Iterable[Seen]) -> None:
        self.cluster = cluster
        by_name = {one.node.name: one for one in seen}
        self.seen = {
            node.name: by_name.get(node.name) or Seen(node, unreachable="it was not asked") for node in cluster.nodes
        }

    def of(self, node: Node) -> Seen:
        """Return what was seen of a host."""
        return self.seen[node.name]

    def answering(self, nodes: Iterable[Node]) -> list[Seen]:
        """Return what was seen of those of the hosts that could be asked."""
        return [self.of(node) for node in nodes if not self.of(node).unreachable]

    @property
    def clock(self) -> float:
        """Return the time in seconds since 1970 that the hosts agree on, or 0 if none said it."""
        times = [seen.health.time for seen in self.answering(self.cluster.nodes) if seen.health and seen.health.time]
        return median_low(times) if times else 0

    @property
    def run_at_work(self) -> tuple[Node, Holder] | None:
        """Return which run has the lease of the cluster, with the first host that says so; None if there is none."""
        held = ((seen.node, seen.health.lease) for seen in self.answering(self.cluster.nodes) if seen.health)
        return next(((node, lease.holder) for node, lease in held if lease), None)


@dataclass(frozen=True)
class Problem:
    """What a state's function finds on a host.

    `about` is another host that it has to do with, or a path; `level` and `remedy` stand where they are not those of
    the state.
    """

    node: Node
    found: str
    wanted: str
    about: str = ""
    level: Level | None = None
    remedy: str = ""


Detect = Callable[[Observation], Iterable[Problem]]


@dataclass(frozen=True)
class State(NamedState):
    """A named state, with the function that looks for it; without a `remedy` each of its problems has one."""

    level: Level
    remedy: str
    detect: Detect

    def findings(self, observed: Observation) -> Iterator[Finding]:
        """Return where the state is found."""
        for problem in self.detect(observed):
            yield Finding(
                state=self.name,
                level=self.level if problem.level is None else problem.level,
                host=problem.node.name,
                found=problem.found,
                wanted=problem.wanted,
                remedy=problem.remedy or self.remedy,
                about=problem.about,
            )


def state(name: str, level: Level, remedy: str = "") -> Callable[[Detect], State]:
    """Make a named state of the function that looks for it."""
    return lambda detect: State(name, level, remedy, detect)


def idle_units(service: ServiceStatus | None) -> str:
    """Say which units of a service are not active, or nothing."""
    status = service or ServiceStatus()
    if not status.units:
        return "nothing is known about its units"
    return ", ".join(f"{name} is not active" for name, unit in status.units.items() if not unit.active)
