"""What a slave is like, seen together with its master, and what a person can do. Pure: nothing is asked or changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ox_deploy.facts.mysql import BinaryLog, MysqlStatus, Replica, ServerState
from ox_deploy.mysql import gtid
from ox_deploy.secrets import Secret

# What a server that cannot be asked is like, in words that follow its name.
STATES = {
    ServerState.NOT_INSTALLED: "is not installed",
    ServerState.NO_DRIVER: "has no Python driver",
    ServerState.NOT_RUNNING: "is not running",
    ServerState.NO_RIGHTS: "does not let root log in",
}


def not_ready(status: MysqlStatus, name: str) -> str | None:
    """Return a sentence if a server cannot be asked, so that nothing is decided on what is not known."""
    remedies = {
        ServerState.NOT_INSTALLED: "run the whole deploy, or this part with the database hosts included",
        ServerState.NO_DRIVER: "install python3-pymysql there, or run the whole deploy",
        ServerState.NOT_RUNNING: "start it and look at its log (`journalctl -u mariadb` or `-u mysql`)",
        ServerState.NO_RIGHTS: "let root log in over the socket, or set `mysql_option_file` to a root-only option file",
    }
    if status.state is ServerState.RUNNING:
        return None
    detail = f" ({status.error})" if status.error else ""
    return f"the database server of {name} {STATES[status.state]}{detail}; {remedies[status.state]}."


class Situation(Enum):
    """What a slave is like, seen together with its master."""

    HEALTHY = "replicates"
    FRESH = "is empty and the master's binary log holds everything"
    FRESH_PAIR = "is empty and so is the master"
    FORMER_MASTER = "was the master, and has nothing that the master lacks"
    MOVED = "replicates from another database host of the cluster"
    CAN_CATCH_UP = "is stopped, and its master still has all that it lacks"
    OTHER_PASSWORD = "logs in to the master with a different password"  # noqa: S105 - not a password
    NEEDS_SEED = "is empty while the master has data that its binary log no longer holds"
    DIVERGED = "was the master, and has transactions that the master lacks"
    HAS_DATA = "has databases of its own but does not replicate"
    BROKEN = "stopped with an error"
    PURGED = "lacks what its master's binary log no longer holds"
    ERRANT = "has transactions that its master does not have"
    HALF_SEEDED = "is half seeded"
    UNKNOWN = "is in an unknown state"
    OTHER_MASTER = "replicates from another master"
    SAME_SERVER_ID = "has the server id of its master"
    SAME_SERVER_UUID = "has the server_uuid of its master"
    SAME_SERVER_ID_AS_SLAVE = "has the server id of another slave"
    NO_BINARY_LOG = "has a master that writes no binary log"


SEED = "pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave={name}"
OVERWRITE = SEED + " --data overwrite_slave={name}"

REMEDIES = {
    Situation.NEEDS_SEED: f"seed it (`{SEED}`)",
    Situation.DIVERGED: "inspect them there with `{reader}`, repeat on the master what is needed, then seed it "
    f"(`{OVERWRITE}`)",
    Situation.HAS_DATA: f"take it out of `db_slave`, or replace all its data with the master's (`{OVERWRITE}`)",
    Situation.BROKEN: f"fix what the error names, then run `{{start}}`, or seed it (`{OVERWRITE}`)",
    Situation.PURGED: f"seed it (`{OVERWRITE}`)",
    Situation.ERRANT: "inspect them with `{reader}` there; undo or repeat them on the master and {settle}, or "
    f"seed it (`{OVERWRITE}`)",
    Situation.HALF_SEEDED: f"wait until its seeding ends, or seed it again (`{SEED}`)",
    Situation.UNKNOWN: "look at `{show}` there",
    Situation.OTHER_MASTER: f"correct `db_master`, or run `{{forget}}` there and seed it (`{OVERWRITE}`)",
    Situation.SAME_SERVER_ID: "give the host a `server_id` of its own and deploy it",
    Situation.SAME_SERVER_UUID: "remove `auto.cnf` from its data directory, restart its server and deploy",
    Situation.SAME_SERVER_ID_AS_SLAVE: "give each a `server_id` of its own in the inventory, restart their servers and "
    "deploy them",
    Situation.NO_BINARY_LOG: "deploy the master first",
}
# Of the others, each is what a deploy puts right.
DEPLOY = "deploy it, and it replicates again"


@dataclass(frozen=True)
class Source:
    """The master a replica should read from.

    `ca` is the file on the replica with the certificates of which the master has to show one, "" for a connection that
    is not encrypted. `semi_synchronous` tells whether it waits until a replica has received a transaction.
    """

    name: str
    address: str
    port: int
    user: str
    password: Secret
    ca: str = ""
    semi_synchronous: bool = False

    def job(self) -> dict[str, Any]:
        """Return it as a program takes it, with the password in clear."""
        how = {"ca": self.ca, "semi_synchronous": self.semi_synchronous}
        return {"host": self.address, "port": self.port, **how, **self.login()}

    def peer(self) -> dict[str, Any]:
        """Return how another database server logs in there, with the password in clear."""
        return {"name": self.name, "host": self.address, "port": self.port, "ca": self.ca, **self.login()}

    def login(self) -> dict[str, Any]:
        """Return the account as a program takes it, with the password in clear."""
        return {"user": self.user, "password": self.password.reveal()}


def recognise(
    slave: MysqlStatus,
    master: MysqlStatus,
    source: Source,
    address: str | None = None,
    siblings: Sequence[str] = (),
) -> Situation:
    """Say what a slave is like. Pure: both sides are known, nothing is asked.

    + address: the slave's, as its master sees it
    + siblings: the addresses of the other database hosts; a slave of one of them can be moved to the master
    """
    if slave.seeding:
        return Situation.HALF_SEEDED
    if master.binary_log is None:
        return Situation.NO_BINARY_LOG
    if slave.variables["server_id"] == master.variables["server_id"]:
        return Situation.SAME_SERVER_ID
    if slave.variables.get("server_uuid") and slave.variables["server_uuid"] == master.variables.get("server_uuid"):
        return Situation.SAME_SERVER_UUID
    if address and reads_under_its_id(slave, master) not in (None, address):
        return Situation.SAME_SERVER_ID_AS_SLAVE
    if slave.replica is not None:
        situation = _recognise_replica(slave, slave.replica, master, source)
        is_ours = situation is Situation.OTHER_MASTER and slave.replica.host in siblings
        return _recognise_moved(slave, master) if is_ours else situation
    if gtid.was_master(slave, master):
        if gtid.errant(slave, master):
            return Situation.DIVERGED
        if set(slave.databases) <= set(master.databases):
            return Situation.FORMER_MASTER
    if slave.databases:
        return Situation.HAS_DATA
    if master.binary_log.complete:
        return Situation.FRESH
    return Situation.NEEDS_SEED if master.databases else Situation.FRESH_PAIR


def reads_under_its_id(slave: MysqlStatus, master: MysqlStatus) -> str | None:
    """Return who else reads from the master under the slave's server id just now.

    On MariaDB, two with the same id drive each other out, and neither names the reason; the one that reads is right. On
    MySQL both read, until one of them is the master, and the other leaves out all that it writes.
    """
    if slave.is_mariadb and slave.replica and slave.replica.io_running == "Yes":
        return None
    # MySQL's may not tell who they are.
    return master.slaves.get(slave.variables["server_id"]) or None


def _recognise_replica(slave: MysqlStatus, replica: Replica, master: MysqlStatus, source: Source) -> Situation:
    if (replica.host, replica.port) != (source.address, source.port):
        return Situation.OTHER_MASTER
    if master.binary_log and _is_purged(replica, slave, master.binary_log):
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
    if gtid.errant(slave, master):
        return Situation.ERRANT
    return Situation.HEALTHY if runs(replica) else Situation.CAN_CATCH_UP


_THREAD_STATES = {"Yes", "No", "Connecting", "Preparing"}
# What masters say who no longer have what is asked for: the file, or what a GTID stands for.
_PURGED_WORDS = ("Could not find first log file name", "have been purged", "purged required binary logs")


def _is_purged(replica: Replica, slave: MysqlStatus, log: BinaryLog) -> bool:
    if replica.io_running == "Yes":
        return False
    if any(words in replica.io_error for words in _PURGED_WORDS):
        return True
    if replica.using_gtid:
        return gtid.is_purged(replica, slave, log)
    return bool(log.files and replica.read_file) and replica.read_file not in log.files


def runs(replica: Replica | None) -> bool:
    return replica is not None and (replica.io_running, replica.sql_running) == ("Yes", "Yes")


def _recognise_moved(slave: MysqlStatus, master: MysqlStatus) -> Situation:
    can_move = gtid.has_position_in(slave, master) and not gtid.errant(slave, master)
    return Situation.MOVED if can_move else Situation.OTHER_MASTER


def explain(
    name: str, situation: Situation, slave: MysqlStatus, master: MysqlStatus, so_far: str = "nothing was changed"
) -> str:
    """Return the sentence for a situation that is not a healthy one; `so_far` says what this run did."""
    detail = _detail(situation, slave, master)
    shown = f" ({detail})" if detail else ""
    remedy = REMEDIES.get(situation, DEPLOY).format(name=name, **_words(name, slave if slave.version else master))
    return f"{name} {situation.value}{shown}; {so_far}: {remedy}."


def _words(name: str, server: MysqlStatus) -> dict[str, str]:
    """Return how a person says something to this server."""
    names = server.dialect
    is_mariadb = server.is_mariadb
    return {
        "start": f"START {names['replica']}",
        "forget": f"STOP {names['replica']}; RESET {names['replica']} ALL",
        "show": f"SHOW {names['replica']} STATUS",
        "reader": "mariadb-binlog" if is_mariadb else "mysqlbinlog",
        "settle": f"run `{names['reset_log']}` on {name}"
        if is_mariadb
        else "commit empty transactions with their GTIDs there",
    }


def _detail(situation: Situation, slave: MysqlStatus, master: MysqlStatus) -> str:
    if situation is Situation.SAME_SERVER_ID_AS_SLAVE:
        return f"{slave.variables['server_id']}, under which {reads_under_its_id(slave, master)} reads"
    if situation in (Situation.ERRANT, Situation.DIVERGED):
        return ", ".join(gtid.errant(slave, master))
    if situation is Situation.UNKNOWN and slave.replica:
        return f"Slave_IO_Running is {slave.replica.io_running}, Slave_SQL_Running is {slave.replica.sql_running}"
    errors = (slave.replica.sql_error or slave.replica.io_error) if slave.replica else ""
    return errors or ", ".join(slave.databases)
