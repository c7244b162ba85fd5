"""The words that the terminal and the page have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ox_deploy.findings import Level
from ox_deploy.status.snapshot import HostView, Snapshot
from ox_deploy.topologies.known import TOPOLOGIES

ROLES = {
    "web": "balancer",
    "groupware": "groupware",
    "filestore": "filestore",
}


def level_text(level: Level) -> str:
    """Return a level as people read it."""
    return level.name.lower()


def state_text(host: HostView) -> str:
    """Return a host's state in one word."""
    return level_text(host.level) if host.reachable else "unreachable"


def roles_text(roles: Sequence[str]) -> str:
    """Return what a host is for."""
    words = {**ROLES, **{group: word for topology in TOPOLOGIES for group, word in topology.roles.words.items()}}
    return ", ".join(words.get(role, role) for role in roles)


def time_text(time: datetime) -> str:
    """Return a time to the second, with its zone if it has one."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z").rstrip()


def result_text(snapshot: Snapshot) -> str:
    """Return the whole in one line, such as "critical: 1 critical finding, 2 warnings; 5 hosts, 1 unreachable"."""
    levels = [finding.level for finding in snapshot.findings]
    parts = [
        _count(levels.count(Level.CRITICAL), "critical finding"),
        _count(levels.count(Level.WARNING), "warning"),
    ]
    found = ", ".join(part for part in parts if part) or "nothing is wrong"
    hosts = _count(len(snapshot.hosts), "host") or "no hosts"
    silent = sum(not host.reachable for host in snapshot.hosts)
    return f"{level_text(snapshot.level)}: {found}; {hosts}" + (f", {silent} unreachable" if silent else "")


def _count(number: int, word: str) -> str:
    if number == 0:
        return ""
    return f"1 {word}" if number == 1 else f"{number} {word}s"
