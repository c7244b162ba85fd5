"""Make this host's server replicate from its master, and wait until it has caught up."""

from __future__ import annotations

import time
from typing import Any

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Cursor, Document, Session
from ox_deploy.remote.master_slaves.replication.status import status_as_replica, without_statement
from ox_deploy.remote.master_slaves.role.check import check_role, check_unchanged
from ox_deploy.remote.mysql.session import connect, dialect, user_databases

# Access denied, unknown position, same server id or UUID, refused certificate: waiting does not help.
HOPELESS = (1045, 1236, 1593, 2026, 2061, 13114, 13117)
REFUSED_CERTIFICATE = 2026
# A master that cannot be reached for so long is not just restarting.
CONNECT_SECONDS = 75

# Clauses that point a replica at its master, by what they are called here.
CLAUSES = {
    "user": "{source}_USER",
    "password": "{source}_PASSWORD",
    "host": "{source}_HOST",
    "port": "{source}_PORT",
    "file": "{source}_LOG_FILE",
    "position": "{source}_LOG_POS",
}
# A master that was started anew has its replicas back soon; the servers' own pause is a minute.
CONNECT_RETRY = "{source}_CONNECT_RETRY = 10"
ENCRYPTION = ["{source}_SSL=%s", "{source}_SSL_CA=%s", "{source}_SSL_VERIFY_SERVER_CERT=%s"]


def change_master(session: Session, source: Document) -> None:
    """Point the replica at its master; what is not given stays, the position too. Its threads have to stand still.

    `by_gtid` tells how it keeps its place. `gtid` is where a server begins that did not replicate. `ca` is the file
    with the certificates of which the master has to show one, "" for a connection that is not encrypted.
    `semi_synchronous` lets the replica acknowledge what it receives.
    """
    names = dialect(session)
    with session.cursor() as cursor:
        if source.get("gtid") is not None:
            begin_at(cursor, names, source["gtid"])
        clauses, values = clauses_of(source, names)
        if clauses:
            cursor.execute("{} {}".format(names["change_source"], ", ".join(clauses)), values)
        if source.get("semi_synchronous"):
            # The thread that reads from the master looks at it when it starts. Somebody may have changed it, and on a
            # former master it is off.
            cursor.execute("SET GLOBAL {rpl_semi_sync_slave_enabled} = 1".format(**names["variables"]))


def begin_at(cursor: Cursor, names: Document, gtid: str) -> None:
    """Let a server that has nothing of its own count as one that has all up to these transactions."""
    if names["server"] == "MariaDB":
        cursor.execute("SET GLOBAL gtid_slave_pos = %s", [gtid])
    else:
        cursor.execute(names["reset_log"])
        cursor.execute("SET GLOBAL gtid_purged = %s", [gtid])


def clauses_of(source: Document, names: Document) -> tuple[list[str], list[Any]]:
    """Return the clauses that say all of it, and their values."""
    given = [key for key in CLAUSES if source.get(key) is not None]
    clauses = [CLAUSES[key] + "=%s" for key in given]
    values = [source[key] for key in given]
    if source.get("ca") is not None:
        clauses += ENCRYPTION
        values += [int(bool(source["ca"])), source["ca"], int(bool(source["ca"]))]
    if source.get("by_gtid") is not None:
        clauses.append(names["by_gtid"][source["by_gtid"]])
    if source.get("host") is not None:
        clauses += [CONNECT_RETRY, *filter(None, [names["more_clauses"]])]
    return [clause.format(**names) for clause in clauses], values


def wait_until_caught_up(session: Session, target: Document, seconds: float) -> None:
    """Wait until all that the master had written before this run is here."""
    deadline = time.monotonic() + seconds
    patience = time.monotonic() + CONNECT_SECONDS
    while True:
        status = status_as_replica(session)
        if status["Slave_SQL_Running"] != "Yes":
            error, number = without_statement(status["Last_SQL_Error"]), status["Last_SQL_Errno"]
            fail(f"the replica's SQL thread stopped: {error} (error {number})")
        if status["Slave_IO_Running"] == "Yes" and reached(session, target):
            return
        if status["Slave_IO_Running"] == "Yes":
            patience = time.monotonic() + CONNECT_SECONDS
        elif time.monotonic() > patience:
            fail(why_behind(status, target, CONNECT_SECONDS))
        if status["Last_IO_Errno"] in HOPELESS or time.monotonic() > deadline:
            fail(why_behind(status, target, seconds))
        time.sleep(0.1)


def reached(session: Session, target: Document) -> bool:
    """Tell whether the position of the master is reached; waits a second for it."""
    names = dialect(session)
    if target.get("gtid"):
        what, values = names["wait_for_gtid"], [target["gtid"], 1]
    else:
        what, values = names["wait_for_position"], [target["file"], target["position"], 1]
    waited = rows(session, f"SELECT {what} AS waited", values)[0]["waited"]
    return waited is not None and waited >= 0


def why_behind(status: Document, target: Document, seconds: float) -> str:
    """Say why the replica did not catch up, with the server's own error if there is one."""
    if status["Last_IO_Error"]:
        text = "the replica cannot read from its master: {Last_IO_Error} (error {Last_IO_Errno})"
        if status["Last_IO_Errno"] == REFUSED_CERTIFICATE:
            text += (
                "; the master shows no certificate for {Master_Host} that is in {Master_SSL_CA_File} or issued by it"
            )
        return text.format(**status)
    return (
        "the replica did not reach {}:{} within {} seconds; it is at {Relay_Master_Log_File}:{Exec_Master_Log_Pos}; "
        "run again when it has caught up".format(target["file"], target["position"], seconds, **status)
    )


def check_databases(session: Session, expected: list[str]) -> None:
    """A binary log that did not hold everything would have left a hole; never call that done."""
    missing = sorted(set(expected) - set(user_databases(session)))
    if missing:
        # Nobody should take it for a replica.
        run_replica(session, "STOP {replica}")
        fail("the replica caught up but lacks the databases {}; seed it".format(", ".join(missing)))


def run_replica(session: Session, *statements: str) -> None:
    """Run statements such as `START {replica}` in the server's words."""
    with session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(**dialect(session)))


def drain_relay_log(session: Session) -> None:
    """Apply what was received, and receive no more.

    In this order: once both threads stand still, a start by GTID throws away what was received.
    """
    run_replica(session, "START {replica} SQL_THREAD", "STOP {replica} IO_THREAD")


def drop_named_connections(session: Session, connections: list[str]) -> None:
    """Stop and forget connections that have a name: a second one to the same master would be refused."""
    names = dialect(session)
    for statement in (names["stop_named"], names["reset_named"]):
        for name in connections:
            with session.cursor() as cursor:
                cursor.execute(statement.format(**names), [name])


def replication_start(job: Document) -> None:
    """Do all of it."""
    with connect(job["option_file"]) as session:
        named = (job["source"] or {}).get("named", [])
        # Who replicates by a named connection goes on writing what it receives.
        (check_role if named else check_unchanged)(session, job.get("seen"))
        if job["source"]:
            run_replica(session, "STOP {replica}", "SET GLOBAL read_only = 1")
            drop_named_connections(session, named)
            change_master(session, job["source"])
        else:
            # It may be waiting for its next attempt.
            drain_relay_log(session)
        run_replica(session, "START {replica}")
        wait_until_caught_up(session, job["target"], job["seconds"])
        check_databases(session, job["databases"])
