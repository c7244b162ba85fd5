"""Stop writes on the old master, and wait until the new one has everything; otherwise leave it as it was."""

from __future__ import annotations

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.common.units import program_file
from ox_deploy.remote.master_slaves.role.check import GUARD, holder, is_read_only, role_of
from ox_deploy.remote.master_slaves.switch.common import (
    ABORT,
    AGREE_SECONDS,
    CLAIM,
    arrives,
    last_transaction,
    reach,
    take,
    wait_until,
    write_fence,
)
from ox_deploy.remote.master_slaves.switch.fence import fence_text
from ox_deploy.remote.mysql.session import connect

UNIT = "ox-deploy-guard.service"
LOCK_SECONDS = 2
ARRIVE_SECONDS = 5
LOCK_WAIT_TIMEOUT = 1205


def start_guard(session: Session, guard: str) -> None:
    """Have systemd run the guard, in the place of one that an earlier run has left; wait until it is at work."""
    run(["systemctl", "stop", UNIT])
    if not wait_until(lambda: not holder(session, GUARD), AGREE_SECONDS):
        fail(f"a guard of an earlier run does not end; stop it with `systemctl stop {UNIT}`")
    start = ["systemd-run", "--quiet", "--collect", "--unit=" + UNIT, "python3", program_file("guard.py", guard)]
    # systemd may not have forgotten the last guard yet.
    wait_until(lambda: run(start).returncode == 0, AGREE_SECONDS)
    if not wait_until(lambda: holder(session, GUARD), AGREE_SECONDS):
        fail(f"the guard that would open writes again did not start; nothing was changed: see `journalctl -u {UNIT}`")


def is_taken_over(session: Session, new: Session) -> bool:
    """Tell whether the new master is open or about to be. Asked in this order, it cannot slip through."""
    return bool(holder(session, CLAIM)) or not is_read_only(new)


def freeze(session: Session, job: Document) -> str:
    """Stop writes, without waiting for long for those who write; return the last transaction."""
    write_fence(job["fence"], fence_text("to", job["new"]["name"], True))
    with session.cursor() as cursor:
        cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        cursor.execute("SET GLOBAL read_only = 1")
        last = last_transaction(session)
        cursor.execute("UNLOCK TABLES")
    return last


def open_again(session: Session) -> str:
    """Have the guard open writes again, and tell what came of it."""
    try:
        with session.cursor() as cursor:
            cursor.execute("UNLOCK TABLES")
        take(session, ABORT)
        wait_until(lambda: not holder(session, GUARD), AGREE_SECONDS)
        writable = not is_read_only(session)
    except Exception:
        writable = False
    return "it takes writes as before" if writable else "check if it takes writes, then run again"


def longest_statement(session: Session) -> str:
    """Say what has been at work for longest, without its text."""
    query = (
        "SELECT ID AS id, USER AS user, TIME AS seconds FROM information_schema.PROCESSLIST "
        "WHERE COMMAND NOT IN ('Sleep', 'Binlog Dump', 'Binlog Dump GTID', 'Daemon') AND ID <> CONNECTION_ID() "
        "ORDER BY TIME DESC LIMIT 1"
    )
    found = rows(session, query)
    return " (session {id} of {user} has run for {seconds} s)".format(**found[0]) if found else ""


def why(session: Session, error: Exception, job: Document) -> str:
    """Say why writes could not be stopped."""
    if error.args and error.args[0] == LOCK_WAIT_TIMEOUT:
        return "{} did not get the lock on all tables within {} s{}".format(
            job["name"], LOCK_SECONDS, longest_statement(session)
        )
    return "{}: {}".format(job["name"], error)


def switch_stop_writes(job: Document) -> None:
    """Do all of it."""
    try:
        new = reach(job["new"])
    except Exception as error:
        fail("{} cannot log in to {}: {}; nothing was changed".format(job["name"], job["new"]["name"], error))
    with new, connect(job["option_file"]) as session:
        source = role_of(session)["source"]
        if source:
            fail(
                "{} is a replica of {} by now, so it is not the master; nothing was changed".format(job["name"], source)
            )
        start_guard(session, job["guard"])
        if is_taken_over(session, new):
            run(["systemctl", "stop", UNIT])
            return
        try:
            last = freeze(session, job)
            arrived = arrives(new, last, ARRIVE_SECONDS)
        except Exception as error:
            fail(f"{why(session, error, job)}; {open_again(session)}")
        if not arrived:
            sentence = "{} did not catch up with {} within {} s; {}"
            fail(sentence.format(job["new"]["name"], job["name"], ARRIVE_SECONDS, open_again(session)))
