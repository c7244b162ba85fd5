"""Which lane a link takes, and what is written at it."""

from __future__ import annotations

from ox_deploy.status.snapshot import Link, LinkKind

# The lane that a link takes: its kind, and the host where all of the lane's lines meet ("" if there are several).
Lane = tuple[LinkKind, str]
CACHES: Lane = (LinkKind.CACHES, "")
REPLICATION: Lane = (LinkKind.REPLICATION, "")


def lane_of(link: Link) -> Lane:
    """Return the lane that a link takes."""
    if link.kind == LinkKind.BALANCING:
        return link.kind, link.source
    return link.kind, link.target if link.kind in (LinkKind.DATABASE, LinkKind.NFS) else ""


def connected(number: int, of: int) -> str:
    """Return the text at a node: with how many of the others its caches are connected."""
    return f"{LinkKind.CACHES.text} {number}/{of}"
