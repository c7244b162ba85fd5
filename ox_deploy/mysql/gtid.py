"""What the GTIDs of two servers say of their common past. Pure: both are known, nothing is asked.

An origin is who wrote a transaction first: domain and server id on MariaDB (`0-1` of `0-1-345`), the server's UUID with
the tag, if there is one, on MySQL. A set has the numbers of each origin's transactions as intervals. MariaDB tells the
last number only, which stands for all up to there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ox_deploy.facts.mysql import BinaryLog, MysqlStatus, Replica
from ox_deploy.remote.mysql.dialects import TAKEN_OVER

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
    if not _is_mysql(origin):
        first, last = intervals[0][0], intervals[-1][1]
        return f"up to {origin}-{last}" if first == 1 else f"after {origin}-{first - 1} up to {origin}-{last}"
    pieces = [str(first) if first == last else f"{first}-{last}" for first, last in intervals]
    return ":".join([origin, *pieces])


def _is_mysql(origin: str) -> bool:
    return len(origin.split("-")) > 2


def position(text: str) -> dict[str, int]:
    """Return a position of MariaDB's as the number by domain: `0-1-345,1-2-7` is 345 of domain 0, and 7 of domain 1."""
    parts = [gtid.strip().split("-") for gtid in text.split(",") if gtid]
    return {domain: int(number) for domain, _, number in sorted(parts, key=lambda part: int(part[2]))}


def known(server: MysqlStatus) -> dict[str, list[Interval]]:
    """Return all that a server is known to have.

    MariaDB's binary log does not know what came with a copy of the data; the position that it started from does.
    """
    return together(parse(server.gtid_state), parse(server.gtid.slave))


def errant(server: MysqlStatus, master: MysqlStatus) -> list[str]:
    """Return what a server has and did not get from its master, as it is shown."""
    own = minus(parse(server.gtid_state), known(master))
    return shown({origin: own[origin] for origin in own if not _comes_from_master(_writer(origin), server, master)})


def _comes_from_master(writer: str, server: MysqlStatus, master: MysqlStatus) -> bool:
    """Tell whether a server's transactions come by way of the master, so that the slave may have newer ones.

    The slave may be asked a moment after its master: what is ahead then is the master's own, or what the master
    replicates from elsewhere.
    """
    relays = master.replica is not None and master.replica.sql_running == "Yes"
    return writer == _name(master) or (relays and writer != _name(server))


def has_position_in(server: MysqlStatus, master: MysqlStatus) -> bool:
    """Tell whether a server that replicates knows by GTID where it stands in its master's binary log."""
    if server.is_mariadb:
        return position(master.gtid.binlog).keys() <= position(server.gtid.slave).keys()
    if not server.variables.get("gtid_mode") == master.variables.get("gtid_mode") == "ON":
        return False
    return master.binary_log is None or not minus(parse(master.binary_log.before), known(server))


def is_purged(replica: Replica, server: MysqlStatus, log: BinaryLog) -> bool:
    """Tell whether the master's binary log begins after all that a server which replicates by GTID has received."""
    if not server.is_mariadb:
        return bool(minus(parse(log.before), together(known(server), parse(replica.received))))
    applied, received = position(server.gtid.slave), position(replica.received)
    return any(
        number > max(applied.get(domain, 0), received.get(domain, 0)) for domain, number in position(log.before).items()
    )


def received(server: MysqlStatus) -> dict[str, list[Interval]]:
    """Return what a slave has received; what is not in its tables yet counts too. For MariaDB by domain."""
    texts = [server.gtid.slave, server.gtid.binlog, server.replica.received if server.replica else ""]
    if not server.is_mariadb:
        return together(*map(parse, texts))
    return together(*({domain: [(1, last)] for domain, last in position(text).items()} for text in texts))


def from_others(server: MysqlStatus) -> dict[str, list[Interval]]:
    """Return what a slave has received, without what it wrote itself; MariaDB's numbers do not tell that apart."""
    found = received(server)
    if server.is_mariadb:
        return found
    return {origin: intervals for origin, intervals in found.items() if _writer(origin) != _name(server)}


def was_master(server: MysqlStatus, master: MysqlStatus) -> bool:
    """Tell whether a server that does not replicate once was the master of what is the master now.

    A server id proves little, so they have to have a database in common. The last that it wrote may be one of its own.
    """
    written = {_writer(origin) for origin in parse(server.gtid_state)} & {_writer(origin) for origin in known(master)}
    akin = not server.databases or not set(server.databases).isdisjoint(master.databases)
    return akin and _name(server) in written


def is_later_master(server: MysqlStatus, other: MysqlStatus) -> bool:
    """Tell whether a server took over from another one, and not the other way round.

    Who took over later has more of what the other one wrote. MySQL's numbers do not tell; it has a mark of that time.
    """
    if not server.is_mariadb:
        return _taken_over_at(server) > _taken_over_at(other)
    return _taken_over(server, other) > _taken_over(other, server)


def took_over(server: MysqlStatus, other: MysqlStatus) -> bool:
    """Tell whether a server that replicates from nobody was another one's slave and then its successor.

    It wrote what the other one lacks, if it be the mark of that time only. Whether it takes writes says nothing.
    """
    if not is_later_master(server, other):
        return False
    if not server.is_mariadb:
        return True
    written = {origin: had for origin, had in known(server).items() if _writer(origin) == _name(server)}
    return bool(minus(written, known(other)))


def _taken_over_at(server: MysqlStatus) -> int:
    """Return when a master took over last, of those that a MySQL server knows, in seconds since 1970."""
    marks = known(server).get(TAKEN_OVER, [])
    return marks[-1][1] if marks else 0


def _taken_over(server: MysqlStatus, other: MysqlStatus) -> int:
    """Return the number of another server's last transaction that this one has."""
    written = [intervals for origin, intervals in known(server).items() if _writer(origin) == _name(other)]
    return max((intervals[-1][1] for intervals in written), default=0)


def _writer(origin: str) -> str:
    """Return the server that wrote the transactions of an origin: its UUID, or its server id."""
    return origin.partition(":")[0] if _is_mysql(origin) else origin.rpartition("-")[2]


def _name(server: MysqlStatus) -> str:
    """Return what a server's own transactions have as their writer."""
    return server.variables.get("server_uuid") or server.variables.get("server_id", "")
