"""States of the database master and its slaves, and of configdb as the registrar sees it."""

from __future__ import annotations

from collections.abc import Iterator

from ox_deploy.cluster import Node
from ox_deploy.facts.mysql import MysqlStatus, Replica, ServerState
from ox_deploy.findings import Level
from ox_deploy.mysql import gtid, switch_rules
from ox_deploy.mysql.replica_state import SEED, STATES
from ox_deploy.status.seen import Seen
from ox_deploy.status.states.base import Observation, Problem, state

LAG_SECONDS = 60


@state(
    "master unreachable",
    Level.CRITICAL,
    "start the host and its database server; `journalctl -u mariadb` (MySQL: `-u mysql`) there shows the server's "
    "errors",
)
def master_unreachable(observed: Observation) -> Iterator[Problem]:
    """Find out whether the master's host or server cannot be asked."""
    seen = observed.of(observed.cluster.master)
    wanted = "the database master runs and can be asked"
    if seen.unreachable:
        yield Problem(seen.node, f"its host cannot be asked: {seen.unreachable}", wanted)
    elif running_server(seen) is None:
        yield Problem(seen.node, _why_no_server(seen), wanted)


SWITCHOVER = "pyinfra -y inventory.py ox_deploy.deploys.switchover.switchover --data new_master=<slave>"


@state(
    "master switched",
    Level.CRITICAL,
    f"complete the switch with `{SWITCHOVER}`, then change the inventory as it says; do not make the old master "
    "writable",
)
def master_switched(observed: Observation) -> Iterator[Problem]:
    """Find a slave that has taken over from the master, by GTID, whether it takes writes or not."""
    master = observed.cluster.master
    seen = observed.of(master)
    status = None if seen.unreachable else running_server(seen)
    for one in observed.answering(observed.cluster.slaves):
        own = running_server(one)
        if own and status and status.replica is None and switch_rules.is_decided(own, status):
            takes = "takes writes" if switch_rules.is_writable(own) else "is read-only"
            found = f"it has taken over from {master.name} and {takes}"
            yield Problem(one.node, found, f"{master.name} is the master, as in the inventory", master.name)


@state(
    "master read-only",
    Level.CRITICAL,
    "run `SET GLOBAL read_only = 0` there if nobody is switching the master right now, then find out who set it; a "
    "deploy does not fix it, because it compares only files",
)
def master_read_only(observed: Observation) -> Iterator[Problem]:
    """Find out whether the master takes no writes of Open-Xchange."""
    seen = observed.of(observed.cluster.master)
    status = None if seen.unreachable else running_server(seen)
    read_only = status.variables.get("read_only", "unknown") if status else "OFF"
    if read_only != "OFF":
        yield Problem(seen.node, f"read_only is {read_only}", "read_only is OFF")


@state(
    "database server down",
    Level.CRITICAL,
    "start it with `systemctl start mariadb` (MySQL: `mysql`); `journalctl -u` with that name there shows its errors",
)
def database_server_down(observed: Observation) -> Iterator[Problem]:
    """Find slaves whose server cannot be asked."""
    for seen in observed.answering(observed.cluster.slaves):
        if running_server(seen) is None:
            yield Problem(seen.node, _why_no_server(seen), "the database server runs and can be asked")


@state(
    "slave of another master",
    Level.CRITICAL,
    "correct `db_master`, or run `STOP SLAVE; RESET SLAVE ALL` (MySQL: `REPLICA`) there",
)
def slave_of_another_master(observed: Observation) -> Iterator[Problem]:
    """Find slaves that read from another server than the inventory's master."""
    master, port = observed.cluster.master, observed.cluster.settings.mysql_port
    for node, status in _running_slaves(observed):
        replica = status.replica
        if replica and (replica.host, replica.port) != (master.address, port):
            yield Problem(
                node,
                f"it replicates from {replica.host}:{replica.port}",
                f"it replicates from {master.name} ({master.address}:{port})",
            )


@state(
    "slave half seeded",
    Level.CRITICAL,
    "wait until its seeding ends (`systemctl status ox-seed` there), or seed it again "
    f"(`{SEED.format(name='<slave>')}`)",
)
def slave_half_seeded(observed: Observation) -> Iterator[Problem]:
    """Find slaves that do not have all of their master's data yet, whether that still comes or not."""
    for seen in observed.answering(observed.cluster.slaves):
        if seen.mysql and seen.mysql.seeding:
            found = "its seeding has not finished"
            yield Problem(seen.node, found, "it has all of its master's data")


@state(
    "slave stopped",
    Level.CRITICAL,
    "fix what the error names, then run `START SLAVE` (MySQL: `START REPLICA`) there; without an error, run the "
    "deploy, which starts replication or sets it up",
)
def slave_stopped(observed: Observation) -> Iterator[Problem]:
    """Find slaves that do not replicate."""
    master = observed.cluster.master
    wanted = f"it replicates from {master.name}: Slave_IO_Running and Slave_SQL_Running are Yes"
    for node, status in _running_slaves(observed):
        if status.replica is None:
            yield Problem(node, "replication is not set up: the server has no master", wanted)
            continue
        stopped = _stopped_threads(status.replica)
        if stopped:
            # Only what reads from the master can have stopped because of it.
            about = master.name if list(stopped) == ["IO"] else ""
            yield Problem(node, "; ".join(stopped.values()), wanted, about)


@state(
    "slave lagging",
    Level.WARNING,
    "find out what holds it up (`SHOW PROCESSLIST` there, the load of its disk); until then its readers see stale data",
)
def slave_lagging(observed: Observation) -> Iterator[Problem]:
    """Find slaves that are far behind the master."""
    for node, status in _running_slaves(observed):
        lag = status.replica.seconds_behind if status.replica else None
        if lag is not None and lag > LAG_SECONDS:
            yield Problem(node, f"it is {lag} s behind the master", f"it is at most {LAG_SECONDS} s behind")


@state(
    "slave writable",
    Level.CRITICAL,
    "run the deploy, which makes it read-only again; find out what was written there meanwhile",
)
def slave_writable(observed: Observation) -> Iterator[Problem]:
    """Find slaves that others than their master may write to."""
    for node, status in _running_slaves(observed):
        read_only = status.variables.get("read_only", "unknown")
        if read_only != "ON":
            yield Problem(node, f"read_only is {read_only}", "read_only is ON")


@state(
    "errant transactions",
    Level.WARNING,
    "inspect them with `mariadb-binlog` (MySQL: `mysqlbinlog`) in the slave's binary log; undo them there (with `SET "
    "sql_log_bin = 0`) or repeat them on the master, then run `RESET MASTER` on the slave (MySQL: commit empty "
    "transactions with their GTIDs on the master), or seed it anew from the master",
)
def errant_transactions(observed: Observation) -> Iterator[Problem]:
    """Find slaves that were written to by others than their master."""
    master = running_server(observed.of(observed.cluster.master))
    if master is None or not master.gtid_state:
        return
    for node, status in _running_slaves(observed):
        errant = gtid.errant(status, master)
        if errant:
            yield Problem(
                node,
                f"it has transactions that the master does not have: {', '.join(errant)}",
                "all that is in its binary log came from the master",
            )


@state(
    "configdb not reachable",
    Level.CRITICAL,
    "run the deploy, which fixes this node's account on the master, and host and account in the node's "
    "/opt/open-xchange/etc/admindaemon/configdb.properties; if it still cannot ask, check whether a firewall blocks "
    "the connection",
)
def configdb_not_reachable(observed: Observation) -> Iterator[Problem]:
    """Find out whether the registrar cannot ask configdb with the account and the write host of its configuration."""
    master, port = observed.cluster.master, observed.cluster.settings.mysql_port
    for seen in observed.answering([observed.cluster.registrar]):
        # Before Open-Xchange is installed there is no account to ask with.
        if seen.configuration and not seen.configuration.installed:
            continue
        if seen.registration and seen.registration.state == "no access":
            yield Problem(
                seen.node,
                f"configdb cannot be asked with this node's configuration ({seen.registration.error})",
                f"its account reaches configdb on {master.name} ({master.address}:{port}) from {seen.node.address}",
                about=master.name,
            )


@state(
    "configdb damaged",
    Level.CRITICAL,
    "restore configdb from a backup; a deploy changes nothing in it until then",
)
def configdb_damaged(observed: Observation) -> Iterator[Problem]:
    """Find out whether configdb lacks tables, but holds registrations."""
    master = observed.cluster.master.name
    for seen in observed.answering([observed.cluster.registrar]):
        if seen.registration and seen.registration.state == "damaged":
            yield Problem(
                seen.node,
                f"configdb on {master} lacks the tables {seen.registration.error}, but holds registrations",
                "configdb has all of its tables",
                about=master,
            )


def running_server(seen: Seen) -> MysqlStatus | None:
    """Return what the host's database server is like, if that is known."""
    return seen.mysql if seen.mysql and seen.mysql.state is ServerState.RUNNING else None


def _running_slaves(observed: Observation) -> Iterator[tuple[Node, MysqlStatus]]:
    for seen in observed.answering(observed.cluster.slaves):
        status = running_server(seen)
        if status:
            yield seen.node, status


def _why_no_server(seen: Seen) -> str:
    if seen.mysql is None:
        return "its database server could not be asked"
    detail = f" ({seen.mysql.error})" if seen.mysql.error else ""
    return f"its database server {STATES[seen.mysql.state]}{detail}"


def _stopped_threads(replica: Replica) -> dict[str, str]:
    """Return the threads that do not run, in the server's own terms; one that still connects is given its time."""
    stopped = {}
    if replica.io_running == "No" or (replica.io_running != "Yes" and replica.io_error):
        stopped["IO"] = f"Slave_IO_Running is {replica.io_running} ({replica.io_error or 'without an error'})"
    if replica.sql_running != "Yes":
        stopped["SQL"] = f"Slave_SQL_Running is {replica.sql_running} ({replica.sql_error or 'without an error'})"
    return stopped
