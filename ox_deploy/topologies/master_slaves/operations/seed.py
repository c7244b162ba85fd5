"""Seeding: a replica gets a copy of its master's data and replicates from exactly there."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyinfra import host
from pyinfra.api import Host, OperationError, StringCommand, operation

from ox_deploy.certificate import one_time_pair
from ox_deploy.facts.answers import ask_together
from ox_deploy.facts.mysql import Mysql, MysqlStatus, ServerState
from ox_deploy.mysql.accounts import Statement, WantedAccount, account_statements, drop_account, listed
from ox_deploy.mysql.servers import DatabaseServer
from ox_deploy.operations.direct import carry_out
from ox_deploy.operations.stop import stop
from ox_deploy.questions.ask import ask, get
from ox_deploy.questions.bounds import NoAnswer
from ox_deploy.questions.order import SERVICE_SECONDS, Order, order
from ox_deploy.questions.peer import PeerUnreachable, ask_peer
from ox_deploy.questions.program import standalone
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.question import Question
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves.diagnosis import diagnose
from ox_deploy.topologies.master_slaves.facts.seed import Seeding, SeedState, ServerSurvey, Survey
from ox_deploy.topologies.master_slaves.obstacles import Method, SeedPlan, Side, forewarnings
from ox_deploy.topologies.master_slaves.seed_rules import foreseen, is_needed, refusal
from ox_deploy.topologies.master_slaves.situations import Situation
from ox_deploy.topologies.master_slaves.source import Source

USER = "ox_seed"
# How long to wait at most before the next look.
POLL_SECONDS = 1.0
# A line of progress comes with each stage, and after so many seconds.
SHOW_SECONDS = 5
# The name in the certificate of the connection; remote/master_slaves/seed/stream.py has it, too.
STREAM = "ox-seed"
RESTORE = "pyinfra -y inventory.py ox_deploy.deploys.seed.restore --data seed_slave={name}"


@operation(is_idempotent=False)
def from_master(
    source: Source,
    address: str,
    master_host: str,
    server: DatabaseServer,
    method: Method = Method.LOGICAL,
    overwrite: bool = False,
    by_gtid: bool = True,
    master_option_file: str | None = None,
    option_file: str | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Copy the master's data to this replica, and make it replicate from exactly there.

    + source: the master's address and the account to replicate with
    + address: the replica's address, as its master sees it
    + master_host: the master's name in the inventory; an account is made there for the time of the seeding
    + server: what the database server is and has
    + method: `logical` (a dump) or `physical` (the data directory)
    + overwrite: whether the databases that the replica has may be lost
    + by_gtid: let it keep its place by GTID, or by file and position
    + master_option_file, option_file: root-only option files, where root cannot log in over the socket

    The work is done by a systemd unit on the replica, `ox-seed`; this operation shows how far it is. A unit that runs
    already, from an earlier run, is waited for. One that died is begun again. Not idempotent: a replica that replicates
    is seeded anew with `overwrite`, and refused without.
    """
    plan = SeedPlan(source, address, method, overwrite, by_gtid)
    seeding = _Seeding(plan, server, master_host, master_option_file, option_file)
    try:
        # The replica first: what it has of its master's, the master has then.
        slave = seeding.slave()
        if not is_executing():
            if not slave.part.active:
                seeding.check(slave)
            yield StringCommand("true")
        elif slave.part.active:
            host.log("waiting for a seeding that is already under way")
            seeding.wait()
        else:
            yield from seeding.begin(slave)
    except OperationError as error:
        yield stop(str(error))


def obstacles_ahead(
    source: Source,
    address: str,
    master_host: str,
    server: DatabaseServer,
    by_gtid: bool = True,
    master_option_file: str | None = None,
    option_file: str | None = None,
    siblings: Sequence[str] = (),
) -> list[str]:
    """Return what would end the seeding by a dump that the current host needs, nothing if it needs none.

    + source, address, master_host, server, by_gtid, master_option_file, option_file: as for `from_master`
    + siblings: as for `replication.replica`

    Both servers are asked what they have only where one is needed. Changes nothing.
    """
    plan = SeedPlan(source, address, Method.LOGICAL, True, by_gtid)
    seeding = _Seeding(plan, server, master_host, master_option_file, option_file)
    try:
        slave, master = seeding.servers()
        if not is_needed(slave, master, lambda: diagnose(host.name, slave, master, source, address, siblings)):
            return []
        is_there = slave.state is not ServerState.NOT_INSTALLED
        side = seeding.slave() if is_there else Side(host.name, slave, Survey())
        found = foreseen(plan, side, seeding.master())
    except PeerUnreachable:
        # That is said by the operations that need it.
        return []
    return [f"a seeding, which this replica needs, would be refused: {sentence}" for sentence in found]


@operation(is_idempotent=False)
def restore(server: DatabaseServer) -> Generator[StringCommand, None, None]:
    """
    Put back the data that this replica had before a seeding that failed; it then replicates from nobody.

    + server: what the database server is and has

    It stays a half seeded replica, which no deploy takes for a healthy one, until it is seeded again. Not idempotent:
    refuses if there is nothing to put back.
    """
    found = ask(host, Question(Seeding))
    if found.active:
        yield stop(f"{host.name} is being seeded; wait until that ends (`systemctl status ox-seed` there).")
    elif not found.marked:
        yield stop(f"{host.name} is not half seeded, so there is nothing to put back.")
    elif not found.kept:
        yield stop(f"{host.name} no longer has its old data, so it cannot be put back; seed it again.")
    else:
        yield order(
            "master_slaves.seed_restore", {"unit": server.unit, "fence": server.seed_fence}, seconds=SERVICE_SECONDS
        )


@dataclass
class _Seeding:
    """One run of the operation."""

    plan: SeedPlan
    server: DatabaseServer
    master_host: str
    master_option_file: str | None
    option_file: str | None
    ended: bool = False

    def slave(self) -> Side:
        """Ask the replica."""
        return Side(host.name, *ask_together(partial(ask, host), self._questions(self.option_file)))

    def master(self) -> Side:
        """Ask the master."""
        questions = self._questions(self.master_option_file)
        return Side(self.master_host, *ask_together(partial(ask_peer, host, self.master_host), questions))

    def check(self, slave: Side) -> Side:
        """Ask the master and return it; raises OperationError if the replica must not be seeded."""
        master = self.master()
        sentence = refusal(self.plan, slave, master)
        if sentence:
            raise OperationError(sentence)
        return master

    def begin(self, slave: Side) -> Generator[StringCommand, None, None]:
        """Start the unit, and wait for its end."""
        master = self.check(slave)
        for sentence in forewarnings(self.plan, slave, master):
            host.log(sentence)
        password, certificate = Secret(secrets.token_urlsafe(24)), one_time_pair(STREAM)
        self._make_account(password, master.status)
        try:
            yield seed_order(self._program(master), self._job(slave, master, password, certificate))
            self._watch(certificate)
        finally:
            self._drop_account()
        self._verify()

    def wait(self) -> None:
        """Wait for the end of a unit that an earlier run started."""
        try:
            self._watch(None)
        finally:
            self._drop_account()
        self._verify()

    def _program(self, master: Side) -> str:
        way = "clone" if self._clones(master.status) else self.plan.method
        return f"master_slaves.seed_{way}"

    def _clones(self, master: MysqlStatus) -> bool:
        return self.plan.method == Method.PHYSICAL and not master.is_mariadb

    def _questions(self, option_file: str | None) -> list[Question[Any]]:
        programs = list(self.server.seed_programs)
        survey = Question(ServerSurvey, programs=programs, option_file=option_file)
        return [Question(Mysql, users=[], option_file=option_file), survey, Question(Seeding)]

    def servers(self) -> tuple[MysqlStatus, MysqlStatus]:
        """Ask for what both servers are like, the replica first."""
        slave = ask(host, Question(Mysql, users=[], option_file=self.option_file))
        return slave, ask_peer(host, self.master_host, Question(Mysql, users=[], option_file=self.master_option_file))

    def _job(self, slave: Side, master: Side, password: Secret, certificate: str) -> dict[str, Any]:
        source, physical = self.plan.source, self.plan.method == Method.PHYSICAL
        contents = sum(each.bytes for each in master.survey.databases)
        return {
            "master": source.job() | {"user": USER, "password": password.reveal()},
            "source": source.job() | {"by_gtid": self.plan.by_gtid},
            "bytes": master.survey.directory_bytes if physical else contents,
            "freed": sum(each.bytes for each in slave.survey.databases),
            "address": self.plan.address,
            "certificate": certificate,
            "unit": self.server.unit,
            "fence": self.server.seed_fence,
            "option_file": self.option_file,
            "seen": None if slave.status.seeding else slave.status.role,
        }

    def _make_account(self, password: Secret, master: MysqlStatus) -> None:
        names = master.dialect
        privileges = names["copy_privileges"] | (
            names["physical_privileges"] if self.plan.method == Method.PHYSICAL else set()
        )
        wanted = WantedAccount(USER, self.plan.address, password, frozenset(privileges), tls=bool(self.plan.source.ca))
        # A leftover of an earlier run has another password.
        statements = [drop_account(USER, self.plan.address), *account_statements(wanted, None, names)]
        self._account_order(statements, guarded=True, clone=self._clones(master))

    def _drop_account(self) -> None:
        """Drop it, unless the unit goes on without us; systemd drops it one day in any case."""
        try:
            if self.ended or not _state().active:
                self._account_order([drop_account(USER, self.plan.address)], guarded=False)
        except OperationError as error:
            host.log(f"the account {USER} stays on the master until its timer drops it: {error}")

    def _account_order(self, statements: Sequence[Statement], guarded: bool, clone: bool = False) -> None:
        job = {
            "user": USER,
            "host": self.plan.address,
            "timer": f"ox-seed-account-{self.plan.address}",
            "guarded": guarded,
            "clone": clone,
            "statements": listed(statements),
            "option_file": self.master_option_file,
        }
        master = host.inventory.get_host(self.master_host)
        carry_out(master, order("master_slaves.seed_account", job, to=master))

    def _send(self, certificate: str) -> None:
        job = {"address": self.plan.address, "certificate": certificate, "option_file": self.master_option_file}
        master = host.inventory.get_host(self.master_host)
        carry_out(master, seed_order("master_slaves.seed_send", job, to=master))

    def _watch(self, certificate: str | None) -> None:
        """Show how far the unit is until it ends; raises OperationError if it failed."""
        shown = Shown()
        while (found := _state()).active:
            shown.show(found)
            if found.stage == "listens" and certificate:
                self._send(certificate)
                certificate = None
            time.sleep(shown.pause())
        self.ended = True
        if not found.done:
            raise OperationError(self._why_not(found))
        host.log(f"seeded with {found.bytes / 1e6:.0f} MB, {found.summary}")

    def _why_not(self, found: SeedState) -> str:
        error = found.error or "its unit ox-seed died without an error message; seed again"
        if self.plan.method == Method.PHYSICAL and found.stage in ("listens", "copies"):
            sender = ask_peer(host, self.master_host, Question(Seeding))
            error += f" ({self.master_host}: {sender.error})" if sender.error else ""
        half = "is half seeded, at" if found.marked else "was not changed:"
        kept = f" Its old data is kept; to put it back, run `{RESTORE.format(name=host.name)}`." if found.kept else ""
        return f"{host.name} {half} `{found.stage}`: {error}.{kept}"

    def _verify(self) -> None:
        """Raises OperationError unless the replica is a healthy one."""
        slave, master = self.servers()
        found = diagnose(host.name, slave, master, self.plan.source, self.plan.address)
        if found.situation is not Situation.HEALTHY:
            raise OperationError(found.sentence("it was seeded"))


def _state() -> SeedState:
    # Otherwise pyinfra would give the host up, without a word of what to do.
    found, reason = None, f"{host.name} does not answer"
    try:
        found = get(host, Seeding, _ignore_errors=True)
    except NoAnswer as error:
        reason = error.reason
    if found is None:
        raise OperationError(
            f"{reason}; a seeding that is under way there goes on by itself; run again to wait for it."
        )
    return found


@dataclass
class Shown:
    """What was shown of the progress last, and when."""

    stage: str = ""
    bytes: int = 0
    at: float = 0.0
    since: float = 0.0

    def pause(self) -> float:
        """Return after how many seconds to look again: the sooner, the newer the stage is."""
        return min((time.monotonic() - self.since) / 4, POLL_SECONDS)

    def show(self, found: SeedState) -> None:
        """Show a line for each stage, and now and then how many bytes came, and how fast."""
        now = time.monotonic()
        if found.stage == self.stage and now - self.at < SHOW_SECONDS:
            return
        moves = found.stage == self.stage and found.bytes > self.bytes
        rate = f", {(found.bytes - self.bytes) / 1e6 / (now - self.at):.1f} MB/s" if moves else ""
        host.log(f"{found.stage}: {found.bytes / 1e6:.0f} MB{rate}")
        self.since = self.since if found.stage == self.stage else now
        self.stage, self.bytes, self.at = found.stage, found.bytes, now


def seed_order(name: str, arguments: Mapping[str, Any], to: Host | None = None) -> Order:
    """Return the command of an operation that starts a program as a systemd unit and does not wait for it.

    Its arguments go the same way as those of an order, and then by a file that only root can read.
    """
    return order("master_slaves.seed_start", {"program": standalone(name, arguments)}, to)
