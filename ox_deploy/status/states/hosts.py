"""States that any host can be in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ox_deploy.clocks import CLOCK_SECONDS, ClockReading, apart, direction
from ox_deploy.cluster import Node
from ox_deploy.facts.health import Disk, Health
from ox_deploy.findings import Level
from ox_deploy.questions.lease import Holder
from ox_deploy.status.states.base import Observation, Problem, state

DISK_WARNING, DISK_CRITICAL = 85, 95


@state("host unreachable", Level.CRITICAL, "start the host, or fix its network or the login there")
def host_unreachable(observed: Observation) -> Iterator[Problem]:
    """Find hosts that could not be asked."""
    for seen in observed.seen.values():
        if seen.unreachable:
            yield Problem(seen.node, f"it cannot be asked: {seen.unreachable}", "it answers")


@state(
    "disk nearly full",
    Level.WARNING,
    "make room there (old logs in /var/log, binary logs with `PURGE BINARY LOGS`), or give it a larger disk",
)
def disk_nearly_full(observed: Observation) -> Iterator[Problem]:
    """Find file systems with little room, each one once."""
    for seen in observed.answering(observed.cluster.nodes):
        paths: dict[tuple[int, int], list[Disk]] = defaultdict(list)
        for disk in (seen.health or Health()).disks:
            paths[disk.size, disk.free].append(disk)
        for disks in paths.values():
            used = percent_used(disks[0])
            if used >= DISK_WARNING:
                yield Problem(
                    seen.node,
                    f"{disk_use(disks[0])} is used on the file system of {', '.join(disk.path for disk in disks)}",
                    f"less than {DISK_WARNING} % is used",
                    about=disks[0].path,
                    level=Level.CRITICAL if used >= DISK_CRITICAL else Level.WARNING,
                )


@state(
    "clock differs",
    Level.WARNING,
    "set the clock there, and keep it right with a time service (`timedatectl` shows whether there is one)",
)
def clock_differs(observed: Observation) -> Iterator[Problem]:
    """Find hosts whose clock is not that of most others."""
    readings = {
        seen.node.name: ClockReading(seen.health.time, *seen.between)
        for seen in observed.answering(observed.cluster.nodes)
        if seen.health and seen.health.time
    }
    for name, seconds in apart(readings).items():
        yield Problem(
            observed.seen[name].node,
            f"its clock is {direction(seconds)}",
            f"all clocks are the same within {CLOCK_SECONDS} s",
        )


WAIT = "wait until it has ended, then take the status again; if it is dead, its lease ends within a minute"


@state("run at work", Level.FINE, WAIT)
def run_at_work(observed: Observation) -> Iterator[Problem]:
    """Find out which run changes the cluster just now."""
    if observed.run_at_work:
        yield described_run(*observed.run_at_work)


def described_run(node: Node, holder: Holder) -> Problem:
    """Say of a run that it is at work."""
    return Problem(node, f"a run is at work: {holder}", "no run changes the cluster")


def percent_used(disk: Disk) -> int:
    """Return how full a file system is for users other than root."""
    return 100 * (disk.size - disk.free) // disk.size if disk.size else 0


def disk_use(disk: Disk) -> str:
    """Return how full a file system is, such as "12 % of 40 GB"."""
    size, unit = disk.size / 1e9, "GB"
    if size < 1:
        size, unit = disk.size / 1e6, "MB"
    return f"{percent_used(disk)} % of {size:.0f} {unit}"
