"""Sets of GTIDs, and what one has beyond another.

An origin is who wrote a transaction first: domain and server id on MariaDB (`0-1` of `0-1-345`), the server's UUID with
the tag, if there is one, on MySQL. A set has the numbers of each origin's transactions as intervals. MariaDB tells the
last number only, which stands for all up to there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Interval = tuple[int, int]
Set = Mapping[str, list[Interval]]


def parse(text: str) -> dict[str, list[Interval]]:
    """Return a set of GTIDs by origin, from `0-1-345,0-2-7` of MariaDB or `UUID:1-345:347,UUID:TAG:1-7` of MySQL."""
    found: dict[str, list[Interval]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        if ":" in part:
            _add_mysql(part, found)
        else:
            origin, _, number = part.rpartition("-")
            found[origin] = union(found.get(origin, []), [(1, int(number))])
    return found


def _add_mysql(part: str, found: dict[str, list[Interval]]) -> None:
    uuid, *rest = part.split(":")
    origin = uuid
    for piece in rest:
        if not piece[0].isdigit():
            origin = f"{uuid}:{piece}"
            continue
        first, _, last = piece.partition("-")
        found[origin] = union(found.get(origin, []), [(int(first), int(last or first))])


def union(one: Iterable[Interval], other: Iterable[Interval]) -> list[Interval]:
    """Return the numbers of both."""
    merged: list[Interval] = []
    for first, last in sorted([*one, *other]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def without(one: Iterable[Interval], other: Iterable[Interval]) -> list[Interval]:
    """Return the numbers of one that the other lacks."""
    left = list(one)
    for first, last in other:
        left = [piece for interval in left for piece in _cut(interval, first, last)]
    return left


def _cut(interval: Interval, first: int, last: int) -> list[Interval]:
    below, above = (interval[0], min(interval[1], first - 1)), (max(interval[0], last + 1), interval[1])
    return [piece for piece in (below, above) if piece[0] <= piece[1]]


def together(*sets: Set) -> dict[str, list[Interval]]:
    """Return what is in any of the sets."""
    found: dict[str, list[Interval]] = {}
    for each in sets:
        for origin, intervals in each.items():
            found[origin] = union(found.get(origin, []), intervals)
    return found


def minus(one: Set, other: Set) -> dict[str, list[Interval]]:
    """Return what is in the first set and not in the other one."""
    left = {origin: without(intervals, other.get(origin, [])) for origin, intervals in one.items()}
    return {origin: intervals for origin, intervals in left.items() if intervals}


def count(one: Set) -> int:
    """Return how many transactions a set has."""
    return sum(last - first + 1 for intervals in one.values() for first, last in intervals)


def shown(one: Set) -> list[str]:
    """Return a set as a person reads it, an origin each: `after 0-1-340 up to 0-1-345`, `UUID:341-345`."""
    return [_shown(origin, intervals) for origin, intervals in one.items()]


def _shown(origin: str, intervals: list[Interval]) -> str:
    if not is_mysql(origin):
        first, last = intervals[0][0], intervals[-1][1]
        return f"up to {origin}-{last}" if first == 1 else f"after {origin}-{first - 1} up to {origin}-{last}"
    pieces = [str(first) if first == last else f"{first}-{last}" for first, last in intervals]
    return ":".join([origin, *pieces])


def is_mysql(origin: str) -> bool:
    """Tell whether an origin is one of MySQL."""
    return len(origin.split("-")) > 2


def position(text: str) -> dict[str, int]:
    """Return a position of MariaDB's as the number by domain: `0-1-345,1-2-7` is 345 of domain 0, and 7 of domain 1."""
    parts = [gtid.strip().split("-") for gtid in text.split(",") if gtid]
    return {domain: int(number) for domain, _, number in sorted(parts, key=lambda part: int(part[2]))}
