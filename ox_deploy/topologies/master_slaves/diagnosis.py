"""What is said of a replica, seen together with its master: how bad it is, what should be, and what to do.

Deploy, verify, status, seeding and switchover all take it from here, in the words of the server at hand. Pure: nothing
is asked or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ox_deploy.facts.mysql import MysqlStatus
from ox_deploy.findings import Finding, Level
from ox_deploy.topologies.master_slaves import history, slave_states
from ox_deploy.topologies.master_slaves.connections import (
    filters_between,
    forget_statements,
    is_running,
    main_connection,
    other_connections,
    statement_for,
    stopped_threads,
    why_stuck,
)
from ox_deploy.topologies.master_slaves.recognise import reads_under_its_id, recognise
from ox_deploy.topologies.master_slaves.situations import ADDITIONAL, Situation
from ox_deploy.topologies.master_slaves.source import Source

# How far a replica may be behind, in seconds.
LAG_SECONDS = 60


@dataclass(frozen=True)
class Diagnosis:
    """The situation of a replica, in words that fit its server.

    `master` is None where it cannot be asked; `source` is what the replica should replicate from. `seconds` is how far
    it may be behind. `address` is the replica's, as its master sees it.
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
        """Return how bad it is: nothing is worse than a replica that does not replicate."""
        stands = self.situation not in ADDITIONAL and not is_running(main_connection(self.slave, self.source))
        return Level.CRITICAL if stands else self.situation.level

    @property
    def follows(self) -> bool:
        """Tell whether it replicates from its master, with transactions of its own or without."""
        is_errant = self.situation is Situation.ERRANT and is_running(self.slave.replica)
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
        """Return what is, in words that follow the replica's name."""
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
            state=self.situation.state.name,
            level=self.level,
            host=host,
            found=f"it {self.found}",
            wanted=self.should_be,
            remedy=self.remedy,
            about=self.source.name if self._only_cannot_read() else "",
        )

    def _only_cannot_read(self) -> bool:
        """Tell whether its master, or the way to it, may be the reason: then only one of its threads stands still."""
        replica = self.slave.replica
        return self.situation.state is slave_states.STOPPED and replica is not None and replica.sql_running == "Yes"

    def _server(self) -> MysqlStatus:
        return self.slave if self.slave.version or self.master is None else self.master

    def _about_connections(self) -> dict[str, str]:
        """Return how a person ends or starts the connections of a replica, or of a master that is one, too."""
        slave, server = self.slave, self._server()
        counts = main_connection(slave, self.source)
        name = counts.name if counts else ""
        ring = [each for each in self.master.connections if each.host == self.address] if self.master else []
        return {
            "forget": forget_statements(server, [counts] if counts else []),
            "forget_other": forget_statements(server, other_connections(slave, self.source)),
            "forget_master": forget_statements(server, ring),
            "start_named": statement_for(server, "start_named", name),
            "undelay": "; ".join(
                statement_for(server, what, name) for what in ("stop_named", "undelay_named", "start_named")
            ),
        }

    def _detail(self) -> str:
        slave, replica = self.slave, main_connection(self.slave, self.source)
        match self.situation:
            case Situation.FILTERED:
                return "; ".join(filters_between(self.name, slave, self.source.name, self.master))
            case Situation.NAMED if replica:
                return replica.name
            case Situation.NAMED_STUCK if replica and self.master:
                return f"{replica.name}: {why_stuck(slave, replica, self.master)}"
            case Situation.SEVERAL:
                return ", ".join(f"{each.host}:{each.port}" for each in other_connections(slave, self.source))
            case Situation.DELAYED if replica:
                return f"by {replica.delay} s"
            case Situation.SAME_SERVER_ID_AS_SLAVE if self.master:
                return f"{slave.variables['server_id']}, under which {reads_under_its_id(slave, self.master)} reads"
            case Situation.ERRANT | Situation.DIVERGED if self.master:
                return ", ".join(history.errant(slave, self.master))
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
                return "; ".join(stopped_threads(slave, replica))
        return ""


def diagnose(
    name: str,
    slave: MysqlStatus,
    master: MysqlStatus | None,
    source: Source,
    address: str | None = None,
    siblings: Sequence[str] = (),
) -> Diagnosis:
    """Say what a replica is like, and what to do. Pure: both sides are known, nothing is asked.

    + name: the replica's
    + master: None where it cannot be asked
    + address: the replica's, as its master sees it
    + siblings: the addresses of the other database hosts; a replica of one of them can be moved to the master
    """
    situation = recognise(slave, master, source, address, siblings)
    return Diagnosis(situation, name, slave, master, source, address=address)


def additional(found: Diagnosis) -> list[Diagnosis]:
    """Return what else is the matter with a replica, whatever its situation is."""
    slave, more = found.slave, []
    if slave.variables.get("read_only", "OFF") == "OFF":
        more.append(Situation.WRITABLE)
    replica = main_connection(slave, found.source)
    if other_connections(slave, found.source):
        more.append(Situation.SEVERAL)
    if replica and replica.delay:
        more.append(Situation.DELAYED)
    if replica and (replica.seconds_behind or 0) - replica.delay > found.seconds:
        more.append(Situation.LAGGING)
    return [replace(found, situation=other) for other in more]


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
