"""Lines and texts of a drawing: path data, and about how wide a text is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[int, int]

RADIUS = 8
# Widths of letters as parts of the font's size, after DejaVu Sans, which is a wide font.
WIDTHS = {
    **dict.fromkeys(" .,:;|'/ijlI", 0.34),
    **dict.fromkeys("()[]-frt", 0.42),
    **dict.fromkeys("acekosvxyz", 0.61),
    **dict.fromkeys("mwMW@%…", 1.0),
}
LETTER, CAPITAL, FOREIGN = 0.64, 0.75, 1.0


def rounded(points: Sequence[Point]) -> str:
    """Return path data of a line through points, whose corners are right angles and get rounded."""
    parts = [f"M{_pair(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(RADIUS, _distance(before, corner) // 2, _distance(corner, after) // 2)
        parts.append(
            f"L{_pair(_towards(corner, before, radius))} Q{_pair(corner)} {_pair(_towards(corner, after, radius))}"
        )
    return " ".join([*parts, f"L{_pair(points[-1])}"])


def head(points: Sequence[Point]) -> str:
    """Return path data of an arrow's head at the end of a line that arrives from above or below."""
    (_, before), (x, y) = points[-2:]
    back = y - 7 if before < y else y + 7
    return f"M{x - 5} {back} L{x} {y} L{x + 5} {back}"


def straightened(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points without those that a line does not turn at."""
    distinct = [points[0], *(point for before, point in pairwise(points) if point != before)]
    return tuple(
        point
        for number, point in enumerate(distinct)
        if not 0 < number < len(distinct) - 1 or not _aligned(*distinct[number - 1 : number + 2])
    )


def fit(text: str, room: float, size: float) -> str:
    """Return the text, shortened if it needs more room than there is."""
    if text_width(text, size) <= room:
        return text
    while text and text_width(f"{text}…", size) > room:
        text = text[:-1]
    return f"{text}…"


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is."""
    return sum(_letter_width(letter) for letter in text) * size


def _letter_width(letter: str) -> float:
    if letter in WIDTHS:
        return WIDTHS[letter]
    if not letter.isascii():
        return FOREIGN
    return CAPITAL if letter.isupper() else LETTER


def _pair(point: Point) -> str:
    return f"{point[0]} {point[1]}"


def _distance(one: Point, other: Point) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(corner: Point, other: Point, length: int) -> Point:
    """Return the point so far from the corner on the way to another."""
    (x, y), (other_x, other_y) = corner, other
    if x == other_x:
        return x, y + (length if other_y > y else -length)
    return x + (length if other_x > x else -length), y


def _aligned(one: Point, two: Point, three: Point) -> bool:
    return one[0] == two[0] == three[0] or one[1] == two[1] == three[1]
