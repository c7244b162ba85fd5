"""What a slave is like, seen together with its master: how bad that is, what should be, and what to do.

Deploy, verify, status, seeding and switchover all take it from here, in the words of the server at hand. Pure: nothing
is asked or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ox_deploy.facts.mysql import BinaryLog, MysqlStatus, Replica
from ox_deploy.findings import Finding, Level
from ox_deploy.mysql import gtid
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves.connections import (
    connection,
    filters_between,
    forget,
    hidden,
    is_from,
    is_ring,
    others,
    runs,
    say,
    standing,
    why_stuck,
)

SEED = "pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave={name}"
OVERWRITE = SEED + " --data overwrite_slave={name}"
# For a master that is read-only.
WRITE_AGAIN = (
    "run `SET GLOBAL read_only = 0` there if nobody is switching the master right now, then find out who set it; a "
    "deploy does not fix it, because it compares only files"
)
# So begins the remedy of all that a deploy puts right by itself.
DEPLOY = "run the deploy, which "
REPLICATES = "it replicates from {source}"
OWN_ID = "each database server has a server id of its own"


class Situation(Enum):
    """What a slave is like, seen together with its master.

    `known_as` is the name that status and verify have for it, shared by situations of one kind, and `level` how bad
    that is while the slave replicates. `is_so` is what is, in words that follow the slave's name, `should` what should
    be, and `remedy` what to do. A server's own words, and names, stand where there are braces, see `_words`.
    """

    HEALTHY = "", Level.FINE, "replicates", ""
    FRESH = (
        "slave not set up",
        Level.CRITICAL,
        "is empty and the master's binary log holds everything",
        DEPLOY + "starts replication from the first transaction",
    )
    FRESH_PAIR = (
        "slave not set up",
        Level.CRITICAL,
        "is empty and so is the master",
        DEPLOY + "starts replication",
    )
    FORMER_MASTER = (
        "slave not set up",
        Level.CRITICAL,
        "was the master, and has nothing that the master lacks",
        DEPLOY + "lets it follow the master",
    )
    NEEDS_SEED = (
        "slave not set up",
        Level.CRITICAL,
        "is empty while the master has data that its binary log no longer holds",
        f"seed it (`{SEED}`)",
    )
    DIVERGED = (
        "slave not set up",
        Level.CRITICAL,
        "was the master, and has transactions that the master lacks",
        f"inspect them there with `{{reader}}`, repeat on the master what is needed, then seed it (`{OVERWRITE}`)",
    )
    HAS_DATA = (
        "slave not set up",
        Level.CRITICAL,
        "has databases of its own but does not replicate",
        f"take it out of `db_slave`, or replace all its data with the master's (`{OVERWRITE}`)",
    )
    NOT_SET_UP = (
        "slave not set up",
        Level.CRITICAL,
        "does not replicate, and its master cannot be asked",
        "make the master reachable, then run the deploy",
    )
    CAN_CATCH_UP = (
        "slave stopped",
        Level.CRITICAL,
        "is stopped, and its master still has all that it lacks",
        DEPLOY + "starts it, or says what keeps it from its master",
    )
    STOPPED = (
        "slave stopped",
        Level.CRITICAL,
        "is stopped, and its master cannot be asked",
        "make the master reachable, then run the deploy",
    )
    BROKEN = (
        "slave stopped",
        Level.CRITICAL,
        "stopped with an error",
        f"fix what the error names, then run `{{start}}`, or seed it (`{OVERWRITE}`)",
    )
    PURGED = (
        "slave stopped",
        Level.CRITICAL,
        "lacks what its master's binary log no longer holds",
        f"seed it (`{OVERWRITE}`)",
    )
    UNKNOWN = (
        "slave stopped",
        Level.CRITICAL,
        "is in an unknown state",
        "look at `{show}` there",
    )
    OTHER_PASSWORD = (
        "slave login differs",
        Level.WARNING,
        "logs in to the master with a different password",
        DEPLOY + "gives it the right one",
    )
    ERRANT = (
        "errant transactions",
        Level.WARNING,
        "has transactions that its master does not have",
        "inspect them with `{reader}` there; undo them (with `SET sql_log_bin = 0`) or repeat them on the master, then "
        "{settle}, or seed it "
        f"(`{OVERWRITE}`)",
        "all that is in its binary log came from the master",
    )
    HALF_SEEDED = (
        "slave half seeded",
        Level.CRITICAL,
        "is half seeded",
        f"wait until its seeding ends (`systemctl status ox-seed` there), or seed it again (`{SEED}`)",
        "it has all of its master's data",
    )
    MOVED = (
        "slave of another master",
        Level.CRITICAL,
        "replicates from another database host of the cluster",
        DEPLOY + "moves it to the master",
    )
    OTHER_MASTER = (
        "slave of another master",
        Level.CRITICAL,
        "replicates from another master",
        f"correct `db_master`, or run `{{forget}}` there and seed it (`{OVERWRITE}`)",
    )
    SAME_SERVER_ID = (
        "duplicate server id",
        Level.CRITICAL,
        "has the server id of its master",
        "give the host a `server_id` of its own and deploy it",
        OWN_ID,
    )
    SAME_SERVER_UUID = (
        "duplicate server id",
        Level.CRITICAL,
        "has the server_uuid of its master",
        "remove `auto.cnf` from its data directory, restart its server and deploy",
        OWN_ID,
    )
    SAME_SERVER_ID_AS_SLAVE = (
        "duplicate server id",
        Level.CRITICAL,
        "has the server id of another slave",
        "give each a `server_id` of its own in the inventory, restart their servers and deploy them",
        OWN_ID,
    )
    NO_BINARY_LOG = (
        "no binary log",
        Level.CRITICAL,
        "has a master that writes no binary log",
        "deploy the master first",
        "the master writes a binary log",
    )
    FILTERED = (
        "replication filtered",
        Level.CRITICAL,
        "does not get all that its master writes",
        "take the filter out of that server's options and restart it; to get the missing rows, seed it "
        f"(`{OVERWRITE}`)",
        "no option keeps databases or tables out of the binary log or out of the slave",
    )
    NAMED = (
        "named connection",
        Level.WARNING,
        "replicates from its master by a named connection",
        DEPLOY + "makes it the default one, at the same place",
        "it replicates from {source} by the default connection",
    )
    NAMED_STUCK = (
        "named connection",
        Level.WARNING,
        "replicates from its master by a named connection that cannot be made the default one yet",
        "fix the cause shown, start it (`{start_named}`), wait until it has caught up, then deploy",
        "it replicates from {source} by the default connection",
    )
    RING = (
        "replication ring",
        Level.CRITICAL,
        "and its master replicate from each other",
        "run `{forget_master}` on {master}; {name} stays its slave",
        "only the slave replicates",
    )
    RING_TURNED = (
        "replication ring",
        Level.CRITICAL,
        "and its master replicate from each other, and it is the one that takes writes",
        "run `{forget}` on {name}, and make it `db_master` in the inventory; {master} stays its slave",
        "only the slave replicates",
    )
    # Beside one of the others.
    SEVERAL = (
        "slave of several masters",
        Level.WARNING,
        "replicates from other masters, too",
        "run `{forget_other}` there if their data is not needed; if it is, have another server replicate it",
        "it replicates from {source} only",
    )
    DELAYED = (
        "slave delayed",
        Level.WARNING,
        "applies changes with a deliberate delay",
        "run `{undelay}` there: Open-Xchange would read stale data; a slave for backups should not be in `db_slave`",
        "it applies what it receives at once",
    )
    WRITABLE = (
        "slave writable",
        Level.CRITICAL,
        "takes writes although it is a slave",
        DEPLOY + "makes it read-only again; find out what was written there meanwhile",
        "read_only is ON",
    )
    LAGGING = (
        "slave lagging",
        Level.WARNING,
        "is too far behind its master",
        "wait, or find out what holds it up (`SHOW PROCESSLIST` there, the load of its disk)",
        "it is at most {seconds} s behind",
    )

    def __init__(self, known_as: str, level: Level, is_so: str, remedy: str, should: str = REPLICATES) -> None:
        self.known_as = known_as
        self.level = level
        self.is_so = is_so
        self.remedy = remedy
        self.should = should


# A slave is in one of the others.
BESIDE = {Situation.SEVERAL, Situation.DELAYED, Situation.WRITABLE, Situation.LAGGING}
# What a deploy puts right by itself; of the rest it refuses what is not healthy.
DEPLOYED = {
    Situation.FRESH,
    Situation.FRESH_PAIR,
    Situation.FORMER_MASTER,
    Situation.CAN_CATCH_UP,
    Situation.OTHER_PASSWORD,
    Situation.MOVED,
    Situation.NAMED,
    Situation.WRITABLE,
}
# How far a slave may be behind, in seconds.
LAG_SECONDS = 60


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


@dataclass(frozen=True)
class Diagnosis:
    """The situation of a slave, in words that fit its server.

    `master` is None where it cannot be asked; `source` is what the slave should replicate from. `seconds` is how far it
    may be behind. `address` is the slave's, as its master sees it.
    """

    situation: Situation
    name: str
    slave: MysqlStatus
    master: MysqlStatus | None
    source: Source
    seconds: float = LAG_SECONDS
    address: str | None = None

    @property
    def level(self) -> Level:
        """Return how bad it is: nothing is worse than a slave that does not replicate."""
        stands = self.situation not in BESIDE and not runs(connection(self.slave, self.source))
        return Level.CRITICAL if stands else self.situation.level

    @property
    def follows(self) -> bool:
        """Tell whether it replicates from its master, with transactions of its own or without."""
        is_errant = self.situation is Situation.ERRANT and runs(self.slave.replica)
        return self.situation is Situation.HEALTHY or is_errant

    @property
    def connects(self) -> bool:
        """Tell whether it is about to read from its master, and so may be healthy a moment later."""
        replica = self.slave.replica
        if replica is None or self.situation not in (Situation.CAN_CATCH_UP, Situation.STOPPED):
            return False
        return replica.io_running != "No" and not replica.io_error and replica.sql_running == "Yes"

    @property
    def found(self) -> str:
        """Return what is, in words that follow the slave's name."""
        detail = self._detail()
        return f"{self.situation.is_so} ({detail})" if detail else self.situation.is_so

    @property
    def should_be(self) -> str:
        """Return what should be."""
        source = f"{self.source.name} ({self.source.address}:{self.source.port})"
        return self.situation.should.format(source=source, seconds=f"{self.seconds:g}")

    @property
    def remedy(self) -> str:
        """Return what to do, as one says it to this server."""
        words = _words(self.name, self._server()) | self._about_connections()
        return self.situation.remedy.format(name=self.name, master=self.source.name, **words)

    def problem(self) -> str:
        """Return what is and what to do, as a part of a sentence."""
        return f"{self.name} {self.found}; {self.remedy}"

    def sentence(self, so_far: str = "nothing was changed") -> str:
        """Return a whole sentence with what this run did `so_far`."""
        return f"{self.name} {self.found}; {so_far}: {self.remedy}."

    def finding(self, host: str) -> Finding:
        """Return it as status and verify show it."""
        return Finding(
            state=self.situation.known_as,
            level=self.level,
            host=host,
            found=f"it {self.found}",
            wanted=self.should_be,
            remedy=self.remedy,
            about=self.source.name if self._only_cannot_read() else "",
        )

    def _only_cannot_read(self) -> bool:
        """Tell whether its master, or the way to it, may be the reason: then only one of its threads stands still."""
        stopped = Situation.CAN_CATCH_UP.known_as
        return bool(
            self.situation.known_as == stopped and self.slave.replica and self.slave.replica.sql_running == "Yes"
        )

    def _server(self) -> MysqlStatus:
        return self.slave if self.slave.version or self.master is None else self.master

    def _about_connections(self) -> dict[str, str]:
        """Return how a person ends or starts the connections of a slave, or of a master that is one, too."""
        slave, server = self.slave, self._server()
        counts = connection(slave, self.source)
        name = counts.name if counts else ""
        ring = [each for each in self.master.connections if each.host == self.address] if self.master else []
        return {
            "forget": forget(server, [counts] if counts else []),
            "forget_other": forget(server, others(slave, self.source)),
            "forget_master": forget(server, ring),
            "start_named": say(server, "start_named", name),
            "undelay": "; ".join(say(server, what, name) for what in ("stop_named", "undelay_named", "start_named")),
        }

    def _detail(self) -> str:
        slave, replica = self.slave, connection(self.slave, self.source)
        match self.situation:
            case Situation.FILTERED:
                return "; ".join(filters_between(self.name, slave, self.source.name, self.master))
            case Situation.NAMED if replica:
                return replica.name
            case Situation.NAMED_STUCK if replica and self.master:
                return f"{replica.name}: {why_stuck(slave, replica, self.master)}"
            case Situation.SEVERAL:
                return ", ".join(f"{each.host}:{each.port}" for each in others(slave, self.source))
            case Situation.DELAYED if replica:
                return f"by {replica.delay} s"
            case Situation.SAME_SERVER_ID_AS_SLAVE if self.master:
                return f"{slave.variables['server_id']}, under which {reads_under_its_id(slave, self.master)} reads"
            case Situation.ERRANT | Situation.DIVERGED if self.master:
                return ", ".join(gtid.errant(slave, self.master))
            case Situation.WRITABLE:
                return f"read_only is {slave.variables.get('read_only', 'unknown')}"
            case Situation.HAS_DATA:
                return ", ".join(slave.databases)
            case Situation.LAGGING if replica:
                return f"{replica.seconds_behind} s, more than {self.seconds:g} s"
            case Situation.OTHER_MASTER | Situation.MOVED if replica:
                return f"{replica.host}:{replica.port}"
            case Situation.PURGED if replica:
                return replica.io_error
            case Situation.BROKEN | Situation.CAN_CATCH_UP | Situation.STOPPED | Situation.UNKNOWN if replica:
                return "; ".join(standing(slave, replica))
        return ""


def diagnose(
    name: str,
    slave: MysqlStatus,
    master: MysqlStatus | None,
    source: Source,
    address: str | None = None,
    siblings: Sequence[str] = (),
) -> Diagnosis:
    """Say what a slave is like, and what to do. Pure: both sides are known, nothing is asked.

    + name: the slave's
    + master: None where it cannot be asked
    + address: the slave's, as its master sees it
    + siblings: the addresses of the other database hosts; a slave of one of them can be moved to the master
    """
    situation = recognise(slave, master, source, address, siblings)
    return Diagnosis(situation, name, slave, master, source, address=address)


def beside(found: Diagnosis) -> list[Diagnosis]:
    """Return what else is the matter with a slave, whatever its situation is."""
    slave, more = found.slave, []
    if slave.variables.get("read_only", "OFF") == "OFF":
        more.append(Situation.WRITABLE)
    replica = connection(slave, found.source)
    if others(slave, found.source):
        more.append(Situation.SEVERAL)
    if replica and replica.delay:
        more.append(Situation.DELAYED)
    if replica and (replica.seconds_behind or 0) - replica.delay > found.seconds:
        more.append(Situation.LAGGING)
    return [replace(found, situation=other) for other in more]


def recognise(
    slave: MysqlStatus,
    master: MysqlStatus | None,
    source: Source,
    address: str | None = None,
    siblings: Sequence[str] = (),
) -> Situation:
    """Return a slave's situation; the arguments are those of `diagnose`."""
    if slave.seeding:
        return Situation.HALF_SEEDED
    if master is None:
        return _recognise_alone(slave, source)
    mistaken = mistaken_identity(slave, master, address)
    if mistaken:
        return mistaken
    if is_ring(slave, master, source.address, address):
        return ring(slave, master)
    if slave.replica is None and slave.named:
        return _recognise_named(slave, master, source)
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
    if master.binary_log and master.binary_log.complete:
        return Situation.FRESH
    return Situation.NEEDS_SEED if master.databases else Situation.FRESH_PAIR


def unsafe(slave: MysqlStatus, master: MysqlStatus, master_address: str, address: str) -> Situation | None:
    """Return what makes a deploy lose rows whatever it does, or None."""
    if hidden(master, of_slave=False) or hidden(slave):
        return Situation.FILTERED
    return ring(slave, master) if is_ring(slave, master, master_address, address) else None


def ring(slave: MysqlStatus, master: MysqlStatus) -> Situation:
    """Return on which side a ring is to be ended: who alone takes writes is the master, else the inventory's."""
    turned = master.variables.get("read_only") != "OFF" and slave.variables.get("read_only") == "OFF"
    return Situation.RING_TURNED if turned else Situation.RING


def mistaken_identity(slave: MysqlStatus | None, master: MysqlStatus, address: str | None) -> Situation | None:
    """Return why no replication between two servers can work, whatever data they have, or None.

    + slave: None where it is not known
    """
    if master.binary_log is None:
        return Situation.NO_BINARY_LOG
    if hidden(master, of_slave=False) or (slave and hidden(slave)):
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
    """Return who else reads from the master under the slave's server id just now.

    On MariaDB, two with the same id drive each other out, and neither names the reason; the one that reads is right. On
    MySQL both read, until one of them is the master, and the other leaves out all that it writes.
    """
    if slave.is_mariadb and slave.replica and slave.replica.io_running == "Yes":
        return None
    # MySQL's may not tell who they are.
    return master.slaves.get(slave.variables["server_id"]) or None


def _recognise_alone(slave: MysqlStatus, source: Source) -> Situation:
    """Return what can be said of a slave whose master cannot be asked."""
    if slave.replica is None:
        named = connection(slave, source)
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
    if master and not others(slave, source) and gtid.errant(slave, master):
        return Situation.ERRANT
    return Situation.HEALTHY if runs(replica) else Situation.CAN_CATCH_UP


_THREAD_STATES = {"Yes", "No", "Connecting", "Preparing"}
# What masters say who no longer have what is asked for: the file, or what a GTID stands for.
_PURGED_WORDS = ("Could not find first log file name", "have been purged", "purged required binary logs")


def _is_purged(replica: Replica, slave: MysqlStatus, log: BinaryLog | None) -> bool:
    if replica.io_running == "Yes":
        return False
    if any(words in replica.io_error for words in _PURGED_WORDS):
        return True
    if log is None:
        return False
    if replica.using_gtid:
        return gtid.is_purged(replica, slave, log)
    return bool(log.files and replica.read_file) and replica.read_file not in log.files


def _recognise_named(slave: MysqlStatus, master: MysqlStatus, source: Source) -> Situation:
    """Return the situation of a slave without a default connection."""
    replica = connection(slave, source)
    assert replica is not None
    if not is_from(replica, source):
        return Situation.OTHER_MASTER
    if not others(slave, source) and gtid.errant(slave, master):
        return Situation.ERRANT
    return Situation.NAMED_STUCK if why_stuck(slave, replica, master) else Situation.NAMED


def _recognise_moved(slave: MysqlStatus, master: MysqlStatus) -> Situation:
    can_move = gtid.has_position_in(slave, master) and not gtid.errant(slave, master)
    return Situation.MOVED if can_move else Situation.OTHER_MASTER


def _words(name: str, server: MysqlStatus) -> dict[str, str]:
    """Return how a person says something to this server."""
    names = server.dialect
    is_mariadb = server.is_mariadb
    return {
        "start": f"START {names['replica']}",
        "show": f"SHOW {names['replica']} STATUS",
        "reader": "mariadb-binlog" if is_mariadb else "mysqlbinlog",
        "settle": f"run `{names['reset_log']}` on {name}"
        if is_mariadb
        else "commit empty transactions with their GTIDs on the master",
    }
