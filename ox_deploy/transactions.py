"""What the GTIDs of two servers say of their common past. Pure: both are known, nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping

from ox_deploy.facts.mysql import BinaryLog, MysqlStatus, Replica


def position(text: str) -> dict[str, int]:
    """Return a GTID position's number by domain: `0-1-345,1-2-7` is 345 of domain 0, and 7 of domain 1."""
    parts = [gtid.strip().split("-") for gtid in text.split(",") if gtid]
    return {domain: int(number) for domain, _, number in sorted(parts, key=lambda part: int(part[2]))}


def known(server: MysqlStatus) -> dict[str, int]:
    """Return the last transaction that a server is known to have, by domain and server id.

    Its binary log does not know what came with a copy of the data; the position that it started from does.
    """
    found = dict(server.gtid_state)
    for gtid in filter(None, server.gtid.slave.split(",")):
        origin, _, number = gtid.rpartition("-")
        found[origin] = max(found.get(origin, 0), int(number))
    return found


def errant(server: MysqlStatus, master: MysqlStatus) -> list[str]:
    """Return what a server has and did not get from its master, as `after 0-2-17 up to 0-2-19`."""
    at_master = known(master)
    return [
        f"after {origin}-{at_master[origin]} up to {origin}-{last}" if origin in at_master else f"up to {origin}-{last}"
        for origin, last in server.gtid_state.items()
        if last > at_master.get(origin, 0) and not _comes_from_master(_server_id(origin), server, master)
    ]


def _comes_from_master(server_id: str, server: MysqlStatus, master: MysqlStatus) -> bool:
    """Tell whether a server's transactions come by way of the master, so that the slave may have newer ones.

    The slave may be asked a moment after its master: what is ahead then is the master's own, or what the master
    replicates from elsewhere.
    """
    relays = master.replica is not None and master.replica.sql_running == "Yes"
    return server_id == master.variables.get("server_id") or (relays and server_id != server.variables.get("server_id"))


def has_position_in(server: MysqlStatus, master: MysqlStatus) -> bool:
    """Tell whether a server that replicates knows by GTID where it stands in its master's binary log."""
    return position(master.gtid.binlog).keys() <= position(server.gtid.slave).keys()


def is_purged(replica: Replica, server: MysqlStatus, log: BinaryLog) -> bool:
    """Tell whether the master's binary log begins after all that a server which replicates by GTID has received."""
    applied, received = position(server.gtid.slave), position(replica.received)
    return any(
        number > max(applied.get(domain, 0), received.get(domain, 0)) for domain, number in position(log.before).items()
    )


def was_master(server: MysqlStatus, master: MysqlStatus) -> bool:
    """Tell whether a server that does not replicate once was the master of what is the master now."""
    of_master = known(master)
    return set(server.databases) <= set(master.databases) and any(origin in of_master for origin in _own(server))


def is_later_master(server: MysqlStatus, other: MysqlStatus) -> bool:
    """Tell whether a server took over from another one, and not the other way round.

    Who took over later has more of what the other one wrote.
    """
    return _taken_over(server, other) > _taken_over(other, server)


def _taken_over(server: MysqlStatus, other: MysqlStatus) -> int:
    """Return the last transaction of another server that this one has."""
    server_id = other.variables.get("server_id", "")
    return max((number for origin, number in known(server).items() if _server_id(origin) == server_id), default=0)


def _own(server: MysqlStatus) -> Mapping[str, int]:
    own = server.variables.get("server_id", "")
    return {origin: number for origin, number in server.gtid_state.items() if _server_id(origin) == own}


def _server_id(origin: str) -> str:
    return origin.rpartition("-")[2]
