"""Accounts and replication of MySQL and MariaDB servers."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation
from pyinfra.context import state

from ox_deploy import ahead, transactions
from ox_deploy.facts.base import PeerUnreachable, Question, ask, ask_peer
from ox_deploy.facts.mysql import Account, BinaryLog, Grant, Mysql, MysqlStatus, Replica, ServerState
from ox_deploy.operations import tls
from ox_deploy.operations.stop import stop
from ox_deploy.remote import order
from ox_deploy.secrets import Secret
from ox_deploy.switching import Server

# How long a new replica may take to read what its master has, in seconds.
CATCH_UP_SECONDS = 600


@dataclass(frozen=True)
class WantedAccount:
    """An account as it should be; rights are on `*.*`.

    `tls` tells whether it may only log in over an encrypted connection; None leaves that as it is.
    """

    user: str
    host: str
    password: Secret
    privileges: frozenset[str]
    grant_option: bool = False
    tls: bool | None = None

    def stored_hash(self) -> str:
        """Return the password as the server stores it, so that no statement holds it in clear."""
        first = hashlib.sha1(self.password.reveal().encode(), usedforsecurity=False).digest()
        return "*" + hashlib.sha1(first, usedforsecurity=False).hexdigest().upper()


@dataclass(frozen=True)
class Statement:
    """A statement with its values, and a label that may be shown."""

    label: str
    sql: str
    values: tuple[str, ...]


def account_statements(wanted: WantedAccount, found: Account | None) -> list[Statement]:
    """Return what brings an account into the wanted state; nothing if it is.

    Each statement can be repeated and replayed on a server that has the account already (no error 1396).
    """
    who = f"'{wanted.user}'@'{wanted.host}'"
    name = (wanted.user, wanted.host)
    statements = []
    if found is None:
        sql = "CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY PASSWORD %s"
        statements.append(Statement(f"create {who}", sql, (*name, wanted.stored_hash())))
    elif not found.password.matches(wanted.stored_hash()):
        sql = "ALTER USER IF EXISTS %s@%s IDENTIFIED BY PASSWORD %s"
        statements.append(Statement(f"set the password of {who}", sql, (*name, wanted.stored_hash())))
    statements += _requirement(wanted, who, found.tls if found else "")
    grants = found.grants if found else []
    return statements + _missing_rights(wanted, who, grants) + _surplus_rights(wanted, who, grants)


# What the server calls it if an account has to log in over an encrypted connection.
_ENCRYPTED = "ANY"
_REQUIREMENTS = {True: "SSL", False: "NONE"}


def _requirement(wanted: WantedAccount, who: str, found: str) -> list[Statement]:
    # A stricter one, such as a certificate of the slave's own, is somebody else's and stays if we want none.
    if wanted.tls is None or wanted.tls == (found == _ENCRYPTED):
        return []
    label = f"let {who} log in {'encrypted only' if wanted.tls else 'unencrypted, too'}"
    sql = f"ALTER USER IF EXISTS %s@%s REQUIRE {_REQUIREMENTS[wanted.tls]}"
    return [Statement(label, sql, (wanted.user, wanted.host))]


def _missing_rights(wanted: WantedAccount, who: str, grants: Sequence[Grant]) -> list[Statement]:
    held = next((grant for grant in grants if grant.on == "*.*"), None)
    missing = wanted.privileges - (held.privileges if held else frozenset())
    lacks_option = wanted.grant_option and not (held and held.grant_option)
    if not missing and not lacks_option:
        return []
    names = ", ".join(sorted(missing or wanted.privileges))
    option = " WITH GRANT OPTION" if wanted.grant_option else ""
    sql = f"GRANT {names} ON *.* TO %s@%s{option}"
    return [Statement(f"grant {names} to {who}", sql, (wanted.user, wanted.host))]


def _surplus_rights(wanted: WantedAccount, who: str, grants: Sequence[Grant]) -> list[Statement]:
    if any(grant.on == "*.*" and "ALL PRIVILEGES" in grant.privileges for grant in grants):
        # Cannot be revoked in part: take all, on databases too, then give the wanted ones.
        texts = [text for grant in grants if not grant.on for text in sorted(grant.privileges)]
        return [*_replace_all(wanted, who), *(_revoke(text.removeprefix("GRANT "), wanted, who) for text in texts)]
    statements = []
    for grant in grants:
        is_global = grant.on == "*.*"
        surplus = set(grant.privileges - (wanted.privileges if is_global else frozenset()))
        if grant.grant_option and not (is_global and wanted.grant_option):
            surplus.add("GRANT OPTION")
        if not surplus:
            continue
        names = ", ".join(sorted(surplus))
        what = f"{names} ON {_quoted(grant.on)}" if grant.on else names.removeprefix("GRANT ")
        statements.append(_revoke(what, wanted, who))
    return statements


def _revoke(what: str, wanted: WantedAccount, who: str) -> Statement:
    """Return what takes away a right, a role, or a default role as SHOW GRANTS lists it."""
    names = (wanted.user, wanted.host)
    if what.startswith("SET DEFAULT ROLE"):
        return Statement(f"no default role for {who}", "SET DEFAULT ROLE NONE FOR %s@%s", names)
    # The driver would take a percent sign for a placeholder.
    return Statement(f"revoke {what} from {who}", "REVOKE " + what.replace("%", "%%") + " FROM %s@%s", names)


def _replace_all(wanted: WantedAccount, who: str) -> list[Statement]:
    names = (wanted.user, wanted.host)
    revoke = Statement(f"revoke all from {who}", "REVOKE ALL PRIVILEGES, GRANT OPTION FROM %s@%s", names)
    return [revoke, *_missing_rights(wanted, who, [])]


def _quoted(name: str) -> str:
    return ".".join(part if part == "*" else f"`{part}`" for part in name.split("."))


def stale_accounts(wanted: Sequence[WantedAccount], found: Sequence[Account]) -> list[Account]:
    """Return the accounts of our users for addresses that are not wanted."""
    names = {(account.user, account.host) for account in wanted}
    return [account for account in found if (account.user, account.host) not in names]


def not_ready(status: MysqlStatus, name: str) -> str | None:
    """Return a sentence if a server cannot be asked, so that nothing is decided on what is not known."""
    remedies = {
        ServerState.NOT_INSTALLED: "run the whole deploy, or this part with the database hosts included",
        ServerState.NO_DRIVER: "install python3-pymysql there or run the whole deploy",
        ServerState.NOT_RUNNING: "start it and look at its log (`journalctl -u mariadb`)",
        ServerState.NO_RIGHTS: "let root log in over the socket, or set `mysql_option_file` to a root-only option file",
    }
    if status.state is ServerState.RUNNING:
        return None
    detail = f" ({status.error})" if status.error else ""
    return f"the database server of {name} is {status.state.value}{detail}; {remedies[status.state]}."


def _accounts_question(users: Sequence[str], option_file: str | None = None, **_: Any) -> Question[MysqlStatus]:
    return Question(Mysql, users=list(users), option_file=option_file)


@ahead.asks(_accounts_question)
@operation()
def accounts(
    wanted: Sequence[WantedAccount],
    users: Sequence[str],
    remove_stale: bool = False,
    replicate: bool = True,
    option_file: str | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Bring the accounts of some users into the wanted state: password, rights, nothing more.

    + wanted: the accounts, with rights on `*.*`
    + users: the user names that are ours; their accounts for other hosts are stale
    + remove_stale: drop stale accounts instead of naming them
    + replicate: write the changes to the binary log (on a master), or not (on a slave)
    + option_file: root-only option file on the host, where root cannot log in over the socket

    Idempotent. No statement holds a password, only the hash that the server stores.
    Guide: Master/Slave database setup, the GRANT statements of both hosts.
    """
    status = ask(host, _accounts_question(users, option_file))
    problem = not_ready(status, host.name)
    if problem:
        yield stop(problem) if state.is_executing else StringCommand("true")
        return
    statements = _statements(wanted, status.accounts)
    stale = stale_accounts(wanted, status.accounts)
    if remove_stale:
        statements += [_drop(account) for account in stale]
    elif stale:
        names = ", ".join(f"'{account.user}'@'{account.host}'" for account in stale)
        host.log(
            f"{names}: of addresses no longer in the inventory; "
            "run with `--data remove_stale_accounts=true` to drop them"
        )
    if statements:
        yield _run(statements, replicate, option_file)
    else:
        host.noop("the accounts are right")


def _statements(wanted: Sequence[WantedAccount], accounts: Sequence[Account]) -> list[Statement]:
    found = {(account.user, account.host): account for account in accounts}
    return [
        statement
        for account in wanted
        for statement in account_statements(account, found.get((account.user, account.host)))
    ]


def _reader_question(server: Server) -> tuple[str, Question[MysqlStatus]]:
    return server.inventory_name, Question(Mysql, users=[], option_file=server.option_file)


def _readers_questions(slaves: Sequence[Server], **_: Any) -> list[tuple[str, Question[MysqlStatus]]]:
    return [_reader_question(server) for server in slaves]


@ahead.asks(_accounts_question, peers=_readers_questions)
@operation()
def encrypt_logins(
    wanted: Sequence[WantedAccount], users: Sequence[str], slaves: Sequence[Server], option_file: str | None = None
) -> Generator[StringCommand, None, None]:
    """
    Let accounts of slaves log in over encrypted connections only. To be called on the master, after `replica`.

    + wanted: the accounts
    + users, option_file: as for `accounts`
    + slaves: who reads from here; the account of one that does so unencrypted, or cannot be asked, stays as it is,
      since that slave could not connect again

    Idempotent.
    """
    status = ask(host, _accounts_question(users, option_file))
    problem = not_ready(status, host.name)
    if problem:
        yield stop(problem) if state.is_executing else StringCommand("true")
        return
    in_clear = {server.address: server.name for server in slaves if not _reads_encrypted(server)}
    statements = _statements([account for account in wanted if account.host not in in_clear], status.accounts)
    if in_clear:
        host.log(f"{', '.join(in_clear.values())}: may log in unencrypted until it was deployed, too")
    if statements:
        yield _run(statements, True, option_file)
    else:
        host.noop("the slaves log in encrypted" if not in_clear else "they are deployed first")


def _reads_encrypted(server: Server) -> bool:
    """Tell whether a slave would get on with an account that has to log in encrypted."""
    try:
        status = ask_peer(host, *_reader_question(server))
    except PeerUnreachable:
        return False
    return status.state is ServerState.RUNNING and (status.replica is None or bool(status.replica.ca))


def _drop(account: Account) -> Statement:
    return drop_account(account.user, account.host)


def drop_account(user: str, address: str) -> Statement:
    """Return what drops an account if it is there."""
    return Statement(f"drop '{user}'@'{address}'", "DROP USER IF EXISTS %s@%s", (user, address))


def _run(statements: Sequence[Statement], replicate: bool, option_file: str | None) -> StringCommand:
    job = {"statements": listed(statements), "replicate": replicate, "option_file": option_file}
    return order("mysql_run", job)


def listed(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Return statements as a program takes them."""
    return [{"label": each.label, "sql": each.sql, "values": each.values} for each in statements]


class Situation(Enum):
    """What a slave is like, seen together with its master."""

    HEALTHY = "replicates"
    FRESH = "is empty and the master's binary log holds everything"
    FRESH_PAIR = "is empty and so is the master"
    FORMER_MASTER = "was the master, and has nothing that the master lacks"
    MOVED = "replicates from another of our database hosts"
    CAN_CATCH_UP = "is stopped, and its master still has all that it lacks"
    OTHER_PASSWORD = "logs in at the master with another password"  # noqa: S105 - not a password
    NEEDS_SEED = "is empty while the master has data that its binary log no longer holds"
    DIVERGED = "was the master, and has transactions that the master lacks"
    HAS_DATA = "has databases of its own but does not replicate"
    BROKEN = "stopped with an error"
    PURGED = "lacks what its master's binary log no longer holds"
    ERRANT = "has transactions that its master does not have"
    HALF_SEEDED = "is half seeded"
    UNKNOWN = "is in a state that is not known here"
    OTHER_MASTER = "replicates from another master"
    SAME_SERVER_ID = "has the server id of its master"
    SAME_SERVER_ID_AS_SLAVE = "has the server id of another slave"
    NO_BINARY_LOG = "has a master that writes no binary log"


SEED = "pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave={name}"
OVERWRITE = SEED + " --data overwrite_slave={name}"

_REMEDIES = {
    Situation.NEEDS_SEED: f"seed it (`{SEED}`)",
    Situation.DIVERGED: "look at them there with `mariadb-binlog`, repeat on the master what is needed, then seed it "
    f"(`{OVERWRITE}`)",
    Situation.HAS_DATA: f"take it out of `db_slave`, or have all that is on it replaced by the master's data "
    f"(`{OVERWRITE}`)",
    Situation.BROKEN: f"put right what the error names, then run `START SLAVE`, or seed it (`{OVERWRITE}`)",
    Situation.PURGED: f"seed it (`{OVERWRITE}`)",
    Situation.ERRANT: "look at them with `mariadb-binlog` there; undo or repeat them on the master and run "
    f"`RESET MASTER` there, or seed it (`{OVERWRITE}`)",
    Situation.HALF_SEEDED: f"wait for the end of its seeding, or seed it again (`{SEED}`)",
    Situation.UNKNOWN: "look at `SHOW SLAVE STATUS` there",
    Situation.OTHER_MASTER: "correct `db_master`, or run `STOP SLAVE; RESET SLAVE ALL` there and seed it "
    f"(`{OVERWRITE}`)",
    Situation.SAME_SERVER_ID: "give the host a `server_id` of its own and deploy it",
    Situation.SAME_SERVER_ID_AS_SLAVE: "give each a `server_id` of its own in the inventory, restart their servers and "
    "deploy them",
    Situation.NO_BINARY_LOG: "deploy the master first",
}


# The configuration file says so, too; somebody may have changed it while the server runs.
_READ_ONLY = {"label": "make the slave read-only again", "sql": "SET GLOBAL read_only = 1", "values": []}

# What a bare server is like until its configuration is written, so that a plan can show it.
_BEFORE_CONFIGURATION = {Situation.NO_BINARY_LOG, Situation.SAME_SERVER_ID}


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
    if address and reads_under_its_id(slave, master) not in (None, address):
        return Situation.SAME_SERVER_ID_AS_SLAVE
    if slave.replica is not None:
        situation = _recognise_replica(slave, slave.replica, master, source)
        is_ours = situation is Situation.OTHER_MASTER and slave.replica.host in siblings
        return _recognise_moved(slave, master) if is_ours else situation
    if transactions.was_master(slave, master):
        return Situation.DIVERGED if transactions.errant(slave, master) else Situation.FORMER_MASTER
    if slave.databases:
        return Situation.HAS_DATA
    if master.binary_log.complete:
        return Situation.FRESH
    return Situation.NEEDS_SEED if master.databases else Situation.FRESH_PAIR


def reads_under_its_id(slave: MysqlStatus, master: MysqlStatus) -> str | None:
    """Return who else reads from the master under the slave's server id just now, if the slave itself does not.

    Two with the same id drive each other out, and neither names the reason.
    """
    if slave.replica and slave.replica.io_running == "Yes":
        return None
    return master.slaves.get(slave.variables["server_id"])


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
    if transactions.errant(slave, master):
        return Situation.ERRANT
    return Situation.HEALTHY if _runs(replica) else Situation.CAN_CATCH_UP


_THREAD_STATES = {"Yes", "No", "Connecting", "Preparing"}
# What masters say who no longer have what is asked for: the file, or what a GTID stands for.
_PURGED_WORDS = ("Could not find first log file name", "have been purged")


def _is_purged(replica: Replica, slave: MysqlStatus, log: BinaryLog) -> bool:
    if replica.io_running == "Yes":
        return False
    if any(words in replica.io_error for words in _PURGED_WORDS):
        return True
    if replica.using_gtid:
        return transactions.is_purged(replica, slave, log)
    return bool(log.files and replica.read_file) and replica.read_file not in log.files


def _runs(replica: Replica | None) -> bool:
    return replica is not None and (replica.io_running, replica.sql_running) == ("Yes", "Yes")


def _recognise_moved(slave: MysqlStatus, master: MysqlStatus) -> Situation:
    can_move = transactions.has_position_in(slave, master) and not transactions.errant(slave, master)
    return Situation.MOVED if can_move else Situation.OTHER_MASTER


def _slave_question(option_file: str | None = None, **_: Any) -> Question[MysqlStatus]:
    return Question(Mysql, users=[], option_file=option_file)


def _master_question(
    master_host: str, master_option_file: str | None = None, **_: Any
) -> tuple[str, Question[MysqlStatus]]:
    return master_host, Question(Mysql, users=[], option_file=master_option_file)


@ahead.asks(_slave_question, peer=_master_question)
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
    + siblings: addresses of the other database hosts; after a switch, their slaves are moved to the master

    Idempotent: a healthy replica is left alone, but made read-only if it is not, moved to an encrypted connection or
    back, and made to acknowledge what it receives if it should and does not; it goes on where it stands. An empty
    server starts where the master's binary log begins if that holds all the master's data, or at the position captured
    now if the master is empty too. A former master follows the new one if it has nothing that the new one lacks.
    Anything that could lose data (a foreign, broken or filled slave) stops the operation with a remedy.
    Guide: Slave configuration, CHANGE MASTER TO and START SLAVE.
    """
    slave = ask(host, _slave_question(option_file))
    if slave.replica is None:
        # What starts here starts from what both are at this moment.
        ahead.forget()
        slave = ask(host, _slave_question(option_file))
    try:
        master = ask_peer(host, *_master_question(master_host, master_option_file))
    except PeerUnreachable as error:
        yield stop(str(error))
        return
    # A slave that is half seeded may not run, and that is the reason.
    problem = (None if slave.seeding else not_ready(slave, host.name)) or not_ready(master, master_host)
    if problem:
        yield stop(problem) if state.is_executing else StringCommand("true")
        return
    situation = recognise(slave, master, source, address, siblings)
    # A slave with transactions of its own follows its master all the same, and no deploy could put that right.
    follows = situation is Situation.HEALTHY or (situation is Situation.ERRANT and _runs(slave.replica))
    if follows:
        yield from _keep(situation, slave, master, source, option_file, by_gtid)
    elif situation in _REMEDIES:
        if state.is_executing or situation not in _BEFORE_CONFIGURATION:
            yield stop(explain(host.name, situation, slave, master))
        else:
            yield StringCommand("true")
    else:
        yield _replicate(_start(situation, source, slave, master, by_gtid), master, option_file)
        if situation in _NEEDS_GTID and not by_gtid:
            yield _replicate({"use_gtid": GTID_MODES[False]}, master, option_file)


def _keep(
    situation: Situation,
    slave: MysqlStatus,
    master: MysqlStatus,
    source: Source,
    option_file: str | None,
    by_gtid: bool,
) -> Generator[StringCommand, None, None]:
    """Leave a slave that follows its master where it is."""
    assert slave.replica is not None
    writable = slave.variables.get("read_only") == "OFF"
    is_healthy = situation is Situation.HEALTHY
    moves = _moves(slave, slave.replica, master, source, by_gtid) if is_healthy else {}
    if writable:
        yield order("mysql_run", {"option_file": option_file, "replicate": False, "statements": [_READ_ONLY]})
    if moves:
        yield _replicate(moves, master, option_file)
    if not writable and not moves:
        host.noop(f"it replicates from {source.name}")
        if not is_healthy:
            # What is only a no-op is shown with `-v` alone.
            host.log(explain(host.name, situation, slave, master))


def _moves(slave: MysqlStatus, replica: Replica, master: MysqlStatus, source: Source, by_gtid: bool) -> dict[str, Any]:
    """Return what is to be changed of how a healthy slave replicates, none of which makes it lose its place."""
    moves: dict[str, Any] = {}
    if replica.using_gtid != by_gtid and transactions.has_position_in(slave, master):
        moves["use_gtid"] = GTID_MODES[by_gtid]
    if source.semi_synchronous and not replica.semi_synchronous and _waits(master):
        moves["semi_synchronous"] = True
    return moves | _other_connection(replica, master, source)


def _waits(master: MysqlStatus) -> bool:
    """Tell whether a master would wait for slaves that acknowledge."""
    return master.variables.get("rpl_semi_sync_master_enabled") == "ON"


def _other_connection(replica: Replica, master: MysqlStatus, source: Source) -> dict[str, Any]:
    """Return how a slave should connect if it does otherwise.

    It goes on in clear until its master can do better. An encryption that is not ours is never taken away.
    """
    if source.ca:
        moves = replica.ca != source.ca and master.variables.get("have_ssl") == "YES"
    else:
        moves = replica.ca == tls.FILES.trusted
    return {"ca": source.ca} if moves else {}


def explain(name: str, situation: Situation, slave: MysqlStatus, master: MysqlStatus) -> str:
    """Return the sentence for a situation that has to be put right by a person."""
    detail = _detail(situation, slave, master)
    shown = f" ({detail})" if detail else ""
    return f"{name} {situation.value}{shown}; nothing was changed: {_REMEDIES[situation].format(name=name)}."


def _detail(situation: Situation, slave: MysqlStatus, master: MysqlStatus) -> str:
    if situation is Situation.SAME_SERVER_ID_AS_SLAVE:
        return f"{slave.variables['server_id']}, under which {reads_under_its_id(slave, master)} reads"
    if situation in (Situation.ERRANT, Situation.DIVERGED):
        return ", ".join(transactions.errant(slave, master))
    if situation is Situation.UNKNOWN and slave.replica:
        return f"Slave_IO_Running is {slave.replica.io_running}, Slave_SQL_Running is {slave.replica.sql_running}"
    errors = (slave.replica.sql_error or slave.replica.io_error) if slave.replica else ""
    return errors or ", ".join(slave.databases)


# What MASTER_USE_GTID should be, by `by_gtid`.
GTID_MODES = {True: "slave_pos", False: "no"}
# Another server's file and position say nothing here.
_NEEDS_GTID = {Situation.FORMER_MASTER, Situation.MOVED}


def _start(
    situation: Situation, source: Source, slave: MysqlStatus, master: MysqlStatus, by_gtid: bool
) -> dict[str, Any] | None:
    """Return what remote/mysql_replicate.py should change; None if the replica only has to be started."""
    assert master.binary_log is not None
    log = master.binary_log
    if slave.replica and situation in (Situation.CAN_CATCH_UP, Situation.OTHER_PASSWORD):
        login = source.login() if situation is Situation.OTHER_PASSWORD else {}
        return login | _other_connection(slave.replica, master, source) or None
    by_gtid = by_gtid or situation in _NEEDS_GTID
    start = source.job() | {"use_gtid": GTID_MODES[by_gtid]}
    if situation is Situation.FORMER_MASTER:
        return start | {"gtid_slave_pos": slave.gtid.binlog}
    if situation is Situation.MOVED:
        return start
    is_fresh = situation is Situation.FRESH
    if by_gtid:
        return start | {"gtid_slave_pos": "" if is_fresh else master.gtid.binlog}
    return start | (
        {"file": log.first_file, "position": 4} if is_fresh else {"file": log.file, "position": log.position}
    )


def _replicate(start: dict[str, Any] | None, master: MysqlStatus, option_file: str | None) -> StringCommand:
    assert master.binary_log is not None
    log = master.binary_log
    by_gtid = start is not None and start.get("use_gtid") == GTID_MODES[True]
    job = {
        "source": start,
        "target": {"file": log.file, "position": log.position, "gtid": master.gtid.binlog if by_gtid else ""},
        "databases": master.databases,
        "seconds": CATCH_UP_SECONDS,
        "option_file": option_file,
    }
    return order("mysql_replicate", job)
