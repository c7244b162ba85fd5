"""What status finds and shows of the database master and its replicas. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.findings import Finding, Level, NamedState
from ox_deploy.mysql.not_ready import why_not
from ox_deploy.operations import mysql
from ox_deploy.operations.openxchange import registration
from ox_deploy.status.seen import Seen
from ox_deploy.status.snapshot import LinkKind
from ox_deploy.status.states.base import Observation, Problem, state
from ox_deploy.status.states.configdb import configdb_not_reachable
from ox_deploy.status.states.drift import configuration_drifted
from ox_deploy.status.states.hosts import WAIT, described_run, host_unreachable, run_at_work
from ox_deploy.topologies.base import Causes, LinkStates, StateFinder
from ox_deploy.topologies.master_slaves import slave_states, switch_rules
from ox_deploy.topologies.master_slaves.deploys.database import SWITCHOVER, siblings
from ox_deploy.topologies.master_slaves.deploys.switchover import SWITCHES
from ox_deploy.topologies.master_slaves.diagnosis import Diagnosis, additional, diagnose
from ox_deploy.topologies.master_slaves.operations import replication, roles
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of
from ox_deploy.topologies.master_slaves.server_state import (
    DIFFERS,
    ENCRYPTED_ONLY,
    MASTER_READ_ONLY,
    WRITE_AGAIN,
    faults,
)
from ox_deploy.topologies.master_slaves.situations import Situation
from ox_deploy.topologies.master_slaves.source import Source


@state("master unreachable", Level.CRITICAL)
def master_unreachable(observed: Observation) -> Iterator[Problem]:
    """Find out whether the master's host or server cannot be asked."""
    seen = observed.of(master_of(observed.cluster))
    wanted = "the database master runs and can be asked"
    if seen.unreachable:
        found = f"its host cannot be asked: {seen.unreachable}"
        yield Problem(seen.node, found, wanted, remedy=host_unreachable.remedy)
    elif running_server(seen) is None:
        yield _no_server(seen, wanted)


@state(
    "master switched",
    Level.CRITICAL,
    f"complete the switch with `{SWITCHOVER} --data new_master=<replica>`, then change the inventory as it says; do "
    "not make the old master writable",
)
def master_switched(observed: Observation) -> Iterator[Problem]:
    """Find a replica that has taken over from the master, by GTID, whether it takes writes or not."""
    master = master_of(observed.cluster)
    seen = observed.of(master)
    status = None if seen.unreachable else running_server(seen)
    for one in observed.answering(slaves_of(observed.cluster)):
        own = running_server(one)
        if own and status and status.replica is None and switch_rules.is_decided(own, status):
            takes = "takes writes" if switch_rules.is_writable(own) else "is read-only"
            found = f"it has taken over from {master.name} and {takes}"
            yield Problem(one.node, found, f"{master.name} is the master, as in the inventory", master.name)


@state("master being switched", Level.FINE, WAIT)
def master_being_switched(observed: Observation) -> Iterator[Problem]:
    """Find out whether a run makes another server the master just now."""
    if observed.run_at_work and observed.run_at_work[1].doing.startswith(SWITCHES):
        yield described_run(*observed.run_at_work)


@state(MASTER_READ_ONLY, Level.CRITICAL, WRITE_AGAIN)
def master_read_only(observed: Observation) -> Iterator[Problem]:
    """Find out whether the master takes no writes of Open-Xchange."""
    seen = observed.of(master_of(observed.cluster))
    status = None if seen.unreachable else running_server(seen)
    read_only = status.variables.get("read_only", "unknown") if status else "OFF"
    if read_only != "OFF":
        yield Problem(seen.node, f"read_only is {read_only}", "read_only is OFF")


@state("database server down", Level.CRITICAL)
def database_server_down(observed: Observation) -> Iterator[Problem]:
    """Find replicas whose server cannot be asked."""
    for seen in observed.answering(slaves_of(observed.cluster)):
        if running_server(seen) is None:
            yield _no_server(seen, "the database server runs and can be asked")


@state("server without accounts", Level.CRITICAL)
def server_without_accounts(observed: Observation) -> Iterator[Problem]:
    """Find servers that let everybody in."""
    for seen in observed.answering(observed.cluster.databases):
        if seen.mysql and seen.mysql.state is ServerState.NO_ACCOUNTS:
            yield _no_server(seen, "it asks who logs in")


def _faults(observed: Observation, name: str) -> Iterator[Problem]:
    encrypted = observed.cluster.settings.replication_tls
    for seen in observed.answering(observed.cluster.databases):
        status = running_server(seen)
        for fault in faults(status, encrypted) if status else []:
            if fault.state == name:
                yield Problem(seen.node, f"it {fault.found}", fault.wanted, level=fault.level, remedy=fault.remedy)


@state(DIFFERS, Level.WARNING)
def setting_differs(observed: Observation) -> Iterator[Problem]:
    """Find servers that do not do what our file says."""
    yield from _faults(observed, DIFFERS)


@state(ENCRYPTED_ONLY, Level.CRITICAL)
def encryption_demanded(observed: Observation) -> Iterator[Problem]:
    """Find servers at which nobody can log in in clear, while everybody does."""
    yield from _faults(observed, ENCRYPTED_ONLY)


@dataclass(frozen=True)
class SlaveStateFinder:
    """Looks for a named state of replicas; what it is, how bad, and what to do is said by the replica's diagnosis."""

    state: NamedState

    @property
    def name(self) -> str:
        """Return the state's name."""
        return self.state.name

    def findings(self, observed: Observation) -> Iterator[Finding]:
        """Return where the state is found."""
        for seen, found in _diagnoses(observed):
            if found.situation.state is self.state:
                yield found.finding(seen.node.name)


def _diagnoses(observed: Observation) -> Iterator[tuple[Seen, Diagnosis]]:
    cluster = observed.cluster
    master = running_server(observed.of(master_of(cluster)))
    for seen in observed.answering(slaves_of(cluster)):
        node, source = seen.node, seen.expected
        if seen.mysql is None or not isinstance(source, Source) or not (seen.mysql.seeding or running_server(seen)):
            continue
        found = diagnose(node.inventory_name, seen.mysql, master, source, node.address, siblings(cluster, node))
        # One that still connects is given its time.
        if not found.connects:
            yield seen, found
        if running_server(seen):
            yield from ((seen, other) for other in additional(found))


def running_server(seen: Seen) -> MysqlStatus | None:
    """Return what the host's database server is like, if that is known."""
    return seen.mysql if seen.mysql and seen.mysql.state is ServerState.RUNNING else None


def _no_server(seen: Seen, wanted: str) -> Problem:
    found, remedy = why_not(seen.mysql or MysqlStatus(state=ServerState.NOT_RUNNING)) or ("", "")
    found = found if seen.mysql else "could not be asked"
    return Problem(seen.node, f"its database server {found}", wanted, remedy=remedy)


SLAVE_STATES = tuple(dict.fromkeys(situation.state for situation in Situation if situation is not Situation.HEALTHY))
STATES: list[StateFinder] = [
    master_unreachable,
    master_switched,
    master_being_switched,
    master_read_only,
    database_server_down,
    server_without_accounts,
    setting_differs,
    encryption_demanded,
    *(SlaveStateFinder(state) for state in SLAVE_STATES),
]

# What the servers are like while their roles change hands.
EXPLAINED_BY_SWITCH: tuple[NamedState, ...] = (
    master_switched,
    master_read_only,
    setting_differs,
    slave_states.NOT_SET_UP,
    slave_states.STOPPED,
    slave_states.WRITABLE,
    slave_states.ERRANT_TRANSACTIONS,
    slave_states.OF_ANOTHER_MASTER,
    slave_states.LAGGING,
)

CAUSES = Causes(
    hides={
        (master_unreachable, host_unreachable): "host",
        (master_unreachable, slave_states.STOPPED): "about",
        (master_unreachable, configdb_not_reachable): "about",
        (master_being_switched, run_at_work): "anywhere",
        (master_being_switched, configuration_drifted): "anywhere",
        **{(master_being_switched, state): "anywhere" for state in EXPLAINED_BY_SWITCH},
        (master_switched, master_read_only): "anywhere",
        (master_switched, slave_states.NOT_SET_UP): "host",
        (master_switched, slave_states.STOPPED): "host",
        (master_switched, slave_states.WRITABLE): "host",
        (master_switched, slave_states.ERRANT_TRANSACTIONS): "host",
        (master_switched, slave_states.OF_ANOTHER_MASTER): "anywhere",
        (slave_states.OF_ANOTHER_MASTER, slave_states.LAGGING): "host",
        (slave_states.HALF_SEEDED, database_server_down): "host",
        (slave_states.HALF_SEEDED, slave_states.LAGGING): "host",
        (slave_states.STOPPED, slave_states.LAGGING): "host",
        (server_without_accounts, master_unreachable): "host",
        (server_without_accounts, database_server_down): "host",
        (setting_differs, slave_states.DUPLICATE_SERVER_ID): "host",
        (setting_differs, slave_states.NO_BINARY_LOG): "anywhere",
        (encryption_demanded, configdb_not_reachable): "anywhere",
        (encryption_demanded, slave_states.STOPPED): "about",
        (slave_states.REPLICATION_RING, master_read_only): "anywhere",
        (slave_states.REPLICATION_RING, slave_states.WRITABLE): "host",
    },
    hides_drift=[
        ((master_unreachable, database_server_down), "host", (roles.configure, mysql.accounts)),
        ((master_switched,), "anywhere", (roles.check_roles, roles.configure, replication.replica)),
        ((slave_states.HALF_SEEDED,), "host", (roles.configure, replication.replica, mysql.accounts)),
        ((slave_states.WRITABLE,), "host", (roles.configure, replication.replica)),
        ((database_server_down, *SLAVE_STATES), "host", (replication.replica,)),
        ((setting_differs,), "host", (roles.configure,)),
        (
            (encryption_demanded, slave_states.REPLICATION_FILTERED, slave_states.REPLICATION_RING),
            "anywhere",
            (roles.check_roles,),
        ),
        ((server_without_accounts,), "anywhere", (roles.check_roles,)),
        ((master_unreachable,), "anywhere", (replication.replica, registration.register)),
    ],
)

LINKS = {
    LinkKind.DATABASE: LinkStates(
        target={
            master_unreachable: "server down",
            master_read_only: "read-only",
            database_server_down: "server down",
        },
    ),
    LinkKind.REPLICATION: LinkStates(
        source={master_unreachable: "master down"},
        target={
            database_server_down: "server down",
            slave_states.OF_ANOTHER_MASTER: "of another master",
            slave_states.HALF_SEEDED: "half seeded",
            slave_states.REPLICATION_FILTERED: "filtered",
            slave_states.REPLICATION_RING: "ring",
            slave_states.NAMED_CONNECTION: "named connection",
            slave_states.OF_SEVERAL_MASTERS: "several masters",
            slave_states.DELAYED: "delayed",
            slave_states.NOT_SET_UP: "",
            slave_states.STOPPED: "",
            slave_states.LOGIN_DIFFERS: "login differs",
            slave_states.LAGGING: "",
            slave_states.ERRANT_TRANSACTIONS: "errant transactions",
            slave_states.DUPLICATE_SERVER_ID: "duplicate server id",
            slave_states.NO_BINARY_LOG: "no binary log",
        },
        unreachable="unreachable",
    ),
}


def details(observed: Observation, seen: Seen) -> Iterator[tuple[str, str]]:
    """Yield what is shown of a database server, as label and text."""
    role = "master" if seen.node == master_of(observed.cluster) else "replica"
    status = running_server(seen)
    if status is None:
        yield "database", f"{seen.mysql.state.value if seen.mysql else 'unknown'}, {role}"
        return
    yield "database", f"{status.version}, {role}"
    if role == "replica":
        replica = status.replica
        position = f"{_lag(seen)}, at {replica.file}:{replica.position} of {replica.host}" if replica else _lag(seen)
        yield "replication", position + (f", {status.parallel} threads apply" if status.parallel > 1 else "")
    elif status.binary_log:
        yield "binary log", f"{status.binary_log.file}:{status.binary_log.position}"


def arrows(observed: Observation) -> Iterator[tuple[str, str, str]]:
    """Yield source, target and text of what is replicated."""
    for slave in slaves_of(observed.cluster):
        yield master_of(observed.cluster).name, slave.name, _lag(observed.of(slave))


def _lag(seen: Seen) -> str:
    """Return how far a replica is behind, such as "lag 0 s"."""
    status = running_server(seen)
    if status is None:
        return "lag unknown"
    if status.replica is None:
        return "not set up"
    behind = status.replica.seconds_behind
    return "stopped" if behind is None else f"lag {behind} s"
