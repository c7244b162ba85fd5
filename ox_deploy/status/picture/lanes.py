"""Which lane a link takes, and what is written at it."""

from __future__ import annotations

from ox_deploy.status.snapshot import Link
from ox_deploy.status.words import KINDS

# The lane that a link takes: its kind, and the host where all of the lane's lines meet ("" if there are several).
Lane = tuple[str, str]
CACHES: Lane = ("caches", "")
REPLICATION: Lane = ("replication", "")


def lane_of(link: Link) -> Lane:
    """Return the lane that a link takes."""
    if link.kind == "balancing":
        return link.kind, link.source
    return link.kind, link.target if link.kind in ("database", "nfs") else ""


def connected(number: int, of: int) -> str:
    """Return the text at a node: with how many of the others its caches are connected."""
    return f"{KINDS['caches']} {number}/{of}"
