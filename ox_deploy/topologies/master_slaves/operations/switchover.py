"""Another database server becomes the master: switchover while the old one lives, failover when it is dead."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click
from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.mysql import Mysql, MysqlStatus, ServerState
from ox_deploy.mysql.accounts import WantedAccount, account_statements
from ox_deploy.mysql.not_ready import not_ready
from ox_deploy.mysql.servers import DatabaseServer
from ox_deploy.operations import service
from ox_deploy.operations.openxchange.node import WantedNode
from ox_deploy.operations.stop import stop
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.peer import PeerUnreachable, ask_peer
from ox_deploy.questions.program import standalone
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.question import Question
from ox_deploy.remote.master_slaves.replication.catch_up import WAITING
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves import switch_rules
from ox_deploy.topologies.master_slaves.diagnosis import diagnose
from ox_deploy.topologies.master_slaves.facts.switchover import Reaches
from ox_deploy.topologies.master_slaves.notes import notes
from ox_deploy.topologies.master_slaves.source import Source
from ox_deploy.topologies.master_slaves.switch_rules import Phase, Server, is_writable

# After how many seconds the guard opens the old master again, if nobody takes over. Long enough for all that the
# program which stops writes waits for, and for the next operation to begin.
GUARD_SECONDS = 15
# How long a replica may take to connect again and to catch up, before writes are stopped.
CATCH_UP_SECONDS = 20
# How long the dead master is waited for once more, right before another one is opened.
REACH_SECONDS = 3


@dataclass(frozen=True)
class Switch:
    """Who hands over to whom, the replicas' account, and what kind of servers they are.

    `ca` is the file on both with the certificates of which the other one has to show one, "" without encryption.
    """

    old: Server
    new: Server
    user: str
    password: Secret
    kind: DatabaseServer
    ca: str = ""

    def login(self, server: Server) -> dict[str, Any]:
        """Return how one of the two reaches the other."""
        return {
            "name": server.name,
            "host": server.address,
            "port": server.port,
            "user": self.user,
            "password": self.password.reveal(),
            "ca": self.ca,
        }

    @property
    def source(self) -> Source:
        """Return what the replicas follow before the switch."""
        return Source(self.old.name, self.old.address, self.old.port, self.user, self.password, self.ca)


def answer_of(server: Server) -> MysqlStatus | None:
    """Return what a server is like, None if its host cannot be reached."""
    try:
        return ask_peer(host, server.inventory_name, status_question(server, []))
    except PeerUnreachable:
        return None


def status_question(server: Server, users: Sequence[str]) -> Question[MysqlStatus]:
    """Return what has to be known of a database server."""
    return Question(Mysql, users=list(users), option_file=server.option_file)


def _ask(server: Server, users: Sequence[str]) -> MysqlStatus:
    """Ask a database server; raises PeerUnreachable with a sentence if it cannot be asked."""
    status = ask_peer(host, server.inventory_name, status_question(server, users))
    problem = not_ready(status, server.name)
    if problem:
        raise PeerUnreachable(problem)
    return status


@operation()
def catch_up(switch: Switch, server: Server, max_lag: float) -> Generator[StringCommand, None, None]:
    """
    Let a replica reach the master now, and wait a while until it has what the master has.

    + switch: who hands over to whom
    + server: this host's server
    + max_lag: how many seconds a replica may be behind

    A master that was just started anew, or a network that was just mended, is no obstacle then. Idempotent.
    """
    status = answer_of(server)
    replica = status.replica if status else None
    if not replica or not (replica.io_running == WAITING or (replica.seconds_behind or 0) > max_lag):
        host.noop("it follows the master")
        return
    master = answer_of(switch.old)
    job = {
        "option_file": server.option_file,
        "seconds": CATCH_UP_SECONDS,
        "gtids": master.gtid.binlog if master else "",
    }
    yield order("master_slaves.replication_catch_up", job)


@operation()
def check_server(
    switch: Switch,
    server: Server,
    users: Sequence[str],
    accounts: Sequence[WantedAccount],
    files: Sequence[service.ManagedFile],
    max_lag: float,
    siblings: Sequence[str] = (),
) -> Generator[StringCommand, None, None]:
    """
    Refuse to switch if this database server would not come through without a loss.

    + switch: who hands over to whom
    + server: this host's server
    + users, accounts: the accounts that the new master has to have
    + files: its configuration files as they should be
    + max_lag: how many seconds a replica may be behind
    + siblings: addresses of the other database hosts

    Idempotent: changes nothing.
    """
    try:
        new, old, own = (_ask(one, users) for one in (switch.new, switch.old, server))
    except PeerUnreachable as error:
        yield stop(str(error))
        return
    phase = switch_rules.phase(new, old)
    _note(switch.new, new, phase)
    problems = switch_rules.problems_of_pair(new, old, (switch.new.name, switch.old.name))
    if phase is Phase.BEFORE:
        if server == switch.old:
            problems += switch_rules.problems_of_old(own, server.name)
        else:
            found = diagnose(server.name, own, old, switch.source, server.address, siblings)
            problems += switch_rules.problems_of_slave(replace(found, seconds=max_lag), old)
        if server not in (switch.new, switch.old):
            problems += switch_rules.problems_of_sibling(own, new, (server.name, switch.new.name))
        if server == switch.new:
            problems += switch_rules.problems_of_new(new, old, server.name, switch.old.name)
            problems += _missing_accounts(new, accounts, server.name)
        problems += _configuration_differs(switch, server.name, files)
    yield from _refuse(problems, f"ready, {phase.value}")


def _note(server: Server, new: MysqlStatus, phase: Phase) -> None:
    """Note how far the switch is for what follows: nobody asks while writes are down."""
    noted = notes()
    noted.phases[server.name] = phase
    noted.promoted.discard(server.name)
    if phase is Phase.AFTER and new.replica is None and is_writable(new):
        noted.promoted.add(server.name)


def _missing_accounts(new: MysqlStatus, accounts: Sequence[WantedAccount], name: str) -> list[str]:
    found = {(account.user, account.host): account for account in new.accounts}
    missing = [
        wanted for wanted in accounts if account_statements(wanted, found.get((wanted.user, wanted.host)), new.dialect)
    ]
    names = ", ".join(f"'{wanted.user}'@'{wanted.host}'" for wanted in missing)
    return [f"on {name}, the accounts {names} are not as they should be; deploy"] if missing else []


def _configuration_differs(switch: Switch, name: str, files: Sequence[service.ManagedFile]) -> list[str]:
    status = ask(host, service.question(switch.kind.unit, files))
    changed = [file.path for file in service.changes(files, status)]
    if status.pending:
        return [f"{name}: a deploy of its server did not finish; deploy"]
    return [f"{name}: its configuration differs from the inventory ({', '.join(changed)}); deploy"] if changed else []


def _refuse(problems: Sequence[str], otherwise: str) -> Generator[StringCommand, None, None]:
    if problems:
        yield stop("\n".join(f"{problem}. Nothing was changed." for problem in problems))
    else:
        host.noop(otherwise)


@operation()
def check_node(switch: Switch, users: Sequence[str], wanted: WantedNode) -> Generator[StringCommand, None, None]:
    """
    Refuse to switch if a groupware node is not as the inventory says.

    + switch: who hands over to whom
    + users: as for `check_server`
    + wanted: what the node should be like before the switch

    Idempotent: changes nothing.
    """
    try:
        phase = switch_rules.phase(_ask(switch.new, users), _ask(switch.old, users))
    except PeerUnreachable as error:
        yield stop(str(error))
        return
    if phase is Phase.AFTER:
        host.noop("it will be configured for the new master")
    else:
        yield from _refuse(wanted.problems(), "ready")


@operation()
def check_dead(switch: Switch) -> Generator[StringCommand, None, None]:
    """
    Refuse a failover while the old master's server runs. To be called on its host, if that can be reached.

    + switch: who hands over to whom

    Idempotent: changes nothing.
    """
    status = ask(host, status_question(switch.old, []))
    alive = [f"the database server of {switch.old.name} is running; use the switchover, which loses nothing"]
    yield from _refuse(alive if status.state is ServerState.RUNNING else [], "its database server does not run")


@operation()
def check_survivor(
    switch: Switch, server: Server, slaves: Sequence[Server], accept_loss: str | None
) -> Generator[StringCommand, None, None]:
    """
    Refuse a failover if the old master lives, if another replica has more, or without the word that a loss is accepted.

    + switch: who should take over from whom
    + server: this host's server
    + slaves: all replicas of the old master
    + accept_loss: the name of the old master, said by a person

    Idempotent: changes nothing.
    """
    if ask(host, reach_question(switch.old)):
        alive = f"{switch.old.name} answers {server.name}, so it is alive; use the switchover, which loses "
        yield from _refuse([alive + "nothing, or power that host off"], "")
        return
    if server != switch.new:
        host.noop(f"{switch.old.name} does not answer")
        return
    own = ask(host, status_question(server, []))
    problem = not_ready(own, server.name)
    if problem:
        yield stop(problem)
        return
    is_decided = is_writable(own) or own.taken_from == switch.old.name
    _note(server, own, Phase.AFTER if is_decided else Phase.BEFORE)
    if is_decided and own.replica is None:
        host.noop(f"{server.name} has taken over")
        return
    yield from _refuse(
        _losses(switch, own, slaves, accept_loss), f"it has the most transactions: {switch_rules.shown(own)}"
    )


def _losses(switch: Switch, own: MysqlStatus, slaves: Sequence[Server], accept_loss: str | None) -> list[str]:
    """Return why nothing should be lost by choosing this replica, unless it was said that it may."""
    new, old = switch.new, switch.old
    if own.seeding:
        return [f"{new.name} is half seeded, so it does not have all that {old.name} had; choose another replica"]
    if own.replica is None:
        return [f"{new.name} does not replicate, so it has nothing from {old.name}; choose another replica"]
    answers = {slave.name: answer_of(slave) for slave in slaves}
    known = {name: status for name, status in answers.items() if status and status.replica and not status.seeding}
    ahead_of_it = {name: status for name, status in known.items() if switch_rules.lacks(own, status)}
    if ahead_of_it:
        best = switch_rules.with_most(ahead_of_it)
        if switch_rules.lacks(known[best], own):
            return [
                f"{new.name} and {best} each have transactions that the other lacks ({switch_rules.shown(own)}; "
                f"{switch_rules.shown(known[best])}); inspect them, repeat on one what only the other has, and choose "
                "that one"
            ]
        return [
            f"{best} has more from {old.name} ({switch_rules.shown(known[best])}) than {new.name} "
            f"({switch_rules.shown(own)}); run again with `--data new_master={best}`"
        ]
    if accept_loss == old.name:
        return []
    unknown = [name for name in answers if name not in known]
    also = f" What {', '.join(unknown)} may have beyond that is unknown." if unknown else ""
    return [
        f"{new.name} has the most from {old.name}: {switch_rules.shown(own)}. What {old.name} acknowledged but did not "
        f"send is lost.{also} To accept that, run again with `--data accept_loss={old.name}`"
    ]


def reach_question(server: Server) -> Question[bool]:
    """Return what tells whether a server elsewhere lives."""
    return Question(Reaches, address=server.address, port=server.port)


@operation()
def stop_writes(switch: Switch) -> Generator[StringCommand, None, None]:
    """
    Stop writes on the old master and wait until the new one has everything; otherwise leave all as it was.

    + switch: who hands over to whom

    Idempotent. A guard on the host, run by its systemd, opens writes again after GUARD_SECONDS unless the new master
    claims them before. It does so even if neither this machine nor the program is there any more.
    """
    if notes().phases.get(switch.new.name) is Phase.AFTER:
        host.noop(f"{switch.new.name} is open")
        return
    old = switch.old
    guard = {"option_file": old.option_file, "fence": switch.kind.fence, "seconds": GUARD_SECONDS}
    job = {
        "name": old.name,
        "new": switch.login(switch.new),
        "option_file": old.option_file,
        "fence": switch.kind.fence,
        "guard": standalone("master_slaves.switch_guard", guard),
    }
    yield order("master_slaves.switch_stop_writes", job)


@operation()
def promote(switch: Switch, lost: bool = False) -> Generator[StringCommand, None, None]:
    """
    Open the new master: the point of no return.

    + switch: who hands over to whom
    + lost: the old master is dead, and cannot be asked whether it takes writes

    Idempotent. The guard of the old master has ended, and it is read-only, before the new one is opened.
    """
    new = switch.new
    if new.name in notes().promoted:
        host.noop(f"{new.name} is open")
        return
    old = switch.old
    job = {
        "old": None if lost else switch.login(old),
        "lost": {"name": old.name, "host": old.address, "port": old.port, "seconds": REACH_SECONDS} if lost else None,
        "from": old.name,
        "fence": switch.kind.fence,
        "option_file": new.option_file,
    }
    yield order("master_slaves.switch_promote", job)


@operation()
def report(lines: Sequence[str]) -> Generator[StringCommand, None, None]:
    """
    Print what is to be done by a person now, on standard error.

    + lines: the text, by lines

    Idempotent: changes nothing.
    """
    if is_executing():
        click.echo("\n".join(lines), err=True)
    host.noop("done")
    return
    yield
