"""What the GTIDs of a master and a replica say of their common past. Pure: both are known, nothing is asked."""

from __future__ import annotations

from ox_deploy.facts.mysql import BinaryLog, MysqlStatus
from ox_deploy.mysql.gtid import Interval, is_mysql, minus, parse, position, shown, together
from ox_deploy.remote.master_slaves.switch.fence import TAKEN_OVER
from ox_deploy.topologies.master_slaves.facts.replication import Replica


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
    """Tell whether a server's transactions come by way of the master, so that the replica may have newer ones.

    The replica may be asked a moment after its master: what is ahead then is the master's own, or what the master
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
    """Return what a replica has received; what is not in its tables yet counts too. For MariaDB by domain."""
    texts = [server.gtid.slave, server.gtid.binlog, server.replica.received if server.replica else ""]
    if not server.is_mariadb:
        return together(*map(parse, texts))
    return together(*({domain: [(1, last)] for domain, last in position(text).items()} for text in texts))


def from_others(server: MysqlStatus) -> dict[str, list[Interval]]:
    """Return what a replica has received, without what it wrote itself; MariaDB's numbers do not tell that apart."""
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
    """Tell whether a server that replicates from nobody was another one's replica and then its successor.

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
    return origin.partition(":")[0] if is_mysql(origin) else origin.rpartition("-")[2]


def _name(server: MysqlStatus) -> str:
    """Return what a server's own transactions have as their writer."""
    return server.variables.get("server_uuid") or server.variables.get("server_id", "")
