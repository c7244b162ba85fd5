"""Finds the situation of a replica from what was seen of it and its master. Pure: asks and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ox_deploy.facts.mysql import BinaryLog, MysqlStatus
from ox_deploy.topologies.master_slaves import history
from ox_deploy.topologies.master_slaves.connections import (
    harmful_filters,
    is_from,
    is_ring,
    is_running,
    main_connection,
    other_connections,
    why_stuck,
)
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.situations import Situation
from ox_deploy.topologies.master_slaves.source import Source

_THREAD_STATES = {"Yes", "No", "Connecting", "Preparing"}
# What masters say who no longer have what is asked for: the file, or what a GTID stands for.
_PURGED_WORDS = ("Could not find first log file name", "have been purged", "purged required binary logs")


def recognise(
    slave: MysqlStatus,
    master: MysqlStatus | None,
    source: Source,
    address: str | None = None,
    siblings: Sequence[str] = (),
) -> Situation:
    """Return a replica's situation; the arguments are those of `diagnose`."""
    if slave.seeding:
        return Situation.HALF_SEEDED
    if master is None:
        return _recognise_alone(slave, source)
    mistaken = mistaken_identity(slave, master, address)
    if mistaken:
        return mistaken
    if is_ring(slave, master, source.address, address):
        return ring_situation(slave, master)
    if slave.replica is None and slave.named:
        return _recognise_named(slave, master, source)
    if slave.replica is not None:
        situation = _recognise_replica(slave, slave.replica, master, source)
        is_ours = situation is Situation.OTHER_MASTER and slave.replica.host in siblings
        return _recognise_moved(slave, master) if is_ours else situation
    if history.was_master(slave, master):
        if history.errant(slave, master):
            return Situation.DIVERGED
        if set(slave.databases) <= set(master.databases):
            return Situation.FORMER_MASTER
    if slave.databases:
        return Situation.HAS_DATA
    if master.binary_log and master.binary_log.complete:
        return Situation.FRESH
    return Situation.NEEDS_SEED if master.databases else Situation.FRESH_PAIR


def unsafe(slave: MysqlStatus, master: MysqlStatus, master_address: str, address: str) -> Situation | None:
    """Return what makes a deploy lose rows whatever it does, or None."""
    if harmful_filters(master, of_slave=False) or harmful_filters(slave):
        return Situation.FILTERED
    return ring_situation(slave, master) if is_ring(slave, master, master_address, address) else None


def ring_situation(slave: MysqlStatus, master: MysqlStatus) -> Situation:
    """Return on which side a ring is to be ended: who alone takes writes is the master, else the inventory's."""
    turned = master.variables.get("read_only") != "OFF" and slave.variables.get("read_only") == "OFF"
    return Situation.RING_TURNED if turned else Situation.RING


def mistaken_identity(slave: MysqlStatus | None, master: MysqlStatus, address: str | None) -> Situation | None:
    """Return why no replication between two servers can work, whatever data they have, or None.

    + slave: None where it is not known
    """
    if master.binary_log is None:
        return Situation.NO_BINARY_LOG
    if harmful_filters(master, of_slave=False) or (slave and harmful_filters(slave)):
        return Situation.FILTERED
    if slave is None:
        return None
    if slave.variables["server_id"] == master.variables["server_id"]:
        return Situation.SAME_SERVER_ID
    if slave.variables.get("server_uuid") and slave.variables["server_uuid"] == master.variables.get("server_uuid"):
        return Situation.SAME_SERVER_UUID
    if address and reads_under_its_id(slave, master) not in (None, address):
        return Situation.SAME_SERVER_ID_AS_SLAVE
    return None


def reads_under_its_id(slave: MysqlStatus, master: MysqlStatus) -> str | None:
    """Return who else reads from the master under the replica's server id just now.

    On MariaDB, two with the same id drive each other out, and neither names the reason; the one that reads is right. On
    MySQL both read, until one of them is the master, and the other leaves out all that it writes.
    """
    if slave.is_mariadb and slave.replica and slave.replica.io_running == "Yes":
        return None
    # MySQL's may not tell who they are.
    return master.slaves.get(slave.variables["server_id"]) or None


def _recognise_alone(slave: MysqlStatus, source: Source) -> Situation:
    """Return what can be said of a replica whose master cannot be asked."""
    if slave.replica is None:
        named = main_connection(slave, source)
        return Situation.NAMED if named and is_from(named, source) else Situation.NOT_SET_UP
    situation = _recognise_replica(slave, slave.replica, None, source)
    return Situation.STOPPED if situation is Situation.CAN_CATCH_UP else situation


def _recognise_replica(slave: MysqlStatus, replica: Replica, master: MysqlStatus | None, source: Source) -> Situation:
    if not is_from(replica, source):
        return Situation.OTHER_MASTER
    if _is_purged(replica, slave, master.binary_log if master else None):
        return Situation.PURGED
    if replica.sql_error:
        return Situation.BROKEN
    known = replica.password
    if replica.user != source.user or (known and not known.matches(source.password.reveal())):
        return Situation.OTHER_PASSWORD
    if replica.io_error and replica.io_running == "No":
        return Situation.BROKEN
    if not {replica.io_running, replica.sql_running} <= _THREAD_STATES:
        return Situation.UNKNOWN
    # What came from other masters is nobody's mistake.
    if master and not other_connections(slave, source) and history.errant(slave, master):
        return Situation.ERRANT
    return Situation.HEALTHY if is_running(replica) else Situation.CAN_CATCH_UP


def _is_purged(replica: Replica, slave: MysqlStatus, log: BinaryLog | None) -> bool:
    if replica.io_running == "Yes":
        return False
    if any(words in replica.io_error for words in _PURGED_WORDS):
        return True
    if log is None:
        return False
    if replica.using_gtid:
        return history.is_purged(replica, slave, log)
    return bool(log.files and replica.read_file) and replica.read_file not in log.files


def _recognise_named(slave: MysqlStatus, master: MysqlStatus, source: Source) -> Situation:
    """Return the situation of a replica without a default connection."""
    replica = main_connection(slave, source)
    assert replica is not None
    if not is_from(replica, source):
        return Situation.OTHER_MASTER
    if not other_connections(slave, source) and history.errant(slave, master):
        return Situation.ERRANT
    return Situation.NAMED_STUCK if why_stuck(slave, replica, master) else Situation.NAMED


def _recognise_moved(slave: MysqlStatus, master: MysqlStatus) -> Situation:
    can_move = history.has_position_in(slave, master) and not history.errant(slave, master)
    return Situation.MOVED if can_move else Situation.OTHER_MASTER
