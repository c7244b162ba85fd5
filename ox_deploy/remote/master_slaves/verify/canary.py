"""Let a new database travel from the master to its replicas: one step of it.

The master goes through `create` and `drop`, at the same time its replicas through `see` and `gone`. No statement
touches another database. A master that dies in between has its systemd drop the database.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

from ox_deploy.remote.common.lease import read_lease
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.mysql.session import SOCKET, connect
from ox_deploy.remote.verify.common import attempt, guard, release

# How long the master waits until its replicas look, and a replica until it gives up.
SETTLE_SECONDS = 1
PATIENCE_SECONDS = 10
# A backup may hold locks; we do not queue behind it for long.
LOCK_SECONDS = 5
UNKNOWN = {1049, 1146}


def verify_canary(job: Document) -> Document:
    """Go through a step."""
    return attempt({"create": create, "see": see, "drop": drop, "gone": gone}[job["step"]], job)


def database_of(job: Document) -> str:
    """Return the name of the database, which no other one can have."""
    run: str = job["run"]
    return "ox_verify_" + run


def unit_of(job: Document) -> str:
    """Return the name of the systemd unit that drops it in any case."""
    return "ox-verify-{}-database".format(job["run"])


def drop_statement(job: Document) -> str:
    """Return what removes it."""
    return f"DROP DATABASE IF EXISTS `{database_of(job)}`"


def client(job: Document) -> list[str]:
    """Return the command that drops it without this program."""
    program = shutil.which("mariadb") or shutil.which("mysql")
    if program is None:
        raise RuntimeError("there is no command `mariadb` or `mysql`")
    options = ["--defaults-file=" + job["option_file"]] if job["option_file"] else ["--no-defaults", "--user=root"]
    return [program, *options, "--socket=" + SOCKET, "--execute=" + drop_statement(job)]


def recheck(session: Session, job: Document) -> None:
    """Stop unless this run still has the lease and this is a master: on a replica our rows would be its own."""
    lease = read_lease()
    if job["ticket"] and [lease.get("number"), lease.get("run")] != list(map(str, job["ticket"])):
        raise RuntimeError("this run has lost the lease of the cluster; nothing was written; run again")
    if rows(session, "SELECT @@GLOBAL.read_only AS value")[0]["value"]:
        raise RuntimeError("this server is read-only, so it is not the master; nothing was written")


def create(job: Document) -> Document:
    """Make the database, wait until the replicas look for it, and write the row."""
    with connect(job["option_file"]) as session, session.cursor() as cursor:
        recheck(session, job)
        guard(unit_of(job), client(job))
        cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
        cursor.execute(f"CREATE DATABASE `{database_of(job)}`")
        cursor.execute(f"CREATE TABLE `{database_of(job)}`.canary (written DATETIME(6) NOT NULL)")
        time.sleep(SETTLE_SECONDS)
        # As a value: a function might be computed again on the replica.
        now = rows(session, "SELECT UTC_TIMESTAMP(6) AS now")[0]["now"]
        cursor.execute(f"INSERT INTO `{database_of(job)}`.canary VALUES (%s)", [now])  # noqa: S608 - a name of ours
    return {}


def see(job: Document) -> Document:
    """Wait for the row; return how old it was when it was seen first, or None."""
    with connect(job["option_file"]) as session:
        return {"age": wait_for(lambda: age_of(session, job))}


def age_of(session: Session, job: Document) -> float | None:
    """Return the age of the row in seconds, or None if it is not here yet."""
    query = "SELECT TIMESTAMPDIFF(MICROSECOND, written, UTC_TIMESTAMP(6)) AS age FROM `{}`.canary"
    try:
        found = rows(session, query.format(database_of(job)))
    except Exception as error:
        if error.args and error.args[0] in UNKNOWN:
            return None
        raise
    return found[0]["age"] / 1000000 if found else None


def drop(job: Document) -> Document:
    """Drop the database, so that nobody else has to."""
    with connect(job["option_file"]) as session, session.cursor() as cursor:
        recheck(session, job)
        cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
        cursor.execute(drop_statement(job))
    release(unit_of(job))
    return {}


def gone(job: Document) -> Document:
    """Wait until the database is gone; tell whether it is."""
    with connect(job["option_file"]) as session:
        return {"gone": wait_for(lambda: None if is_there(session, job) else True) is not None}


def is_there(session: Session, job: Document) -> bool:
    """Tell whether this server has the database."""
    query = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
    return bool(rows(session, query, [database_of(job)]))


def wait_for(look: Callable[[], Any]) -> Any:
    """Look until there is something to see, or the time is over; return what was seen last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = look()
        if seen is not None or time.monotonic() > deadline:
            return seen
        time.sleep(0.02)
