"""Replicas follow their master, and log in to it encrypted."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.mysql import Mysql, MysqlStatus, ServerState
from ox_deploy.mysql.accounts import WantedAccount, differences
from ox_deploy.mysql.not_ready import not_ready
from ox_deploy.operations import mysql, tls
from ox_deploy.operations.stop import stop
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.peer import PeerUnreachable, ask_peer
from ox_deploy.questions.pyinfra_internals import is_executing
from ox_deploy.questions.question import Question
from ox_deploy.topologies.master_slaves import history
from ox_deploy.topologies.master_slaves.connections import is_from
from ox_deploy.topologies.master_slaves.diagnosis import Diagnosis, diagnose
from ox_deploy.topologies.master_slaves.facts.replication import Replica
from ox_deploy.topologies.master_slaves.situations import FIXED_BY_DEPLOY, Situation
from ox_deploy.topologies.master_slaves.source import Source
from ox_deploy.topologies.master_slaves.switch_rules import Server

# How long a new replica may take to read what its master has, in seconds.
CATCH_UP_SECONDS = 600
TLS = tls.Files(pair="/etc/mysql/ssl/replication.pem", trusted="/etc/mysql/ssl/replication-ca.pem")


def _reader_question(server: Server) -> tuple[str, Question[MysqlStatus]]:
    return server.inventory_name, Question(Mysql, users=[], option_file=server.option_file)


def _readers_questions(slaves: Sequence[Server], **_: Any) -> list[tuple[str, Question[MysqlStatus]]]:
    return [_reader_question(server) for server in slaves]


@prefetch.asks(mysql.accounts_question, peers=_readers_questions)
@operation()
def encrypt_logins(
    wanted: Sequence[WantedAccount], users: Sequence[str], slaves: Sequence[Server], option_file: str | None = None
) -> Generator[StringCommand, None, None]:
    """
    Let accounts of replicas log in over encrypted connections only. To be called on the master, after `replica`.

    + wanted: the accounts
    + users, option_file: as for `accounts`
    + slaves: who reads from here; the account of one that does so unencrypted, or cannot be asked, stays as it is,
      since that replica could not connect again

    Idempotent.
    """
    status = ask(host, mysql.accounts_question(users, option_file))
    problem = not_ready(status, host.name)
    if problem:
        yield stop(problem) if is_executing() else StringCommand("true")
        return
    in_clear = {server.address: server.name for server in slaves if not _reads_encrypted(server)}
    statements = differences(
        [account for account in wanted if account.host not in in_clear], status.accounts, status.dialect
    )
    if in_clear:
        host.log(f"{', '.join(in_clear.values())}: may log in unencrypted until it is deployed, too")
    if statements:
        yield mysql.run_statements(statements, True, option_file, status)
    else:
        host.noop("the replicas log in encrypted" if not in_clear else "they are deployed first")


def _reads_encrypted(server: Server) -> bool:
    """Tell whether a replica would get on with an account that has to log in encrypted."""
    try:
        status = ask_peer(host, *_reader_question(server))
    except PeerUnreachable:
        return False
    return status.state is ServerState.RUNNING and (status.replica is None or bool(status.replica.ca))


# The configuration file says so, too; somebody may have changed it while the server runs.
_READ_ONLY = {"label": "make the replica read-only again", "sql": "SET GLOBAL read_only = 1", "values": []}

# What a bare server is like until its configuration is written, so that a plan can show it.
_BEFORE_CONFIGURATION = {Situation.NO_BINARY_LOG, Situation.SAME_SERVER_ID}


def _slave_question(option_file: str | None = None, **_: Any) -> Question[MysqlStatus]:
    return Question(Mysql, users=[], option_file=option_file)


def _master_question(
    master_host: str, master_option_file: str | None = None, **_: Any
) -> tuple[str, Question[MysqlStatus]]:
    return master_host, Question(Mysql, users=[], option_file=master_option_file)


@prefetch.asks(_slave_question, peer=_master_question)
@operation()
def replica(
    source: Source,
    master_host: str,
    address: str | None = None,
    master_option_file: str | None = None,
    option_file: str | None = None,
    by_gtid: bool = True,
    siblings: Sequence[str] = (),
) -> Generator[StringCommand, None, None]:
    """
    Make this server replicate from its master and wait until it has caught up.

    + source: the master's address and the account to read it with
    + address: this server's address, as its master sees it
    + master_host: the master's name in the inventory; it is asked for its binary log position, never changed
    + master_option_file, option_file: root-only option files, where root cannot log in over the socket
    + by_gtid: let it keep its place by GTID, or by file and position; a healthy replica is moved to the other way
    + siblings: addresses of the other database hosts; after a switch, their replicas are moved to the master

    Idempotent: a healthy replica is left alone, but made read-only if it is not, moved to an encrypted connection or
    back, and made to acknowledge what it receives if it should and does not; it goes on where it stands. An empty
    server starts where the master's binary log begins if that holds all the master's data, or at the position captured
    now if the master is empty too. A named connection becomes the default one, by GTID. A former master follows the
    new one if it has nothing that the new one lacks.
    Anything that could lose data (a foreign, broken or filled replica) stops the operation with a remedy.
    Guide: Slave configuration, CHANGE MASTER TO and START SLAVE.
    """
    slave = _slave_now(option_file)
    try:
        master = ask_peer(host, *_master_question(master_host, master_option_file))
    except PeerUnreachable as error:
        yield stop(str(error))
        return
    # A replica that is half seeded may not run, and that is the reason.
    problem = (None if slave.seeding else not_ready(slave, host.name)) or not_ready(master, master_host)
    if problem:
        yield stop(problem) if is_executing() else StringCommand("true")
        return
    found = diagnose(host.name, slave, master, source, address, siblings)
    # A replica with transactions of its own follows its master all the same, and no deploy could put that right.
    if found.follows:
        yield from _keep(found, master, option_file, by_gtid)
    elif found.situation in FIXED_BY_DEPLOY:
        yield from _begin(found, master, option_file, by_gtid)
    elif is_executing() or found.situation not in _BEFORE_CONFIGURATION:
        yield stop(found.sentence())
    else:
        yield StringCommand("true")


def _slave_now(option_file: str | None) -> MysqlStatus:
    """Return what this server is like; one that is yet to replicate starts from what both are at this moment."""
    slave = ask(host, _slave_question(option_file))
    if slave.replica is None:
        prefetch.forget()
        slave = ask(host, _slave_question(option_file))
    return slave


def _begin(
    found: Diagnosis, master: MysqlStatus, option_file: str | None, by_gtid: bool
) -> Generator[StringCommand, None, None]:
    """Let a replica follow its master that does not yet, or no longer."""
    start = _start(found.situation, found.source, found.slave, master, by_gtid)
    yield _replicate(start, found.slave, master, option_file)
    if found.situation in _NEEDS_GTID and not by_gtid:
        yield _replicate({"by_gtid": False}, None, master, option_file)


def _keep(
    found: Diagnosis, master: MysqlStatus, option_file: str | None, by_gtid: bool
) -> Generator[StringCommand, None, None]:
    """Leave a replica that follows its master where it is."""
    slave, source = found.slave, found.source
    assert slave.replica is not None
    writable = slave.variables.get("read_only") == "OFF"
    is_healthy = found.situation is Situation.HEALTHY
    moves = _moves(slave, slave.replica, master, source, by_gtid) if is_healthy else {}
    if writable:
        yield order("mysql_run", _read_only_job(slave, option_file))
    if moves:
        yield _replicate(moves, None if writable else slave, master, option_file)
    if not writable and not moves:
        host.noop(f"it replicates from {source.name}")
        if not is_healthy:
            # What is only a no-op is shown with `-v` alone.
            host.log(found.sentence())


def _read_only_job(slave: MysqlStatus, option_file: str | None) -> dict[str, Any]:
    return {"option_file": option_file, "replicate": False, "statements": [_READ_ONLY], "seen": slave.role}


def _moves(slave: MysqlStatus, replica: Replica, master: MysqlStatus, source: Source, by_gtid: bool) -> dict[str, Any]:
    """Return what is to be changed of how a healthy replica replicates, none of which makes it lose its place."""
    moves: dict[str, Any] = {}
    if replica.using_gtid != by_gtid and history.has_position_in(slave, master):
        moves["by_gtid"] = by_gtid
    if source.semi_synchronous and not replica.semi_synchronous and _waits(master):
        moves["semi_synchronous"] = True
    return moves | _other_connection(replica, master, source)


# What a replica says of a master that offers no encryption (MariaDB 11.8.9).
_WITHOUT_TLS = "SSL is required, but the server does not support it"


def _waits(master: MysqlStatus) -> bool:
    """Tell whether a master would wait for replicas that acknowledge."""
    return master.variables.get("rpl_semi_sync_master_enabled") == "ON"


def _other_connection(replica: Replica, master: MysqlStatus, source: Source) -> dict[str, Any]:
    """Return how a replica should connect if it does otherwise.

    It goes on in clear until its master can do better. An encryption that is not ours is never taken away, unless it is
    nobody's: from 11.4 on, MariaDB asks for one by itself, also where the master has none.
    """
    if source.ca:
        moves = replica.ca != source.ca and master.variables.get("ssl_cert") == TLS.pair
    else:
        moves = replica.ca == TLS.trusted or (not replica.ca and _WITHOUT_TLS in replica.io_error)
    return {"ca": source.ca} if moves else {}


# Another server's file and position say nothing here, and those of a connection go with it.
_NEEDS_GTID = {Situation.FORMER_MASTER, Situation.MOVED, Situation.NAMED}


def _start(
    situation: Situation, source: Source, slave: MysqlStatus, master: MysqlStatus, by_gtid: bool
) -> dict[str, Any] | None:
    """Return what the program `replication_start` should change; None if the replica only has to be started."""
    assert master.binary_log is not None
    log = master.binary_log
    if slave.replica and situation in (Situation.CAN_CATCH_UP, Situation.OTHER_PASSWORD):
        login = source.login() if situation is Situation.OTHER_PASSWORD else {}
        # By GTID, what was received and not applied comes once more.
        unread = slave.replica.model_copy(update={"received": ""})
        moves = slave.replica.using_gtid != by_gtid and history.has_position_in(slave, master)
        kept = {"by_gtid": by_gtid} if login and moves and not history.is_purged(unread, slave, log) else {}
        return login | kept | _other_connection(slave.replica, master, source) or None
    by_gtid = by_gtid or situation in _NEEDS_GTID
    start = source.job() | {"by_gtid": by_gtid}
    if situation is Situation.MOVED:
        return start
    if situation is Situation.NAMED:
        return start | {"named": [each.name for each in slave.named if is_from(each, source)]}
    if situation is Situation.FORMER_MASTER:
        # MySQL counts what it wrote itself as what it has.
        return start | ({"gtid": slave.gtid.binlog} if slave.is_mariadb else {})
    is_fresh = situation is Situation.FRESH
    begin = {"gtid": "" if is_fresh else master.gtid.binlog}
    if by_gtid:
        return start | begin
    place = {"file": log.first_file, "position": 4} if is_fresh else {"file": log.file, "position": log.position}
    # MySQL has GTIDs all the same, and could not be moved to them later.
    return start | place | ({} if slave.is_mariadb else begin)


def _replicate(
    start: dict[str, Any] | None, slave: MysqlStatus | None, master: MysqlStatus, option_file: str | None
) -> StringCommand:
    """Return the order; `slave` is what it was seen to be, None right after another such order."""
    assert master.binary_log is not None
    log = master.binary_log
    by_gtid = start is not None and start.get("by_gtid")
    job = {
        "source": start,
        "seen": slave.role if slave else None,
        "target": {"file": log.file, "position": log.position, "gtid": master.gtid.binlog if by_gtid else ""},
        "databases": master.databases,
        "seconds": CATCH_UP_SECONDS,
        "option_file": option_file,
    }
    return order("master_slaves.replication_start", job)
