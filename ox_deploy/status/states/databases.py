"""States of the database master and its slaves, and of configdb as the registrar sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ox_deploy.deploys.database import siblings
from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.findings import Finding, Level
from ox_deploy.mysql import switch_rules
from ox_deploy.mysql.replica_state import WRITE_AGAIN, Diagnosis, Situation, beside, diagnose, why_not
from ox_deploy.status.seen import Seen
from ox_deploy.status.states.base import Picture, Problem, state
from ox_deploy.status.states.hosts import host_unreachable


@state("master unreachable", Level.CRITICAL)
def master_unreachable(picture: Picture) -> Iterator[Problem]:
    """Find out whether the master's host or server cannot be asked."""
    seen = picture.of(picture.cluster.master)
    wanted = "the database master runs and can be asked"
    if seen.unreachable:
        found = f"its host cannot be asked: {seen.unreachable}"
        yield Problem(seen.node, found, wanted, remedy=host_unreachable.remedy)
    elif running_server(seen) is None:
        yield _no_server(seen, wanted)


SWITCHOVER = "pyinfra -y inventory.py ox_deploy.deploys.switchover.switchover --data new_master=<slave>"


@state(
    "master switched",
    Level.CRITICAL,
    f"complete the switch with `{SWITCHOVER}`, then change the inventory as it says; do not make the old master "
    "writable",
)
def master_switched(picture: Picture) -> Iterator[Problem]:
    """Find a slave that has taken over from the master, by GTID, whether it takes writes or not."""
    master = picture.cluster.master
    seen = picture.of(master)
    status = None if seen.unreachable else running_server(seen)
    for one in picture.answering(picture.cluster.slaves):
        own = running_server(one)
        if own and status and status.replica is None and switch_rules.is_decided(own, status):
            takes = "takes writes" if switch_rules.is_writable(own) else "is read-only"
            found = f"it has taken over from {master.name} and {takes}"
            yield Problem(one.node, found, f"{master.name} is the master, as in the inventory", master.name)


@state("master read-only", Level.CRITICAL, WRITE_AGAIN)
def master_read_only(picture: Picture) -> Iterator[Problem]:
    """Find out whether the master takes no writes of Open-Xchange."""
    seen = picture.of(picture.cluster.master)
    status = None if seen.unreachable else running_server(seen)
    read_only = status.variables.get("read_only", "unknown") if status else "OFF"
    if read_only != "OFF":
        yield Problem(seen.node, f"read_only is {read_only}", "read_only is OFF")


@state("database server down", Level.CRITICAL)
def database_server_down(picture: Picture) -> Iterator[Problem]:
    """Find slaves whose server cannot be asked."""
    for seen in picture.answering(picture.cluster.slaves):
        if running_server(seen) is None:
            yield _no_server(seen, "the database server runs and can be asked")


@dataclass(frozen=True)
class SlaveState:
    """A named state of slaves; what it is, how bad, and what to do is said by the slave's diagnosis."""

    name: str

    def findings(self, picture: Picture) -> Iterator[Finding]:
        """Return where the state is found."""
        for seen, found in _diagnoses(picture):
            if found.situation.known_as == self.name:
                yield found.finding(seen.node.name)


SLAVE_STATES = [SlaveState(name) for name in dict.fromkeys(situation.known_as for situation in Situation) if name]


def _diagnoses(picture: Picture) -> Iterator[tuple[Seen, Diagnosis]]:
    cluster = picture.cluster
    master = running_server(picture.of(cluster.master))
    for seen in picture.answering(cluster.slaves):
        if seen.mysql is None or seen.source is None or not (seen.mysql.seeding or running_server(seen)):
            continue
        node = seen.node
        found = diagnose(node.inventory_name, seen.mysql, master, seen.source, node.address, siblings(cluster, node))
        # One that still connects is given its time.
        if not found.connects:
            yield seen, found
        if running_server(seen):
            yield from ((seen, other) for other in beside(found))


@state(
    "configdb not reachable",
    Level.CRITICAL,
    "run the deploy, which fixes this node's account on the master, and host and account in the node's "
    "/opt/open-xchange/etc/admindaemon/configdb.properties; if it still cannot ask, check whether a firewall blocks "
    "the connection",
)
def configdb_not_reachable(picture: Picture) -> Iterator[Problem]:
    """Find out whether the registrar cannot ask configdb with the account and the write host of its configuration."""
    master, port = picture.cluster.master, picture.cluster.settings.mysql_port
    for seen in picture.answering([picture.cluster.registrar]):
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
def configdb_damaged(picture: Picture) -> Iterator[Problem]:
    """Find out whether configdb lacks tables, but holds registrations."""
    master = picture.cluster.master.name
    for seen in picture.answering([picture.cluster.registrar]):
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


def _no_server(seen: Seen, wanted: str) -> Problem:
    found, remedy = why_not(seen.mysql or MysqlStatus(state=ServerState.NOT_RUNNING)) or ("", "")
    found = found if seen.mysql else "could not be asked"
    return Problem(seen.node, f"its database server {found}", wanted, remedy=remedy)
