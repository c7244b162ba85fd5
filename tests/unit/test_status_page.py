"""The page of a status, and where things are in its picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from itertools import combinations, pairwise
from typing import NamedTuple

import pytest

from ox_deploy.findings import Level
from ox_deploy.status.page import render_page
from ox_deploy.status.picture.draw import draw
from ox_deploy.status.picture.lines import fit, rounded, straightened, text_width
from ox_deploy.status.picture.shapes import Arrow, Box, Label, Picture
from ox_deploy.status.picture.sizes import LABEL_SIZE, LANE_GAP
from ox_deploy.status.snapshot import Changes, HostView, Snapshot
from tests.unit.snapshots import EXTERNAL, TIME, broken, cluster, finding, host, link, one_host, snapshot

FIRST = Changes(since=None, new=[], gone=[])

CLUSTERS = {
    "guide": cluster(),
    "no replica": cluster(nodes=1, slaves=0),
    # The line to the master would run over the one of a node's mount.
    "line in the way": cluster(slaves=0, path="/exports"),
    "broken": broken(),
    "one host": one_host(),
    "external filestore": cluster(nodes=3, filestore="external"),
    "five nodes, nine replicas": cluster(nodes=5, slaves=9, web=3),
    "twenty nodes": cluster(nodes=20, slaves=5, web=2, filestore="own"),
    "thirty nodes": cluster(nodes=30, slaves=2),
    "many balancers": cluster(nodes=2, web=6),
}
every_cluster = pytest.mark.parametrize("shown", CLUSTERS.values(), ids=CLUSTERS.keys())


# --- the page --------------------------------------------------------------------------------------------


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str]


class Page(HTMLParser):
    """What a browser finds in a page: elements and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1].tag != "style":
            self.texts += [" ".join(data.split())] if data.strip() else []

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def having(self, attribute: str) -> list[dict[str, str]]:
        return [element.attributes for element in self.elements if attribute in element.attributes]

    def tags(self, tag: str) -> list[dict[str, str]]:
        return [element.attributes for element in self.elements if element.tag == tag]


def page(shown: Snapshot, changes: Changes = FIRST) -> Page:
    return Page(render_page(shown, changes))


@every_cluster
def test_picture_has_every_host_and_every_link(shown: Snapshot) -> None:
    parsed = page(shown)
    names = {one.name for one in shown.hosts}
    assert {box["data-host"] for box in parsed.having("data-host")} == names
    arrows = sorted((one["data-kind"], one["data-source"], one["data-target"]) for one in parsed.having("data-kind"))
    assert arrows == sorted((one.kind, one.source, one.target or EXTERNAL) for one in shown.links)


def test_a_host_is_drawn_in_each_tier_it_has_a_role_of() -> None:
    assert [box["data-host"] for box in page(cluster()).having("data-host")] == [
        "web",
        "oxgw01",
        "oxgw02",
        "dbmaster",
        "dbslave",
    ]
    assert [box["data-host"] for box in page(one_host()).having("data-host")] == ["all"] * 3


def test_every_kind_of_link_is_named_in_the_picture() -> None:
    text = page(cluster()).text
    for kind in ("balancing", "caches 1/1", "database", "NFS", "replication"):
        assert f" {kind} " in text
    for short in ("route OX-1", "route OX-2", "writes", "reads", "/var/opt/filestore", "lag 0 s"):
        assert f" {short} " in text
    assert "NFS, oxgw01 to dbmaster: /var/opt/filestore (fine)" in text


def test_external_filestore_is_drawn_without_a_state() -> None:
    parsed = page(cluster(filestore="external"))
    [box] = parsed.having("data-external")
    assert (box["data-external"], box["data-state"]) == (EXTERNAL, "not managed here")
    assert {one["data-target"] for one in parsed.having("data-kind") if one["data-kind"] == "nfs"} == {EXTERNAL}
    assert f"{EXTERNAL} external filestore not managed here" in parsed.text


def test_states_of_a_broken_cluster_are_there_as_text() -> None:
    parsed = page(broken())
    states = {box["data-host"]: box["data-state"] for box in parsed.having("data-host")}
    assert states == {
        "web": "fine",
        "oxgw01": "fine",
        "oxgw02": "unreachable",
        "dbmaster": "fine",
        "dbslave": "warning",
    }
    bad = {
        (one["data-kind"], one["data-source"], one["data-target"]): one["data-state"]
        for one in parsed.having("data-kind")
        if one["data-state"] != "fine"
    }
    assert bad == {
        ("balancing", "web", "oxgw02"): "critical",
        ("database", "oxgw02", "dbmaster"): "critical",
        ("database", "oxgw02", "dbslave"): "critical",
        ("nfs", "oxgw02", "dbmaster"): "critical",
        ("caches", "oxgw01", "oxgw02"): "critical",
        ("replication", "dbmaster", "dbslave"): "warning",
    }
    assert "critical 1 critical finding, 1 warning; 5 hosts, 1 unreachable" in parsed.text
    assert "oxgw02 (groupware) is unreachable." in parsed.text
    assert "Of 10 links, 6 are not fine." in parsed.text
    assert "replication, dbmaster to dbslave: lag 0 s (warning)." in parsed.text


def test_changes_findings_picture_and_hosts_follow_each_other() -> None:
    changes = Changes(
        since=TIME - timedelta(hours=3),
        new=[finding("host unreachable", "oxgw02")],
        gone=[finding("certificate expiring", "web", Level.WARNING)],
    )
    text = page(broken(), changes).text
    expected = [
        "product ox6, seen 2026-05-01 12:00:05 UTC",
        "Changed since 2026-05-01 09:00:05 UTC new critical host unreachable on oxgw02 "
        "gone warning certificate expiring on web",
        "Findings critical host unreachable on oxgw02 is found host unreachable should be wanted host unreachable "
        "to do remedy host unreachable warning replica lagging on dbslave",
        "Cluster The cluster groupware.example.com",
        "Hosts web fine address 192.0.2.13 roles balancer disk of /var/lib/mysql 12 % of 40 GB "
        "Versions (1) mariadb-server 1:10.11.11-0+deb12u1 oxgw01",
    ]
    assert [part for part in expected if part not in text] == []
    assert sorted(expected, key=text.index) == expected


def test_no_change_and_no_finding_are_said() -> None:
    assert "hanged" not in page(cluster()).text
    text = page(cluster(), Changes(since=TIME, new=[], gone=[])).text
    assert "Nothing has changed since 2026-05-01 12:00:05 UTC Findings Nothing is wrong." in text


EVIL = "<script>alert(1)</script>\"'&amp;{{ 7 * 7 }}"


def test_whatever_servers_say_is_escaped() -> None:
    bad = HostView(
        name=EVIL,
        address=EVIL,
        roles=["web", "groupware", "db_master", EVIL],
        level=Level.CRITICAL,
        reachable=True,
        details={EVIL: EVIL},
        versions={EVIL: EVIL},
    )
    found = finding(EVIL, EVIL, found=EVIL, wanted=EVIL, remedy=EVIL)
    links = [link("nfs", EVIL, "", EVIL, Level.CRITICAL), link("database", EVIL, EVIL, EVIL)]
    shown = snapshot([bad], links, [found], external=EVIL).model_copy(update={"web_name": EVIL, "product": EVIL})
    html = render_page(shown, Changes(since=TIME, new=[found], gone=[found]))
    parsed = Page(html)
    assert "<script" not in html
    assert parsed.tags("script") == []
    assert parsed.having("data-host")[0]["data-host"] == EVIL
    assert f"is {EVIL} should be {EVIL} to do {EVIL}" in parsed.text
    assert {element.tag for element in parsed.elements} == {
        element.tag
        for element in page(cluster(filestore="external"), Changes(since=TIME, new=[found], gone=[])).elements
    } | {"article", "h3"}


@every_cluster
def test_nothing_is_loaded_from_anywhere(shown: Snapshot) -> None:
    html = render_page(shown, FIRST)
    parsed = Page(html)
    assert not re.search(r"https?://|url\(|@import|javascript:", html)
    assert parsed.having("src") == []
    identifiers = {f"#{one['id']}" for one in parsed.having("id")}
    assert {one["href"] for one in parsed.having("href")} <= identifiers | {"data:,"}
    assert not {element.tag for element in parsed.elements} & {"script", "img", "iframe", "object", "embed"}


def test_same_input_gives_the_same_page() -> None:
    assert render_page(cluster(nodes=20, slaves=5), FIRST) == render_page(cluster(nodes=20, slaves=5), FIRST)


def test_page_can_be_heard() -> None:
    parsed = page(broken(), Changes(since=TIME, new=[finding()], gone=[]))
    levels = [int(element.tag[1]) for element in parsed.elements if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    identifiers = [one["id"] for one in parsed.having("id")]
    assert len(identifiers) == len(set(identifiers))
    [picture] = [one for one in parsed.tags("svg") if one.get("role") == "img"]
    assert set(picture["aria-labelledby"].split()) <= set(identifiers)
    assert parsed.tags("html")[0]["lang"] == "en"


def palettes(html: str) -> Iterator[tuple[str, dict[str, str]]]:
    light, dark = re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    for name, text in (("light", light), ("dark", dark)):
        yield name, dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6});", text))


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_texts_stand_out_in_light_and_dark() -> None:
    grounds = {
        "text": ["ground", "surface", "fine-tint", "warning-tint", "critical-tint"],
        "muted": ["ground", "surface", "warning-tint", "critical-tint"],
    }
    for level in ("fine", "warning", "critical"):
        grounds[level] = ["surface", "band", f"{level}-tint"]
    for kind in ("balancing", "caches", "database", "nfs", "replication"):
        grounds[kind] = ["surface", "band"]
    found = dict(palettes(render_page(cluster(), FIRST)))
    assert found.keys() == {"light", "dark"}
    weak = [
        (scheme, text, ground, round(contrast(colours[text], colours[ground]), 2))
        for scheme, colours in found.items()
        for text, those in grounds.items()
        for ground in those
        if contrast(colours[text], colours[ground]) < 4.5
    ]
    assert weak == []


# --- the picture -----------------------------------------------------------------------------------------


class Area(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Area) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def area(part: Box | Label) -> Area:
    if isinstance(part, Box):
        return Area(part.x, part.y, part.x + part.width, part.bottom)
    width = text_width(part.text, LABEL_SIZE)
    return Area(part.x, part.y - LABEL_SIZE * 0.8, part.x + width, part.y + LABEL_SIZE * 0.25)


def labels(drawn: Picture) -> list[Label]:
    return [arrow.label for arrow in drawn.arrows if arrow.label] + list(drawn.labels)


def segments(arrow: Arrow) -> Iterator[Area]:
    for (x, y), (other_x, other_y) in pairwise(arrow.points):
        yield Area(min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y))


def upright(part: Area) -> bool:
    return part.left == part.right


def around(part: Area) -> Area:
    """Return the room that a line needs to its sides, but not at its ends."""
    room = LANE_GAP / 4
    if upright(part):
        return part._replace(left=part.left - room, right=part.right + room)
    return part._replace(top=part.top - room, bottom=part.bottom + room)


def lane(arrow: Arrow) -> tuple[str, str]:
    kind, source, target = arrow.link.kind, arrow.link.source, arrow.link.target
    return kind, source if kind == "balancing" else target if kind in ("database", "nfs") else ""


@every_cluster
def test_boxes_and_texts_do_not_overlap(shown: Snapshot) -> None:
    drawn = draw(shown)
    parts: list[Box | Label] = [*drawn.boxes, *labels(drawn)]
    assert [(one, other) for one, other in combinations(parts, 2) if area(one).meets(area(other))] == []
    whole = Area(0, 0, drawn.width, drawn.height)
    for part in parts:
        here = area(part)
        assert here.left > whole.left and here.top > whole.top and here.right < whole.right
        assert here.bottom < whole.bottom


@every_cluster
def test_lines_touch_only_their_own_two_boxes(shown: Snapshot) -> None:
    drawn = draw(shown)
    for arrow in drawn.arrows:
        assert all(x == other_x or y == other_y for (x, y), (other_x, other_y) in pairwise(arrow.points))
        ends = (arrow.link.source, arrow.points[0]), (arrow.link.target, arrow.points[-1])
        for name, (x, y) in ends:
            assert [
                box
                for box in drawn.boxes
                if box.name == name and box.x < x < box.x + box.width and y in (box.y, box.bottom)
            ]
        assert [box for box in drawn.boxes for part in segments(arrow) if area(box).meets(part)] == []


@every_cluster
def test_lines_do_not_run_through_texts_or_along_others(shown: Snapshot) -> None:
    drawn = draw(shown)
    parts = {(lane(arrow), part) for arrow in drawn.arrows for part in segments(arrow)}
    assert [(label, part) for label in labels(drawn) for _, part in parts if area(label).meets(part)] == []
    for (key, one), (other_key, other) in combinations(parts, 2):
        apart = key == other_key or upright(one) != upright(other)
        assert apart or not around(one).meets(around(other)), f"{key} {one} and {other_key} {other}"


def test_twenty_nodes_stand_in_rows_between_balancers_and_databases() -> None:
    drawn = draw(CLUSTERS["twenty nodes"])
    rows: dict[int, list[str]] = {}
    for box in drawn.boxes:
        rows.setdefault(box.y, []).append(box.name)
    assert [rows[y] for y in sorted(rows)] == [
        ["web", "web2"],
        *([f"oxgw{number:02}" for number in range(first, first + 4)] for first in range(1, 21, 4)),
        ["dbmaster", "dbslave", "files", "dbslave2"],
        ["dbslave3", "dbslave4", "dbslave5"],
    ]


def test_a_broken_line_is_seen_where_it_ends_alone() -> None:
    shown = cluster(nodes=3)
    links = [
        one.model_copy(update={"level": Level.CRITICAL})
        if one.kind != "replication" and "oxgw03" in (one.source, one.target)
        else one
        for one in shown.links
    ]
    drawn = draw(shown.model_copy(update={"links": links}))
    levels = [arrow.link.level for arrow in drawn.arrows]
    assert levels == sorted(levels, reverse=True)
    marked = sorted((label.kind, label.text) for label in labels(drawn) if label.level)
    assert marked == [
        ("balancing", "route OX-3"),
        ("caches", "caches 0/2"),
        ("database", "reads"),
        ("database", "writes"),
        ("nfs", "/var/opt/filestore"),
    ]
    assert [label.text for label in drawn.labels if label.kind == "caches"] == [
        "caches 1/2",
        "caches 1/2",
        "caches 0/2",
    ]
    last = next(box for box in drawn.boxes if box.name == "oxgw03")
    assert all(last.x < label.x < last.x + last.width for label in labels(drawn) if label.level)


def test_replication_may_be_told_from_either_side() -> None:
    hosts = [
        host("web", "web"),
        host("oxgw01", "groupware"),
        host("dbmaster", "db_master"),
        host("dbslave", "db_slave"),
    ]
    for source, target in (("dbmaster", "dbslave"), ("dbslave", "dbmaster")):
        drawn = draw(snapshot(hosts, [link("replication", source, target, "lag 0 s")]))
        slave = next(box for box in drawn.boxes if box.name == "dbslave")
        [arrow] = drawn.arrows
        assert arrow.label is not None
        assert slave.x < arrow.label.x < slave.x + slave.width


def test_long_names_and_texts_are_shortened_and_kept_in_full_for_who_points_at_them() -> None:
    name, route = "oxgw-" + "w" * 58, "route " + "X" * 60
    shown = snapshot(
        [host("web", "web"), host(name, "groupware"), host("dbmaster", "db_master")],
        [link("balancing", "web", name, route)],
    )
    parsed = page(shown)
    assert parsed.texts.count(name) >= 2
    assert f"balancing, web to {name}: {route} (fine)" in parsed.texts
    short = [text for text in parsed.texts if text.endswith("…")]
    assert len(short) == 2
    drawn = draw(shown)
    assert all(text_width(box.short_name, 15) < box.width for box in drawn.boxes)


def test_fit_keeps_what_has_room() -> None:
    assert fit("lag 0 s", 100, 11) == "lag 0 s"
    assert fit("lag 0 s", 30, 11) == "lag…"
    assert fit("lag 0 s", 0, 11) == "…"


def test_corners_are_rounded_and_points_without_a_turn_left_out() -> None:
    assert rounded([(0, 0), (0, 50), (40, 50)]) == "M0 0 L0 42 Q0 50 8 50 L40 50"
    assert rounded([(0, 0), (0, 50), (6, 50), (6, 90)]) == "M0 0 L0 47 Q0 50 3 50 L3 50 Q6 50 6 53 L6 90"
    assert straightened([(0, 0), (0, 50), (0, 50), (0, 90)]) == ((0, 0), (0, 90))
    assert straightened([(0, 0), (0, 50), (9, 50)]) == ((0, 0), (0, 50), (9, 50))
