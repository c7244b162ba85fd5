"""Draws the picture of the cluster: boxes, lines and texts, in units of the SVG.

Balancers stand on top, groupware nodes in rows below them, databases and filestore at the bottom. Lines that belong
together share a lane: those of balancing and caches above each row of nodes, those of databases and NFS below it, with
trunks beside the rows. Where a line ends at a node no other does, so its state can be seen there.

It is our own code: Graphviz has no lanes that many lines share, and would have to be installed; CSS draws no lines
between boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ox_deploy.findings import Level
from ox_deploy.status.picture.ends import Ends, finishes_of, starts_of
from ox_deploy.status.picture.lanes import CACHES, REPLICATION, connected, lane_of
from ox_deploy.status.picture.layout import Frame, frame_of, node_rows, store_rows
from ox_deploy.status.picture.lines import straightened
from ox_deploy.status.picture.shapes import Arrow, Band, Label, Picture, link_text
from ox_deploy.status.picture.sizes import EDGE, LANE_GAP, MARGIN, PADDING, STRIP
from ox_deploy.status.snapshot import Link, LinkKind, Snapshot
from ox_deploy.status.words import roles_text, state_text
from ox_deploy.topologies.known import TOPOLOGIES


def draw(snapshot: Snapshot) -> Picture:
    """Return the picture of a cluster."""
    links = [link if link.target else _to(link, snapshot.external_filestore) for link in snapshot.links]
    frame = frame_of(snapshot, links)
    web = frame.place(frame.web, len(frame.web), MARGIN + EDGE)
    nodes = node_rows(frame, web[0].bottom + STRIP)
    stores = store_rows(frame, nodes[-1].boxes[0].bottom + 2 * STRIP + LANE_GAP * (len(frame.lower) - 1))
    starts = starts_of(frame, web, nodes, stores)
    finishes = finishes_of(frame, nodes, stores)
    sources = _sources(snapshot)
    lowest = max([stores[-1].boxes[0].bottom, *stores[-1].below.values()]) + EDGE
    return Picture(
        width=frame.width,
        height=lowest + MARGIN,
        bands=(
            _band(web[0].y - EDGE, web[0].bottom + PADDING),
            _band(nodes[0].boxes[0].y - PADDING, nodes[-1].boxes[0].bottom + PADDING),
            _band(stores[0].boxes[0].y - PADDING, lowest),
        ),
        boxes=(*web, *(box for row in (*nodes, *stores) for box in row.boxes)),
        arrows=tuple(_arrows(links, sources, frame, starts, finishes)),
        labels=tuple(_labels(links, sources, starts, finishes)),
        description=_description(snapshot, links),
    )


def _to(link: Link, target: str) -> Link:
    return link.model_copy(update={"target": target})


def _sources(snapshot: Snapshot) -> list[str]:
    """Return the hosts that others replicate from."""
    groups = {group for topology in TOPOLOGIES for group in topology.roles.replication_sources}
    return [host.name for host in snapshot.hosts if groups & set(host.roles)]


def _arrows(
    links: Sequence[Link], sources: Sequence[str], frame: Frame, starts: Ends, finishes: Ends
) -> Iterator[Arrow]:
    """Yield the links as lines. The bad ones come first: what they share with good ones is painted over."""
    for link in sorted(links, key=lambda link: link.level, reverse=True):
        key = lane_of(link)
        start, finish = starts[key, link.source], finishes[key, link.target]
        points = [(start.x, start.y), (start.x, start.lane_y), (finish.x, finish.lane_y), (finish.x, finish.y)]
        if start.lane_y != finish.lane_y:
            trunk = frame.trunk(key)
            points[2:2] = [(trunk, start.lane_y), (trunk, finish.lane_y)]
        starts_alone = link.kind in (LinkKind.DATABASE, LinkKind.NFS) or (
            link.kind == LinkKind.REPLICATION and link.target in sources
        )
        alone = start if starts_alone else finish
        label = alone.label(link.text, link.kind, link.level) if link.kind != LinkKind.CACHES else None
        yield Arrow(link, straightened(points), label)


def _labels(links: Sequence[Link], sources: Sequence[str], starts: Ends, finishes: Ends) -> Iterator[Label]:
    """Yield the texts at ends that several lines share."""
    for key in dict.fromkeys(lane_of(link) for link in links):
        kind, meeting = key
        if key == CACHES:
            yield from _cache_labels(links, starts)
        elif key == REPLICATION:
            yield from (starts[key, name].label(kind.text, kind) for name in sources)
        else:
            end = starts[key, meeting] if kind == LinkKind.BALANCING else finishes[key, meeting]
            yield end.label(kind.text, kind)


def _cache_labels(links: Sequence[Link], starts: Ends) -> Iterator[Label]:
    """Return how many of the other nodes each one is connected with; it is alone if there is none."""
    levels: dict[str, dict[str, Level]] = {}
    for link in links:
        if link.kind == LinkKind.CACHES:
            for name, other in ((link.source, link.target), (link.target, link.source)):
                others = levels.setdefault(name, {})
                others[other] = max(link.level, others.get(other, Level.FINE))
    for name, others in levels.items():
        fine = sum(level == Level.FINE for level in others.values())
        yield starts[CACHES, name].label(connected(fine, len(others)), LinkKind.CACHES, min(others.values()))


def _band(top: int, bottom: int) -> Band:
    return Band(top, bottom - top)


def _description(snapshot: Snapshot, links: Sequence[Link]) -> str:
    """Say in words what the picture shows: each host, and each link that is not fine."""
    hosts = [f"{host.name} ({roles_text(host.roles)}) is {state_text(host)}." for host in snapshot.hosts]
    if snapshot.external_filestore:
        hosts.append(f"The filestore {snapshot.external_filestore} is not managed here.")
    bad = [f"{link_text(link)}." for link in links if link.level != Level.FINE]
    return " ".join([*hosts, f"Of {len(links)} links, {len(bad) or 'none'} are not fine.", *bad])
