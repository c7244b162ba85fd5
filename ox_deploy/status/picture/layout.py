"""Where the hosts stand, tier by tier, and how high the lanes between them are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from ox_deploy.status.picture.lanes import REPLICATION, Lane, connected, lane_of
from ox_deploy.status.picture.lines import text_width
from ox_deploy.status.picture.shapes import Box
from ox_deploy.status.picture.sizes import (
    BOX_WIDTH,
    COLUMNS,
    EDGE,
    GAP,
    LABEL_SIZE,
    LANE_GAP,
    LARGEST_SLOT,
    LEAST_SLOT,
    MARGIN,
    PORT,
    STRIP,
    TEXT,
)
from ox_deploy.status.snapshot import HostView, Link, LinkKind, Snapshot

# A host's name, and what is known of it.
Item = tuple[str, HostView | None]


@dataclass(frozen=True)
class Row:
    """Boxes side by side, and the heights of the lanes next to them."""

    boxes: tuple[Box, ...]
    above: Mapping[Lane, int]
    below: Mapping[Lane, int]


@dataclass(frozen=True)
class Frame:
    """What the picture consists of, and the widths that follow from it.

    `upper` are the lanes above each row of nodes, `lower` those below, with the widths of their slots.
    """

    web: Sequence[Item]
    nodes: Sequence[Sequence[Item]]
    stores: Sequence[Sequence[Item]]
    upper: Mapping[Lane, int]
    lower: Mapping[Lane, int]
    replicated: bool

    @property
    def box_width(self) -> int:
        """Return how wide each box is: its slots have room side by side."""
        return max(BOX_WIDTH, sum(self.upper.values()), sum(self.lower.values()))

    @property
    def left_trunks(self) -> Sequence[Lane]:
        """Return the lanes that are joined left of the rows."""
        upper = list(self.upper) if len(self.nodes) > 1 else []
        return [*upper, REPLICATION] if self.replicated and len(self.stores) > 2 else upper

    @property
    def right_trunks(self) -> Sequence[Lane]:
        """Return the lanes that are joined right of the rows."""
        return list(self.lower) if len(self.nodes) > 1 else []

    @property
    def left(self) -> int:
        """Return where the widest row begins."""
        return MARGIN + EDGE + LANE_GAP * len(self.left_trunks)

    @property
    def inner_width(self) -> int:
        """Return how wide the widest row is."""
        return self.row_width(max(len(row) for row in (self.web, *self.nodes, *self.stores)))

    @property
    def width(self) -> int:
        """Return how wide the picture is."""
        return self.left + self.inner_width + LANE_GAP * len(self.right_trunks) + EDGE + MARGIN

    def row_width(self, columns: int) -> int:
        """Return how wide a row of so many boxes is."""
        return columns * (self.box_width + GAP) - GAP

    def trunk(self, lane: Lane) -> int:
        """Return where the lanes that a link takes in several rows are joined."""
        if lane in self.right_trunks:
            return self.left + self.inner_width + LANE_GAP * (self.right_trunks.index(lane) + 1)
        return self.left - LANE_GAP * (self.left_trunks.index(lane) + 1)

    def place(self, items: Sequence[Item], columns: int, y: int) -> tuple[Box, ...]:
        """Return the boxes of a row, in a grid of so many columns that stands in the middle."""
        left = self.left + (self.inner_width - self.row_width(columns)) // 2
        return tuple(
            Box(name, view, left + column * (self.box_width + GAP), y, self.box_width)
            for column, (name, view) in enumerate(items)
        )


def frame_of(snapshot: Snapshot, links: Sequence[Link]) -> Frame:
    """Sort hosts into tiers, wrap long rows, and give the links their lanes."""
    views = [(host.name, host) for host in snapshot.hosts]
    nodes: list[Item] = [(name, view) for name, view in views if "groupware" in view.roles]
    stores: list[Item] = [(name, view) for name, view in views if set(view.roles) - {"web", "groupware"}]
    if snapshot.external_filestore:
        stores.append((snapshot.external_filestore, None))
    # What the nodes use stands in the first row, where their lines arrive.
    used = {link.target for link in links if link.kind in (LinkKind.DATABASE, LinkKind.NFS)}
    stores.sort(key=lambda item: item[0] not in used)
    first = max(COLUMNS, len(used))
    places = [name for name, _ in stores]
    lower = sorted(
        (link for link in links if link.kind in (LinkKind.DATABASE, LinkKind.NFS)),
        key=lambda link: places.index(link.target),
    )
    upper = [link for link in links if link.kind == LinkKind.BALANCING] + [
        link for link in links if link.kind == LinkKind.CACHES
    ]
    rows_of_nodes = -(-len(nodes) // COLUMNS)
    return Frame(
        web=[(name, view) for name, view in views if "web" in view.roles],
        nodes=_wrapped(nodes, -(-len(nodes) // rows_of_nodes)),
        stores=[stores[:first], *_wrapped(stores[first:], COLUMNS)],
        upper=_slots(upper, len(nodes)),
        lower=_slots(lower, len(nodes)),
        replicated=any(link.kind == LinkKind.REPLICATION for link in links),
    )


def _slots(links: Sequence[Link], nodes: int) -> dict[Lane, int]:
    """Return how wide each lane's slot at a node is: as its longest text, within limits."""
    slots: dict[Lane, int] = {}
    for link in links:
        text = link.text if link.kind != LinkKind.CACHES else connected(nodes - 1, nodes - 1)
        needed = PORT + TEXT + ceil(text_width(text, LABEL_SIZE))
        slots[lane_of(link)] = min(max(needed, slots.get(lane_of(link), LEAST_SLOT)), LARGEST_SLOT)
    return slots


def _wrapped(items: Sequence[Item], columns: int) -> list[Sequence[Item]]:
    return [items[start : start + columns] for start in range(0, len(items), columns)]


def node_rows(frame: Frame, y: int) -> list[Row]:
    """Return the rows of nodes with the lanes above and below each of them; the first lane is at `y`."""
    rows = []
    for items in frame.nodes:
        above = {key: y + LANE_GAP * number for number, key in enumerate(frame.upper)}
        boxes = frame.place(items, len(frame.nodes[0]), y + LANE_GAP * (len(above) - 1) + STRIP)
        y = boxes[0].bottom + STRIP
        below = {key: y + LANE_GAP * number for number, key in enumerate(frame.lower)}
        rows.append(Row(boxes, above, below))
        y += LANE_GAP * len(below) + GAP
    return rows


def store_rows(frame: Frame, y: int) -> list[Row]:
    """Return the rows of databases and filestore from `y` on, with the lane of replication below the first one."""
    rows: list[Row] = []
    for number, items in enumerate(frame.stores):
        boxes = frame.place(items, len(frame.stores[0]), y)
        ends = number == len(frame.stores) - 1
        lane = {REPLICATION: boxes[0].bottom + STRIP} if frame.replicated and not (ends and rows) else {}
        rows.append(Row(boxes, rows[-1].below if rows else {}, lane))
        y = boxes[0].bottom + 2 * STRIP
    return rows
