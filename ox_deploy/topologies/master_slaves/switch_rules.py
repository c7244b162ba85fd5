"""What stands in the way of another master, and who it may be. Pure: nothing is asked, no host is changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ox_deploy.cluster import Cluster, Node
from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.mysql import gtid
from ox_deploy.mysql.not_ready import not_ready
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves import history
from ox_deploy.topologies.master_slaves.diagnosis import Diagnosis, additional
from ox_deploy.topologies.master_slaves.recognise import unsafe
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of
from ox_deploy.topologies.master_slaves.server_state import faults
from ox_deploy.topologies.master_slaves.situations import Situation
from ox_deploy.topologies.master_slaves.source import Source

# What the new master has to have free, in bytes.
ROOM = 1 << 30


class Phase(Enum):
    """On which side of the point of no return a switch is; the new master's server says so."""

    BEFORE = "the old master is the master"
    AFTER = "the new master is open"


@dataclass(frozen=True)
class Server:
    """A database server: its name, its name in pyinfra's inventory, and how it is reached."""

    name: str
    inventory_name: str
    address: str
    port: int
    option_file: str | None


def server_of(cluster: Cluster, node: Node) -> Server:
    """Return a node's database server."""
    return Server(node.name, node.inventory_name, node.address, cluster.settings.mysql_port, node.mysql_option_file)


def is_writable(status: MysqlStatus) -> bool:
    """Tell whether others than we may write."""
    return status.variables.get("read_only") == "OFF"


def phase(new: MysqlStatus, old: MysqlStatus) -> Phase:
    """Return the phase of a switch."""
    if not is_writable(new):
        return Phase.AFTER if is_decided(new, old) else Phase.BEFORE
    is_over = new.replica is None or not is_writable(old)
    return Phase.AFTER if is_over else Phase.BEFORE


def is_decided(new: MysqlStatus, old: MysqlStatus) -> bool:
    """Tell whether a server has taken over from another one, also if it is read-only because it died half way."""
    if new.taken_from:
        return not history.took_over(old, new)
    return new.replica is None and old.replica is None and history.took_over(new, old)


def problems_of_pair(new: MysqlStatus, old: MysqlStatus, names: tuple[str, str]) -> list[str]:
    """Return what makes it impossible to say which of two servers is the master; `names` are those of both."""
    if is_writable(new) and is_writable(old) and new.replica is None and old.replica is None:
        return [
            f"{names[0]} and {names[1]} both take writes and neither replicates; find out which one has the data, and "
            "seed the other from it"
        ]
    if is_writable(old) and not is_writable(new) and is_decided(new, old):
        return [
            f"{names[0]} has taken over from {names[1]}, which takes writes again; run `SET GLOBAL read_only = 1` on "
            f"{names[1]}, find out what was written there meanwhile, and run again"
        ]
    return []


def problems_of_old(status: MysqlStatus, name: str) -> list[str]:
    """Return why writes should not be taken away from a master."""
    problems = []
    if status.binary_log is None:
        problems.append(f"{name} writes no binary log; {Situation.NO_BINARY_LOG.remedy}")
    if status.replica is not None:
        problems.append(f"{name} replicates from {status.replica.host}, so it is not the master; correct `db_master`")
    return problems


def problems_of_slave(found: Diagnosis, master: MysqlStatus) -> list[str]:
    """Return why a replica would not follow its master's successor without a loss."""
    slave, name = found.slave, found.name
    if not found.follows:
        return [found.problem()]
    assert slave.replica is not None
    problems = [found.problem()] if found.situation is Situation.ERRANT else []
    if slave.replica.seconds_behind is None:
        problems.append(f"{name} does not report how far behind it is; wait until it does")
    if not history.has_position_in(slave, master):
        problems.append(f"{name} has not replicated a transaction yet, so it has no GTID position; deploy it")
    for other in additional(found):
        is_late = other.situation is Situation.LAGGING
        problems.append(other.problem() + (", or allow more with `--data max_lag=SECONDS`" if is_late else ""))
    return problems


def problems_of_sibling(slave: MysqlStatus, new: MysqlStatus, names: tuple[str, str]) -> list[str]:
    """Return why another replica could not follow the new master; `names` are those of both."""
    if slave.variables["server_id"] != new.variables["server_id"]:
        return []
    # It would take all that the new master writes for its own, and leave it out.
    return [f"{names[0]} has the server id of {names[1]}; {Situation.SAME_SERVER_ID_AS_SLAVE.remedy}"]


def problems_of_new(new: MysqlStatus, old: MysqlStatus, name: str, of: str) -> list[str]:
    """Return why a replica should not be the master."""
    problems = []
    if new.binary_log is None or new.variables.get("log_slave_updates") != "ON":
        problems.append(f"{name} does not write what it replicates to a binary log; deploy it")
    if not _is_in_its_log(new, old):
        problems.append(
            f"{name} has nothing from {of} in its binary log yet, so no replica could follow it; write something "
            f"on {of}"
        )
    missing = sorted(set(old.databases) - set(new.databases))
    if missing:
        problems.append(f"{name} lacks the databases {', '.join(missing)} of {of}; seed it from the master")
    if version(new) < version(old):
        problems.append(f"{name} runs {new.version}, which is older than the master's {old.version}; upgrade it first")
    if new.free is not None and new.free < ROOM:
        problems.append(f"{name} has {new.free >> 20} MB free; it should have {ROOM >> 20} MB; make room")
    return problems


def _is_in_its_log(new: MysqlStatus, old: MysqlStatus) -> bool:
    """Tell whether a replica's binary log has something of each domain of its master; MySQL does not need that."""
    if not old.is_mariadb:
        return True
    return gtid.position(old.gtid.binlog).keys() <= gtid.position(new.gtid.binlog).keys()


def version(status: MysqlStatus) -> tuple[int, ...]:
    """Return the version's numbers."""
    match = re.match(r"[\d.]+", status.version)
    return tuple(int(number) for number in match[0].strip(".").split(".")) if match else ()


# --- failover --------------------------------------------------------------------------------------------


def with_most(slaves: Mapping[str, MysqlStatus]) -> str:
    """Return the name of the replica that received most; the first of those that did the same."""
    return max(slaves, key=lambda name: gtid.count(history.from_others(slaves[name])))


def lacks(slave: MysqlStatus, other: MysqlStatus) -> bool:
    """Tell whether a replica lacks something that another one received."""
    return bool(gtid.minus(history.from_others(other), history.received(slave)))


def shown(status: MysqlStatus) -> str:
    """Return what a replica has, as a position."""
    received = history.received(status)
    if not status.is_mariadb:
        return ", ".join(gtid.shown(received)) or "nothing"
    return ", ".join(f"{had[-1][1]} in domain {domain}" for domain, had in sorted(received.items())) or "nothing"


def pairs_without_gtids(servers: Mapping[Server, MysqlStatus]) -> str | None:
    """Return a sentence if MySQL servers replicate without GTIDs: with ours, which have them, they would stop."""
    names = [
        server.name
        for server, status in servers.items()
        if status.variables.get("gtid_mode", "ON") != "ON" and (status.connections or status.slaves)
    ]
    if not names:
        return None
    return (
        f"{', '.join(names)}: replication without GTIDs (`gtid_mode` is not ON) would stop after a restart with them; "
        "nothing was changed. Move all to `gtid_mode = ON` step by step, as the manual says, then deploy."
    )


# --- roles -----------------------------------------------------------------------------------------------


def actual_master(
    master: Server, status: MysqlStatus, slaves: Mapping[Server, MysqlStatus]
) -> tuple[str, Server] | None:
    """Return which replica of the inventory is the master in truth, and what shows it; None if none is.

    A server that does not run says nothing.
    """
    for replica in status.connections:
        for slave in slaves:
            if (replica.host, replica.port) == (slave.address, slave.port):
                return f"{master.name} is in `db_master` but replicates from {slave.name}", slave
    for slave, own in slaves.items():
        if status.replica is None and is_decided(own, status):
            return f"{slave.name} is in `db_slave` but has taken over from {master.name}", slave
        if own.replica is not None or not is_writable(own):
            continue
        for other, its in slaves.items():
            if its.replica and (its.replica.host, its.replica.port) == (slave.address, slave.port):
                return f"{slave.name} is in `db_slave` but takes writes, and {other.name} replicates from it", slave
    return None


def obstacle(master: Server, status: MysqlStatus, slaves: Mapping[Server, MysqlStatus], encrypted: bool) -> str | None:
    """Return a sentence if a deploy would lose rows, or lock somebody out, because of what servers are like already.

    + encrypted: whether the replicas log in over encrypted connections
    """
    for server, own in ((master, status), *slaves.items()):
        if own.state is ServerState.NO_ACCOUNTS:
            return not_ready(own, server.name)
        for fault in faults(own, encrypted):
            if fault.is_obstacle:
                return f"{server.name} {fault.found}; nothing was changed: {fault.remedy}."
    if status.state is not ServerState.RUNNING:
        return None
    source = Source(master.name, master.address, master.port, "", Secret(""))
    for server, own in slaves.items():
        situation = unsafe(own, status, master.address, server.address)
        if situation and own.state is ServerState.RUNNING:
            return Diagnosis(situation, server.name, own, status, source, address=server.address).sentence()
    return None


def unsure(
    master: Server,
    status: MysqlStatus,
    slaves: Mapping[Server, MysqlStatus],
    silent: Sequence[str],
    accepted: Sequence[str] = (),
) -> str | None:
    """Return a sentence if the inventory's master must not be opened, since another one may be the later one.

    + silent: the names of replicas that cannot be asked
    + accepted: those of them whose loss a person accepts
    """
    runs = status.state is ServerState.RUNNING
    is_closed = (runs and not is_writable(status) and status.replica is None) or bool(status.handed_to)
    if is_closed and not set(silent) <= set(accepted):
        names = ", ".join(silent)
        handed = f" and was handing over to {status.handed_to}" if status.handed_to else ""
        return (
            f"{master.name} is read-only{handed}, and {names} cannot be asked whether it has taken over; nothing was "
            f"changed. Make {names} reachable. If it is lost for good, run again with `--data "
            f"accept_loss={','.join(silent)}`: what it has acknowledged since then is lost."
        )
    if status.state is not ServerState.NOT_RUNNING:
        return None
    for slave, own in slaves.items():
        if own.state is ServerState.RUNNING and is_writable(own) and own.replica is None and own.databases:
            return (
                f"the database server of {master.name} does not run, and {slave.name} takes writes and does not "
                f"replicate; nothing was changed. If {slave.name} has taken over, swap the two in the inventory; if "
                f"not, run `SET GLOBAL read_only = 1` on {slave.name}, and start {master.name}'s server."
            )
    return None


# --- inventory -------------------------------------------------------------------------------------------


def inventory_change(before: Cluster, after: Cluster) -> str:
    """Return what is to be changed in inventory.py when a cluster has another master."""
    old, new = master_of(before), master_of(after)
    is_slave = old.inventory_name in {node.inventory_name for node in slaves_of(after)}
    lines = [f"move the line of {new.name} from `db_slave` to `db_master`"]
    if is_slave:
        lines.append(f"move the line of {old.name} from `db_master` to `db_slave`, in its place")
    else:
        lines.append(f"remove the line of {old.name} from `db_master`; add it to `db_slave` when the host is back")
    if before.filestore == old and "filestore" not in old.groups:
        lines.append(f"add a group `filestore` with the line of {old.name}, or the filestore would move to {new.name}")
    return "; ".join(lines)
