"""Where everything in the drawn picture of the cluster is: boxes, lines and texts, in units of the SVG.

Balancers stand on top, groupware nodes in rows below them, databases and filestore at the bottom. Lines that belong
together share a lane: those of balancing and caches above each row of nodes, those of databases and NFS below it, with
trunks beside the rows. Where a line ends at a node no other does, so its state can be seen there. Graphviz has no
lanes that many lines share, and would have to be installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from ox_deploy.findings import Level
from ox_deploy.status.lines import Point, fit, head, rounded, straightened, text_width
from ox_deploy.status.snapshot import HostView, Link, Snapshot
from ox_deploy.status.words import KINDS, level_text, roles_text, state_text

# Boxes in a row, and their least size.
COLUMNS = 4
BOX_WIDTH = 282
BOX_HEIGHT = 84
# Between boxes of a row; between lines side by side; between a box and its nearest lane, where texts stand.
GAP = 20
LANE = 12
STRIP = 34
# The slot that a line has at a box: from its left to the line, from there to the text, and its width.
PORT = 10
TEXT = 10
LEAST_SLOT = 60
SHARED_SLOT = 100
LARGEST_SLOT = 150
# From a tier's edge to its boxes, with texts between them and without; around all.
PADDING = 28
EDGE = 14
MARGIN = 8
# Sizes of the fonts; the page's style has the same.
NAME_SIZE = 15
TEXT_SIZE = 12
LABEL_SIZE = 11

# The lane that a link takes: its kind, and the host where all of the lane's lines meet ("" if there are several).
Key = tuple[str, str]
# A host's name, and what is known of it.
Item = tuple[str, HostView | None]

CACHES: Key = ("caches", "")
REPLICATION: Key = ("replication", "")


@dataclass(frozen=True)
class Label:
    """A short text beside the end of a line; `mark` is where the sign of a bad state stands on the line."""

    x: int
    y: int
    text: str
    kind: str
    level: Level
    mark: Point


@dataclass(frozen=True)
class Box:
    """A host in one of the tiers; `view` is None for a filestore that is no host of the cluster."""

    name: str
    view: HostView | None
    x: int
    y: int
    width: int
    height: int = BOX_HEIGHT

    @property
    def bottom(self) -> int:
        """Return the lower edge."""
        return self.y + self.height

    @property
    def state(self) -> str:
        """Return the state in words."""
        return state_text(self.view) if self.view else "not managed here"

    @property
    def short_name(self) -> str:
        """Return as much of the name as there is room for. It is bold, which is wider."""
        return fit(self.name, self.width - 2 * EDGE, NAME_SIZE * 1.13)

    @property
    def short_roles(self) -> str:
        """Return what the host is for, as far as there is room."""
        roles = roles_text(self.view.roles) if self.view else "external filestore"
        return fit(roles, self.width - 2 * EDGE, TEXT_SIZE)


@dataclass(frozen=True)
class Arrow:
    """A link as a line through `points`, with right angles. A line between caches has no head."""

    link: Link
    points: tuple[Point, ...]
    label: Label | None

    @property
    def path(self) -> str:
        """Return the line as path data."""
        line = rounded(self.points)
        return line if self.link.kind == "caches" else f"{line} {head(self.points)}"

    @property
    def title(self) -> str:
        """Return all about the link in words."""
        return link_text(self.link)


@dataclass(frozen=True)
class Band:
    """The ground that a tier stands on."""

    y: int
    height: int


@dataclass(frozen=True)
class Picture:
    """All of it; `arrows` are in the order of painting, `labels` are those that belong to several arrows."""

    width: int
    height: int
    bands: tuple[Band, ...]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    labels: tuple[Label, ...]
    description: str


@dataclass(frozen=True)
class _End:
    """Where a line leaves or reaches a box, and the height of the lane that it takes."""

    x: int
    y: int
    lane: int
    slot: int

    def label(self, text: str, kind: str, level: Level = Level.FINE) -> Label:
        """Return a text beside the line, as much of it as there is room for."""
        middle = self.y + (-19 if self.lane < self.y else 19)
        short = fit(text, self.slot - PORT - TEXT, LABEL_SIZE)
        return Label(self.x + TEXT, middle + 4, short, kind, level, (self.x, middle))


Ends = dict[tuple[Key, str], _End]


@dataclass(frozen=True)
class _Row:
    """Boxes side by side, and the heights of the lanes next to them."""

    boxes: tuple[Box, ...]
    above: Mapping[Key, int]
    below: Mapping[Key, int]


@dataclass(frozen=True)
class _Frame:
    """What the picture consists of, and the widths that follow from it.

    `upper` are the lanes above each row of nodes, `lower` those below, with the widths of their slots.
    """

    web: Sequence[Item]
    nodes: Sequence[Sequence[Item]]
    stores: Sequence[Sequence[Item]]
    upper: Mapping[Key, int]
    lower: Mapping[Key, int]
    replicated: bool

    @property
    def box_width(self) -> int:
        return max(BOX_WIDTH, sum(self.upper.values()), sum(self.lower.values()))

    @property
    def left_trunks(self) -> Sequence[Key]:
        """Return the lanes that are joined left of the rows."""
        upper = list(self.upper) if len(self.nodes) > 1 else []
        return [*upper, REPLICATION] if self.replicated and len(self.stores) > 2 else upper

    @property
    def right_trunks(self) -> Sequence[Key]:
        """Return the lanes that are joined right of the rows."""
        return list(self.lower) if len(self.nodes) > 1 else []

    @property
    def left(self) -> int:
        return MARGIN + EDGE + LANE * len(self.left_trunks)

    @property
    def inner_width(self) -> int:
        return self.row_width(max(len(row) for row in (self.web, *self.nodes, *self.stores)))

    @property
    def width(self) -> int:
        return self.left + self.inner_width + LANE * len(self.right_trunks) + EDGE + MARGIN

    def row_width(self, columns: int) -> int:
        return columns * (self.box_width + GAP) - GAP

    def trunk(self, key: Key) -> int:
        """Return where the lanes that a link takes in several rows are joined."""
        if key in self.right_trunks:
            return self.left + self.inner_width + LANE * (self.right_trunks.index(key) + 1)
        return self.left - LANE * (self.left_trunks.index(key) + 1)

    def place(self, items: Sequence[Item], columns: int, y: int) -> tuple[Box, ...]:
        """Return the boxes of a row, in a grid of so many columns that stands in the middle."""
        left = self.left + (self.inner_width - self.row_width(columns)) // 2
        return tuple(
            Box(name, view, left + column * (self.box_width + GAP), y, self.box_width)
            for column, (name, view) in enumerate(items)
        )


def draw(snapshot: Snapshot) -> Picture:
    """Return the picture of a cluster."""
    links = [link if link.target else _to(link, snapshot.external_filestore) for link in snapshot.links]
    frame = _frame(snapshot, links)
    web = frame.place(frame.web, len(frame.web), MARGIN + EDGE)
    nodes = _node_rows(frame, web[0].bottom + STRIP)
    stores = _store_rows(frame, nodes[-1].boxes[0].bottom + 2 * STRIP + LANE * (len(frame.lower) - 1))
    starts = _starts(frame, web, nodes, stores)
    finishes = _finishes(frame, nodes, stores)
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
        arrows=tuple(_arrows(links, _masters(snapshot), frame, starts, finishes)),
        labels=tuple(_labels(links, _masters(snapshot), starts, finishes)),
        description=_description(snapshot, links),
    )


def link_text(link: Link) -> str:
    """Return all about a link in words."""
    return f"{KINDS[link.kind]}, {link.source} to {link.target}: {link.text} ({level_text(link.level)})"


def _to(link: Link, target: str) -> Link:
    return link.model_copy(update={"target": target})


def _masters(snapshot: Snapshot) -> list[str]:
    return [host.name for host in snapshot.hosts if "db_master" in host.roles]


def _frame(snapshot: Snapshot, links: Sequence[Link]) -> _Frame:
    """Sort hosts into tiers, wrap long rows, and give the links their lanes."""
    views = [(host.name, host) for host in snapshot.hosts]
    nodes: list[Item] = [(name, view) for name, view in views if "groupware" in view.roles]
    stores: list[Item] = [(name, view) for name, view in views if set(view.roles) - {"web", "groupware"}]
    if snapshot.external_filestore:
        stores.append((snapshot.external_filestore, None))
    # What the nodes use stands in the first row, where their lines arrive.
    used = {link.target for link in links if link.kind in ("database", "nfs")}
    stores.sort(key=lambda item: item[0] not in used)
    first = max(COLUMNS, len(used))
    places = [name for name, _ in stores]
    lower = sorted(
        (link for link in links if link.kind in ("database", "nfs")), key=lambda link: places.index(link.target)
    )
    upper = [link for link in links if link.kind == "balancing"] + [link for link in links if link.kind == "caches"]
    rows_of_nodes = -(-len(nodes) // COLUMNS)
    return _Frame(
        web=[(name, view) for name, view in views if "web" in view.roles],
        nodes=_wrapped(nodes, -(-len(nodes) // rows_of_nodes)),
        stores=[stores[:first], *_wrapped(stores[first:], COLUMNS)],
        upper=_slots(upper, len(nodes)),
        lower=_slots(lower, len(nodes)),
        replicated=any(link.kind == "replication" for link in links),
    )


def _slots(links: Sequence[Link], nodes: int) -> dict[Key, int]:
    """Return how wide each lane's slot at a node is: as its longest text, within limits."""
    slots: dict[Key, int] = {}
    for link in links:
        text = link.text if link.kind != "caches" else _connected(nodes - 1, nodes - 1)
        needed = PORT + TEXT + ceil(text_width(text, LABEL_SIZE))
        slots[_key(link)] = min(max(needed, slots.get(_key(link), LEAST_SLOT)), LARGEST_SLOT)
    return slots


def _wrapped(items: Sequence[Item], columns: int) -> list[Sequence[Item]]:
    return [items[start : start + columns] for start in range(0, len(items), columns)]


def _key(link: Link) -> Key:
    if link.kind == "balancing":
        return link.kind, link.source
    return link.kind, link.target if link.kind in ("database", "nfs") else ""


def _node_rows(frame: _Frame, y: int) -> list[_Row]:
    rows = []
    for items in frame.nodes:
        above = {key: y + LANE * number for number, key in enumerate(frame.upper)}
        boxes = frame.place(items, len(frame.nodes[0]), y + LANE * (len(above) - 1) + STRIP)
        y = boxes[0].bottom + STRIP
        below = {key: y + LANE * number for number, key in enumerate(frame.lower)}
        rows.append(_Row(boxes, above, below))
        y += LANE * len(below) + GAP
    return rows


def _store_rows(frame: _Frame, y: int) -> list[_Row]:
    """Return rows with the lane of replication between them, or below the only one."""
    rows: list[_Row] = []
    for number, items in enumerate(frame.stores):
        boxes = frame.place(items, len(frame.stores[0]), y)
        ends = number == len(frame.stores) - 1
        lane = {REPLICATION: boxes[0].bottom + STRIP} if frame.replicated and not (ends and rows) else {}
        rows.append(_Row(boxes, rows[-1].below if rows else {}, lane))
        y = boxes[0].bottom + 2 * STRIP
    return rows


def _starts(frame: _Frame, web: Sequence[Box], nodes: Sequence[_Row], stores: Sequence[_Row]) -> Ends:
    """Return where lines start, by lane and host."""
    ends = _caches(frame, nodes) | _replicas(frame, stores)
    for row in nodes:
        for box in row.boxes:
            for key, x, slot in _ports(box, frame.lower):
                ends[key, box.name] = _End(x, box.bottom, row.below[key], slot)
    taken = [x for box in nodes[0].boxes for _, x, _ in _ports(box, frame.upper)]
    for box in web:
        for key, x, slot in _ports(box, _shared(key for key in frame.upper if key == ("balancing", box.name))):
            ends[key, box.name] = _End(_beside(x, taken), box.bottom, nodes[0].above[key], slot)
    return ends


def _finishes(frame: _Frame, nodes: Sequence[_Row], stores: Sequence[_Row]) -> Ends:
    """Return where lines finish, by lane and host."""
    ends = _caches(frame, nodes) | _replicas(frame, stores)
    for row in nodes:
        for box in row.boxes:
            for key, x, slot in _ports(box, frame.upper):
                ends[key, box.name] = _End(x, box.y, row.above[key], slot)
    taken = [x for box in nodes[-1].boxes for _, x, _ in _ports(box, frame.lower)]
    for box in stores[0].boxes:
        for key, x, slot in _ports(box, _shared(key for key in frame.lower if key[1] == box.name)):
            ends[key, box.name] = _End(_beside(x, taken), box.y, nodes[-1].below[key], slot)
    return ends


def _caches(frame: _Frame, nodes: Sequence[_Row]) -> Ends:
    return {
        (key, box.name): _End(x, box.y, row.above[key], slot)
        for row in nodes
        for box in row.boxes
        for key, x, slot in _ports(box, frame.upper)
        if key == CACHES
    }


def _replicas(frame: _Frame, stores: Sequence[_Row]) -> Ends:
    """Return the ends of replication: below the first row of databases, above the others."""
    if not frame.replicated:
        return {}
    ends: Ends = {}
    for row in stores:
        for box in row.boxes:
            [(key, x, slot)] = _ports(box, _shared([REPLICATION]))
            y, lane = (box.bottom, row.below[key]) if row is stores[0] else (box.y, row.above[key])
            ends[key, box.name] = _End(x, y, lane, slot)
    return ends


def _shared(keys: Iterable[Key]) -> dict[Key, int]:
    return dict.fromkeys(keys, SHARED_SLOT)


def _ports(box: Box, slots: Mapping[Key, int]) -> Iterator[tuple[Key, int, int]]:
    """Yield lane, place and slot of the lines that end at one side of a box; the slots are spread over it."""
    spare = box.width - sum(slots.values())
    left = box.x
    for number, (key, slot) in enumerate(slots.items()):
        yield key, left + PORT + spare * (2 * number + 1) // (2 * len(slots)), slot
        left += slot


def _beside(x: int, taken: Sequence[int]) -> int:
    """Return the next place to the right where a line down does not run over another."""
    while any(abs(x - other) < LANE // 2 for other in taken):
        x += LANE // 2
    return x


def _arrows(
    links: Sequence[Link], masters: Sequence[str], frame: _Frame, starts: Ends, finishes: Ends
) -> Iterator[Arrow]:
    """Yield the links as lines. The bad ones come first: what they share with good ones is painted over."""
    for link in sorted(links, key=lambda link: link.level, reverse=True):
        key = _key(link)
        start, finish = starts[key, link.source], finishes[key, link.target]
        points = [(start.x, start.y), (start.x, start.lane), (finish.x, finish.lane), (finish.x, finish.y)]
        if start.lane != finish.lane:
            trunk = frame.trunk(key)
            points[2:2] = [(trunk, start.lane), (trunk, finish.lane)]
        starts_alone = link.kind in ("database", "nfs") or (link.kind == "replication" and link.target in masters)
        alone = start if starts_alone else finish
        label = alone.label(link.text, link.kind, link.level) if link.kind != "caches" else None
        yield Arrow(link, straightened(points), label)


def _labels(links: Sequence[Link], masters: Sequence[str], starts: Ends, finishes: Ends) -> Iterator[Label]:
    """Yield the texts at ends that several lines share."""
    for key in dict.fromkeys(_key(link) for link in links):
        kind, meeting = key
        if key == CACHES:
            yield from _cache_labels(links, starts)
        elif key == REPLICATION:
            yield from (starts[key, name].label(KINDS[kind], kind) for name in masters)
        else:
            end = starts[key, meeting] if kind == "balancing" else finishes[key, meeting]
            yield end.label(KINDS[kind], kind)


def _cache_labels(links: Sequence[Link], starts: Ends) -> Iterator[Label]:
    """Return how many of the other nodes each one is connected with; it is alone if there is none."""
    levels: dict[str, dict[str, Level]] = {}
    for link in links:
        if link.kind == "caches":
            for name, other in ((link.source, link.target), (link.target, link.source)):
                others = levels.setdefault(name, {})
                others[other] = max(link.level, others.get(other, Level.FINE))
    for name, others in levels.items():
        fine = sum(level == Level.FINE for level in others.values())
        yield starts[CACHES, name].label(_connected(fine, len(others)), "caches", min(others.values()))


def _connected(number: int, of: int) -> str:
    return f"{KINDS['caches']} {number}/{of}"


def _band(top: int, bottom: int) -> Band:
    return Band(top, bottom - top)


def _description(snapshot: Snapshot, links: Sequence[Link]) -> str:
    """Say in words what the picture shows: each host, and each link that is not fine."""
    hosts = [f"{host.name} ({roles_text(host.roles)}) is {state_text(host)}." for host in snapshot.hosts]
    if snapshot.external_filestore:
        hosts.append(f"The filestore {snapshot.external_filestore} is not managed here.")
    bad = [f"{link_text(link)}." for link in links if link.level != Level.FINE]
    return " ".join([*hosts, f"Of {len(links)} links, {len(bad) or 'none'} are not fine.", *bad])
