"""What the picture consists of, as the page's template draws it: boxes, lines and texts, each in its place."""

from __future__ import annotations

from dataclasses import dataclass

from ox_deploy.findings import Level
from ox_deploy.status.picture.lines import Point, fit, head, rounded
from ox_deploy.status.picture.sizes import BOX_HEIGHT, EDGE, NAME_SIZE, TEXT_SIZE
from ox_deploy.status.snapshot import HostView, Link, LinkKind
from ox_deploy.status.words import level_text, roles_text, state_text


@dataclass(frozen=True)
class Label:
    """A short text beside the end of a line; `mark` is where the sign of a bad state stands on the line."""

    x: int
    y: int
    text: str
    kind: LinkKind
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
        return line if self.link.kind == LinkKind.CACHES else f"{line} {head(self.points)}"

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


def link_text(link: Link) -> str:
    """Return all about a link in words."""
    return f"{link.kind.text}, {link.source} to {link.target}: {link.text} ({level_text(link.level)})"
