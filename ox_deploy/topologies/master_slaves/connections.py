"""The connections by which a replica replicates, and what is filtered on the way. Pure: nothing is asked or changed."""

from __future__ import annotations

from collections.abc import Sequence

from ox_deploy.facts.mysql import MysqlStatus
from ox_deploy.remote.mysql.session import SYSTEM_DATABASES
from ox_deploy.topologies.master_slaves import history
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.source import Source


def is_running(replica: Replica | None) -> bool:
    """Tell whether both threads of a replica run."""
    return replica is not None and (replica.io_running, replica.sql_running) == ("Yes", "Yes")


def stopped_threads(slave: MysqlStatus, replica: Replica) -> list[str]:
    """Return the threads that do not run, or not well, in the server's own terms."""
    threads = {
        "Slave_IO_Running": (replica.io_running, replica.io_error),
        "Slave_SQL_Running": (replica.sql_running, replica.sql_error),
    }
    its_own = slave.dialect["columns"].get("Slave_", "Slave_")
    return [
        f"{column.replace('Slave_', its_own)} is {value}{error and ': '}{error}"
        for column, (value, error) in threads.items()
        if value != "Yes" or error
    ]


def is_from(replica: Replica, source: Source) -> bool:
    """Tell whether a connection is to the master."""
    return (replica.host, replica.port) == (source.address, source.port)


def main_connection(slave: MysqlStatus, source: Source) -> Replica | None:
    """Return the connection that counts: the default one, or the named one to the master, or the first one."""
    if slave.replica:
        return slave.replica
    return next((each for each in slave.named if is_from(each, source)), None) or next(iter(slave.named), None)


def other_connections(slave: MysqlStatus, source: Source) -> list[Replica]:
    """Return the connections to others beside the one that counts."""
    counts = main_connection(slave, source)
    return [each for each in slave.connections if each is not counts]


def is_ring(slave: MysqlStatus, master: MysqlStatus, master_address: str, address: str | None) -> bool:
    """Tell whether each of two servers replicates from the other."""
    return any(each.host == address for each in master.connections) and any(
        each.host == master_address for each in slave.connections
    )


def why_stuck(slave: MysqlStatus, replica: Replica, master: MysqlStatus) -> str:
    """Return why a replica would lose its place if another connection took over by GTID, or "".

    What it has received and not applied yet is thrown away, so the master has to have that.
    """
    if not is_running(replica):
        return "; ".join(stopped_threads(slave, replica))
    if len(slave.connections) > 1:
        return "it replicates from other masters, too"
    if replica.delay:
        return f"it is delayed by {replica.delay} s"
    if not history.has_position_in(slave, master):
        return "it has no GTID position in its master's binary log"
    log = master.binary_log
    if log and history.is_purged(replica.model_copy(update={"received": ""}), slave, log):
        return "it has not applied yet what its master's binary log no longer holds"
    return ""


def forget_statements(server: MysqlStatus, connections: Sequence[Replica]) -> str:
    """Return what ends connections and forgets them; without any, the default one."""
    names = [each.name for each in connections] or [""]
    return "; ".join(
        f"{statement_for(server, 'stop_named', name)}; {statement_for(server, 'reset_named', name)}" for name in names
    )


def statement_for(server: MysqlStatus, what: str, name: str) -> str:
    """Return a statement of the dialect for a connection; the default one is not named."""
    statement: str = server.dialect[what]
    if not name:
        statement = statement.replace(" FOR CHANNEL %s", "").replace(" %s", "")
    return statement.format(**server.dialect).replace("%s", f"'{name}'")


# Filters that only leave out what has these names, in a list.
_LEAVING_OUT = {"binlog_ignore_db", "replicate_ignore_db", "replicate_ignore_table", "replicate_wild_ignore_table"}


def harmful_filters(server: MysqlStatus, of_slave: bool = True) -> dict[str, str]:
    """Return the filters of a server that may keep rows of users from a replica.

    + of_slave: whether what it receives is filtered, too, or only what it writes to its binary log
    """
    return {
        name: value
        for name, value in server.filters.items()
        if (of_slave or name.startswith("binlog_")) and not (name in _LEAVING_OUT and _is_of_the_system(value))
    }


def _is_of_the_system(names: str) -> bool:
    return {name.strip().partition(".")[0] for name in names.split(",")} <= SYSTEM_DATABASES


def filters_between(name: str, slave: MysqlStatus, master_name: str, master: MysqlStatus | None) -> list[str]:
    """Return all filters between a master and its replica, each with its server and what sets it."""
    sides = [(master_name, master, harmful_filters(master, of_slave=False))] if master else []
    return [
        f"{each}: `{option}` is {value}, set in {server.set_in.get(option) or 'no file'}"
        for each, server, options in [*sides, (name, slave, harmful_filters(slave))]
        for option, value in options.items()
    ]
