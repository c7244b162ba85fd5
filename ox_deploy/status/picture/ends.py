"""Where lines leave and reach the boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ox_deploy.findings import Level
from ox_deploy.status.picture.lanes import CACHES, REPLICATION, Lane
from ox_deploy.status.picture.layout import Frame, Row
from ox_deploy.status.picture.lines import fit
from ox_deploy.status.picture.shapes import Box, Label
from ox_deploy.status.picture.sizes import LABEL_SIZE, LANE_GAP, PORT, SHARED_SLOT, TEXT
from ox_deploy.status.snapshot import LinkKind


@dataclass(frozen=True)
class End:
    """Where a line leaves or reaches a box, and the height of the lane that it takes."""

    x: int
    y: int
    lane_y: int
    slot: int

    def label(self, text: str, kind: LinkKind, level: Level = Level.FINE) -> Label:
        """Return a text beside the line, as much of it as there is room for."""
        middle = self.y + (-19 if self.lane_y < self.y else 19)
        short = fit(text, self.slot - PORT - TEXT, LABEL_SIZE)
        return Label(self.x + TEXT, middle + 4, short, kind, level, (self.x, middle))


Ends = dict[tuple[Lane, str], End]


def starts_of(frame: Frame, web: Sequence[Box], nodes: Sequence[Row], stores: Sequence[Row]) -> Ends:
    """Return where lines start, by lane and host."""
    ends = _caches(frame, nodes) | _replicas(frame, stores)
    for row in nodes:
        for box in row.boxes:
            for key, x, slot in _ports(box, frame.lower):
                ends[key, box.name] = End(x, box.bottom, row.below[key], slot)
    taken = [x for box in nodes[0].boxes for _, x, _ in _ports(box, frame.upper)]
    for box in web:
        for key, x, slot in _ports(box, _shared(key for key in frame.upper if key == (LinkKind.BALANCING, box.name))):
            ends[key, box.name] = End(_beside(x, taken), box.bottom, nodes[0].above[key], slot)
    return ends


def finishes_of(frame: Frame, nodes: Sequence[Row], stores: Sequence[Row]) -> Ends:
    """Return where lines finish, by lane and host."""
    ends = _caches(frame, nodes) | _replicas(frame, stores)
    for row in nodes:
        for box in row.boxes:
            for key, x, slot in _ports(box, frame.upper):
                ends[key, box.name] = End(x, box.y, row.above[key], slot)
    taken = [x for box in nodes[-1].boxes for _, x, _ in _ports(box, frame.lower)]
    for box in stores[0].boxes:
        for key, x, slot in _ports(box, _shared(key for key in frame.lower if key[1] == box.name)):
            ends[key, box.name] = End(_beside(x, taken), box.y, nodes[-1].below[key], slot)
    return ends


def _caches(frame: Frame, nodes: Sequence[Row]) -> Ends:
    return {
        (key, box.name): End(x, box.y, row.above[key], slot)
        for row in nodes
        for box in row.boxes
        for key, x, slot in _ports(box, frame.upper)
        if key == CACHES
    }


def _replicas(frame: Frame, stores: Sequence[Row]) -> Ends:
    """Return the ends of replication: below the first row of databases, above the others."""
    if not frame.replicated:
        return {}
    ends: Ends = {}
    for row in stores:
        for box in row.boxes:
            [(key, x, slot)] = _ports(box, _shared([REPLICATION]))
            y, lane_y = (box.bottom, row.below[key]) if row is stores[0] else (box.y, row.above[key])
            ends[key, box.name] = End(x, y, lane_y, slot)
    return ends


def _shared(keys: Iterable[Lane]) -> dict[Lane, int]:
    return dict.fromkeys(keys, SHARED_SLOT)


def _ports(box: Box, slots: Mapping[Lane, int]) -> Iterator[tuple[Lane, int, int]]:
    """Yield lane, place and slot of the lines that end at one side of a box; the slots are spread over it."""
    spare = box.width - sum(slots.values())
    left = box.x
    for number, (key, slot) in enumerate(slots.items()):
        yield key, left + PORT + spare * (2 * number + 1) // (2 * len(slots)), slot
        left += slot


def _beside(x: int, taken: Sequence[int]) -> int:
    """Return the next place to the right where a line down does not run over another."""
    while any(abs(x - other) < LANE_GAP // 2 for other in taken):
        x += LANE_GAP // 2
    return x
