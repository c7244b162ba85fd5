"""The checks of a master and its replicas. Guide: Testing Master/Slave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra import host

from ox_deploy.cluster import Cluster, Node
from ox_deploy.facts.mysql import Account, Mysql, MysqlStatus, ServerState
from ox_deploy.findings import DEPLOY, Finding
from ox_deploy.mysql.accounts import WantedAccount, account_statements, stale_accounts
from ox_deploy.mysql.not_ready import why_not
from ox_deploy.operations.verify.checks import (
    CouldNotRun,
    Verdict,
    answer_or_fail,
    check,
    failed,
    passed,
    problem,
    trial_or_fail,
)
from ox_deploy.questions.lease import ticket
from ox_deploy.questions.peer import PeerUnreachable, ask_peer
from ox_deploy.questions.question import Question
from ox_deploy.topologies.master_slaves.deploys.database import USERS, siblings, source_of, wanted_accounts
from ox_deploy.topologies.master_slaves.diagnosis import additional, diagnose
from ox_deploy.topologies.master_slaves.facts.canary import Canary
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of
from ox_deploy.topologies.master_slaves.server_state import MASTER_READ_ONLY, WRITE_AGAIN, faults
from ox_deploy.topologies.master_slaves.situations import Situation
from ox_deploy.topologies.master_slaves.source import Source

REPLICATES = "Every replica follows the master"
ARRIVES = "A new database reaches every replica"
VANISHES = "A dropped database is gone from every replica"
NO_SLAVE = "there is no replica"


def _question(users: Sequence[str], option_file: str | None = None, **_: Any) -> Question[MysqlStatus]:
    return Question(Mysql, users=list(users), option_file=option_file)


def _running(users: Sequence[str], option_file: str | None) -> MysqlStatus:
    """Return the server of this host; raises CouldNotRun unless it runs, or is half seeded, and so need not."""
    status = answer_or_fail(_question(users, option_file))
    why = None if status.seeding else why_not(status)
    if why:
        raise CouldNotRun(f"its database server {why[0]}", why[1])
    return status


@dataclass(frozen=True)
class Reading:
    """What a replica should read from, and how its master is asked.

    `address` is the replica's, as its master sees it; `siblings` are those of the other database hosts.
    """

    source: Source
    master_host: str
    master_option_file: str | None
    address: str
    siblings: Sequence[str] = ()


def _masters_questions(
    users: Sequence[str], reading: Reading | None, **_: Any
) -> list[tuple[str, Question[MysqlStatus]]]:
    return [(reading.master_host, _question(users, reading.master_option_file))] if reading else []


@check(REPLICATES, asks=_question, peers=_masters_questions)
def replicates(users: Sequence[str], option_file: str | None, reading: Reading | None, slaves: int) -> Verdict:
    """
    Check that a replica follows the master, and that a deploy would find nothing to do about that.

    + users: as for `accounts`, so that one question answers both
    + option_file: root-only option file on the host, where root cannot log in over the socket
    + reading: what a replica should read from, None on the master itself
    + slaves: how many replicas the master has
    """
    status = _running(users, option_file)
    if reading is None:
        return _master(status, slaves)
    source, master = reading.source, _asked(*_masters_questions(users, reading)[0])
    found = diagnose(host.name, status, master, source, reading.address, reading.siblings)
    others = [other for other in additional(found) if other.situation not in _TRIED_ELSEWHERE]
    findings = [each.finding(host.name) for each in (found, *others) if each.situation is not Situation.HEALTHY]
    return Verdict(f"from {source.address}:{source.port}", findings)


# Other checks find these.
_TRIED_ELSEWHERE = {Situation.WRITABLE, Situation.LAGGING}


def _asked(master_host: str, question: Question[MysqlStatus]) -> MysqlStatus | None:
    """Return what the master is like, None if it cannot be asked: a check of its own says so."""
    try:
        master = ask_peer(host, master_host, question)
    except PeerUnreachable:
        return None
    return master if master.state is ServerState.RUNNING else None


def _master(status: MysqlStatus, slaves: int) -> Verdict:
    if not slaves:
        return Verdict(NO_SLAVE)
    if status.binary_log is None:
        situation = Situation.NO_BINARY_LOG
        found = "the master writes no binary log, so its replicas receive nothing"
        return Verdict(findings=[problem(situation.state.name, found, situation.should, situation.remedy)])
    return Verdict(f"writes {status.binary_log.file}")


@check("Every server has the settings that the cluster needs", asks=_question)
def settings(users: Sequence[str], option_file: str | None, encrypted: bool) -> Verdict:
    """
    Check that a running server does what our files say, and lets replicas and groupware nodes in.

    + users, option_file: as for `replicates`
    + encrypted: whether the replicas log in over encrypted connections
    """
    status = _running(users, option_file)
    return Verdict(
        f"server id {status.variables['server_id']}", [fault.finding(host.name) for fault in faults(status, encrypted)]
    )


@check("Only the master can be written", asks=_question)
def read_only(users: Sequence[str], option_file: str | None, writable: bool) -> Verdict:
    """
    Check that `read_only` is on at a replica and off at the master.

    + users, option_file: as for `replicates`
    + writable: whether this is the master
    """
    value = _running(users, option_file).variables.get("read_only", "unknown")
    measured = f"read_only is {value}"
    if writable == (value == "OFF"):
        return Verdict(measured)
    if writable:
        return Verdict(findings=[problem(MASTER_READ_ONLY, measured, "read_only is OFF", WRITE_AGAIN)])
    situation = Situation.WRITABLE
    return Verdict(findings=[problem(situation.state.name, measured, situation.should, situation.remedy)])


@check("Every server has the same accounts, rights and passwords", asks=_question)
def accounts(users: Sequence[str], option_file: str | None, wanted: Sequence[WantedAccount]) -> Verdict:
    """
    Check the accounts of the replicas and of Open-Xchange, on the master and on every replica.

    + users: the user names that are ours
    + option_file: as for `replicates`
    + wanted: the accounts as they should be, the same on all servers
    """
    status = _running(users, option_file)
    known = {(account.user, account.host): account for account in status.accounts}
    compared = [_compare(account, known.get((account.user, account.host)), status) for account in wanted]
    stale = [_stale(account) for account in stale_accounts(wanted, status.accounts)]
    findings = [finding for finding in compared if finding]
    return Verdict(f"{len(wanted)} accounts", [*findings, *stale])


def _compare(wanted: WantedAccount, found: Account | None, status: MysqlStatus) -> Finding | None:
    who = f"'{wanted.user}'@'{wanted.host}'"
    if found is None:
        return problem("account missing", f"there is no {who}", "it exists on every database server", DEPLOY)
    labels = [statement.label for statement in account_statements(wanted, found, status.dialect)]
    if not labels:
        return None
    shown = f"{who} differs; a deploy would: {'; '.join(labels)}"
    return problem("account differs", shown, "the same password and rights on every database server", DEPLOY)


def _stale(account: Account) -> Finding:
    who = f"'{account.user}'@'{account.host}'"
    wanted = "accounts for addresses of the inventory only"
    remedy = "drop it, or deploy with `--data remove_stale_accounts=true`"
    return problem("account of no host", f"there is {who}", wanted, remedy)


@check(ARRIVES)
def arrives(run: str, option_file: str | None, master: str, slaves: int) -> Verdict:
    """
    Make a database on the master and write a row, while the replicas wait for it.

    + run: makes the name of the database unique; the same on all hosts
    + option_file: as for `replicates`
    + master: the master's name in the inventory
    + slaves: how many replicas there are; without any, nothing is made

    If the master dies before `vanishes`, its systemd drops the database after two minutes.
    """
    if not slaves:
        return Verdict(NO_SLAVE)
    if host.name == master:
        trial_or_fail(
            answer_or_fail(Question(Canary, step="create", run=run, option_file=option_file, ticket=ticket()))
        )
        return Verdict("made")
    if not passed(REPLICATES):
        return Verdict(skipped="it does not replicate")
    age = trial_or_fail(answer_or_fail(Question(Canary, step="see", run=run, option_file=option_file))).age
    if age is None and failed(ARRIVES, master):
        return Verdict(skipped="the master did not write it")
    if age is None:
        situation = Situation.LAGGING
        found = "a row written on the master did not arrive within 10 seconds"
        return Verdict(findings=[problem(situation.state.name, found, "it arrives at once", situation.remedy)])
    return Verdict(f"after {age:.2f} s" if age >= 0 else f"at once (its clock is {-age:.2f} s behind the master's)")


@check(VANISHES)
def vanishes(run: str, option_file: str | None, master: str, slaves: int) -> Verdict:
    """
    Drop the database of `arrives` on the master, and wait on the replicas until it is gone.

    + run, option_file, master, slaves: as for `arrives`
    """
    if not slaves:
        return Verdict(NO_SLAVE)
    if host.name == master:
        trial_or_fail(answer_or_fail(Question(Canary, step="drop", run=run, option_file=option_file, ticket=ticket())))
        return Verdict("dropped")
    if not passed(ARRIVES):
        return Verdict(skipped="it did not arrive")
    if trial_or_fail(answer_or_fail(Question(Canary, step="gone", run=run, option_file=option_file))).gone:
        return Verdict("gone")
    if failed(VANISHES, master):
        return Verdict(skipped="the master did not drop it")
    remedy = f"drop `ox_verify_{run}` on the master if it is still there, and wait until it is gone here"
    found = f"ox_verify_{run} is still here 10 seconds after the master was told to drop it"
    return Verdict(findings=[problem("dropped database stays", found, "it is gone", remedy)])


def verify(cluster: Cluster, node: Node, run: str) -> None:
    """Call the checks of one database server; `run` makes the name of the database that is made unique."""
    option_file = node.mysql_option_file
    master, slaves = master_of(cluster), len(slaves_of(cluster))
    reading = None if node == master else _reading(cluster, node)
    replicates(users=USERS, option_file=option_file, reading=reading, slaves=slaves)
    settings(users=USERS, option_file=option_file, encrypted=cluster.settings.replication_tls)
    read_only(users=USERS, option_file=option_file, writable=node == master)
    accounts(users=USERS, option_file=option_file, wanted=wanted_accounts(cluster))
    arrives(run=run, option_file=option_file, master=master.inventory_name, slaves=slaves)
    vanishes(run=run, option_file=option_file, master=master.inventory_name, slaves=slaves)


def _reading(cluster: Cluster, node: Node) -> Reading:
    master, others = master_of(cluster), siblings(cluster, node)
    return Reading(source_of(cluster), master.inventory_name, master.mysql_option_file, node.address, others)
